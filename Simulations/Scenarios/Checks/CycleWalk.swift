// S3, S4, S5: where one comes to who always goes to the right.
//
// Each node leads to its first living right neighbour that has joined (to the first living one when none has:
// many may be joining side by side). Such a graph ends in cycles. There must be one for each component; it
// must go once round the ring, which is so when exactly one of its steps passes zero; and every joined node
// must lead to it.

/// Walks the graph of right neighbours.
struct CycleWalk {
  struct Finding: Equatable {
    var joined = 0
    var cycles = 0
    var windingMax = 0
    var strayed = 0
  }

  private enum Mark {
    static let unseen: Int32 = 0
    static let leadsNowhere: Int32 = -1
    static let leadsToCycle: Int32 = -2
  }

  private var marks: [Int32] = []
  private var trail: [Int32] = []

  /// - Parameter members: a component, as a stretch of `listing.order`.
  mutating func walk(_ members: Range<Int>, _ listing: Listing, _ witnesses: [Witness]) -> Finding {
    var finding = Finding()
    if marks.count != listing.ids.count { marks = [Int32](repeating: 0, count: listing.ids.count) }
    for i in members {
      marks[Int(listing.order[i])] = Mark.unseen
      if witnesses[Int(listing.order[i])].hasJoined { finding.joined += 1 }
    }
    if finding.joined == 1 {
      finding.cycles = 1
      finding.windingMax = 1
      return finding
    }
    var walks: Int32 = 0
    for i in members where witnesses[Int(listing.order[i])].hasJoined {
      walks += 1
      follow(Int(listing.order[i]), walks, listing, witnesses, &finding)
      if marks[Int(listing.order[i])] == Mark.leadsNowhere { finding.strayed += 1 }
    }
    return finding
  }

  private mutating func follow(
    _ start: Int, _ number: Int32, _ listing: Listing, _ witnesses: [Witness], _ finding: inout Finding
  ) {
    trail.removeAll(keepingCapacity: true)
    var at = start
    var end = Mark.leadsNowhere
    while true {
      if marks[at] < 0 {
        end = marks[at]
        break
      }
      if marks[at] == number {
        finding.cycles += 1
        finding.windingMax = max(finding.windingMax, winding(from: at, listing, witnesses))
        end = Mark.leadsToCycle
        break
      }
      marks[at] = number
      trail.append(Int32(at))
      guard let next = Self.next(at, listing, witnesses) else { break }
      at = next
    }
    for rank in trail { marks[Int(rank)] = end }
  }

  private func winding(from start: Int, _ listing: Listing, _ witnesses: [Witness]) -> Int {
    var turns = 0
    var at = start
    repeat {
      guard let next = Self.next(at, listing, witnesses) else { return turns }
      if next <= at { turns += 1 }
      at = next
    } while at != start
    return turns
  }

  private static func next(_ rank: Int, _ listing: Listing, _ witnesses: [Witness]) -> Int? {
    var fallback: Int?
    for i in 0..<4 {
      let entry = listing.right[4 * rank + i]
      guard entry >= 0, Int(entry) != rank else { continue }
      if witnesses[Int(entry)].hasJoined { return Int(entry) }
      fallback = fallback ?? Int(entry)
    }
    return fallback
  }
}
