// S7: how much of the key space has more than one settled owner, and how much has none.
//
// A settled node claims what lies behind its predecessor up to itself; one without neighbours claims
// everything. The sweep goes once round over the beginnings and ends of all claims and counts how many are
// open. Places are the first 64 bits of an ID: the error is below 2^-63 a node.

import Base

/// Measures claims.
struct Coverage {
  struct Finding: Equatable {
    var overlap = 0.0
    var unowned = 0.0
  }

  private var begins: [UInt64] = []
  private var ends: [UInt64] = []

  /// - Parameter members: a component, as a stretch of `listing.order`.
  /// - Returns: nil when nobody in it is settled.
  mutating func measure(_ members: Range<Int>, _ listing: Listing, _ witnesses: [Witness]) -> Finding? {
    begins.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    var open = 0
    for i in members {
      let belief = witnesses[Int(listing.order[i])].belief
      guard belief.isSettled else { continue }
      guard !belief.left.isEmpty, belief.left[0] != belief.id else {
        open += 1
        continue
      }
      let from = belief.left[0].high
      let to = belief.id.high
      if belief.left[0] > belief.id { open += 1 }
      begins.append(from)
      ends.append(to)
    }
    guard open > 0 || !ends.isEmpty else { return nil }
    begins.sort()
    return sweep(open)
  }

  /// - Parameter open: claims that hold at place zero.
  private func sweep(_ open: Int) -> Finding {
    var open = open
    var overlap = 0.0
    var unowned = 0.0
    var last: UInt64 = 0
    var b = 0
    var e = 0
    func tally(_ width: UInt64) {
      if open > 1 { overlap += Double(width) } else if open == 0 { unowned += Double(width) }
    }
    while b < begins.count || e < ends.count {
      let at: UInt64
      if e == ends.count || (b < begins.count && begins[b] < ends[e]) { at = begins[b] } else { at = ends[e] }
      tally(at - last)
      while b < begins.count, begins[b] == at {
        open += 1
        b += 1
      }
      while e < ends.count, ends[e] == at {
        open -= 1
        e += 1
      }
      last = at
    }
    tally(UInt64.max - last)
    let whole = 18_446_744_073_709_551_616.0
    return Finding(overlap: overlap / whole, unowned: unowned / whole)
  }
}
