// Nodes that ask the whole ring something: how many answer, how soon, at what cost, and whether what comes
// back is true.
//
// One random node at a time asks a task. Those who were on the ring before and stay until the answer is there
// shall be in it. Who comes or goes meanwhile may be in it or not, and an answer only says how many are: at
// best none of these are among them, at worst all. In between lies what is missing.

import Base
import Node
import Overlay
import Simulator

/// A task that a node asked, and what became of it.
public struct AskedTask: Sendable {
  /// Virtual seconds.
  public let at: Double
  /// Nodes that were there before, and stayed.
  public fileprivate(set) var meant = 0
  /// Nodes that came or went meanwhile.
  public fileprivate(set) var passing = 0
  /// Nodes that are in the answer; reported as missing; that gave no sign.
  public fileprivate(set) var counted = 0
  public fileprivate(set) var missing = 0
  public fileprivate(set) var silent = 0
  public fileprivate(set) var isComplete = false
  /// From the question to the answer; nil when there never was one.
  public fileprivate(set) var seconds: Double?
  /// The asker is dead: nobody waits for the answer.
  public fileprivate(set) var isVoid = false
  /// Nothing was disturbed any more for so long that the ring was whole.
  public fileprivate(set) var isQuiet = false
  /// Figures of the answer that are not those of the simulator, by name; nil where the ring changed
  /// meanwhile, or somebody was missing: nobody can say then what they should be.
  public fileprivate(set) var wrong: [String]?
  /// Consistency by the final formula, as it was answered.
  public fileprivate(set) var final: Double?

  /// The share of those who were meant that is missing, as far as can be told: at least, and at most.
  public var missingShare: ClosedRange<Double> {
    guard meant > 0 else { return 0...0 }
    func share(_ counted: Int) -> Double { Double(max(0, min(meant, meant - counted))) / Double(meant) }
    return share(counted)...share(counted - passing)
  }
}

/// What all nodes sent for all tasks together.
public struct AskedTotals: Sendable {
  public var messages: UInt64 = 0
  public var bytes: UInt64 = 0
  public var resent: UInt64 = 0
  public var handedOn: UInt64 = 0
  public var abandoned: UInt64 = 0
  public var late: UInt64 = 0

  public init() {}

  mutating func add(_ counters: TaskCounters) {
    messages += counters.sent
    bytes += counters.sentBytes
    resent += counters.resent
    handedOn += counters.handedOn
    abandoned += counters.abandoned
    late += counters.late
  }
}

/// Lets nodes ask, and compares.
final class Askers {
  static let task = "consistency"
  static let budget = Interval.seconds(3)
  /// Between one and the next.
  static let beat = Interval.seconds(2)
  /// Who has been there for so long asks.
  private static let settling = Interval.seconds(30)
  /// A ring that is left alone is whole after so long.
  private static let healing = Interval.seconds(10)

  private struct Open {
    let number: Int
    let at: Instant
    let asker: Int
    /// Nodes that were settled, in rising order, and how many others lived.
    let present: [Int]
    let others: Int
    /// Nodes that were started until then.
    let started: Int
    let lists: [NearestLists]
  }

  /// Whom a node has for its first and second neighbours: what the formulae of consistency are about.
  private struct NearestLists: Equatable {
    let id: OverlayID
    let names: [OverlayID]

    init(_ belief: Belief) {
      id = belief.id
      names = [belief.left, belief.right].flatMap { list in
        (0..<2).map { $0 < list.count ? list[$0] : belief.id }
      }
    }
  }

  private let stage: Stage
  private let most: Int
  private let quietAt: Instant
  private let endAt: Instant
  private let inspector = Inspector()
  private var witnesses: [Witness] = []
  private var random: Random
  private(set) var tasks: [AskedTask] = []
  private(set) var totals = AskedTotals()
  private var open: [Open] = []
  private(set) var nextAt: Instant

  init(_ stage: Stage, _ plan: Plan, most: Int) {
    self.stage = stage
    self.most = most
    random = Random(seed: stage.settings.seed).split(0xA5CE)
    quietAt = .start + .milliseconds(plan.quietFrom) + Self.healing
    endAt = .start + .milliseconds(plan.end)
    nextAt = most > 0 ? .start + .milliseconds(plan.measureFrom) : .never
  }

