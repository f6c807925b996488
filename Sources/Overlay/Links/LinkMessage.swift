// Messages between two nodes that share a session: how paths are found, proved and measured, and how
// neighbours tell each other what they see. Each travels as one control record; its first byte is its type.

import Base
import Session

/// The first byte of a control record. From `claim` on the upper layers own the message.
public enum LinkMessageType: UInt8, Sendable, BitwiseCopyable {
  case hello = 1
  case ping = 2
  case pong = 3
  case candidates = 4
  case stabilise = 5
  case leave = 6
  case close = 7
  case confirm = 8
  case refuse = 9
  case acquaintances = 10
  case unify = 11
  case acquainted = 12
  case birthday = 13
  case reflect = 14
  case circuit = 15
  case claim = 16
  /// A message between members of a community (`MemberMessageType`).
  case member = 17
  /// A message about a task on the ring of all nodes (`TaskMessage`).
  case task = 18
}

/// Sixteen random bytes that only the receiver of a ping can send back.
public struct Nonce: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public var high: UInt64
  public var low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(high: try reader.integer(), low: try reader.integer())
  }

  public func encode(to writer: inout WireWriter) {
    writer.integer(high)
    writer.integer(low)
  }
}

/// "Are you there, on this way?" Padded to probe the size of a path; otherwise the whole datagram has 50
/// bytes.
public struct Ping: Equatable, Sendable, WireCodable {
  public var nonce: Nonce
  /// The sender keeps the receiver as its far link.
  public var isGuest: Bool
  /// Zero bytes at the end.
  public var padding: Int

  public init(nonce: Nonce, isGuest: Bool = false, padding: Int = 0) {
    self.nonce = nonce
    self.isGuest = isGuest
    self.padding = padding
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(nonce: try Nonce(from: &reader))
    let flag = try reader.byte()
    try reader.require(flag <= 1)
    isGuest = flag == 1
    let rest = reader.rest()
    for i in 0..<rest.count { try reader.require(rest[i] == 0) }
    padding = rest.count
  }

  public func encode(to writer: inout WireWriter) {
    nonce.encode(to: &writer)
    writer.byte(isGuest ? 1 : 0)
    writer.zeros(padding)
  }
}

/// The answer, sent back the way the ping came, with the address it seemed to come from.
public struct Pong: Equatable, Sendable, WireCodable {
  public var nonce: Nonce
  /// The pinging node as its peer sees it; `.none` over the ring.
  public var observed: Endpoint
  /// The sender keeps the receiver as its far link.
  public var isGuest: Bool
  public var bearings: Bearings

  public init(nonce: Nonce, observed: Endpoint, isGuest: Bool = false, bearings: Bearings = Bearings()) {
    self.nonce = nonce
    self.observed = observed
    self.isGuest = isGuest
    self.bearings = bearings
  }

  public init(from reader: inout WireReader) throws(WireError) {
    nonce = try Nonce(from: &reader)
    observed = try Endpoint(from: &reader)
    let flag = try reader.byte()
    try reader.require(flag <= 1)
    isGuest = flag == 1
    bearings = try Bearings(from: &reader)
  }

  public func encode(to writer: inout WireWriter) {
    nonce.encode(to: &writer)
    observed.encode(to: &writer)
    writer.byte(isGuest ? 1 : 0)
    bearings.encode(to: &writer)
  }
}

/// The neighbours that the sender sees, each by the first 64 bits of its ID.
public struct NeighbourLists: Equatable, Sendable, WireCodable, BitwiseCopyable {
  /// Nearest first, counter-clockwise.
  public var left = BoundedArray<4, UInt64>()
  /// Nearest first, clockwise.
  public var right = BoundedArray<4, UInt64>()
  /// Those of the sender's acquaintances that are nearest to the receiver.
  public var nearReceiver = BoundedArray<4, UInt64>()

  public init() {}

  public init(from reader: inout WireReader) throws(WireError) {
    left = try reader.words()
    right = try reader.words()
    nearReceiver = try reader.words()
  }

  public func encode(to writer: inout WireWriter) {
    for list in [left, right, nearReceiver] { writer.list(list) { $1.integer($0) } }
  }

  /// All that are listed, each once.
  var all: BoundedArray<12, UInt64> {
    var words = BoundedArray<12, UInt64>()
    for list in [left, right, nearReceiver] {
      for i in 0..<list.count where !words.contains(where: { $0 == list[i] }) { words.append(list[i]) }
    }
    return words
  }
}

