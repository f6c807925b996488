// Whole worlds with everything that goes wrong: the same seed gives the same run, and each fault does what
// it says.

import Base
import Node
import Session
import Testing

@testable import Scenarios
@testable import Simulator

@Suite struct WorldTests {
  /// Seeds that come in one after the other through the first, which stands in the open.
  private func world(_ count: Int, seed: UInt64, _ change: (inout WorldOptions) -> Void = { _ in }) -> World {
    var options = WorldOptions(seed: seed)
    options.nodesExpected = count
    options.latency = .clusters()
    change(&options)
    let world = World(options)
    world.add(.seed, bootstraps: [])
    for n in 1..<count {
      world.at(Instant(ns: UInt64(n) * 200_000_000)) { _ = $0.add(.seed, bootstraps: [0]) }
    }
    world.run(for: .milliseconds(200 * UInt64(count)))
    return world
  }

  private func isFormed(_ world: World) -> Bool {
    let alive = (0..<world.nodeCount).filter(world.isAlive)
    let ids = alive.map { world.view($0).id }.sorted()
    return alive.allSatisfy { node in
      let view = world.view(node)
      guard view.isSettled, let place = ids.firstIndex(of: view.id), !view.right.isEmpty else { return false }
      return view.right[0] == ids[(place + 1) % ids.count]
    }
  }

  /// Whether the checks of simulations find the true neighbours in every list, and the ring whole.
  private func isPerfect(_ world: World) -> Bool {
    var witnesses = (0..<world.nodeCount).filter(world.isAlive).map {
      Witness(number: $0, component: 0, hasJoined: true, belief: Belief(world.view($0)))
    }
    witnesses.sort { $0.belief.id < $1.belief.id }
    let found = Inspector().inspect(witnesses, at: world.now) { _ in .ghost }
    return found.isPerfect && found.isWhole && found.principalsMissing == 0
  }

  private func forms(_ world: World, within limit: Interval = .seconds(60)) -> Bool {
    let end = world.now + limit
    while !isFormed(world) {
      if world.now >= end { return false }
      world.run(for: .milliseconds(500))
    }
    return true
  }

  // MARK: - Rest

  /// What is done for a peer moves its next moment, and does not leave an old one behind: a ring at rest is
  /// called for its timers less often than for datagrams.
  @Test func quietNodesAreCalledForWhatIsDue() {
    let world = world(20, seed: 3)
    #expect(forms(world))
    world.run(for: .seconds(120))
    let before = (events: world.events, received: world.counters.received)
    world.run(for: .seconds(60))
    let received = world.counters.received - before.received
    let woken = world.events - before.events - received
    #expect(received > 0)
    #expect(woken < received * 9 / 10, "\(woken) calls for timers, \(received) datagrams")
  }

  // MARK: - Determinism

  private func troubled(_ seed: UInt64) -> UInt64 {
    let world = world(24, seed: seed) { options in
      options.mix = .home
      options.loss.access = GilbertElliott()
      options.loss.duplicated = 5_000
      options.loss.reordered = 10_000
      options.loss.brokenPairs = 20_000
    }
    var faults: [PlannedFault] = []
    for (i, fault) in [
      Fault.crash(3), .pause(4), .skew(5, partsPerMillion: 400),
      .slow(.node(6), by: .milliseconds(300), lasting: .seconds(4)),
      .cut(0, .share(perMille: 400, salt: 7), from: .everybody, .inward), .resume(4),
      .restart(3, bootstraps: [0]),
      .clog(.range(8..<12), lasting: .seconds(2)), .heal(cut: 0), .roam(9), .rebootBox(1), .leave(10),
      .lossBurst(.everybody, perMille: 300, lasting: .seconds(2)), .crash(999), .heal(cut: 3),
    ].enumerated() {
      faults.append(PlannedFault(at: world.now + .seconds(UInt64(i)), fault))
    }
    world.schedule(faults)
    world.run(for: .seconds(25))
    return world.digest
  }

  @Test(arguments: [UInt64(1), 2])
  func sameSeedGivesTheSameRun(seed: UInt64) {
    let digest = troubled(seed)
    #expect(troubled(seed) == digest)
    #expect(troubled(seed + 100) != digest)
  }

  @Test func watchingChangesNothing() {
    let quiet = world(10, seed: 5)
    quiet.run(for: .seconds(5))
    let watched = world(10, seed: 5)
    var seen = 0
    watched.onEvent = { _, _ in seen += 1 }
    for second in 1..<20 { watched.at(Instant(ns: UInt64(second) * 250_000_000)) { _ = $0.view(0) } }
    watched.run(for: .seconds(5))
    #expect(watched.digest == quiet.digest)
    watched.kill(1)
    watched.run(for: .seconds(30))
    #expect(seen > 0)
  }

  // MARK: - Faults

  @Test func ringFormsAndClosesAfterACrash() {
    let world = world(12, seed: 11)
    #expect(forms(world))
    world.apply(.crash(4))
    #expect(!world.isAlive(4))
    #expect(forms(world))
    world.apply(.restart(4, bootstraps: [0]))
    #expect(forms(world) && world.isAlive(4))
    #expect(world.sent(4).datagrams > 0 && world.received(4).bytes > 0)
  }

