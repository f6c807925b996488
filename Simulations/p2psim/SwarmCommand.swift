// Many small networks, one a seed, each with faults of its own; every failure is made smaller and can be
// kept.

import ArgumentParser
import Scenarios

/// `p2psim swarm`.
struct SwarmCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Swarm.name, abstract: Swarm.abstract.sentence)

  @OptionGroup var common: CommonChoice

  @Option(help: ArgumentHelp("How many seeds, from --seed on.", valueName: "n"))
  var seeds = 1

  @Option(
    name: .customLong("for"), help: ArgumentHelp("Begin no run after so much wall time.", valueName: "time"))
  var budget: TimeText?

  @Option(help: ArgumentHelp("Where schedules of failures are kept.", valueName: "folder"))
  var keep: String?

  func validate() throws { if seeds < 1 { throw ValidationError("--seeds is at least 1") } }

  func run() throws {
    if let file = common.schedule {
      return try Execution(try HostMachine.schedule(file), Swarm.self, common).run()
    }
    let first = try common.seedNumber()
    if seeds == 1 {
      var settings = Swarm.settings(seed: first)
      try common.apply(to: &settings)
      return try Execution(Swarm.schedule(settings), Swarm.self, common).run()
    }
    try runMany(from: first)
  }

  private func runMany(from first: UInt64) throws {
    let machine = HostMachine.machine()
    let begin = machine.wallSeconds()
    let end = begin + (budget?.seconds ?? .infinity)
    var tally = Tally(scenario: Swarm.name, seed: first)
    let line = ProgressLine()
    for seed in first..<(first + UInt64(seeds)) {
      guard machine.wallSeconds() < end else { break }
      var settings = Swarm.settings(seed: seed)
      try common.apply(to: &settings)
      let verdict = Run.execute(Swarm.schedule(settings), Swarm.self, machine)
      tally.add(verdict)
      line.show("swarm: \(tally.runs) of \(seeds) seeds, \(tally.failures) fail")
      guard !verdict.isMet else { continue }
      line.clear()
      try tell(verdict, machine)
    }
    line.clear()
    tally.wallSeconds = machine.wallSeconds() - begin
    tally.peakBytes = machine.peakBytes()
    tally.say(asJSON: common.json)
    if tally.failures > 0 { throw ChecksFailed() }
  }

  private func tell(_ verdict: Verdict, _ machine: Machine) throws {
    let failed = verdict.failed.map { "\($0.name) \($0.value.map { Numbers.significant($0, 4) } ?? "never")" }
    let seed = verdict.record.settings.seed
    Terminal.complain(Terminal.paint("seed \(seed) fails: \(failed.joined(separator: ", "))", false))
    Terminal.complain("repeat with: \(verdict.record.settings.command)")
    var schedule = verdict.record.schedule
    if let time = common.shrink,
      var shrinker = Shrinker(verdict, Swarm.self, machine, deadline: machine.wallSeconds() + time.seconds)
    {
      let result = shrinker.shrink()
      schedule = result.verdict.record.schedule
      Terminal.complain(
        "\(result.check) still fails with \(result.stepsAfter) of \(result.stepsBefore) steps:\n"
          + schedule.text
      )
    }
    if let keep { try HostMachine.write(schedule.text, to: "\(keep)/swarm-\(seed).txt") }
  }
}
