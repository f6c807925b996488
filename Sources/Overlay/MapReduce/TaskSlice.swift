// One node's part of a task: a slice of the ring, the children among whom it is shared out, and what has come
// in of it.

import Base
import Session

/// A slice that this node sees to.
struct TaskSlice {
  /// Under which the layer above knows it.
  let number: UInt32
  let question: TaskQuestion
  /// Who asked this node, and under which ticket; nil where the task began.
  let parent: (id: OverlayID, ticket: UInt32)?
  let arc: Arc
  let steps: UInt8
  let beganAt: Instant
  /// What is not in by then is missing.
  let deadline: Instant
  /// Whether this node's own answer is still to come: it stands in the slice, or on the way.
  var awaitsMap: Bool
  /// Children that are waited for.
  var waiting = 0
  var tally = TaskTally()
  /// The answers of this node and its children, and of how many nodes each is.
  var answers: [(nodes: UInt32, bytes: [UInt8])] = []
  /// All is in, and the layer above folds it.
  var isClosing = false

  /// Nodes counted so far, without those of children that are at work.
  var counted: UInt32 { tally.answered.plus(tally.declined) }
}

/// A child that has not answered.
struct TaskWait {
  let slice: UInt32
  let child: OverlayID
  let arc: Arc
  let ticket: UInt32
  /// How long a word of the child may take.
  let patience: Interval
  let askedAt: Instant
  /// Until when the child shall have answered.
  let deadline: Instant
  /// How often this part has gone to another child.
  let turns: UInt8
  var tries: UInt8 = 1
  var dueAt: Instant
  /// The child has taken its part over, and counted so many nodes.
  var isWorking = false
  var nodes: UInt32 = 0
  /// Of its answer; empty for those that have not come.
  var parts: [[UInt8]] = []
}

/// An answer on its way to the parent; and when that has it, for a while, that it was given.
struct TaskUpload {
  let parent: (id: OverlayID, ticket: UInt32)
  let ring: RingKind
  /// Whose question it answers, and which.
  let asker: PublicKey
  let sequence: UInt64
  /// Nobody waits for it after that.
  let until: Instant
  let took: UInt32
  let patience: Interval
  /// Empty when all were taken.
  var parts: [[UInt8]]
  /// Bit n: part n was taken.
  var taken: UInt32 = 0
  var tries: UInt8 = 1
  var sentAt: Instant
  var dueAt: Instant

  var isTaken: Bool { parts.isEmpty }
}

/// What came of a task that began here.
public struct TaskOutcome: Sendable {
  /// Of whoever asked.
  public let ticket: UInt32
  public let name: String
  public let ring: RingKind
  public let tally: TaskTally
  /// The folded answer; nil when nobody has answered.
  public let answer: [UInt8]?
  public let elapsed: Interval
}

/// What was asked and answered of tasks, and dropped and why.
public struct TaskCounters: Sendable, BitwiseCopyable {
  /// Tasks that began here, and slices that others had this node see to.
  public var begun: UInt64 = 0
  public var slices: UInt64 = 0
  /// Messages sent, and their bytes within records; those of them that were sent again.
  public var sent: UInt64 = 0
  public var sentBytes: UInt64 = 0
  public var resent: UInt64 = 0
  /// Parts of silent children that went to another, and those that were given up.
  public var handedOn: UInt64 = 0
  public var abandoned: UInt64 = 0
  /// Answers that came after all was over, or whose parent was gone.
  public var late: UInt64 = 0
  public var forged: UInt64 = 0
  /// Beyond what an asker, or all of them, may ask.
  public var limited: UInt64 = 0
  public var malformed: UInt64 = 0
  /// There was no room for one more.
  public var noRoom: UInt64 = 0
}
