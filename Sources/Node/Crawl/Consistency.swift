// The four formulae of ring consistency over what the nodes themselves say: each node's first and second
// neighbours are asked for theirs.
//
// A neighbour that is missing, dead or out of reach is a miss. On a ring of one node everything is
// consistent; on one of two there are no second neighbours, and the first ones count for them. All of the
// formulae are blind for two rings and for a ring that is wound twice.

/// The shares of nodes whose neighbours agree with them.
public struct Consistency: Sendable, Equatable {
  /// The share of nodes with r1(l2(a)) = l1(a).
  public var method1 = 1.0
  /// The share of nodes with r1(l1(a)) = a.
  public var method2 = 1.0
  /// The share of nodes for which both hold.
  public var method3 = 1.0
  /// The mean of the shares with r1(l1(a)) = a and with r2(l2(a)) = a.
  public var final = 1.0

  public init() {}

  /// What the formulae say of nodes that are known by their ranks.
  /// - Parameters:
  ///   - left: four for each rank, nearest first; negative: nobody, or nobody who was found.
  ///   - right: the same.
  ///   - size: of the ring on which the node of a rank stands.
  public init(left: [Int32], right: [Int32], size: (Int) -> Int) {
    let nodes = left.count / 4
    guard nodes > 0 else { return }
    var hits1 = 0
    var hits2 = 0
    var both = 0
    var second = 0
    for rank in 0..<nodes {
      let size = size(rank)
      let l1 = left[4 * rank]
      let l2 = left[4 * rank + 1]
      let hit2 = size == 1 || (l1 >= 0 && Int(right[4 * Int(l1)]) == rank)
      let hit1 = size <= 2 ? hit2 : l2 >= 0 && l1 >= 0 && right[4 * Int(l2)] == l1
      let hitSecond = size <= 2 ? hit2 : l2 >= 0 && Int(right[4 * Int(l2) + 1]) == rank
      if hit1 { hits1 += 1 }
      if hit2 { hits2 += 1 }
      if hit1, hit2 { both += 1 }
      if hitSecond { second += 1 }
    }
    let count = Double(nodes)
    method1 = Double(hits1) / count
    method2 = Double(hits2) / count
    method3 = Double(both) / count
    final = Double(hits2 + second) / (2 * count)
  }
}
