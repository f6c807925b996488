// Small networks from beginning to end: the same seed gives the same run, a schedule repeats it, and
// shrinking finds what made a run fail.
import Base
import Foundation
import Testing

@testable import Scenarios

/// Fails when slot 5 does not live at the end; everything else about it is noise.
private enum Fragile: Scenario {
  static let name = "fragile"
  static let abstract = "slot 5 must live"

  static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    plan.raise(settings, over: 1, &random)
    for i in 0..<12 { plan.add(6 + 0.2 * Double(i), .pause(i % settings.nodes, milliseconds: 300)) }
    plan.add(7, .roam(2))
    plan.add(7.5, .crash(5, back: nil))
    plan.add(8, .loss(perMille: 300, milliseconds: 500))
    plan.phases(measureFrom: 5, quietFrom: 10, end: 14)
    return plan
  }

  static func checks(_ record: Record) -> [Check] {
    let isAlive =
      record.last.nodes == record.plan.steps.count { if case .start = $0.action { true } else { false } }
    return [Check("all_live", "every node lives at the end", isAlive ? 1 : 0, .atLeast, 1)]
  }
}

@Suite struct ScenarioTests {
  private static var machine: Machine { Machine(wallSeconds: { 0 }, peakBytes: { 0 }) }

  private static func run(_ name: String, nodes: Int, seed: UInt64, until: Double? = nil) throws -> Verdict {
    let scenario = try #require(Catalogue.named(name))
    var settings = scenario.settings(seed: seed)
    settings.nodes = nodes
    settings.until = until
    return Run.execute(scenario.schedule(settings), scenario, machine)
  }

  /// The checks that hold however good the ring is at repairing itself.
  @Test(arguments: Catalogue.all.map { $0.name }) func everyScenarioPlays(_ name: String) throws {
    let verdict = try Self.run(name, nodes: 12, seed: 3)
    let record = verdict.record
    #expect(!record.isCutShort && record.virtualSeconds * 1_000 >= Double(record.plan.end) - 1)
    #expect(record.moments.count > 20 && record.last.nodes > 0)
    #expect(record.hops.count > 10 && record.stretch.count > 5)
    let always = verdict.checks.filter { ["s1_ordered", "s9_verified"].contains($0.name) }
    #expect(always.count == 2 && always.allSatisfy(\.isMet))
    #expect(Set(verdict.checks.map(\.name)).count == verdict.checks.count, "names are unique")
    #expect(Set(verdict.figures.map(\.name)).count == verdict.figures.count, "names are unique")
  }

  /// Ten seconds after its nodes were switched on the ring has its neighbours, its far links and its leases.
  @Test(arguments: [1, 2] as [UInt64]) func ringThatIsLaidOutStands(_ seed: UInt64) throws {
    var settings = Join.settings(seed: seed)
    settings.nodes = 40
    settings.start = .settled
    settings.until = 50
    let record = Run.execute(Join.schedule(settings), Join.self, Self.machine).record
    let standing = record.moments(from: 10)
    #expect(standing.count > 70 && standing.allSatisfy(\.found.isWhole))
    #expect(record.addressSeconds.count == 4 && record.joinSeconds.count == 40)
    let tally = record.tally(from: 10)
    #expect(tally.asked > 100 && tally.right == tally.asked)
    #expect(record.hopsExceeded == 0)
  }

  @Test func sameSeedSameRun() throws {
    let first = try Self.run("swarm", nodes: 16, seed: 11, until: 60).record
    let second = try Self.run("swarm", nodes: 16, seed: 11, until: 60).record
    let other = try Self.run("swarm", nodes: 16, seed: 12, until: 60).record
    #expect(first.digest == second.digest && first.events == second.events)
    #expect(first.moments.map(\.found) == second.moments.map(\.found))
    #expect(first.digest != other.digest)
  }

  @Test func scheduleRepeatsTheRun() throws {
    let first = try Self.run("suddenDeath", nodes: 30, seed: 4, until: 45).record
    let again = Run.execute(try Schedule(text: first.schedule.text), SuddenDeath.self, Self.machine).record
    #expect(first.digest == again.digest && first.hops.all == again.hops.all)
    #expect(first.last.nodes == 21, "nine of thirty are dead")
  }

  @Test func checksOfARingAtRestAreMet() throws {
    let verdict = try Self.run("join", nodes: 30, seed: 2)
    let names = [
      "s1_ordered", "s2_living_neighbour", "s3_one_cycle", "s4_winding", "s8_hops", "s9_verified", "routable",
    ]
    for check in verdict.checks where names.contains(check.name) {
      #expect(check.isMet, "\(check.name): \(check.value ?? -1)")
    }
    #expect(verdict.record.bytesPerSecond.count == 30)
  }

  @Test func partitionMakesTwoComponents() throws {
    let record = try Self.run("partitionHeal", nodes: 20, seed: 2, until: 60).record
    let split = record.moments(from: record.quietFrom - 30, to: record.quietFrom - 1)
    #expect(split.allSatisfy { $0.found.components == 2 })
    #expect(record.moments(from: 5, to: 20).allSatisfy { $0.found.components == 1 })
  }

  @Test func timeOverCutsARunShort() throws {
    var machine = Self.machine
    machine.deadline = -1
    var settings = Join.settings(seed: 1)
    settings.nodes = 5
    let verdict = Run.execute(Join.schedule(settings), Join.self, machine)
    #expect(verdict.record.isCutShort && verdict.record.virtualSeconds < 2)
  }

  @Test func shrinkingFindsTheStepThatMatters() throws {
    var settings = Settings(scenario: Fragile.name, nodes: 10, seed: 1)
    settings.lookups = 1
    let verdict = Run.execute(Fragile.schedule(settings), Fragile.self, Self.machine)
    // Other checks may fail too; here only this one is followed.
    let only = Verdict(verdict.record, checks: verdict.checks.filter { $0.name == "all_live" }, figures: [])
    #expect(only.failed.count == 1)
    var shrinker = try #require(Shrinker(only, Fragile.self, Self.machine, deadline: 1))
    let result = shrinker.shrink()
    let faults = result.verdict.record.plan.steps.filter {
      if case .start = $0.action { false } else { true }
    }
    #expect(faults.map(\.action) == [.crash(5, back: nil)])
    #expect(
      result.stepsAfter == 3, "the founder, slot 5 and its crash: \(result.verdict.record.schedule.text)")
    #expect(result.verdict.record.plan.end < 12_000)
  }

  /// Two processes have different seeds of their hash tables, and different addresses.
  @Test func twoProcessesDoTheSame() throws {
    let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let program = folder.appendingPathComponent("p2psim")
    try #require(FileManager.default.isExecutableFile(atPath: program.path), "\(program.path)")
    let digests = try (0..<2).map { _ in try Self.digest(program) }
    #expect(digests[0].count == 16 && digests[0] == digests[1])
  }

  private static func digest(_ program: URL) throws -> String {
    let process = Process()
    process.executableURL = program
    process.arguments = [
      "churn", "--nodes", "16", "--seed", "9", "--until", "45", "--session", "60", "--json",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let value = try JSONSerialization.jsonObject(with: output) as? [String: Any]
    return value?["digest"] as? String ?? ""
  }
}
