// Whole nodes on a virtual clock: joining, addresses, packets over the ring and directly, deaths and returns.

import Base
import Node
import Session
import Simulator
import Testing

/// An ICMP echo request of 84 bytes, as ping makes it; the payload carries a number.
func echo(from source: IPAddress, to destination: IPAddress, number: UInt8) -> [UInt8] {
  var packet: [UInt8] = [0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0, 0]
  for address in [source, destination] {
    packet += (0..<4).map { UInt8(truncatingIfNeeded: address.v4 >> (24 - 8 * UInt32($0))) }
  }
  return packet + [8, 0, 0, 0, 0, 1, 0, number] + [UInt8](repeating: number, count: 56)
}

func addresses(_ world: World) -> [IPAddress] {
  world.hosts.compactMap { $0.isAlive ? $0.snapshot.community?.address?.address : nil }
}

@Suite struct NodeTests {
  let home = Community.shared(name: "home", secret: [UInt8](1...32))

  @Test func memberJoinsThroughSeedAndGetsAnAddress() {
    let world = World(seed: 1)
    world.add()
    world.add(community: home, bootstraps: [0])
    let took = world.run(upTo: .seconds(10)) { world.hosts[1].snapshot.isReady }
    #expect(took != nil && took! < .milliseconds(700), "took \(String(describing: took?.seconds)) s")
  }

  @Test func twoMembersThatNameEachOtherFormARing() {
    let world = World(seed: 2)
    world.add(community: home, bootstraps: [])
    let other = World(seed: 3)
    _ = other
    world.add(community: home, bootstraps: [0])
    let took = world.run(upTo: .seconds(10)) { world.hosts.allSatisfy { $0.snapshot.isReady } }
    #expect(took != nil)
    #expect(Set(addresses(world)).count == 2)
  }

  @Test func packetsToAStrangerArriveAndMoveToADirectPath() throws {
    let world = World(seed: 4)
    world.add()
    for _ in 0..<5 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let all = addresses(world)
    world.send(echo(from: all[0], to: all[4], number: 1), from: 1)
    let took = world.run(upTo: .seconds(5)) { !world.hosts[5].delivered.isEmpty }
    #expect(took != nil)
    world.run(for: .seconds(3))
    let path = world.hosts[1].snapshot.peers.first { $0.address == all[4] }?.path
    #expect(path == .lan)
  }

  @Test func twentyAtOnceGetDistinctAddresses() {
    let world = World(seed: 5)
    world.add()
    for _ in 0..<20 { world.add(community: home, bootstraps: [0]) }
    let took = world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } }
    #expect(took != nil && took! < .seconds(10), "took \(String(describing: took?.seconds)) s")
    #expect(Set(addresses(world)).count == 20)
  }

  @Test(arguments: [UInt64(31), 32, 33])
  func firstPacketsOfACrowdAllArrive(seed: UInt64) throws {
    let world = World(seed: seed)
    world.add()
    for _ in 0..<20 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let all = addresses(world)
    var random = Random(seed: seed)
    var expected = [Int](repeating: 0, count: 21)
    for n in 0..<80 {
      let from = 1 + Int(random.below(20))
      let to = 1 + (from + Int(random.below(19))) % 20
      expected[to] += 1
      world.send(echo(from: all[from - 1], to: all[to - 1], number: UInt8(n)), from: from)
      world.run(for: .milliseconds(5))
    }
    world.run(for: .seconds(2))
    for host in 1...20 { #expect(world.hosts[host].delivered.count == expected[host], "host \(host)") }
  }

  @Test func deadNeighbourIsGoneInTenSeconds() throws {
    let world = World(seed: 7)
    world.add()
    for _ in 0..<3 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    world.run(for: .seconds(10))
    world.kill(0)
    let took = world.run(upTo: .seconds(30)) { world.hosts[1...].allSatisfy { $0.snapshot.peers.count == 2 } }
    #expect(took != nil && took! < .seconds(11), "took \(String(describing: took?.seconds)) s")
  }

  @Test func restartedMemberHasItsAddressBackAndIsReachedAgain() throws {
    let world = World(seed: 6)
    world.add()
    for _ in 0..<4 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let all = addresses(world)
    world.send(echo(from: all[0], to: all[1], number: 1), from: 1)
    world.run(for: .seconds(5))
    world.kill(2)
    world.run(for: .milliseconds(500))
    world.restart(2, bootstraps: [0])
    var arrived: Interval?
    let back = world.now
    for n in 0..<30 where arrived == nil {
      world.send(echo(from: all[0], to: all[1], number: UInt8(n + 2)), from: 1)
      world.run(for: .milliseconds(100))
      if !world.hosts[2].delivered.isEmpty { arrived = world.now - back }
    }
    #expect(arrived != nil && arrived! <= .seconds(3), "took \(String(describing: arrived?.seconds)) s")
    #expect(world.hosts[2].snapshot.community?.address?.address == all[1])
  }
}
