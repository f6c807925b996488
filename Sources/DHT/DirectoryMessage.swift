// Messages of the directory, routed over the ring. Tickets are chosen by the asking side and come back in the
// answer.

import Base
import Session

/// How a holder answers.
public enum DirectoryStatus: UInt8, Sendable, BitwiseCopyable {
  /// Stored, or found: the lease follows when it was asked for.
  case granted = 0
  /// Another owner has a live lease there, which follows.
  case denied = 1
  /// Nothing is stored there.
  case absent = 2
  /// The asked node does not speak for the key at this moment; ask again.
  case later = 3
  /// Not a lease, not authentic, or older than what is stored.
  case invalid = 4
}

/// A routed message with payload kind `directory`.
public enum DirectoryMessage: Equatable, Sendable {
  /// What is stored under the destination of this message?
  case get(ticket: UInt64)
  /// Store this unless another owner has the place; a newer lease of the same owner replaces the older one.
  case put(ticket: UInt64, Lease)
  /// The answer to get and put. `remaining` is the life that the lease has left, in seconds.
  case answer(ticket: UInt64, DirectoryStatus, remaining: UInt32, Lease?)
  /// Keep a copy (from the owner of the key to the nodes behind it; or a hand-over).
  case copy(ticket: UInt64, remaining: UInt32, Lease)
  case copied(ticket: UInt64)
  /// From a newcomer to its successor: hand over what lies behind `after`, up to me.
  case takeOver(ticket: UInt64, after: OverlayID)
  /// `count` copies with this ticket were sent before this, all that lies up to `through`; `isReady` is false
  /// when the asked node waits for a hand-over itself and knows nothing.
  case handedOver(ticket: UInt64, isReady: Bool, count: UInt8, through: OverlayID)
}

extension DirectoryMessage: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    let type = try reader.byte()
    let ticket = try reader.integer(UInt64.self)
    switch type {
    case 1: self = .get(ticket: ticket)
    case 2: self = .put(ticket: ticket, try Lease(from: &reader))
    case 3:
      guard let status = DirectoryStatus(rawValue: try reader.byte()) else {
        throw .invalid(offset: reader.offset)
      }
      let remaining = try reader.integer(UInt32.self)
      let lease = reader.remaining > 0 ? try Lease(from: &reader) : nil
      self = .answer(ticket: ticket, status, remaining: remaining, lease)
    case 4: self = .copy(ticket: ticket, remaining: try reader.integer(), try Lease(from: &reader))
    case 5: self = .copied(ticket: ticket)
    case 6: self = .takeOver(ticket: ticket, after: try OverlayID(from: &reader))
    case 7:
      let flag = try reader.byte()
      try reader.require(flag <= 1)
      self = .handedOver(
        ticket: ticket, isReady: flag == 1, count: try reader.byte(), through: try OverlayID(from: &reader))
    default: throw .invalid(offset: reader.offset)
    }
  }

  public func encode(to writer: inout WireWriter) {
    switch self {
    case .get(let ticket): head(1, ticket, &writer)
    case .put(let ticket, let lease):
      head(2, ticket, &writer)
      lease.encode(to: &writer)
    case .answer(let ticket, let status, let remaining, let lease):
      head(3, ticket, &writer)
      writer.byte(status.rawValue)
      writer.integer(remaining)
      lease?.encode(to: &writer)
    case .copy(let ticket, let remaining, let lease):
      head(4, ticket, &writer)
      writer.integer(remaining)
      lease.encode(to: &writer)
    case .copied(let ticket): head(5, ticket, &writer)
    case .takeOver(let ticket, let after):
      head(6, ticket, &writer)
      after.encode(to: &writer)
    case .handedOver(let ticket, let isReady, let count, let through):
      head(7, ticket, &writer)
      writer.byte(isReady ? 1 : 0)
      writer.byte(count)
      through.encode(to: &writer)
    }
  }

  private func head(_ type: UInt8, _ ticket: UInt64, _ writer: inout WireWriter) {
    writer.byte(type)
    writer.integer(ticket)
  }
}
