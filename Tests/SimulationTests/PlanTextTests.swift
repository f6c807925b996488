// Schedules as text: what is written is read back, and what is wrong is named.
import Base
import Testing

@testable import Scenarios

@Suite struct PlanTextTests {
  private let actions: [Action] = [
    .layOut(10), .start(0, via: []), .start(7, via: [0]), .start(9, via: [0, 1, 2]), .crash(3, back: nil),
    .crash(3, back: 5_250), .leave(4), .replace(5, isGraceful: true, via: 0),
    .replace(5, isGraceful: false, via: 2),
    .pause(1, milliseconds: 1), .clock(2, partsPerMillion: -30_000),
    .slow(3, byMilliseconds: 250, milliseconds: 10_000),
    .loss(perMille: 200, milliseconds: 999), .partition([0...4, 9...9], milliseconds: 60_000),
    .mute([2...2], milliseconds: 1_001), .roam(8), .reboot(6), .introduce(1, to: 2),
  ]

  @Test func everyActionIsReadBack() throws {
    var plan = Plan()
    for (i, action) in actions.enumerated() { plan.steps.append(Step(at: UInt64(i) * 1_037, action)) }
    plan.excused = [0...5_000, 60_001...70_000]
    plan.judged = ["whole_s", "s8_hops"]
    plan.measureFrom = 1
    plan.quietFrom = 2_050
    plan.end = 99_999
    var settings = Settings(scenario: "churn", nodes: 12, seed: .max)
    settings.isRealCrypto = true
    settings.latency = .constant(25)
    settings.lossPerMille = 13
    settings.members = 0.25
    settings.until = 12.5
    settings.session = 84
    settings.sessionLengths = .lognormal
    settings.mix = .mobile
    let schedule = Schedule(settings, plan)
    #expect(try Schedule(text: schedule.text) == schedule)
  }

  @Test(arguments: Catalogue.all.map { $0.name }) func everyScenarioIsReadBack(_ name: String) throws {
    let scenario = try #require(Catalogue.named(name))
    var settings = scenario.settings(seed: 5)
    settings.nodes = 25
    let schedule = scenario.schedule(settings)
    #expect(try Schedule(text: schedule.text) == schedule)
    #expect(schedule == scenario.schedule(settings), "the same seed makes the same schedule")
    #expect(schedule.plan.end > schedule.plan.quietFrom)
    // These are quiet before they are measured.
    let isMeasuredAtRest = ["join", "communities", "natMix", "nonTransitive"].contains(name)
    #expect(isMeasuredAtRest || schedule.plan.quietFrom >= schedule.plan.measureFrom)
    #expect(schedule.plan.slots <= 25)
    #expect(zip(schedule.plan.steps, schedule.plan.steps.dropFirst()).allSatisfy { $0.at <= $1.at })
  }

  @Test func commentsAndBlanksAreSkipped() throws {
    let text = "# a run\n\nscenario join # the simplest\r\nnodes\t3\nend 9\n  0.5 start 0\n1 start 1 via 0\n"
    let schedule = try Schedule(text: text)
    #expect(schedule.settings.nodes == 3 && schedule.plan.end == 9_000)
    #expect(schedule.plan.steps.map(\.at) == [500, 1_000])
  }

  @Test(arguments: [
    "nodes x", "nodes 0", "seed -1", "loss 2", "1.2345 start 0", "1.0 jump 3", "1.0 start", "1.0 start -3",
    "1.0 start 3 via", "1.0 start 3 via x", "1.0 crash 3 back", "1.0 crash 3 back x",
    "1.0 partition 5-3 for 1",
    "1.0 partition 5 for", "1.0 loss 1001 for 1", "1.0 slow 1 by 3", "1.0 replace 1 vanish via 0",
    "excused 5 3",
    "end", "weather fine", "mix strange",
  ])
  func whatIsWrongIsNamed(_ line: String) {
    #expect {
      try Schedule(text: "scenario join\n\(line)\n")
    } throws: { error in
      (error as? ScheduleError)?.line == 2
    }
  }

  @Test func everyTruncationIsReadOrRefused() {
    var settings = Swarm.settings(seed: 3)
    settings.nodes = 12
    let bytes = Array(Swarm.schedule(settings).text.utf8)
    for count in stride(from: 0, to: bytes.count, by: 7) {
      _ = try? Schedule(text: String(decoding: bytes[..<count], as: UTF8.self))
    }
  }

  @Test func commandRepeatsTheSettings() {
    var settings = Churn.settings(seed: 42)
    settings.nodes = 100
    settings.graceful = 0.5
    #expect(settings.command == "p2psim churn --nodes 100 --seed 42 --graceful 0.5")
  }
}
