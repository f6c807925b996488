// Paths of a session: over the ring when the direct way is closed, back to it when it opens, nothing lost at
// a switch.

import Base
import Node
import Session
import Simulator
import Testing

@Suite struct PathTests {
  let home = Community.shared(name: "home", secret: [UInt8](1...32))

  /// A seed and `members` members, all ready.
  private func network(_ members: Int, seed: UInt64, passes: @escaping (Int, Int) -> Bool = { _, _ in true })
    throws
    -> World
  {
    let world = World(seed: seed)
    world.passes = passes
    world.add()
    for _ in 0..<members { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    return world
  }

  private func path(_ world: World, _ from: Int, _ to: IPAddress) -> PathKind? {
    world.hosts[from].snapshot.peers.first { $0.address == to }?.path
  }

  @Test func closedDirectWayLeavesTheRingAndThenACircuit() throws {
    let world = try network(2, seed: 11) { !($0 + $1 == 3 && $0 != 0 && $1 != 0) }
    let all = addresses(world)
    for n in 0..<50 {
      world.send(echo(from: all[0], to: all[1], number: UInt8(n)), from: 1)
      world.run(for: .milliseconds(100))
    }
    world.run(for: .seconds(1))
    #expect(world.hosts[2].delivered.count == 50)
    #expect(path(world, 1, all[1]) == .proxy)
    let peer = world.hosts[1].snapshot.peers.first { $0.address == all[1] }
    #expect(peer?.via == world.hosts[0].core.id && peer?.endpoint == nil)
  }

  @Test func largePacketsTravelInTwoPartsOverTheRing() throws {
    let world = try network(2, seed: 12) { !($0 + $1 == 3 && $0 != 0 && $1 != 0) }
    let all = addresses(world)
    var packet = echo(from: all[0], to: all[1], number: 7) + [UInt8](repeating: 5, count: 1_316)
    packet[2] = UInt8(packet.count >> 8)
    packet[3] = UInt8(packet.count & 255)
    world.send(packet, from: 1)
    world.run(for: .seconds(1))
    #expect(world.hosts[2].delivered.map(\.bytes) == [packet])
  }

  @Test(arguments: [UInt64(13), 14, 15])
  func plannedSwitchesLoseAndDoubleNothing(seed: UInt64) throws {
    let world = try network(3, seed: seed)
    let all = addresses(world)
    var number = 0
    func stream(_ count: Int) {
      for _ in 0..<count {
        world.send(echo(from: all[0], to: all[1], number: UInt8(number % 250)), from: 1)
        world.send(echo(from: all[1], to: all[0], number: UInt8(number % 250)), from: 2)
        number += 1
        world.run(for: .milliseconds(20))
      }
    }
    stream(150)
    for toOverlay in [true, false, true, false, true, false, true, false, true, false] {
      for (host, other) in [(1, 2), (2, 1)] {
        let core = world.hosts[host]
        let slot = core.core.peer(with: world.hosts[other].core.id)!
        world.act(core) { core.core.pin(slot, toOverlay: toOverlay, &core.context) }
      }
      stream(50)
      #expect(path(world, 1, all[1]) == (toOverlay ? .overlay : .lan))
    }
    world.run(for: .seconds(1))
    for host in [1, 2] {
      // Nothing lost and nothing doubled; the order may change at a switch.
      let arrived = world.hosts[host].delivered.map { Int($0.bytes[27]) }
      #expect(arrived.sorted() == (0..<number).map { $0 % 250 }.sorted())
    }
  }

  @Test func firewallThatClosesIsNoticedWithinSeconds() throws {
    var isOpen = true
    let world = try network(3, seed: 16) { a, b in isOpen || Set([a, b]) != [1, 2] }
    let all = addresses(world)
    for n in 0..<100 {
      world.send(echo(from: all[0], to: all[1], number: UInt8(n)), from: 1)
      world.run(for: .milliseconds(50))
    }
    #expect(path(world, 1, all[1]) == .lan)
    isOpen = false
    let closed = world.now
    let before = world.hosts[2].delivered.count
    var back: Interval?
    for n in 0..<200 where back == nil {
      world.send(echo(from: all[0], to: all[1], number: UInt8(n)), from: 1)
      world.run(for: .milliseconds(50))
      if world.hosts[2].delivered.count > before + 2 { back = world.now - closed }
    }
    #expect(back != nil && back! <= .seconds(8), "took \(String(describing: back?.seconds)) s")
    isOpen = true
    let opened = world.now
    let direct = world.run(upTo: .seconds(60)) { path(world, 1, all[1]) == .lan }
    #expect(direct != nil, "not direct again \((world.now - opened).seconds) s after the firewall opened")
  }

  @Test func everythingGoesOnWithoutTheSeed() throws {
    let world = try network(4, seed: 17)
    let all = addresses(world)
    world.kill(0)
    world.run(for: .seconds(20))
    for (from, to) in [(1, 2), (3, 4), (4, 1)] {
      let before = world.hosts[to].delivered.count
      world.send(echo(from: all[from - 1], to: all[to - 1], number: 1), from: from)
      #expect(world.run(upTo: .seconds(2)) { world.hosts[to].delivered.count > before } != nil)
    }
    let newcomer = world.add(community: home, bootstraps: [3])
    let took = world.run(upTo: .seconds(10)) { newcomer.snapshot.isReady }
    #expect(took != nil && took! < .seconds(3), "took \(String(describing: took?.seconds)) s")
    world.send(
      echo(from: newcomer.snapshot.community!.address!.address, to: all[0], number: 9), from: newcomer.number)
    let before = world.hosts[1].delivered.count
    #expect(world.run(upTo: .seconds(2)) { world.hosts[1].delivered.count > before } != nil)
  }

  @Test func wrongSecretReachesNobody() throws {
    let world = try network(3, seed: 18)
    let other = Community.shared(name: "home", secret: [UInt8](2...33))
    let stranger = world.add(community: other, bootstraps: [0])
    #expect(world.run(upTo: .seconds(10)) { stranger.snapshot.community!.isAlone } != nil)
    let all = addresses(world)
    world.send(
      echo(from: stranger.snapshot.community!.address!.address, to: all[0], number: 1), from: stranger.number)
    world.run(for: .seconds(12))
    #expect(
      world.hosts[1...3].allSatisfy { host in
        host.snapshot.peers.allSatisfy { !$0.isMember || $0.id != stranger.core.id }
      })
    #expect(world.hosts[1].delivered.isEmpty)
    #expect(!stranger.delivered.isEmpty, "the sending program is told that nobody is there")
  }

  @Test(arguments: [UInt64(21), 22, 23])
  func lossyNetworkStillForms(seed: UInt64) throws {
    let world = World(seed: seed)
    world.lossPerMille = 50
    world.add()
    for _ in 0..<8 { world.add(community: home, bootstraps: [0]) }
    let took = world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } }
    #expect(took != nil && took! < .seconds(20), "took \(String(describing: took?.seconds)) s")
    #expect(Set(addresses(world)).count == 8)
  }
}
