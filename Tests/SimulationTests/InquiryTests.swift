// Goal: whatever happens to those who are to pass a question on, whoever asks has an answer in time, and
// everybody else is in it; rings that are broken are called so.
// Method: rings of whole nodes that are laid out, asked while inner nodes of the tree die or stand still.
import Base
import Simulator
import Testing

@testable import Node
@testable import Overlay
@testable import Scenarios

@Suite struct InquiryTests {
  /// A ring that was laid out, twenty seconds later.
  private func ring(_ count: Int, rings: Int = 1, seed: UInt64, for length: Interval = .seconds(20)) -> World
  {
    var options = WorldOptions(seed: seed)
    options.nodesExpected = count
    options.latency = .clusters()
    let world = World(options)
    for node in world.layOut([NodeRole](repeating: .seed, count: count), rings: rings) {
      world.restart(node, bootstraps: [])
    }
    world.run(for: length)
    return world
  }

  private func ask(_ world: World, _ asker: Int, _ task: String, ticket: UInt32) {
    world.withCore(asker) { core, context in
      try? core.ask(task, on: .main, within: .seconds(3), ticket: ticket, &context)
    }
  }

  private func outcome(_ world: World, _ asker: Int, ticket: UInt32) throws -> TaskOutcome {
    var found: TaskOutcome?
    _ = world.run(upTo: .seconds(4)) {
      found = world.hosts[asker].core.takeOutcome(ofTask: ticket)
      return found != nil
    }
    return try #require(found)
  }

  /// Nodes that wait for children of a task, those with the most first.
  private func inner(_ world: World, but asker: Int) -> [Int] {
    let waiting = world.hosts.filter { $0.number != asker && $0.isAlive }.map {
      ($0.number, $0.core.network.tasks.waits.count)
    }
    return waiting.filter { $0.1 > 0 }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.map(\.0)
  }

  @Test(arguments: [1, 2] as [UInt64]) func aChildThatDiesOrLagsFailsNobody(seed: UInt64) throws {
    let world = ring(200, seed: seed)
    var random = Random(seed: seed)
    var alive = 200
    for round in 1...4 as ClosedRange<UInt32> {
      var asker = Int(random.below(200))
      while !world.isAlive(asker) { asker = Int(random.below(200)) }
      ask(world, asker, "consistency", ticket: round)
      // The question has come to some, which have passed it on.
      world.run(for: .milliseconds(40 + random.below(120)))
      let victims = inner(world, but: asker)
      try #require(!victims.isEmpty)
      let victim = victims[Int(random.below(UInt64(min(4, victims.count))))]
      if round % 2 == 0 { world.pause(victim) } else { world.kill(victim) }
      let found = try outcome(world, asker, ticket: round)
      #expect(found.elapsed <= .seconds(3))
      #expect(Int(found.tally.answered) >= alive - 1, "\(found.tally.missingNodes) missing, \(found.elapsed)")
      #expect(Int(found.tally.answered) + Int(found.tally.silent) + found.tally.missingNodes >= alive)
      if round % 2 == 0 { world.resume(victim) } else { alive -= 1 }
      world.run(for: .seconds(15))
    }
  }

  /// Rings into which nodes are led by what they remember: of 61, each of which remembers the next but one,
  /// one that winds twice; of 60, two. All formulae hold on both: the winding and the circles tell.
  @Test(arguments: [61, 60]) func ringThatIsWoundTwiceOrSplitIsCalledSo(_ count: Int) throws {
    let world = ring(count, rings: 2, seed: 5, for: .seconds(3))
    let isSplit = count == 60
    let truth = inspect(world)
    #expect(truth.consistency.final == 1 && truth.cycles == (isSplit ? 2 : 1))
    #expect(truth.windingMax == (isSplit ? 1 : 2))

    let words = world.hosts.map { host in
      CrawledNode(id: host.core.id, word: host.core.testimony(on: .main, at: world.now))
    }
    let crawl = CrawlReport(CrawlResult(ring: .main, origin: words[0].id, nodes: words))
    #expect(crawl.nodes == count && crawl.consistency.final == 1 && !crawl.isWhole)
    #expect(crawl.components == truth.cycles && crawl.winding == 2)

    let inquiry = Inquiry(ring: .main, now: world.now)
    let answers = world.hosts.map { ConsistencyTask.map($0.core, inquiry) }
    let answer = ConsistencyTask.reduce(answers, in: Arc(from: 0, to: 0), isWhole: true)
    let findings = ConsistencyTask.findings(of: answer, TaskTally())
    func value(_ name: String) -> Finding? { findings.first { $0.name == name }?.value }
    #expect(value("final") == .number(1) && value("winding") == .number(2))
    #expect(value("components") == .integer(Int64(truth.cycles)) && value("whole") == .truth(false))
  }

  /// The tree reaches nodes of one turn only, whose neighbours name some of the other.
  @Test func whoeverAsksOnARingThatIsWoundTwiceHearsThatItIsBroken() throws {
    let world = ring(61, rings: 2, seed: 5, for: .seconds(3))
    ask(world, 7, "consistency", ticket: 1)
    let found = try outcome(world, 7, ticket: 1)
    let whole = found.findings?.first { $0.name == "whole" }?.value
    #expect(inspect(world).windingMax == 2 && whole == .truth(false))
  }

  @Test func sameSeedSameAnswer() throws {
    let digests = try (0..<2).map { _ in
      let world = ring(60, seed: 9)
      ask(world, 3, "consistency", ticket: 1)
      world.run(for: .milliseconds(60))
      if let victim = inner(world, but: 3).first { world.kill(victim) }
      return (try outcome(world, 3, ticket: 1).answer, world.digest)
    }
    #expect(digests[0] == digests[1])
  }

  @Test func crawlsAndTasksAgreeSideBySide() {
    var study = CrawlStudy(seed: 1, walkMax: 100)
    study.measure(nodes: 24)
    #expect(study.rows.count == 8)
    for row in study.rows {
      #expect(row.missing == 0 && row.walked == 1 && row.final == 1, "\(row.way)")
      #expect(row.seconds > 0 && row.messages > 1 && row.bytes > 100)
    }
    #expect(CrawlComparison.winsFrom(study, over: .linear) == 24)
    #expect(CrawlComparison.table(study).contains { $0.contains("1 at a time") })
    #expect(CrawlComparison.page(study).contains("<svg"))
    #expect(CrawlComparison.json(study).text.contains("consistency_calls"))
  }

  private func inspect(_ world: World) -> Inspection {
    let witnesses = world.hosts.map {
      Witness(number: $0.number, component: 0, hasJoined: true, belief: Belief(world.view($0.number)))
    }
    return Inspector().inspect(witnesses.sorted { $0.belief.id < $1.belief.id }, at: world.now) { _ in .ghost
    }
  }
}
