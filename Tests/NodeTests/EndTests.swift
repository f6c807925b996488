// Goal: a node that ends gives back every packet it holds, whatever it was doing. Method: members are stopped
// in the middle of questions, puts, unknown addresses and halves of packets; then the pools are counted.

import Base
import Node
import Session
import Simulator
import Testing

@Suite struct EndTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))

  @Test(arguments: [UInt64(51), 52, 53]) func anEndedNodeHoldsNoPacket(_ seed: UInt64) throws {
    let world = World(seed: seed)
    var isCut = false
    world.passes = { !isCut && Set([$0, $1]) != [1, 2] }
    world.add()
    for _ in 0..<2 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let all = addresses(world)
    world.send(echo(from: all[0], to: all[1], number: 1), from: 1)
    world.run(for: .seconds(2))
    // Halves without their other half: the way over the ring carries no whole packet.
    for (one, other) in [(1, 2), (2, 1)] {
      let host = world.hosts[one]
      let slot = host.core.peer(with: world.hosts[other].core.id)!
      world.act(host) { host.core.pin(slot, toOverlay: true, &host.context) }
    }
    world.lossPerMille = 400
    for number in 0..<20 as Range<UInt8> { world.send(large(from: all[0], to: all[1], number), from: 1) }
    world.run(for: .milliseconds(100))
    let halves = held(world)[2]
    // Questions to the ring and the directory, and packets that wait for their answers.
    isCut = true
    for low in 100..<110 as Range<UInt32> {
      let stranger = IPAddress(v4: all[0].v4 & 0xFFFF_0000 | 0x1700 | low)
      world.send(echo(from: all[0], to: stranger, number: 2), from: 1)
    }
    world.run(for: .milliseconds(500))
    #expect(halves > 0 && held(world)[1] > 0)
    for host in world.hosts { host.core.releasePackets(&host.context) }
    #expect(held(world) == [0, 0, 0])
  }

  @Test func aNodeEndsBetweenPutAndGrant() throws {
    var options = WorldOptions(seed: 54)
    options.isLaboratory = true
    options.commit = .milliseconds(400)
    let world = World(options)
    world.add()
    world.add(community: home, bootstraps: [0])
    #expect(world.run(upTo: .seconds(20)) { held(world).reduce(0, +) >= 2 } != nil)
    for host in world.hosts { host.core.releasePackets(&host.context) }
    #expect(held(world) == [0, 0])
  }

  /// Slots in use of each node's pool.
  private func held(_ world: World) -> [Int] {
    world.hosts.map { $0.context.pool.capacity - $0.context.pool.available }
  }

  /// A packet that goes over the ring in two parts.
  private func large(from source: IPAddress, to destination: IPAddress, _ number: UInt8) -> [UInt8] {
    var packet = echo(from: source, to: destination, number: number)
    packet += [UInt8](repeating: 7, count: 1_400 - packet.count)
    (packet[2], packet[3]) = (UInt8(packet.count >> 8), UInt8(packet.count & 255))
    return packet
  }
}
