// How many nodes the ring has, as far as one of them can tell.
//
// IDs are spread evenly, so the arc that the nearest neighbours take up says how dense the ring is. One such
// arc is a rough guess (0.53 to 1.74 times the truth in nine cases of ten with four neighbours a side); the
// median of one's own guess and of those that linked nodes tell is a good one (0.84 to 1.09).

import Base
import Session

extension Ring {
  /// Nodes on the whole ring, from what this node and its peers see.
  public func sizeEstimate(_ links: borrowing Links) -> Int {
    let own = ownSizeEstimate(links)
    // All of a small ring is in sight.
    if own <= 2 * Neighbourhood.side { return own }
    var told: [Int] = [own]
    links[kind].visit { slot in
      let size = links[kind][slot].size
      if size > 0 { told.append(Int(size)) }
    }
    told.sort()
    return told[told.count / 2]
  }

  /// From the arc of the nearest neighbours alone.
  func ownSizeEstimate(_ links: borrowing Links) -> Int {
    let near = links[kind].neighbourhood
    let total = links[kind].count + 1
    guard total > Neighbourhood.side, !near.left.isEmpty, !near.right.isEmpty else { return total }
    let first = links.peers[Int(near.left[near.left.count - 1])].id
    let last = links.peers[Int(near.right[near.right.count - 1])].id
    let span = Double(first.clockwise(to: last).high) / 18_446_744_073_709_551_616.0
    guard span > 0, first.isIn(after: last, through: links.id) else { return total }
    return max(total, Int(Double(near.left.count + near.right.count) / span))
  }
}
