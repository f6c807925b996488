// From a run that fails to a short schedule that fails the same check: first fewer faults, then fewer nodes,
// then less time. Each candidate is a whole run; what they may take together is bounded by wall time.

import Base

/// Shrinks the schedule of a failing run.
public struct Shrinker {
  /// The shortest failing run that was found.
  public struct Result {
    public let verdict: Verdict
    public let check: String
    public let tries: Int
    public let stepsBefore: Int
    public let stepsAfter: Int
  }

  private let scenario: any Scenario.Type
  private let machine: Machine
  private let deadline: Double
  private var best: Verdict
  private var check: String
  private var hadValue: Bool
  private var tries = 0
  /// Told after each try: how many, steps of the shortest so far.
  public var onTry: (Int, Int) -> Void = { _, _ in }

  /// - Parameter deadline: wall time at which to stop.
  public init?(_ verdict: Verdict, _ scenario: any Scenario.Type, _ machine: Machine, deadline: Double) {
    guard let failed = verdict.failed.first else { return nil }
    self.scenario = scenario
    self.machine = machine
    self.deadline = deadline
    best = verdict
    check = failed.name
    hadValue = failed.value != nil
  }

  private static func isStart(_ step: Step) -> Bool { if case .start = step.action { true } else { false } }

  public mutating func shrink() -> Result {
    let before = best.record.plan.steps.count
    shrinkFaults()
    shrinkNodes()
    shrinkTime()
    return Result(
      verdict: best, check: check, tries: tries, stepsBefore: before, stepsAfter: best.record.plan.steps.count
    )
  }

  /// Runs a candidate; keeps it when it fails as before.
  private mutating func fails(_ plan: Plan) -> Shrinking.Verdict {
    guard machine.wallSeconds() < deadline else { return .outOfTime }
    tries += 1
    var plan = plan
    plan.judged = [check]
    var machine = machine
    machine.deadline = deadline
    machine.onProgress = { _ in }
    let verdict = Run.execute(Schedule(best.record.settings, plan), scenario, machine)
    if verdict.record.isCutShort { return .outOfTime }
    let isSame = verdict.failed.contains { $0.name == check && ($0.value != nil) == hadValue }
    if isSame { best = verdict }
    onTry(tries, best.record.plan.steps.count)
    return isSame ? .fails : .passes
  }

  private mutating func shrinkFaults() {
    let plan = best.record.plan
    let starts = plan.steps.filter(Self.isStart)
    let faults = plan.steps.filter { !Self.isStart($0) }
    _ = Shrinking.minimise(faults) { list in
      var candidate = plan
      candidate.steps = starts + list
      candidate.sort()
      return fails(candidate)
    }
  }

  private mutating func shrinkNodes() {
    let plan = best.record.plan
    let others = plan.steps.filter { !Self.isStart($0) }
    guard let founder = plan.steps.first(where: Self.isStart) else { return }
    let starts = plan.steps.filter { Self.isStart($0) && $0 != founder }
    _ = Shrinking.minimise(starts) { list in
      var candidate = plan
      candidate.steps = [founder] + list + others
      candidate.sort()
      return fails(candidate)
    }
  }

  /// Lets quiet begin when the last fault is over, then ends earlier.
  private mutating func shrinkTime() {
    var plan = best.record.plan
    let quiet = max(plan.steps.map(Self.over).max() ?? 0, plan.measureFrom)
    if quiet < plan.quietFrom {
      plan.end -= plan.quietFrom - quiet
      plan.quietFrom = quiet
      _ = fails(plan)
    }
    plan = best.record.plan
    let patience = UInt64(scenario.convergenceSeconds(best.record.settings) * 1_000) + 5_000
    let shortest = hadValue ? plan.steps.map(Self.over).max() ?? 0 : plan.quietFrom + patience
    guard shortest < plan.end else { return }
    _ = Shrinking.smallest(from: Int(shortest / 1_000) + 1, failing: Int(plan.end / 1_000)) { seconds in
      var candidate = plan
      candidate.end = UInt64(seconds) * 1_000
      return fails(candidate)
    }
  }

  /// When a step is over.
  private static func over(_ step: Step) -> UInt64 {
    switch step.action {
    case .crash(_, let back): step.at + (back ?? 0)
    case .pause(_, let length), .slow(_, _, let length), .loss(_, let length), .partition(_, let length),
      .mute(_, let length):
      step.at + length
    default: step.at
    }
  }
}
