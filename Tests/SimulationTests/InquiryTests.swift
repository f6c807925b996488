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

  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func aChildThatDiesOrLagsFailsNobody(seed: UInt64) throws {
    let world = ring(300, seed: seed)
    var random = Random(seed: seed)
    var alive = 300
    for round in 1...6 as ClosedRange<UInt32> {
      var asker = Int(random.below(300))
      while !world.isAlive(asker) { asker = Int(random.below(300)) }
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

  @Test func rewound() throws {
    for (count, rings) in [(61, 2), (60, 2)] {
      let world = ring(count, rings: rings, seed: 5, for: .zero)
      for step in 0..<30 {
        world.run(for: .milliseconds(200))
        let witnesses = world.hosts.map {
          Witness(number: $0.number, component: 0, hasJoined: true, belief: Belief(world.view($0.number)))
        }.sorted { $0.belief.id < $1.belief.id }
        let found = Inspector().inspect(witnesses, at: world.now) { _ in .ghost }
        print(
          count, step, "settled", found.settled, "cycles", found.cycles, "winding", found.windingMax,
          "perfect", found.perfect, "final", found.consistency.final)
      }
    }
  }
}
