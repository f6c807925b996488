// A node that is named to others: hearsay. It orders nobody and proves nothing; it says whom to ask for a
// handshake, and where a first try may find him.

import Base
import Session

/// A node that somebody names.
public struct NamedNode: Equatable, Sendable, BitwiseCopyable, WireCodable {
  /// The key, not the ID: the ID follows from it, and a key is what a handshake needs.
  public var key: PublicKey
  /// Where it was last reached; `.none` when only the ring leads to it.
  public var endpoint: Endpoint

  public init(key: PublicKey, endpoint: Endpoint) {
    self.key = key
    self.endpoint = endpoint
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(key: try PublicKey(from: &reader), endpoint: try Endpoint(from: &reader))
  }

  public func encode(to writer: inout WireWriter) {
    key.encode(to: &writer)
    endpoint.encode(to: &writer)
  }
}

/// A named node, and how far it seems to be.
public struct PlacedNode: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public var node: NamedNode
  public var coordinate: Coordinate

  public init(node: NamedNode, coordinate: Coordinate) {
    self.node = node
    self.coordinate = coordinate
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(node: try NamedNode(from: &reader), coordinate: try Coordinate(from: &reader))
  }

  public func encode(to writer: inout WireWriter) {
    node.encode(to: &writer)
    coordinate.encode(to: &writer)
  }
}

extension Links {
  /// This node, as it names itself: those who are asked through somebody else find the way back.
  var own: NamedNode { NamedNode(key: identity.publicKey, endpoint: underlay.principal) }

  /// The peer, as it is named to others.
  func named(_ slot: Int) -> NamedNode {
    NamedNode(key: peers[slot].key, endpoint: peers[slot].bestPath?.endpoint?.listening ?? .none)
  }
}