/// What the sender sees of the ring. The lists are sent only to whom they are news: two fingerprints say who
/// knows what. With them go the names of those that the receiver may not have heard of.
public struct Stabilise: Equatable, Sendable, WireCodable {
  public var wantsAnswer: Bool
  /// Whether both neighbours of the sender agree with it about who lies between them.
  public var settled: Bool
  /// The fingerprint of the sender's lists for this receiver.
  public var view: UInt32
  /// The fingerprint of the receiver's lists that the sender has; 0 when it has none.
  public var seen: UInt32
  /// The sender has lists of the receiver, and there is somebody in them of whom it has not heard.
  public var lacksNames = false
  public var bearings: Bearings
  public var lists: NeighbourLists?
  /// Only with lists.
  public var names = BoundedArray<12, NamedNode>()

  public init(
    wantsAnswer: Bool, settled: Bool, view: UInt32, seen: UInt32, bearings: Bearings, lists: NeighbourLists?
  ) {
    self.wantsAnswer = wantsAnswer
    self.settled = settled
    self.view = view
    self.seen = seen
    self.bearings = bearings
    self.lists = lists
  }

  public init(from reader: inout WireReader) throws(WireError) {
    let flags = try reader.byte()
    try reader.require(flags <= 15)
    self.init(
      wantsAnswer: flags & 1 != 0, settled: flags & 2 != 0, view: try reader.integer(),
      seen: try reader.integer(), bearings: try Bearings(from: &reader), lists: nil)
    lacksNames = flags & 8 != 0
    guard flags & 4 != 0 else { return }
    lists = try NeighbourLists(from: &reader)
    names = try reader.nodes()
  }

  public func encode(to writer: inout WireWriter) {
    writer.byte((wantsAnswer ? 1 : 0) | (settled ? 2 : 0) | (lists == nil ? 0 : 4) | (lacksNames ? 8 : 0))
    writer.integer(view)
    writer.integer(seen)
    bearings.encode(to: &writer)
    guard let lists else { return }
    lists.encode(to: &writer)
    writer.list(names) { $0.encode(to: &$1) }
  }
}

/// The sender goes; these were its neighbours, who have only each other now.
public struct Leave: Equatable, Sendable, WireCodable {
  public var left = BoundedArray<4, NamedNode>()
  public var right = BoundedArray<4, NamedNode>()

  public init() {}

  public init(from reader: inout WireReader) throws(WireError) {
    left = try reader.nodes()
    right = try reader.nodes()
  }

  public func encode(to writer: inout WireWriter) {
    writer.list(left) { $0.encode(to: &$1) }
    writer.list(right) { $0.encode(to: &$1) }
  }
}

/// Nodes of another ring that stand next to the receiver's place there.
public struct Unify: Equatable, Sendable, WireCodable {
  public var nodes = BoundedArray<2, NamedNode>()

  public init(_ node: NamedNode) { nodes.append(node) }

  public init(from reader: inout WireReader) throws(WireError) { nodes = try reader.nodes() }

  public func encode(to writer: inout WireWriter) { writer.list(nodes) { $0.encode(to: &$1) } }
}

/// What became of a routed message that was handed to the sender under this number.
public struct HopConfirmation: Equatable, Sendable, WireCodable {
  public var number: UInt32
  /// The sender sees to it now; otherwise it knows no way.
  public var isTaken: Bool

  public init(number: UInt32, isTaken: Bool) {
    self.number = number
    self.isTaken = isTaken
  }

  public init(from reader: inout WireReader) throws(WireError) {
    number = try reader.integer()
    let flag = try reader.byte()
    try reader.require(flag <= 1)
    isTaken = flag == 1
  }

  public func encode(to writer: inout WireWriter) {
    writer.integer(number)
    writer.byte(isTaken ? 1 : 0)
  }
}

extension WireReader {
  /// At most `capacity` keys behind their count.
  mutating func nodes<let capacity: Int>() throws(WireError) -> BoundedArray<capacity, NamedNode> {
    try list { (r: inout WireReader) throws(WireError) in try NamedNode(from: &r) }
  }

  mutating func words<let capacity: Int>() throws(WireError) -> BoundedArray<capacity, UInt64> {
    try list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}
