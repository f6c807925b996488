// How two nodes that cannot reach each other agree on a third that passes their datagrams on, and what such a
// datagram looks like.
//
//  offset  size  field of a circuit datagram
//       0     1  kind: 5
//       1     1  hops left, at most 2: a relay takes one away, and drops a datagram that has none
//       2     2  zero
//       4     4  label, chosen at random by the side that receives the datagram
//       8        a record, or a reset
//
// Control messages, behind their type and this byte; who sends them to whom:
//
//   1 offer   end to end      list of at most four: 20 relay, 4 round trip to it in µs (0: not measured)
//   2 answer  end to end      20 relay that was chosen; zero when none of them will do
//   3 ask     end to relay    20 the other end, 4 label under which the asker receives
//   4 ready   relay to end    20 the other end, 4 label under which the relay receives
//   5 closed  relay to end    20 the other end, 4 label under which the end asked, 1 reason
//   6 leave   end to relay    20 the other end, 4 label under which the end asked
//
// The last two name the ask that they are about: one that was overtaken by a newer ask means nothing.

import Base

/// What stands before a record that travels through a circuit.
struct CircuitHeader: Equatable, BitwiseCopyable {
  static let kind: UInt8 = 5
  static let byteCount = 8
  /// A circuit has at most two relays.
  static let hopsMax: UInt8 = 2

  var hops: UInt8
  var label: UInt32

  init(hops: UInt8, label: UInt32) {
    self.hops = hops
    self.label = label
  }

  /// The header of `datagram`; nil when it has none, or nothing behind it.
  init?(_ datagram: Frame) {
    guard datagram.count > Self.byteCount, datagram[0] == Self.kind, datagram[1] <= Self.hopsMax,
      datagram.big(2, as: UInt16.self) == 0
    else { return nil }
    self.init(hops: datagram[1], label: datagram.big(4, as: UInt32.self))
  }

  /// Writes the header to the first eight bytes.
  func write(to datagram: Frame) {
    datagram[0] = Self.kind
    datagram[1] = hops
    datagram.setBig(2, UInt16(0))
    datagram.setBig(4, label)
  }
}

/// A node that may pass on, and how far away it is.
public struct RelayOffer: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public var relay: OverlayID
  /// Microseconds; 0 when it was not measured.
  public var roundTrip: UInt32

  public init(relay: OverlayID, roundTrip: UInt32) {
    self.relay = relay
    self.roundTrip = roundTrip
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(relay: try OverlayID(from: &reader), roundTrip: try reader.integer())
  }

  public func encode(to writer: inout WireWriter) {
    relay.encode(to: &writer)
    writer.integer(roundTrip)
  }
}

/// Why there is no circuit, or no longer.
public enum CircuitRefusal: UInt8, Sendable, BitwiseCopyable {
  /// The other end let go of it, or nothing went through it.
  case done = 0
  /// The relay passes nothing on.
  case unwilling = 1
  /// The relay has no direct path to one of the ends.
  case unreachable = 2
  /// The relay, or one end's share of it, is full.
  case full = 3
}

/// What ends and relays say to each other about circuits.
public enum CircuitMessage: Equatable, Sendable {
  case offer(BoundedArray<4, RelayOffer>)
  case answer(relay: OverlayID)
  case ask(peer: OverlayID, label: UInt32)
  case ready(peer: OverlayID, label: UInt32)
  case closed(peer: OverlayID, label: UInt32, CircuitRefusal)
  case leave(peer: OverlayID, label: UInt32)
}

extension CircuitMessage: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.byte() {
    case 1:
      self = .offer(
        try reader.list { (r: inout WireReader) throws(WireError) in try RelayOffer(from: &r) })
    case 2: self = .answer(relay: try OverlayID(from: &reader))
    case 3: self = .ask(peer: try OverlayID(from: &reader), label: try reader.label())
    case 4: self = .ready(peer: try OverlayID(from: &reader), label: try reader.label())
    case 5:
      let peer = try OverlayID(from: &reader)
      let label = try reader.label()
      guard let reason = CircuitRefusal(rawValue: try reader.byte()) else {
        throw .invalid(offset: reader.offset)
      }
      self = .closed(peer: peer, label: label, reason)
    case 6: self = .leave(peer: try OverlayID(from: &reader), label: try reader.label())
    default: throw .invalid(offset: reader.offset)
    }
  }

  public func encode(to writer: inout WireWriter) {
    switch self {
    case .offer(let relays):
      writer.byte(1)
      writer.list(relays) { $0.encode(to: &$1) }
    case .answer(let relay):
      writer.byte(2)
      relay.encode(to: &writer)
    case .ask(let peer, let label):
      writer.byte(3)
      peer.encode(to: &writer)
      writer.integer(label)
    case .ready(let peer, let label):
      writer.byte(4)
      peer.encode(to: &writer)
      writer.integer(label)
    case .closed(let peer, let label, let reason):
      writer.byte(5)
      peer.encode(to: &writer)
      writer.integer(label)
      writer.byte(reason.rawValue)
    case .leave(let peer, let label):
      writer.byte(6)
      peer.encode(to: &writer)
      writer.integer(label)
    }
  }
}

extension WireReader {
  /// A label: any number but zero.
  fileprivate mutating func label() throws(WireError) -> UInt32 {
    let label = try integer(UInt32.self)
    try require(label != 0)
    return label
  }
}
