// Something that all nodes of a ring, or of a part of it, are asked at once: MapReduce over the tree on which
// broadcasts go.
//
// Each node that the question reaches passes it on to its part of the ring, answers for itself (map), and
// folds its answer with those of its children (reduce); what comes back to the asker is one answer. How it
// travels, who may ask, what is missing and who is slow is the same for all tasks (`Overlay/MapReduce`,
// `Asking.swift`). A task is a type of its own in a file of its own, and a line in `RingTasks.all`.

import Base
import Overlay
import Session

/// A task that nodes know by its name.
public protocol RingTask: Sendable {
  /// What one node says, and what the answers of many are folded into: within `answerBytesMax`, however many.
  associatedtype Answer: WireCodable & Sendable

  /// Lower-case letters and hyphens, 24 at most.
  static var name: String { get }
  /// One line for people.
  static var abstract: String { get }
  /// Who may ask it on the ring of all nodes. Members may ask their subring anything.
  static var audience: TaskAudience { get }
  /// Whether a node answers it also when its owner wants it to say nothing of itself: it says that it is
  /// there, and no more.
  static var isHarmless: Bool { get }
  /// Who is asked.
  static var tree: TaskTree { get }
  /// Whose testimonies a node needs before it can answer, of its neighbours; at most four.
  static func witnesses(_ node: borrowing NodeCore, on ring: RingKind) -> BoundedArray<4, OverlayID>
  /// What this node says.
  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> Answer
  /// One answer for the answers of a part of the ring, the part being all that lies in `arc`; `isWhole`: it
  /// is the whole ring, and nothing will be added any more.
  static func reduce(_ answers: [Answer], in arc: Arc, isWhole: Bool) -> Answer
  /// The answer for people and programs.
  static func findings(of answer: Answer, _ tally: TaskTally) -> [NamedFinding]
}

extension RingTask {
  /// The largest answer of a slice, in bytes: what does not fit is left out by the task, and counted.
  public static var answerBytesMax: Int { 24 << 10 }
  public static var isHarmless: Bool { false }
  public static var tree: TaskTree { .everybody }
  public static func witnesses(
    _ node: borrowing NodeCore, on ring: RingKind
  ) -> BoundedArray<4, OverlayID> { BoundedArray() }
}

/// Who may ask a task on the ring of all nodes.
public enum TaskAudience: Sendable {
  case everybody
  /// The holder of the key that the node was started with as its operator's.
  case theOperator
}

/// What a map is told.
public struct Inquiry {
  public let ring: RingKind
  public let now: Instant
  /// Of those that were asked for (`witnesses`) and answered.
  public let testimonies: [(id: OverlayID, word: Testimony)]

  public init(ring: RingKind, now: Instant, testimonies: [(id: OverlayID, word: Testimony)] = []) {
    self.ring = ring
    self.now = now
    self.testimonies = testimonies
  }
}

/// A value of an answer, as it is printed: a number, a text, a list, a table.
public indirect enum Finding: Sendable, Equatable {
  case nothing
  case truth(Bool)
  case integer(Int64)
  case number(Double)
  case text(String)
  case list([Finding])
  /// Keys in the order in which they are shown; a list of records is shown as a table.
  case record([NamedFinding])
}

/// A value and its key: lower-case words joined by underscores, with the unit at the end.
public struct NamedFinding: Sendable, Equatable {
  public let name: String
  public let value: Finding

  public init(_ name: String, _ value: Finding) {
    self.name = name
    self.value = value
  }
}

/// The tasks that this program knows.
public enum RingTasks {
  /// In the order in which they are listed to people.
  public static let all: [any RingTask.Type] = [
    CountTask.self, ConsistencyTask.self, ConsistencyCallsTask.self, VersionsTask.self, NATTask.self,
    LatencyTask.self, LoadTask.self, NeighboursTask.self,
  ]

  public static var names: [String] { all.map { $0.name } }

  /// The task with this name; nil when there is none.
  public static func named(_ name: String) -> (any RingTask.Type)? { all.first { $0.name == name } }
}
