// S6: principals, the nodes that nobody skips.
//
// A node skips another that lies between two successive entries of its list (itself being the first entry).
// The list ends where its entries no longer name each other: what a node has beyond that are links to fall
// back on, and nothing is concluded from what lies between them. (That nobody is so careful for ever is asked
// of a whole ring: all its lists are gapless.) Entries that are dead may be left out: the gap around them is
// the same. For each gap the skipped stretch is entered into a table of differences, whose running sum says
// how often a node is skipped. Both sides are tried; the worse counts.

/// Counts principals.
struct Skipping {
  struct Finding: Equatable {
    var joined = 0
    var principals = 0
  }

  private var differences: [Int32] = []

  /// - Parameter members: a component, as a stretch of `listing.order`.
  mutating func principals(_ members: Range<Int>, _ listing: Listing, _ witnesses: [Witness]) -> Finding {
    let right = count(members, listing, witnesses, listing.right, isClockwise: true)
    let left = count(members, listing, witnesses, listing.left, isClockwise: false)
    return right.principals <= left.principals ? right : left
  }

  private mutating func count(
    _ members: Range<Int>, _ listing: Listing, _ witnesses: [Witness], _ lists: [Int32], isClockwise: Bool
  ) -> Finding {
    let size = members.count
    differences.removeAll(keepingCapacity: true)
    for _ in 0...size { differences.append(0) }
    for at in members {
      let rank = Int(listing.order[at])
      guard witnesses[rank].hasJoined else { continue }
      var from = at - members.lowerBound
      let belief = witnesses[rank].belief
      for i in 0..<min(4, isClockwise ? belief.contiguousRight : belief.contiguousLeft) {
        let entry = lists[4 * rank + i]
        guard entry >= 0 else { continue }
        let to = Int(listing.place[Int(entry)]) - members.lowerBound
        if isClockwise { skip(after: from, before: to, size) } else { skip(after: to, before: from, size) }
        from = to
      }
    }
    var finding = Finding()
    var skipped: Int32 = 0
    for i in 0..<size {
      skipped += differences[i]
      guard witnesses[Int(listing.order[members.lowerBound + i])].hasJoined else { continue }
      finding.joined += 1
      if skipped == 0 { finding.principals += 1 }
    }
    return finding
  }

  /// Enters the places strictly between the two, clockwise.
  private mutating func skip(after: Int, before: Int, _ size: Int) {
    let first = after + 1
    let last = before - 1
    if after < before {
      if first <= last { add(first, last) }
    } else {
      if first < size { add(first, size - 1) }
      if last >= 0 { add(0, last) }
    }
  }

  private mutating func add(_ first: Int, _ last: Int) {
    differences[first] += 1
    differences[last + 1] -= 1
  }
}
