// How many nodes are there? The smallest of all tasks.

import Base
import Overlay

/// Counts the nodes that answer.
public enum CountTask: RingTask {
  /// Nothing: whoever answers is counted in any case.
  public struct Answer: WireCodable, Sendable {
    public init(from reader: inout WireReader) {}
    init() {}
    public func encode(to writer: inout WireWriter) {}
  }

  public static let name = "count"
  public static let abstract = "how many nodes there are, and how high the tree over them is"
  public static let audience = TaskAudience.everybody
  public static let isHarmless = true

  public static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> Answer { Answer() }
  public static func reduce(_ answers: [Answer], in arc: Arc, isWhole: Bool) -> Answer { Answer() }
  public static func findings(of answer: Answer, _ tally: TaskTally) -> [NamedFinding] {
    [NamedFinding("height", .integer(Int64(tally.depth)))]
  }
}
