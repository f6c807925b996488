// Goal: what one member says to all comes to each other member once, whatever is lost on the way, and to
// nobody else; nobody can say it in another's name.
// Method: whole nodes on a virtual clock; what their devices are given is counted.

import Base
import Node
import Overlay
import Session
import Simulator
import Testing

/// A UDP packet of 28 bytes and a number.
private func datagram(from source: IPAddress, to destination: IPAddress, number: UInt8) -> [UInt8] {
  var packet: [UInt8] = [0x45, 0, 0, 29, 0, 0, 0, 0, 1, 17, 0, 0]
  for address in [source, destination] {
    packet += (0..<4).map { UInt8(truncatingIfNeeded: address.v4 >> (24 - 8 * UInt32($0))) }
  }
  return packet + [0, 9, 0, 9, 0, 9, 0, 0, number]
}

@Suite struct BroadcastTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let work = Community.shared(name: "work", secret: [UInt8](33...64))

  /// A seed, members of one community and two of another.
  private func network(_ count: Int, seed: UInt64) throws -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 0..<count { world.add(community: home, bootstraps: [0]) }
    for _ in 0..<2 { world.add(community: work, bootstraps: [0]) }
    let isReady = world.run(upTo: .seconds(30)) {
      world.hosts.allSatisfy { $0.snapshot.isReady && ($0.core.subringView?.isSettled ?? true) }
    }
    try #require(isReady != nil)
    world.run(for: .seconds(3))
    return world
  }

  /// How often each member's device was given the packet.
  private func copies(_ world: World, _ packet: [UInt8]) -> [Int] {
    world.hosts.dropFirst().map { host in host.delivered.filter { $0.bytes == packet }.count }
  }

  @Test(arguments: [2, 5, 20]) func comesToEachMemberOnce(count: Int) throws {
    let world = try network(count, seed: 61)
    let pool = try #require(world.hosts[1].snapshot.community?.pool)
    let destinations = [pool.broadcast, .broadcast, IPAddress("224.0.0.251")!, IPAddress("239.255.255.250")!]
    for (turn, destination) in destinations.enumerated() {
      let sender = 1 + turn % count
      let own = try #require(world.hosts[sender].snapshot.community?.address?.address)
      let packet = datagram(from: own, to: destination, number: UInt8(turn))
      world.send(packet, from: sender)
      world.run(for: .seconds(3))
      let expected = (1...count).map { $0 == sender ? 0 : 1 } + [0, 0]
      #expect(copies(world, packet) == expected, "to \(destination)")
    }
  }

  @Test(arguments: [UInt64(62), 63]) func lossesAreMadeUpFor(seed: UInt64) throws {
    let world = try network(12, seed: seed)
    world.lossPerMille = 100
    let own = try #require(world.hosts[1].snapshot.community?.address?.address)
    for number in 0..<20 {
      world.send(datagram(from: own, to: .broadcast, number: UInt8(number)), from: 1)
      world.run(for: .milliseconds(200))
    }
    world.run(for: .seconds(3))
    let counts = (0..<20).flatMap { number in
      copies(world, datagram(from: own, to: .broadcast, number: UInt8(number)))[1..<12]
    }
    #expect(counts.filter { $0 > 1 }.isEmpty, "never twice")
    #expect(counts.filter { $0 == 0 }.count <= 1, "one in ten is lost on each way")
  }

  @Test func whoIsDeadIsNotWaitedFor() throws {
    let world = try network(20, seed: 64)
    world.run(for: .seconds(15))
    for node in [4, 9, 14] { world.kill(node) }
    let own = try #require(world.hosts[1].snapshot.community?.address?.address)
    let packet = datagram(from: own, to: .broadcast, number: 7)
    world.send(packet, from: 1)
    world.run(for: .seconds(3))
    let missed = copies(world, packet)[..<20].enumerated().filter {
      world.hosts[$0.offset + 1].isAlive && $0.offset > 0 && $0.element != 1
    }
    #expect(missed.isEmpty, "\(missed)")
  }
}
