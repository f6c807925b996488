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
//   1 offer   end to end      list of at most four: 32 key, an endpoint, 4 round trip to it in µs (0: not
//                             measured), 13 coordinate
//   2 answer  end to end      20 relay that the receiver shall ask, 20 relay that the sender asks (zero: the
//                             same), 20 relay of the circuit that this one replaces (zero: none)
//   3 ask     to the relay    20 end for whom it is asked (zero: the asker), 20 the other end, 20 through
//                             whom that is reached (zero: directly), 4 label under which the asker receives
//   4 ready   to the asker    4 label of the ask, 4 label under which the relay receives
//   5 closed  to the asker    4 label of the ask, 1 reason
//   6 leave   to the relay    4 label of the ask
//
// The last three name the ask that they are about: one that was overtaken by a newer ask means nothing.

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

/// A node that may pass on: who and where it is, and how far away from whoever offers it.
public struct RelayOffer: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public var node: NamedNode
  /// Microseconds; 0 when it was not measured.
  public var roundTrip: UInt32
  public var coordinate: Coordinate

  public init(node: NamedNode, roundTrip: UInt32, coordinate: Coordinate) {
    self.node = node
    self.roundTrip = roundTrip
    self.coordinate = coordinate
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(
      node: try NamedNode(from: &reader), roundTrip: try reader.integer(),
      coordinate: try Coordinate(from: &reader))
  }

  public func encode(to writer: inout WireWriter) {
    node.encode(to: &writer)
    writer.integer(roundTrip)
    coordinate.encode(to: &writer)
  }
}

/// What a relay is asked: to join two ends, or one end with the relay of the other.
public struct CircuitAsk: Equatable, Sendable, BitwiseCopyable, WireCodable {
  /// For whom a relay asks; zero when an end asks for itself.
  public var origin = OverlayID.zero
  /// The other end.
  public var peer: OverlayID
  /// The relay of the other end; zero when it is reached directly.
  public var beyond = OverlayID.zero
  /// Under which the asker receives; any number but zero.
  public var label: UInt32

  public init(
    origin: OverlayID = .zero, peer: OverlayID, beyond: OverlayID = .zero, label: UInt32
  ) {
    self.origin = origin
    self.peer = peer
    self.beyond = beyond
    self.label = label
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(
      origin: try OverlayID(from: &reader), peer: try OverlayID(from: &reader),
      beyond: try OverlayID(from: &reader), label: try reader.label())
    try reader.require(origin == .zero || beyond == .zero)
  }

  public func encode(to writer: inout WireWriter) {
    origin.encode(to: &writer)
    peer.encode(to: &writer)
    beyond.encode(to: &writer)
    writer.integer(label)
  }
}

/// Why there is no circuit, or no longer.
public enum CircuitRefusal: UInt8, Sendable, BitwiseCopyable {
  /// The other end let go of it, or nothing went through it.
  case done = 0
  /// The relay passes nothing on, or not for these two, or has no bytes left this month.
  case unwilling = 1
  /// The relay has no direct path to one of the ends.
  case unreachable = 2
  /// The relay, or one end's share of it, is full.
  case full = 3
}

/// What ends and relays say to each other about circuits.
public enum CircuitMessage: Equatable, Sendable {
  case offer(BoundedArray<4, RelayOffer>)
  case answer(relay: OverlayID, beyond: OverlayID, instead: OverlayID)
  case ask(CircuitAsk)
  case ready(asked: UInt32, label: UInt32)
  case closed(asked: UInt32, CircuitRefusal)
  case leave(asked: UInt32)
}

extension CircuitMessage: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.byte() {
    case 1:
      self = .offer(
        try reader.list { (r: inout WireReader) throws(WireError) in try RelayOffer(from: &r) })
    case 2:
      self = .answer(
        relay: try OverlayID(from: &reader), beyond: try OverlayID(from: &reader),
        instead: try OverlayID(from: &reader))
    case 3: self = .ask(try CircuitAsk(from: &reader))
    case 4: self = .ready(asked: try reader.label(), label: try reader.label())
    case 5:
      let asked = try reader.label()
      guard let reason = CircuitRefusal(rawValue: try reader.byte()) else {
        throw .invalid(offset: reader.offset)
      }
      self = .closed(asked: asked, reason)
    case 6: self = .leave(asked: try reader.label())
    default: throw .invalid(offset: reader.offset)
    }
  }

  public func encode(to writer: inout WireWriter) {
    switch self {
    case .offer(let relays):
      writer.byte(1)
      writer.list(relays) { $0.encode(to: &$1) }
    case .answer(let relay, let beyond, let instead):
      writer.byte(2)
      relay.encode(to: &writer)
      beyond.encode(to: &writer)
      instead.encode(to: &writer)
    case .ask(let ask):
      writer.byte(3)
      ask.encode(to: &writer)
    case .ready(let asked, let label):
      writer.byte(4)
      writer.integer(asked)
      writer.integer(label)
    case .closed(let asked, let reason):
      writer.byte(5)
      writer.integer(asked)
      writer.byte(reason.rawValue)
    case .leave(let asked):
      writer.byte(6)
      writer.integer(asked)
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