  @Test func stoppedProcessFindsWhatItsSocketHolds() {
    let world = world(8, seed: 12)
    #expect(forms(world))
    let before = world.received(3).datagrams
    world.apply(.pause(3))
    world.run(for: .seconds(2))
    #expect(world.received(3).datagrams == before && world.isPaused(3))
    world.apply(.resume(3))
    #expect(world.received(3).datagrams > before)
    #expect(forms(world))
    world.apply(.pause(3))
    for _ in 0..<40 {
      for node in 0..<8 where node != 3 {
        world.withCore(node) { core, context in
          core.ping(.id(world.view(3).id), ticket: 1, patience: .seconds(1), &context)
        }
      }
      world.run(for: .milliseconds(200))
    }
    #expect(world.counters[.socketFull] > 0)
    world.kill(3)
    world.run(for: .seconds(1))
  }

  @Test func cutIsFeltAndHeals() {
    let world = world(8, seed: 13)
    #expect(forms(world))
    world.apply(.cut(0, .node(2), from: .not(.node(2)), .both))
    let received = world.received(2).datagrams
    world.run(for: .seconds(2))
    #expect(world.received(2).datagrams == received && world.counters[.cut] > 0)
    world.apply(.healAll)
    world.run(for: .seconds(10))
    #expect(world.received(2).datagrams > received)
    #expect(forms(world))
  }

  @Test func clogHoldsDatagramsBack() {
    let world = world(8, seed: 14)
    #expect(forms(world))
    world.apply(.clog(.node(2), lasting: .seconds(2)))
    let received = world.received(2).datagrams
    world.run(for: .milliseconds(1_990))
    #expect(world.received(2).datagrams == received)
    world.run(for: .milliseconds(500))
    #expect(world.received(2).datagrams > received)
    #expect(forms(world))
  }

  @Test(arguments: [-200, 200])
  func wrongClocksDoNotBreakTheRing(partsPerMillion: Int) {
    let world = world(8, seed: 15)
    for node in 0..<8 { world.apply(.skew(node, partsPerMillion: partsPerMillion * node)) }
    world.run(for: .seconds(120))
    #expect(isFormed(world))
  }

  @Test func burstOfLossesEnds() {
    let world = world(8, seed: 16)
    #expect(forms(world))
    world.apply(.lossBurst(.everybody, perMille: 500, lasting: .seconds(3)))
    world.run(for: .seconds(3))
    let lost = world.counters[.lost]
    #expect(lost > 0)
    world.run(for: .seconds(10))
    #expect(world.counters[.lost] == lost)
    #expect(isPerfect(world) && isFormed(world))
  }

  @Test func deadLeaveNothingInTheSharedPool() {
    var options = WorldOptions(seed: 17)
    options.latency = .clusters()
    let world = World(options)
    let community = Community.shared(name: "home", secret: [UInt8](1...32))
    world.add(.seed, bootstraps: [])
    for _ in 0..<5 { world.add(.member(community), bootstraps: [0]) }
    world.run(for: .milliseconds(2_500))
    let host = world.hosts[0]
    for node in 0..<6 { world.kill(node) }
    #expect(host.context.pool.available == host.context.pool.capacity)
    world.run(for: .seconds(5))
    #expect(world.inFlight.now == 0)
  }

  // MARK: - Sites

  @Test func nodesBehindBoxesJoin() {
    var options = WorldOptions(seed: 21)
    options.latency = .clusters()
    let world = World(options)
    world.add(.seed, bootstraps: [])
    world.add(.seed, bootstraps: [0])
    let carrier = world.addBox(.carrier)
    for behaviour in [NATBehaviour.fullCone, .portRestricted, .hard, .portRestricted] {
      let box = world.addBox(behaviour, behind: behaviour == .fullCone ? carrier : nil)
      world.add(.seed, bootstraps: [0], site: Site(.behind(box: box)))
      world.add(.seed, bootstraps: [1], site: Site(.behind(box: box)))
    }
    let blocked = world.add(.seed, bootstraps: [0], site: Site(.blocked))
    #expect(forms(world))
    #expect(world.hosts[blocked].core.udpPassage.isStopped)
    #expect(world.counters[.filtered] > 0 && world.counters[.blocked] > 0)
    // Two behind one box reach each other inside.
    #expect(world.oneWay(2, 3) == Interval(ns: Internet.localDelay))
  }

  @Test func rebootedBoxAndRoamingNodeAreFoundAgain() {
    var options = WorldOptions(seed: 22)
    options.latency = .clusters()
    let world = World(options)
    for n in 0..<4 { world.add(.seed, bootstraps: n == 0 ? [] : [0]) }
    let box = world.addBox(.portRestricted)
    let inside = world.add(.seed, bootstraps: [0], site: Site(.behind(box: box)))
    #expect(forms(world))
    world.apply(.rebootBox(box))
    world.run(for: .seconds(30))
    #expect(forms(world))
    let before = world.endpoint(of: 2)
    world.apply(.roam(2))
    world.apply(.roam(inside))
    #expect(world.endpoint(of: 2) != before && world.box(of: inside) == box + 1)
    // The two that moved at once have lost each other, and ask again after half a minute.
    for _ in 0..<45 where !isPerfect(world) { world.run(for: .seconds(1)) }
    #expect(isPerfect(world) && isFormed(world))
  }

  @Test func membersTalkInALargeWorldToo() {
    var options = WorldOptions(seed: 23)
    options.latency = .clusters()
    let world = World(options)
    let community = Community.shared(name: "home", secret: [UInt8](1...32))
    world.add(.seed, bootstraps: [])
    for _ in 0..<3 { world.add(.member(community), bootstraps: [0]) }
    let took = world.run(upTo: .seconds(30)) { (0..<4).allSatisfy { world.hosts[$0].snapshot.isReady } }
    #expect(took != nil)
    #expect(world.hosts[1].snapshot.community?.address != nil)
  }
}
