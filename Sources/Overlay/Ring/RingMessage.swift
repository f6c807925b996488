// Messages of the ring that are routed to nodes with which the sender has no session: how a newcomer finds
// its place, how a sender learns that nobody was there, and what nodes say of their places.

import Base
import Session

/// A routed message with payload kind `ring`.
public enum RingMessage: Equatable, Sendable {
  /// "Who is nearest to the destination of this message?" So many nodes shall be named, itself included.
  case find(nonce: UInt64, names: UInt8)
  /// The answer: first the answering node, then as many of its neighbours on both sides as were asked for.
  /// `hops` is the length of the question's way.
  case welcome(nonce: UInt64, hops: UInt8, nodes: BoundedArray<9, PlacedNode>)
  /// A message with this payload kind could not be delivered to this destination. A hint: it changes nothing
  /// but when the sender tries again. `ticket` is that of the question (or its nonce), 0 for a datagram.
  case undeliverable(destination: OverlayID, payload: RoutedPayload, ticket: UInt64)
  /// "What do you see of your place?"
  case look(nonce: UInt64)
  /// The answer: below 600 bytes.
  case testimony(nonce: UInt64, Testimony)
}

extension RingMessage: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.byte() {
    case 1: self = .find(nonce: try reader.integer(), names: try reader.byte())
    case 2:
      self = .welcome(
        nonce: try reader.integer(), hops: try reader.byte(),
        nodes: try reader.list { (r: inout WireReader) throws(WireError) in try PlacedNode(from: &r) })
    case 3:
      let destination = try OverlayID(from: &reader)
      guard let payload = RoutedPayload(rawValue: try reader.byte()) else {
        throw .invalid(offset: reader.offset)
      }
      self = .undeliverable(destination: destination, payload: payload, ticket: try reader.integer())
    case 4: self = .look(nonce: try reader.integer())
    case 5: self = .testimony(nonce: try reader.integer(), try Testimony(from: &reader))
    default: throw .invalid(offset: reader.offset)
    }
  }

  public func encode(to writer: inout WireWriter) {
    switch self {
    case .find(let nonce, let names):
      writer.byte(1)
      writer.integer(nonce)
      writer.byte(names)
    case .welcome(let nonce, let hops, let nodes):
      writer.byte(2)
      writer.integer(nonce)
      writer.byte(hops)
      writer.list(nodes) { $0.encode(to: &$1) }
    case .undeliverable(let destination, let payload, let ticket):
      writer.byte(3)
      destination.encode(to: &writer)
      writer.byte(payload.rawValue)
      writer.integer(ticket)
    case .look(let nonce):
      writer.byte(4)
      writer.integer(nonce)
    case .testimony(let nonce, let word):
      writer.byte(5)
      writer.integer(nonce)
      word.encode(to: &writer)
    }
  }
}
