// One scenario as a command: settings from the options, a run, and what is said about it.

import ArgumentParser
import Scenarios

/// `p2psim SCENARIO`.
struct ScenarioCommand<Kind: Scenario, Extra: ExtraChoice>: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: Kind.name, abstract: Kind.abstract.sentence)
  }

  @OptionGroup var common: CommonChoice
  @OptionGroup var extra: Extra

  func run() throws {
    var schedule: Schedule
    if let file = common.schedule {
      schedule = try HostMachine.schedule(file)
      guard schedule.settings.scenario == Kind.name else {
        throw Failure(message: "\(file) is for \(schedule.settings.scenario), not \(Kind.name)", code: 2)
      }
    } else {
      var settings = Kind.settings(seed: try common.seedNumber())
      try common.apply(to: &settings)
      try extra.apply(to: &settings)
      schedule = Kind.schedule(settings)
    }
    try Execution(schedule, Kind.self, common).run()
  }
}

extension String {
  /// With a capital letter and a full stop.
  var sentence: String { prefix(1).uppercased() + dropFirst() + "." }
}

/// A run with everything around it: progress, table or JSON, page, shrinking.
struct Execution {
  let schedule: Schedule
  let scenario: any Scenario.Type
  let common: CommonChoice

  init(_ schedule: Schedule, _ scenario: any Scenario.Type, _ common: CommonChoice) {
    self.schedule = schedule
    self.scenario = scenario
    self.common = common
  }

  func run() throws {
    let line = ProgressLine()
    var machine = HostMachine.machine()
    machine.onProgress = { line.show($0) }
    machine.endsAfterwards = common.shrink == nil
    LargePages.reserve(nodes: schedule.settings.nodes)
    let verdict = Run.execute(schedule, scenario, machine)
    line.clear()
    say(verdict)
    if let file = common.report {
      try HostMachine.write(Report.page(verdict, abstract: scenario.abstract), to: file)
    }
    var toSave = verdict.record.schedule
    if !verdict.isMet, let time = common.shrink, let smaller = shrink(verdict, seconds: time.seconds) {
      toSave = smaller
    }
    if let file = common.save { try HostMachine.write(toSave.text, to: file) }
    if !verdict.isMet { throw ChecksFailed() }
  }

  private func say(_ verdict: Verdict) {
    if common.json {
      print(Summary.json(verdict).text)
    } else {
      for text in Summary.table(verdict, isVerbose: common.verbose, paint: Terminal.paint) { print(text) }
    }
    guard !verdict.isMet else { return }
    let again =
      common.schedule.map { "p2psim \(scenario.name) --schedule \($0)" } ?? schedule.settings.command
    Terminal.complain("repeat with: \(again)")
  }

  private func shrink(_ verdict: Verdict, seconds: Double) -> Schedule? {
    let machine = HostMachine.machine()
    let deadline = machine.wallSeconds() + seconds
    guard var shrinker = Shrinker(verdict, scenario, machine, deadline: deadline) else { return nil }
    let line = ProgressLine()
    shrinker.onTry = { tries, steps in line.show("shrinking: \(tries) tries, \(steps) steps") }
    let result = shrinker.shrink()
    line.clear()
    Terminal.complain(
      "\(result.check) still fails with \(result.stepsAfter) of \(result.stepsBefore) steps "
        + "(\(result.tries) tries)"
    )
    Terminal.complain(result.verdict.record.schedule.text)
    return result.verdict.record.schedule
  }
}