  func onTime(_ now: Instant) {
    nextAt = now + Self.beat
    let isQuiet = now >= quietAt
    guard isQuiet || tasks.count < most, now + Self.budget < endAt else { return }
    let living = stage.census.living.map(\.node)
    let present = living.filter { stage.isAwake($0) && stage.world.view($0).isSettled }.sorted()
    let askers = present.filter { stage.startedAt[$0] + Self.settling <= now }
    guard !askers.isEmpty else { return }
    let asker = askers[Int(random.below(UInt64(askers.count)))]
    let number = tasks.count
    var task = AskedTask(at: (now - .start).seconds)
    task.isQuiet = isQuiet
    tasks.append(task)
    open.append(
      Open(
        number: number, at: now, asker: asker, present: present, others: living.count - present.count,
        started: stage.world.nodeCount, lists: lists()))
    stage.world.withCore(asker) { core, context in
      try? core.ask(Self.task, on: .main, within: Self.budget, ticket: UInt32(number), &context)
    }
  }

  func onAnswer(_ node: Int, ticket: UInt32) {
    guard let i = open.firstIndex(where: { $0.number == Int(ticket) && $0.asker == node }),
      let outcome = stage.world.withCore(node, { core, _ in core.takeOutcome(ofTask: ticket) })
    else { return }
    let asked = open.remove(at: i)
    let stayed = asked.present.count { stage.isAwake($0) && stage.startedAt[$0] < asked.at }
    let tally = outcome.tally
    tasks[asked.number].meant = stayed
    tasks[asked.number].passing =
      asked.present.count - stayed + asked.others + stage.world.nodeCount - asked.started
    tasks[asked.number].counted = Int(tally.answered + tally.declined)
    tasks[asked.number].missing = tally.missingNodes
    tasks[asked.number].silent = Int(tally.silent)
    tasks[asked.number].isComplete = tally.isComplete
    tasks[asked.number].seconds = outcome.elapsed.seconds
    compare(outcome, asked)
  }

  private func lists() -> [NearestLists] {
    stage.witnesses(&witnesses)
    return witnesses.map { NearestLists($0.belief) }
  }

  /// Holds the figures of an answer against those of the simulator, if these are the same before and after.
  private func compare(_ outcome: TaskOutcome, _ asked: Open) {
    let findings = outcome.findings ?? []
    func value(_ name: String) -> Double? {
      switch findings.first(where: { $0.name == name })?.value {
      case .integer(let value): Double(value)
      case .number(let value): value
      default: nil
      }
    }
    tasks[asked.number].final = value("final")
    guard lists() == asked.lists, tasks[asked.number].counted == witnesses.count, outcome.tally.isComplete
    else { return }
    let found = inspector.inspect(witnesses, at: stage.world.now) { stage.census.fate(of: $0) }
    var truth = [
      ("method1", found.consistency.method1), ("method2", found.consistency.method2),
      ("method3", found.consistency.method3), ("final", found.consistency.final),
      ("winding", winding),
    ]
    // The simulator passes over the dead; who asks sees only that a way ends there.
    if found.consistency.final == 1 { truth.append(("components", Double(found.cycles))) }
    tasks[asked.number].wrong = truth.filter { value($0.0) != $0.1 }.map(\.0)
  }

  /// The gaps from all nodes to their right neighbours, in turns of the ring.
  private var winding: Double {
    let gaps = witnesses.reduce(UInt128(0)) { sum, witness in
      let right = witness.belief.right
      return sum + (right.isEmpty ? 0 : UInt128(right[0].high &- witness.belief.id.high))
    }
    return Double(gaps) / Double(UInt128(1) << 64)
  }

  /// A node is about to die.
  func onDeath(_ node: Int) {
    count(node)
    for asked in open where asked.asker == node { tasks[asked.number].isVoid = true }
    open.removeAll { $0.asker == node }
  }

  /// Takes in what a node has sent.
  func count(_ node: Int) { totals.add(stage.world.hosts[node].core.taskCounters) }
}
