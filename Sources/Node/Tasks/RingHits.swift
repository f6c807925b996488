// How well nodes agree about who is whose neighbour: the sums behind the formulae of consistency.
//
// With l1, l2, r1 and r2 for the first and second neighbours that a node itself lists, node a is a hit of
//
//   method 1   when r1(l2(a)) = l1(a)
//   method 2   when r1(l1(a)) = a
//   method 3   when it is one of both
//   second     when r2(l2(a)) = a
//
// and the final figure is the mean of method 2 and second. What a neighbour does not say is a miss. In a ring
// of one everything is consistent; in one of two nobody has second neighbours, and the first count for them.
//
// All of these are blind for a ring that is wound twice, and for two rings. The gaps from each node to its r1
// add up to the turns of the ring, which must be one.
//
//  offset  size  field
//       0     4  nodes
//       4     4  hits of method 1
//       8     4  hits of method 2
//      12     4  hits of method 3
//      16     4  hits of second neighbours
//      20     4  nodes that are not settled
//      24     4  nodes on other parts of the ring that somebody is about to link with
//      28    16  the sum of the gaps; 2^64 is a turn

import Base

/// Sums over nodes.
struct RingHits: Equatable, Sendable {
  var nodes: UInt32 = 0
  var method1: UInt32 = 0
  var method2: UInt32 = 0
  var method3: UInt32 = 0
  var second: UInt32 = 0
  var unsettled: UInt32 = 0
  /// Nodes whose looks from outside came to another ring of late.
  var foreign: UInt32 = 0
  var gaps: UInt128 = 0

  static let turn: UInt128 = 1 << 64

  /// Takes in what was counted of others.
  mutating func add(_ other: RingHits) {
    nodes.grow(by: other.nodes)
    method1.grow(by: other.method1)
    method2.grow(by: other.method2)
    method3.grow(by: other.method3)
    second.grow(by: other.second)
    unsettled.grow(by: other.unsettled)
    foreign.grow(by: other.foreign)
    gaps.grow(by: other.gaps)
  }

  /// Takes in a node.
  mutating func count(_ node: (method1: Bool, method2: Bool, second: Bool), gap: UInt64) {
    nodes.grow(by: 1)
    if node.method1 { method1.grow(by: 1) }
    if node.method2 { method2.grow(by: 1) }
    if node.method1, node.method2 { method3.grow(by: 1) }
    if node.second { second.grow(by: 1) }
    gaps.grow(by: UInt128(gap))
  }

  var winding: Double { Double(gaps) / Double(Self.turn) }

  /// Whether all nodes agree, and the ring closes after one turn.
  var isPerfect: Bool { nodes > 0 && method3 == nodes && second == nodes && gaps == Self.turn }

  var findings: [NamedFinding] {
    let final = UInt64(method2) + UInt64(second)
    return [
      NamedFinding("method1", .share(method1, of: nodes)),
      NamedFinding("method2", .share(method2, of: nodes)),
      NamedFinding("method3", .share(method3, of: nodes)),
      NamedFinding("final", .share(final, of: 2 * UInt64(nodes))),
      NamedFinding("winding", .number(winding)),
      NamedFinding("unsettled", .count(unsettled)),
      NamedFinding("foreign", .count(foreign)),
    ]
  }
}

extension RingHits: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    nodes = try reader.integer()
    method1 = try reader.integer()
    method2 = try reader.integer()
    method3 = try reader.integer()
    second = try reader.integer()
    unsettled = try reader.integer()
    foreign = try reader.integer()
    let high: UInt64 = try reader.integer()
    gaps = UInt128(high) << 64 | UInt128(try reader.integer(UInt64.self))
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(nodes)
    writer.integer(method1)
    writer.integer(method2)
    writer.integer(method3)
    writer.integer(second)
    writer.integer(unsettled)
    writer.integer(foreign)
    writer.integer(UInt64(truncatingIfNeeded: gaps >> 64))
    writer.integer(UInt64(truncatingIfNeeded: gaps))
  }
}
