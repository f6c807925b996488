// Where a node believes to be: what travels with its questions and answers to whoever is linked with it.

import Base

/// A node's own reckoning of the network around it.
public struct Bearings: Equatable, Sendable, BitwiseCopyable, WireCodable {
  /// Nodes on the ring; 0 when it cannot tell.
  public var size: UInt32

  public init(size: UInt32) { self.size = size }

  public init(from reader: inout WireReader) throws(WireError) { size = try reader.integer() }

  public func encode(to writer: inout WireWriter) { writer.integer(size) }
}
