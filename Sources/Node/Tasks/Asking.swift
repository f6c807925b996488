// Tasks in a node: asking them, answering for itself, and folding what comes in. Which way questions and
// answers go is `MapReduce`'s.

import Base
import DHT
import Overlay
import Session

/// Why a task could not be asked.
public enum TaskRefusal: Error, Sendable {
  /// No task has this name.
  case unknown
  /// A seed has no community.
  case noCommunity
  /// More was asked here than a node may ask.
  case tooMuch
}

extension NodeCore {
  /// Asks all nodes of a ring, or of a part of it. When the answer is there, the event `taskAnswered` says
  /// so, and `takeOutcome` has it.
  /// - Parameters:
  ///   - name: of a task (`RingTasks`).
  ///   - arc: the part of the ring that is asked; nil: the whole.
  ///   - budget: when the answer is to be there, with what is in by then; 60 s at most.
  public mutating func ask(
    _ name: String, on ring: RingKind, in arc: Arc? = nil, within budget: Interval, ticket: UInt32,
    _ context: inout Context
  ) throws(TaskRefusal) {
    guard let task = RingTasks.named(name) else { throw .unknown }
    let community = ring == .members ? reading { $0.community } : nil
    guard ring == .main || community != nil else { throw .noCommunity }
    let isAsked = network.tasks.ask(
      name, task.tree, in: arc, within: budget, of: community,
      unixSeconds: network.directory.unixSeconds(at: context.now), ticket: ticket, &network.links, &context)
    settle(&context)
    guard isAsked else { throw .tooMuch }
  }

  /// How many nodes a task has counted so far; nil when it is over.
  public func progress(ofTask ticket: UInt32) -> Int? { network.tasks.progress(of: ticket) }

  /// What came of a task: once.
  public mutating func takeOutcome(ofTask ticket: UInt32) -> TaskOutcome? {
    network.tasks.takeOutcome(of: ticket)
  }

  /// Nobody waits for a task any more.
  public mutating func cancelTask(_ ticket: UInt32) { network.tasks.cancel(ticket: ticket) }

  /// What was asked and answered.
  public var taskCounters: TaskCounters { network.tasks.counters }

  // MARK: - What the tree wants done

  @inline(never) mutating func settleTasks(_ context: inout Context) {
    while let todo = network.tasks.takeTodo() {
      switch todo {
      case .map(let slice): map(slice, &context)
      case .fold(let slice): fold(slice, &context)
      }
    }
  }

  private mutating func fold(_ slice: UInt32, _ context: inout Context) {
    guard let (question, arc, isWhole, _) = network.tasks.question(of: slice) else { return }
    let answers = network.tasks.takeAnswers(of: slice)
    let (answer, lost) =
      RingTasks.named(question.name)?.folded(answers, in: arc, isWhole: isWhole)
      ?? (nil, answers.reduce(0) { $0.plus($1.nodes) })
    if let ticket = network.tasks.folded(slice, answer, lost: lost, &network.links, &context) {
      context.notify(.taskAnswered(ticket: ticket))
    }
  }
}

extension RingTask {
  /// What this node says, as it travels; nil when it does not fit.
  static func mapped(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> [UInt8]? {
    bytes(map(node, inquiry))
  }

  /// One answer for many, nil when there is none; and how many nodes it leaves out, as their answers could
  /// not be read, or all together do not fit.
  static func folded(
    _ answers: [(nodes: UInt32, bytes: [UInt8])], in arc: Arc, isWhole: Bool
  ) -> (answer: [UInt8]?, lost: UInt32) {
    var read: [Answer] = []
    var lost: UInt32 = 0
    for (nodes, bytes) in answers {
      if let answer = bytes.withFrame({ try? Answer(decoding: $0) }) {
        read.append(answer)
      } else {
        lost.grow(by: nodes)
      }
    }
    guard !read.isEmpty else { return (nil, lost) }
    guard let answer = bytes(reduce(read, in: arc, isWhole: isWhole)) else {
      return (nil, answers.reduce(0) { $0.plus($1.nodes) })
    }
    return (answer, lost)
  }

  private static func bytes(_ answer: Answer) -> [UInt8]? {
    let scratch = Scratch(capacity: answerBytesMax)
    return answer.encode(into: scratch.frame).map { scratch.frame.prefix($0).bytes }
  }

  /// The answer of a task for people and programs.
  static func findings(in answer: [UInt8], _ tally: TaskTally) -> [NamedFinding]? {
    answer.withFrame { try? Answer(decoding: $0) }.map { findings(of: $0, tally) }
  }
}

extension TaskOutcome {
  /// What the task has found; nil when nobody has answered.
  public var findings: [NamedFinding]? {
    guard let answer, let task = RingTasks.named(name) else { return nil }
    return task.findings(in: answer, tally)
  }
}
