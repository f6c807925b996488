// How many nodes there are. Whoever answers is counted with every task; this one asks nothing else, and so
// nobody may keep it to himself.

import Base
import Overlay

/// The task `count`.
enum CountTask: RingTask {
  static let name = "count"
  static let abstract = "How many nodes there are, and over how many steps they are asked"
  static let audience = TaskAudience.everybody

  /// Seeds, and members of communities.
  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> Counts<2> {
    var counts = Counts<2>()
    counts.count(node.isSeed ? 0 : 1)
    return counts
  }

  static func reduce(_ answers: [Counts<2>], in arc: Arc, isWhole: Bool) -> Counts<2> {
    var counts = Counts<2>()
    for answer in answers { counts.add(answer) }
    return counts
  }

  static func findings(of answer: Counts<2>, _ tally: TaskTally) -> [NamedFinding] {
    [
      NamedFinding("seeds", .count(answer[0])), NamedFinding("members", .count(answer[1])),
      NamedFinding("height", .count(tally.depth)),
    ]
  }
}
