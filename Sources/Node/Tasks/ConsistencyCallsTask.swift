// Whether the nodes of a ring agree about who is whose neighbour: each asks its two neighbours to the left,
// and decides for itself. The other way to the figures of `consistency`, to compare it with: its answers are
// sums from the start, and it takes two questions a node, which fail exactly where something is wrong.

import Base
import Overlay

/// The task `consistency-calls`.
enum ConsistencyCallsTask: RingTask {
  static let name = "consistency-calls"
  static let abstract = "whether nodes agree about their neighbours, by two questions that each asks"
  static let audience = TaskAudience.everybody

  static func witnesses(
    _ node: borrowing NodeCore, on ring: RingKind
  ) -> BoundedArray<4, OverlayID> {
    var list = BoundedArray<4, OverlayID>()
    guard let view = node.view(of: ring) else { return list }
    for i in 0..<min(2, view.left.count) { list.append(view.left[i]) }
    return list
  }

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> RingHits {
    guard let view = node.view(of: inquiry.ring) else { return RingHits() }
    func word(_ i: Int) -> Testimony? {
      guard i < view.left.count else { return nil }
      return inquiry.testimonies.first { $0.id == view.left[i] }?.word
    }
    func right(_ word: Testimony?, _ i: Int) -> OverlayID? {
      word.flatMap { i < $0.right.count ? $0.right[i].id : nil }
    }
    return hits(
      of: NeighbourRecord(view), isSettled: view.isSettled,
      foreign: node.hasMetForeign(on: inquiry.ring, at: inquiry.now) ? 1 : 0,
      l1: word(0).map { right($0, 0)?.high }, l2: word(1).map { (right($0, 0)?.high, right($0, 1)?.high) })
  }

  /// The hits of one node.
  /// - Parameters:
  ///   - l1: what its first neighbour to the left lists as its r1; nil when it said nothing.
  ///   - l2: what the second one lists as its r1 and r2.
  static func hits(
    of record: NeighbourRecord, isSettled: Bool, foreign: Int, l1: UInt64??, l2: (r1: UInt64?, r2: UInt64?)?
  ) -> RingHits {
    var hits = RingHits()
    hits.unsettled = isSettled ? 0 : 1
    hits.foreign = UInt32(clamping: foreign)
    let isMethod1 = l1 != nil && record.l1 != nil && l2 != nil && l2?.r1 == record.l1
    hits.count((isMethod1, l1 == .some(record.place), l2?.r2 == record.place), gap: record.gap)
    return hits
  }

  static func reduce(_ answers: [RingHits], in arc: Arc, isWhole: Bool) -> RingHits {
    var hits = RingHits()
    for answer in answers { hits.add(answer) }
    if isWhole { hits.concludeTiny() }
    return hits
  }

  static func findings(of answer: RingHits, _ tally: TaskTally) -> [NamedFinding] {
    answer.findings + [
      NamedFinding("whole", .truth(answer.isPerfect && tally.isComplete && answer.foreign == 0))
    ]
  }
}

extension RingHits {
  /// A ring of one is consistent, whatever it lists; in one of two the first neighbours count for all.
  fileprivate mutating func concludeTiny() {
    if nodes == 1 {
      method2 = 1
      gaps = Self.turn
    }
    guard nodes == 1 || nodes == 2 else { return }
    (method1, method3, second) = (method2, method2, method2)
  }
}
