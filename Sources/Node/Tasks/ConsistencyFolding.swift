// How the lists of the nodes of an arc become sums: each check is made once the records of both nodes are
// there, and a record is let go of as soon as nobody can need it any more.
//
// That is when each neighbour that it lists was heard, or stands inside the arc and so never will be, and the
// record is none of the four outermost at either end of the arc. Whoever stands elsewhere and is listed by it
// has its record waiting; whoever is not listed by it misses method 2 and the second neighbours whatever it
// says, and would want the record for method 1 alone: only if it lists nodes on the far side of four
// others. So in a ring in which nodes are skipped, dead or doubly wound the sums are those of the direct
// formula, to the digit. What may differ:
//
// * A node whose l2 stands more than four nodes inside another part, and does not list it, counts as a miss
//   of method 1 (and of 3), though r1(l2) may be its l1. These nodes are among `unheard`.
// * A successor pointer to such a place leaves a loose end: a circle that closes through it is not counted.
// * A place that is named by such nodes alone is listed as unanswered, though it may have answered to others.
//
// A healthy edge of the tree carries eight records, whatever stands behind it.

import Base
import Overlay

extension ConsistencyAnswer {
  /// Records that stay at each end of an arc, for nodes beyond it that skip some.
  static let borderNodes = 6

  /// Folds the answers of an arc.
  init(folding answers: [ConsistencyAnswer], in arc: Arc, isWhole: Bool) {
    self.init()
    for answer in answers { add(answer) }
    var records = Self.merged(answers)
    let asSent = records
    for i in records.indices {
      records[i].check { place in Self.find(place, in: asSent).map { asSent[$0] } }
    }
    join(&records)
    let nodes = hits.nodes.plus(UInt32(clamping: records.count))
    if isWhole, nodes <= 2 {
      settleTiny(records)
      return
    }
    let first = records.firstIndex { $0.place >= arc.from } ?? 0
    var stays: [Bool] = []
    for (i, record) in records.enumerated() {
      let rank = i >= first ? i - first : i - first + records.count
      let isOuter = rank < Self.borderNodes || rank >= records.count - Self.borderNodes
      let isWanted = isOuter || record.unheard.contains { !arc.contains($0) }
      stays.append(isWanted && !isWhole)
    }
    limit(&stays, from: first)
    keep(records, stays)
  }

  /// With everything decided: nobody else will be heard.
  var closed: ConsistencyAnswer {
    ConsistencyAnswer(folding: [self], in: Arc(from: 0, to: 0), isWhole: true)
  }

  /// Each place once, rising, with ends that are ends.
  private static func merged(_ answers: [ConsistencyAnswer]) -> [NeighbourRecord] {
    var records: [NeighbourRecord] = []
    for record in answers.flatMap(\.open).sorted(by: { $0.place < $1.place })
    where records.last?.place != record.place { records.append(record) }
    for i in records.indices where !records[i].isEnd {
      if let end = find(records[i].end, in: records), records[end].isEnd { continue }
      records[i].end = nil
    }
    return records
  }

  /// Leads each way on whose last node's r1 is there, and counts the circles that close.
  private mutating func join(_ records: inout [NeighbourRecord]) {
    // Where the way from each goes on; itself at an end, −1 when it is closed.
    var next = records.map { record in Self.find(record.end, in: records) ?? -1 }
    func end(_ start: Int) -> Int {
      var at = start
      while at >= 0, next[at] != at {
        let beyond = next[at]
        if beyond >= 0 { next[at] = next[beyond] }
        at = beyond
      }
      return at
    }
    for i in records.indices where records[i].isEnd {
      guard let target = Self.find(records[i].r1, in: records) else { continue }
      let end = end(target)
      if end == i { circles.grow(by: 1) }
      next[i] = end == i ? -1 : end
    }
    for i in records.indices {
      let end = end(i)
      records[i].end = end < 0 ? nil : records[end].place
    }
  }

  /// Lets go of those in the middle when there are too many: both ends of the arc matter more.
  private mutating func limit(_ stays: inout [Bool], from first: Int) {
    var surplus = stays.count { $0 } - Self.openMax
    guard surplus > 0 else { return }
    undecided.grow(by: UInt32(clamping: surplus))
    var skipped = Self.openMax / 2
    for step in stays.indices where surplus > 0 {
      let i = (first + step) % stays.count
      guard stays[i] else { continue }
      if skipped > 0 {
        skipped -= 1
      } else {
        stays[i] = false
        surplus -= 1
      }
    }
  }

  /// Keeps the records that stay, and counts the others.
  private mutating func keep(_ records: [NeighbourRecord], _ stays: [Bool]) {
    for (record, stays) in zip(records, stays) where !stays { settle(record) }
    for (record, isKept) in zip(records, stays) where isKept {
      var record = record
      if let end = Self.find(record.end, in: records), !stays[end] { record.end = nil }
      open.append(record)
    }
  }

  private mutating func settle(_ record: NeighbourRecord) {
    let (isMethod2, isSecond) = (record.checks.contains(.method2), record.checks.contains(.second))
    hits.count((record.isMethod1, isMethod2, isSecond), gap: record.gap)
    if record.isEnd { looseEnds.grow(by: 1) }
    if !(record.isMethod1 && isMethod2 && isSecond) {
      note(Broken(place: record.place, checks: record.checks.rawValue))
    }
    let missed = record.unheard
    if !missed.isEmpty { unheard.grow(by: 1) }
    for i in 0..<missed.count { note(Unanswered(place: missed[i], namedBy: record.place)) }
  }

  /// A ring of one is consistent, whatever it lists; in one of two the first neighbours count for all.
  private mutating func settleTiny(_ records: [NeighbourRecord]) {
    if records.count == 1, hits.nodes == 0 {
      hits.count((true, true, true), gap: 0)
      hits.gaps = RingHits.turn
      circles = 1
      return
    }
    for record in records {
      var record = record
      record.checks.formIntersection([.heardL1, .heardL2, .heardR1, .heardR2, .method2])
      if record.checks.contains(.method2) { record.checks.formUnion([.heardL1, .method1, .second]) }
      settle(record)
    }
  }
}
