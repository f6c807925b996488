// What one node says of its neighbours, on its way up the tree, and what was found out about it so far.

import Base

/// A node's lists, by places.
struct NeighbourRecord: Equatable, Sendable {
  /// What is known of a record: whose word was there at the same time, and whether it agreed.
  struct Checks: OptionSet, Sendable {
    let rawValue: UInt8

    static let heardL1 = Checks(rawValue: 1)
    static let heardL2 = Checks(rawValue: 2)
    static let heardR1 = Checks(rawValue: 4)
    static let heardR2 = Checks(rawValue: 8)
    /// r1(l2) is l1, r1(l1) is this node, r2(l2) is this node.
    static let method1 = Checks(rawValue: 16)
    static let method2 = Checks(rawValue: 32)
    static let second = Checks(rawValue: 64)
    static let all = Checks(rawValue: 127)
  }

  let place: UInt64
  /// First and second neighbours; nil when it lists none.
  let l1: UInt64?
  let l2: UInt64?
  let r1: UInt64?
  let r2: UInt64?
  var checks: Checks = []
  /// Where one arrives who goes from this node to its r1 and on and on: at the last node whose r1 was not
  /// heard yet; nil when the way has closed to a circle, or ended.
  var end: UInt64?

  init(place: UInt64, l1: UInt64?, l2: UInt64?, r1: UInt64?, r2: UInt64?) {
    self.place = place
    self.l1 = l1
    self.l2 = l2
    self.r1 = r1
    self.r2 = r2
    end = place
  }

  /// Whether ways end here.
  var isEnd: Bool { end == place }

  var isMethod1: Bool { checks.isSuperset(of: [.heardL1, .method1]) }

  /// How far its r1 is from it.
  var gap: UInt64 { r1.map { $0 &- place } ?? 0 }

  /// Those that it lists and that were not heard.
  var unheard: BoundedArray<4, UInt64> {
    var list = BoundedArray<4, UInt64>()
    if let l1, !checks.contains(.heardL1) { list.append(l1) }
    if let l2, !checks.contains(.heardL2) { list.append(l2) }
    if let r1, !checks.contains(.heardR1) { list.append(r1) }
    if let r2, !checks.contains(.heardR2) { list.append(r2) }
    return list
  }

  /// Compares it with the records of its neighbours, as far as they are there.
  mutating func check(_ find: (UInt64?) -> NeighbourRecord?) {
    if !checks.contains(.heardL1), let left = find(l1) {
      checks.insert(.heardL1)
      if left.r1 == place { checks.insert(.method2) }
    }
    if !checks.contains(.heardL2), let left = find(l2) {
      checks.insert(.heardL2)
      if let l1, left.r1 == l1 { checks.insert(.method1) }
      if left.r2 == place { checks.insert(.second) }
    }
    if !checks.contains(.heardR1), find(r1) != nil { checks.insert(.heardR1) }
    if !checks.contains(.heardR2), find(r2) != nil { checks.insert(.heardR2) }
  }
}
