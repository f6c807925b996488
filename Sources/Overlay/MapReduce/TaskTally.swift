// What is counted of every task, whatever it asks: how many nodes have answered, which parts of the ring have
// not, and who took long. It stands before the answer of a slice.
//
//  offset  size  field
//       0     4  nodes whose answers are in
//       4     4  nodes that are there and do not say
//       8     1  the most steps from the asker to a node
//       9     4  milliseconds of maps on the longest way
//      13     …  laggards: a list of at most 8
//       …     …  missing parts: a list of at most 16
//       …     4  nodes in missing parts beyond these
//       …     4  nodes that gave no sign when they were asked
//       …     …  some of them: a list of at most 8

import Base

/// The head of an answer.
public struct TaskTally: Equatable, Sendable, BitwiseCopyable {
  /// A part of the ring of which nobody has answered in time.
  public struct Missing: Equatable, Sendable, BitwiseCopyable {
    public var arc: Arc
    /// Nodes that stand in it: at least the one that was asked, and more by the density of the ring.
    public var nodes: UInt32

    public init(arc: Arc, nodes: UInt32) {
      self.arc = arc
      self.nodes = nodes
    }
  }

  /// A node that was waited for.
  public struct Laggard: Equatable, Sendable, BitwiseCopyable {
    public var id: OverlayID
    /// Whether its own map took long; else the way to it and back.
    public var isMap: Bool
    public var milliseconds: UInt32

    public init(id: OverlayID, isMap: Bool, milliseconds: UInt32) {
      self.id = id
      self.isMap = isMap
      self.milliseconds = milliseconds
    }
  }

  public var answered: UInt32 = 0
  /// There, but it does not say: its owner does not want it to, or the asker may not ask this.
  public var declined: UInt32 = 0
  public var depth: UInt8 = 0
  /// Of maps, on the way that took longest; the rest of the time is routing.
  public var mapMilliseconds: UInt32 = 0
  /// The slowest, slowest first.
  public var laggards = BoundedArray<8, Laggard>()
  public var missing = BoundedArray<16, Missing>()
  /// Nodes in missing parts for which there was no room in the list.
  public var missingBeyond: UInt32 = 0
  /// Nodes that gave no sign when they were asked, dead most likely: others have seen to their parts. Some of
  /// them by name.
  public var silent: UInt32 = 0
  public var silentNodes = BoundedArray<8, OverlayID>()

  public init() {}

  /// Nodes that are known, or reckoned, to be there and gave no word.
  public var missingNodes: Int {
    var count = missingBeyond
    for i in 0..<missing.count { count.grow(by: missing[i].nodes) }
    return Int(count)
  }

  /// Whether every part of the ring has answered.
  public var isComplete: Bool { missing.isEmpty && missingBeyond == 0 }

  /// Adds a part that is missing.
  public mutating func miss(_ arc: Arc, nodes: UInt32) {
    if !missing.append(Missing(arc: arc, nodes: nodes)) { missingBeyond.grow(by: nodes) }
  }

  /// Adds a node that gave no sign.
  public mutating func note(silent id: OverlayID) {
    silent.grow(by: 1)
    silentNodes.append(id)
  }

  /// Adds a node that was waited for, if it is among the slowest.
  public mutating func note(_ laggard: Laggard) {
    var place = 0
    while place < laggards.count, laggards[place].milliseconds >= laggard.milliseconds { place += 1 }
    laggards.insert(laggard, at: min(place, laggards.count))
  }

  /// Takes in what was counted of a slice.
  public mutating func add(_ other: TaskTally) {
    answered.grow(by: other.answered)
    declined.grow(by: other.declined)
    depth = max(depth, other.depth)
    for i in 0..<other.laggards.count { note(other.laggards[i]) }
    for i in 0..<other.missing.count { miss(other.missing[i].arc, nodes: other.missing[i].nodes) }
    missingBeyond.grow(by: other.missingBeyond)
    silent.grow(by: other.silent)
    for i in 0..<other.silentNodes.count { silentNodes.append(other.silentNodes[i]) }
  }
}

extension TaskTally: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    answered = try reader.integer()
    declined = try reader.integer()
    depth = try reader.byte()
    mapMilliseconds = try reader.integer()
    laggards = try reader.list { (r: inout WireReader) throws(WireError) in
      let id = try OverlayID(from: &r)
      let flag = try r.byte()
      try r.require(flag <= 1)
      return Laggard(id: id, isMap: flag == 1, milliseconds: try r.integer())
    }
    missing = try reader.list { (r: inout WireReader) throws(WireError) in
      Missing(arc: Arc(from: try r.integer(), to: try r.integer()), nodes: try r.integer())
    }
    missingBeyond = try reader.integer()
    silent = try reader.integer()
    silentNodes = try reader.list { (r: inout WireReader) throws(WireError) in try OverlayID(from: &r) }
  }

  public func encode(to writer: inout WireWriter) {
    writer.integer(answered)
    writer.integer(declined)
    writer.byte(depth)
    writer.integer(mapMilliseconds)
    writer.list(laggards) {
      $0.id.encode(to: &$1)
      $1.byte($0.isMap ? 1 : 0)
      $1.integer($0.milliseconds)
    }
    writer.list(missing) {
      $1.integer($0.arc.from)
      $1.integer($0.arc.to)
      $1.integer($0.nodes)
    }
    writer.integer(missingBeyond)
    writer.integer(silent)
    writer.list(silentNodes) { $0.encode(to: &$1) }
  }
}
