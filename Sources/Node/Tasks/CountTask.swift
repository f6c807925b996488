// How many nodes are there? The smallest of all tasks.

import Base
import Overlay

/// Counts the nodes that answer. Whoever does is counted in any case, so they say nothing.
enum CountTask: RingTask {
  static let name = "count"
  static let abstract = "how many nodes there are, and how high the tree over them is"
  static let audience = TaskAudience.everybody
  static let isHarmless = true

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> Counts<0> { Counts() }
  static func reduce(_ answers: [Counts<0>], in arc: Arc, isWhole: Bool) -> Counts<0> { Counts() }
  static func findings(of answer: Counts<0>, _ tally: TaskTally) -> [NamedFinding] {
    [NamedFinding("height", .count(tally.depth))]
  }
}
