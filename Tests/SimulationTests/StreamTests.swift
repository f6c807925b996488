// Nodes without UDP in simulated networks: what their connections carry, and how they end.

import Base
import Node
import Testing

@testable import Simulator

@Suite struct StreamTests {
  /// Four nodes in the open, two behind boxes, and one without UDP, which comes in through the second.
  private func world(_ seed: UInt64) -> (World, blocked: Int) {
    var options = WorldOptions(seed: seed)
    options.latency = .clusters()
    let world = World(options)
    for n in 0..<4 { world.add(.seed, bootstraps: n == 0 ? [] : [0]) }
    for _ in 0..<2 {
      world.add(.seed, bootstraps: [0], site: Site(.behind(box: world.addBox(.portRestricted))))
    }
    return (world, world.add(.seed, bootstraps: [1], site: Site(.blocked)))
  }

  private func isWhole(_ world: World) -> Bool {
    let alive = (0..<world.nodeCount).filter(world.isAlive)
    let ids = alive.map { world.view($0).id }.sorted()
    return alive.allSatisfy { node in
      let view = world.view(node)
      guard view.isSettled, let place = ids.firstIndex(of: view.id) else { return false }
      return !view.right.isEmpty && view.right[0] == ids[(place + 1) % ids.count]
    }
  }

  private func becomesWhole(_ world: World, within limit: Interval = .seconds(60)) -> Bool {
    let end = world.now + limit
    while !isWhole(world) {
      if world.now >= end { return false }
      world.run(for: .milliseconds(500))
    }
    return true
  }

  private func kinds(_ world: World, _ node: Int) -> [PathKind] {
    world.hosts[node].snapshot.peers.map(\.path)
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func nodeWithoutUDPJoinsAndComesBackByItsMemory(_ seed: UInt64) {
    let (world, blocked) = world(seed)
    #expect(becomesWhole(world))
    world.run(for: .seconds(30))
    #expect(isWhole(world))
    #expect(world.hosts[blocked].core.udpPassage.isStopped)
    let paths = kinds(world, blocked)
    #expect(paths.filter { $0 == .tcp }.count >= 2 && !paths.contains(.direct), "\(paths)")
    for node in 0..<6 { #expect(!world.hosts[node].core.udpPassage.isStopped) }
    // Without a bootstrap: those whom it knew are asked, and one of them is reached over TCP.
    world.restart(blocked, bootstraps: [])
    #expect(becomesWhole(world))
    #expect(kinds(world, blocked).contains(.tcp))
    // Nobody else has ever connected.
    for node in 0..<6 { #expect(world.hosts[node].core.network.links.counters.streamsBegun == 0) }
  }

  /// On a ring where nobody looks for his bootstraps but every few minutes.
  @Test(arguments: [1, 2, 3] as [UInt64]) func nodeWhoseUDPStopsComesBackOverTCPSoon(_ seed: UInt64) {
    var options = WorldOptions(seed: seed)
    options.latency = .clusters()
    let world = World(options)
    for n in 0..<15 { world.add(.seed, bootstraps: n == 0 ? [] : [0]) }
    let late = world.add(.seed, bootstraps: [0])
    #expect(becomesWhole(world))
    world.run(for: .seconds(60))
    world.records[late].flags.insert(.blocked)
    let end = world.now + .seconds(60)
    while world.view(late).links > 0 && world.now < end { world.run(for: .milliseconds(100)) }
    #expect(world.view(late).links == 0)
    world.run(for: .seconds(3))
    #expect(kinds(world, late).contains(.tcp))
    #expect(becomesWhole(world, within: .seconds(20)))
  }

  @Test func deadProcessEndsItsConnectionsAtOnce() {
    let (world, blocked) = world(4)
    #expect(becomesWhole(world))
    world.run(for: .seconds(10))
    let before = kinds(world, blocked).filter { $0 == .tcp }.count
    world.kill(1)
    world.run(for: .milliseconds(800))
    #expect(kinds(world, blocked).filter { $0 == .tcp }.count == before - 1)
    #expect(becomesWhole(world))
    world.kill(blocked)
    #expect(becomesWhole(world))
  }

  @Test func partitionIsSilentAndHeals() {
    let (world, blocked) = world(5)
    #expect(becomesWhole(world))
    world.run(for: .seconds(10))
    world.apply(.cut(0, .node(blocked), from: .range(0..<6), .both))
    world.run(for: .seconds(20))
    #expect(world.view(blocked).links == 0)
    world.apply(.heal(cut: 0))
    #expect(becomesWhole(world, within: .seconds(90)))
    #expect(kinds(world, blocked).contains(.tcp))
    for node in 0...blocked { world.kill(node) }
    world.run(for: .seconds(10))
    #expect(world.inFlight.now == 0)
    #expect(world.streams.indices.allSatisfy { world.streams[$0] == nil })
  }

  @Test func pausedNodeAndNewAddressAreSurvived() {
    let (world, blocked) = world(6)
    #expect(becomesWhole(world))
    world.apply(.pause(blocked))
    world.run(for: .seconds(1))
    world.apply(.resume(blocked))
    world.run(for: .seconds(2))
    #expect(isWhole(world))
    world.apply(.roam(blocked))
    world.run(for: .seconds(10))
    #expect(becomesWhole(world))
    #expect(kinds(world, blocked).contains(.tcp))
  }
}
