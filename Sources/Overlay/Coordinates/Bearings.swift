// Where a node believes to be: what travels with its questions and answers to whoever is linked with it.

import Base
import Session

/// A node's own reckoning of the network around it.
public struct Bearings: Equatable, Sendable, BitwiseCopyable, WireCodable {
  /// Nodes on the ring, from what it sees itself; 0 when it cannot tell.
  public var size: UInt32
  /// Its place in the space of latencies.
  public var coordinate: Coordinate

  public init(size: UInt32 = 0, coordinate: Coordinate = .unknown) {
    self.size = size
    self.coordinate = coordinate
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(size: try reader.integer(), coordinate: try Coordinate(from: &reader))
  }

  public func encode(to writer: inout WireWriter) {
    writer.integer(size)
    coordinate.encode(to: &writer)
  }
}
