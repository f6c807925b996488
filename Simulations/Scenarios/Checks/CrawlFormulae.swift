// The four formulae of consistency over what the nodes themselves say, as a crawl that asks everybody sees
// it.
//
// A neighbour that is missing, dead or out of reach is a miss. In a component of one node everything is
// consistent; in one of two there are no second neighbours, and the first ones count for them.

extension Consistency {
  /// Asks every node for its neighbours.
  static func measure(_ listing: Listing) -> Consistency {
    guard !listing.ids.isEmpty else { return Consistency() }
    var hits1 = 0
    var hits2 = 0
    var both = 0
    var second = 0
    for rank in listing.ids.indices {
      let size = listing.componentSize(of: rank)
      let l1 = listing.left[4 * rank]
      let l2 = listing.left[4 * rank + 1]
      let hit2 = size == 1 || (l1 >= 0 && Int(listing.right[4 * Int(l1)]) == rank)
      let hit1 = size <= 2 ? hit2 : l2 >= 0 && l1 >= 0 && listing.right[4 * Int(l2)] == l1
      let hitSecond = size <= 2 ? hit2 : l2 >= 0 && Int(listing.right[4 * Int(l2) + 1]) == rank
      if hit1 { hits1 += 1 }
      if hit2 { hits2 += 1 }
      if hit1, hit2 { both += 1 }
      if hitSecond { second += 1 }
    }
    let count = Double(listing.ids.count)
    var result = Consistency()
    result.method1 = Double(hits1) / count
    result.method2 = Double(hits2) / count
    result.method3 = Double(both) / count
    result.final = Double(hits2 + second) / (2 * count)
    return result
  }
}
