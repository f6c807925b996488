// Whether the nodes of a ring agree about who is whose neighbour: each sends its lists up the tree, and they
// are compared on the way, so that only those at the borders of a part travel on.
//
// It takes no message beside those of the tree. `RingHits` has the formulae, `ConsistencyFolding` what is
// kept, and how exact that is.

import Base
import Overlay

/// The task `consistency`.
enum ConsistencyTask: RingTask {
  static let name = "consistency"
  static let abstract = "whether nodes agree about their neighbours, by lists that are compared on the way"
  static let audience = TaskAudience.everybody

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> ConsistencyAnswer {
    guard let view = node.view(of: inquiry.ring) else { return ConsistencyAnswer() }
    return ConsistencyAnswer(
      NeighbourRecord(view), isSettled: view.isSettled,
      foreign: node.hasMetForeign(on: inquiry.ring, at: inquiry.now) ? 1 : 0)
  }

  static func reduce(_ answers: [ConsistencyAnswer], in arc: Arc, isWhole: Bool) -> ConsistencyAnswer {
    ConsistencyAnswer(folding: answers, in: arc, isWhole: isWhole)
  }

  static func findings(of answer: ConsistencyAnswer, _ tally: TaskTally) -> [NamedFinding] {
    // A part of the ring alone: what its borders name stands outside, and was not asked.
    let answer = answer.open.isEmpty ? answer : answer.closed
    // Each way around the ring is a circle; when none has closed, what is there still belongs together.
    let components = max(answer.circles, answer.nodes > 0 ? 1 : 0)
    let isWhole =
      answer.hits.isPerfect && answer.circles == 1 && answer.looseEnds == 0 && tally.isComplete
      && answer.hits.foreign == 0
    return answer.hits.findings + [
      NamedFinding("components", .count(components)),
      NamedFinding("loose_ends", .count(answer.looseEnds)),
      NamedFinding("unheard", .count(answer.unheard)),
      NamedFinding("undecided", .count(answer.undecided)),
      NamedFinding("broken", .list((0..<answer.broken.count).map { record(answer.broken[$0]) })),
      NamedFinding("broken_beyond", .count(answer.brokenBeyond)),
      NamedFinding("unanswered", .list((0..<answer.unanswered.count).map { record(answer.unanswered[$0]) })),
      NamedFinding("unanswered_beyond", .count(answer.unansweredBeyond)),
      NamedFinding("whole", .truth(isWhole)),
    ]
  }

  private static func record(_ node: ConsistencyAnswer.Broken) -> Finding {
    let checks = NeighbourRecord.Checks(rawValue: node.checks)
    return .record([
      NamedFinding("id", .place(node.place)),
      NamedFinding("method1", .truth(checks.isSuperset(of: [.heardL1, .method1]))),
      NamedFinding("method2", .truth(checks.contains(.method2))),
      NamedFinding("second", .truth(checks.contains(.second))),
      NamedFinding("left_heard", .truth(checks.contains(.heardL1))),
      NamedFinding("second_left_heard", .truth(checks.contains(.heardL2))),
    ])
  }

  private static func record(_ place: ConsistencyAnswer.Unanswered) -> Finding {
    .record([
      NamedFinding("id", .place(place.place)), NamedFinding("named_by", .place(place.namedBy)),
    ])
  }
}

extension NeighbourRecord {
  /// The lists of a node, by places.
  init(_ view: RingView) {
    func place(_ list: BoundedArray<4, OverlayID>, _ i: Int) -> UInt64? {
      i < list.count ? list[i].high : nil
    }
    self.init(
      place: view.id.high, l1: place(view.left, 0), l2: place(view.left, 1), r1: place(view.right, 0),
      r2: place(view.right, 1))
  }
}
