// What once failed must not fail again: every schedule in a folder is replayed.

import ArgumentParser
import Scenarios

/// `p2psim corpus`.
struct CorpusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "corpus", abstract: "Replay the schedules of a folder: what failed once must not fail again."
  )

  @Argument(
    help: ArgumentHelp("Where the schedules are: files whose names end in .txt.", valueName: "folder"))
  var folder: String

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() throws {
    let files = try HostMachine.files(in: folder, ending: ".txt")
    guard !files.isEmpty else { throw Failure(message: "no file ending in .txt in \(folder)") }
    let machine = HostMachine.machine()
    let begin = machine.wallSeconds()
    var tally = Tally(scenario: "corpus", seed: 0)
    let line = ProgressLine()
    for file in files {
      line.show("corpus: \(file)")
      let schedule = try HostMachine.schedule(file)
      guard let scenario = Catalogue.named(schedule.settings.scenario) else {
        throw Failure(message: "\(file): there is no scenario \(schedule.settings.scenario)", code: 2)
      }
      let verdict = Run.execute(schedule, scenario, machine)
      tally.add(verdict)
      line.clear()
      let failed = verdict.failed.map(\.name).joined(separator: ", ")
      let text = verdict.isMet ? "✓ \(file)" : "✗ \(file): \(failed)"
      if !json { print(Terminal.paint(text, verdict.isMet)) }
      if !verdict.isMet { Terminal.complain("repeat with: p2psim \(scenario.name) --schedule \(file)") }
    }
    tally.wallSeconds = machine.wallSeconds() - begin
    tally.peakBytes = machine.peakBytes()
    tally.say(asJSON: json)
    if tally.failures > 0 { throw ChecksFailed() }
  }
}

/// Many runs as one result.
struct Tally {
  let scenario: String
  let seed: UInt64
  private(set) var runs = 0
  private(set) var failures = 0
  private var nodes = 0
  private var events: UInt64 = 0
  private var virtualSeconds = 0.0
  private var digest: UInt64 = 0
  /// The worst of each name.
  private var checks: [Check] = []
  var wallSeconds = 0.0
  var peakBytes: UInt64 = 0

  init(scenario: String, seed: UInt64) {
    self.scenario = scenario
    self.seed = seed
  }

  mutating func add(_ verdict: Verdict) {
    runs += 1
    if !verdict.isMet { failures += 1 }
    nodes = max(nodes, verdict.record.settings.nodes)
    events += verdict.record.events
    virtualSeconds += verdict.record.virtualSeconds
    digest = (digest ^ verdict.record.digest) &* 0x9E37_79B9_7F4A_7C15
    for check in verdict.checks {
      guard let i = checks.firstIndex(where: { $0.name == check.name }) else {
        checks.append(check)
        continue
      }
      if isWorse(check, than: checks[i]) { checks[i] = check }
    }
  }

  private func isWorse(_ a: Check, than b: Check) -> Bool {
    guard a.isMet == b.isMet else { return !a.isMet }
    guard let x = a.value, let y = b.value else { return a.value == nil }
    return a.relation == .atMost ? x - a.bound > y - b.bound : x - a.bound < y - b.bound
  }

  func say(asJSON: Bool) {
    guard asJSON else {
      let text =
        "\(scenario): \(runs) runs, \(failures) fail; \(Numbers.duration(virtualSeconds)) in "
        + Numbers.duration(wallSeconds)
      return print(Terminal.paint(text, failures == 0))
    }
    let hex = String(digest, radix: 16)
    let rate = wallSeconds > 0 ? JSON.number(Double(events) / wallSeconds) : .null
    let value = JSON.object([
      .init("scenario", .string(scenario)), .init("nodes", .integer(UInt64(nodes))),
      .init("seed", .integer(seed)),
      .init("digest", .string(String(repeating: "0", count: 16 - hex.count) + hex)),
      .init("virtual_s", .number(virtualSeconds)), .init("wall_s", .number(wallSeconds)),
      .init("events", .integer(events)), .init("peak_rss_bytes", .integer(peakBytes)),
      .init("checks", .object(checks.map { .init($0.name, Summary.json($0)) })),
      .init(
        "figures",
        .object([
          .init("runs", .integer(UInt64(runs))), .init("failures", .integer(UInt64(failures))),
          .init("events_per_s", rate),
        ])),
    ])
    print(value.text)
  }
}
