// Goal: a task counts each node of a ring once, and says what is missing; nothing that one node does, or
// leaves undone, fails another.
// Method: whole nodes on a virtual clock, asked to count themselves; the truth is the list of those alive.

import Base
import Overlay
import Session
import Simulator
import Testing

@testable import Node

@Suite struct TaskTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))

  /// Seeds, and members that came in through the first.
  private func network(seeds: Int, members: Int = 0, seed: UInt64) throws -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 1..<max(seeds, 1) { world.add(bootstraps: [0]) }
    for _ in 0..<members { world.add(community: home, bootstraps: [0]) }
    let isReady = world.run(upTo: .seconds(60)) {
      world.hosts.allSatisfy { $0.snapshot.isReady && ($0.core.subringView?.isSettled ?? true) }
    }
    try #require(isReady != nil)
    world.run(for: .seconds(10))
    return world
  }

  /// Asks, and waits for the answer.
  private func ask(
    _ world: World, _ node: Int, _ name: String = "count", on ring: RingKind = .main, in arc: Arc? = nil,
    budget: Interval = .seconds(5), ticket: UInt32 = 1
  ) throws -> TaskOutcome {
    let host = world.hosts[node]
    try world.acting(host) {
      try host.core.ask(name, on: ring, in: arc, within: budget, ticket: ticket, &host.context)
    }
    var outcome: TaskOutcome?
    _ = world.run(upTo: budget + .seconds(1)) {
      outcome = host.core.takeOutcome(ofTask: ticket)
      return outcome != nil
    }
    return try #require(outcome)
  }

  @Test(arguments: [1, 2, 3, 10, 40]) func allNodesAreCountedOnce(count: Int) throws {
    let world = try network(seeds: count, seed: 71)
    for asker in [0, count - 1] {
      let outcome = try ask(world, asker, ticket: UInt32(asker + 1))
      #expect(outcome.tally.answered == UInt32(count) && outcome.tally.isComplete)
      #expect(outcome.tally.silent == 0 && outcome.tally.declined == 0)
      #expect(outcome.elapsed < .seconds(1))
    }
    world.run(for: .seconds(5))
    #expect(world.hosts.allSatisfy { $0.core.network.tasks.isIdle }, "nothing is left of it")
  }

  @Test func aSubringIsItsMembers() throws {
    let world = try network(seeds: 5, members: 14, seed: 72)
    let outcome = try ask(world, 9, on: .members)
    #expect(outcome.tally.answered == 14 && outcome.tally.isComplete)
    let all = try ask(world, 9, ticket: 2)
    #expect(all.tally.answered == 19 && all.tally.isComplete)
    #expect(throws: TaskRefusal.noCommunity) {
      _ = try ask(world, 0, on: .members, ticket: 3)
    }
    #expect(throws: TaskRefusal.unknown) { _ = try ask(world, 0, "what", ticket: 4) }
  }

  @Test(arguments: [4] as [UInt64]) func whoeverIsLostIsNamed(seed: UInt64) throws {
    let world = try network(seeds: 40, seed: seed)
    world.lossPerMille = 50
    for ticket in 1...5 as ClosedRange<UInt32> {
      let outcome = try ask(world, Int(ticket), ticket: ticket)
      // Of three tries in a row, one in a thousand is lost.
      #expect(outcome.tally.answered >= 39)
      #expect(Int(outcome.tally.answered + outcome.tally.silent) + outcome.tally.missingNodes == 40)
    }
  }

  @Test(arguments: [1, 2] as [UInt64]) func theDeadAreNamedAndNobodyElseIsMissing(
    seed: UInt64
  ) throws {
    let world = try network(seeds: 40, seed: seed)
    for node in [7, 18, 29] { world.kill(node) }
    let outcome = try ask(world, 3)
    #expect(outcome.tally.answered == 37)
    #expect(outcome.tally.isComplete, "\(outcome.tally.missingNodes) missing")
    let dead = [7, 18, 29].map { world.hosts[$0].core.id }
    for i in 0..<outcome.tally.silentNodes.count {
      #expect(dead.contains(outcome.tally.silentNodes[i]))
    }
    #expect(outcome.elapsed < .seconds(4))
  }

  @Test func aNodeThatHangsCostsItselfAndNobodyElse() throws {
    let world = try network(seeds: 40, seed: 75)
    world.pause(11)
    let outcome = try ask(world, 3)
    #expect(outcome.tally.answered == 39 && outcome.tally.isComplete)
    #expect(outcome.tally.silent >= 1 && outcome.tally.silentNodes[0] == world.hosts[11].core.id)
  }

  @Test func aPartOfTheRingIsAsked() throws {
    let world = try network(seeds: 40, seed: 76)
    let half = Arc(from: 1 << 62, to: 3 << 62)
    let inside = world.hosts.filter { half.contains($0.core.id.high) }.count
    for asker in 0..<6 {
      let outcome = try ask(world, asker, in: half, ticket: UInt32(asker + 1))
      #expect(outcome.tally.answered == UInt32(inside) && outcome.tally.isComplete)
    }
  }

  @Test func whatIsNotInInTimeIsMissingAndCounted() throws {
    let world = try network(seeds: 40, seed: 77)
    let outcome = try ask(world, 0, budget: .milliseconds(150))
    #expect(outcome.tally.answered < 40 && !outcome.tally.isComplete)
    let known = Int(outcome.tally.answered) + outcome.tally.missingNodes
    #expect(known >= 28 && known <= 56, "\(known) of 40")
    #expect(outcome.elapsed <= .milliseconds(150))
  }

  @Test func theReservedSayThatTheyAreThereAndNoMore() throws {
    let world = try network(seeds: 12, seed: 78)
    for node in [3, 4] { world.hosts[node].core.disclosure.tells = false }
    let count = try ask(world, 0)
    #expect(count.tally.answered == 12)
    let outcome = try ask(world, 0, "consistency", ticket: 2)
    #expect(outcome.tally.answered == 10 && outcome.tally.declined == 2)
  }

  @Test func strangersAreToldOnlyWhatEverybodyMayAsk() throws {
    let world = try network(seeds: 4, members: 8, seed: 79)
    let stranger = try ask(world, 0, "versions")
    #expect(stranger.tally.answered == 1 && stranger.tally.declined == 11, "only itself")
    for host in world.hosts {
      host.core.disclosure.operatorKey = world.hosts[1].core.network.links.identity.publicKey
    }
    let owner = try ask(world, 1, "versions")
    #expect(owner.tally.answered == 12)
    let member = try ask(world, 6, "versions", on: .members)
    #expect(member.tally.answered == 8)
  }

  @Test func whoAsksTooMuchIsRefused() throws {
    let world = try network(seeds: 20, seed: 80)
    let host = world.hosts[0]
    var refused = 0
    for ticket in 1...40 as ClosedRange<UInt32> {
      do {
        try world.acting(host) {
          try host.core.ask("count", on: .main, within: .seconds(2), ticket: ticket, &host.context)
        }
      } catch TaskRefusal.tooMuch {
        refused += 1
      }
    }
    #expect(refused == 24)
    world.run(for: .seconds(10))
    #expect(try ask(world, 0, ticket: 99).tally.answered == 20)
  }

  @Test func aCancelledTaskLeavesNothing() throws {
    let world = try network(seeds: 20, seed: 81)
    let host = world.hosts[0]
    try world.acting(host) {
      try host.core.ask("count", on: .main, within: .seconds(2), ticket: 5, &host.context)
      host.core.cancelTask(5)
    }
    world.run(for: .seconds(5))
    #expect(host.core.takeOutcome(ofTask: 5) == nil && host.core.network.tasks.isIdle)
  }
}

extension World {
  /// Does something with a node that may throw.
  fileprivate func acting(_ host: Host, _ body: () throws -> Void) throws {
    var failure: (any Error)?
    act(host) {
      do { try body() } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
