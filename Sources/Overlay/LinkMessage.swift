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
  case claim = 16
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

/// "Are you there, on this way?" Padded to probe the size of a path; otherwise the whole datagram has 49
/// bytes.
public struct Ping: Equatable, Sendable, WireCodable {
  public var nonce: Nonce
  /// Zero bytes behind the nonce.
  public var padding: Int

  public init(nonce: Nonce, padding: Int = 0) {
    self.nonce = nonce
    self.padding = padding
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(nonce: try Nonce(from: &reader))
    let rest = reader.rest()
    for i in 0..<rest.count { try reader.require(rest[i] == 0) }
    padding = rest.count
  }

  public func encode(to writer: inout WireWriter) {
    nonce.encode(to: &writer)
    writer.zeros(padding)
  }
}

/// The answer, sent back the way the ping came, with the address it seemed to come from.
public struct Pong: Equatable, Sendable, WireCodable {
  public var nonce: Nonce
  /// The pinging node as its peer sees it; `.none` over the ring.
  public var observed: Endpoint

  public init(nonce: Nonce, observed: Endpoint) {
    self.nonce = nonce
    self.observed = observed
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(nonce: try Nonce(from: &reader), observed: try Endpoint(from: &reader))
  }

  public func encode(to writer: inout WireWriter) {
    nonce.encode(to: &writer)
    observed.encode(to: &writer)
  }
}

/// Where the sender believes it can be reached.
public struct Candidates: Equatable, Sendable, WireCodable {
  /// Whether the receiver shall answer with its own.
  public var wantsAnswer: Bool
  public var endpoints: BoundedArray<8, Endpoint>
  /// Nodes with a direct path to the sender, best first.
  public var vias: BoundedArray<2, OverlayID>

  public init(wantsAnswer: Bool, endpoints: BoundedArray<8, Endpoint>, vias: BoundedArray<2, OverlayID>) {
    self.wantsAnswer = wantsAnswer
    self.endpoints = endpoints
    self.vias = vias
  }

  public init(from reader: inout WireReader) throws(WireError) {
    let flags = try reader.byte()
    try reader.require(flags <= 1)
    self.init(
      wantsAnswer: flags == 1,
      endpoints: try reader.list { (r: inout WireReader) throws(WireError) in try Endpoint(from: &r) },
      vias: try reader.list { (r: inout WireReader) throws(WireError) in try OverlayID(from: &r) })
  }

  public func encode(to writer: inout WireWriter) {
    writer.byte(wantsAnswer ? 1 : 0)
    writer.list(endpoints) { $0.encode(to: &$1) }
    writer.list(vias) { $0.encode(to: &$1) }
  }
}

/// What the sender sees of the ring: its own neighbours, and those of its acquaintances that are nearest to
/// the receiver. Keys, not IDs: an ID follows from its key, and a key is what a handshake needs.
public struct Stabilise: Equatable, Sendable, WireCodable {
  public var wantsAnswer: Bool
  /// Whether both neighbours of the sender agree with it about who lies between them.
  public var settled: Bool
  /// Nearest first, counter-clockwise.
  public var left: BoundedArray<4, PublicKey>
  /// Nearest first, clockwise.
  public var right: BoundedArray<4, PublicKey>
  public var nearReceiver: BoundedArray<4, PublicKey>

  public init(
    wantsAnswer: Bool, settled: Bool, left: BoundedArray<4, PublicKey>, right: BoundedArray<4, PublicKey>,
    nearReceiver: BoundedArray<4, PublicKey>
  ) {
    self.wantsAnswer = wantsAnswer
    self.settled = settled
    self.left = left
    self.right = right
    self.nearReceiver = nearReceiver
  }

  public init(from reader: inout WireReader) throws(WireError) {
    let flags = try reader.byte()
    try reader.require(flags <= 3)
    self.init(
      wantsAnswer: flags & 1 != 0, settled: flags & 2 != 0, left: try reader.keys(), right: try reader.keys(),
      nearReceiver: try reader.keys())
  }

  public func encode(to writer: inout WireWriter) {
    writer.byte((wantsAnswer ? 1 : 0) | (settled ? 2 : 0))
    for list in [left, right, nearReceiver] { writer.list(list) { $0.encode(to: &$1) } }
  }
}

/// The sender goes; these were its neighbours, who have only each other now.
public struct Leave: Equatable, Sendable, WireCodable {
  public var left: BoundedArray<4, PublicKey>
  public var right: BoundedArray<4, PublicKey>

  public init(left: BoundedArray<4, PublicKey>, right: BoundedArray<4, PublicKey>) {
    self.left = left
    self.right = right
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(left: try reader.keys(), right: try reader.keys())
  }

  public func encode(to writer: inout WireWriter) {
    writer.list(left) { $0.encode(to: &$1) }
    writer.list(right) { $0.encode(to: &$1) }
  }
}

extension WireReader {
  /// At most `capacity` keys behind their count.
  mutating func keys<let capacity: Int>() throws(WireError) -> BoundedArray<capacity, PublicKey> {
    try list { (r: inout WireReader) throws(WireError) in try PublicKey(from: &r) }
  }
}
