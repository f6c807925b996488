// Goal: no packet slot is lost, whatever happens: nodes die and return, wires break, addresses do not exist.
// Method: twenty minutes of such a life in a simulated network; the slots in use are compared between the
// fifth minute and the last.

import Base
import Session
import Simulator
import Testing

@testable import Node
@testable import VPN

@Suite struct LeakTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let members = 4

  private func used(_ host: Host) -> Int { host.context.pool.capacity - host.context.pool.available }

  /// Ten seconds of traffic: to members, dead or alive, to nobody, and errors that must not be answered.
  private func talk(_ world: World, _ random: inout Random) {
    let all = world.hosts.compactMap { $0.snapshot.community?.address?.address }
    for _ in 0..<5 {
      let from = 1 + Int(random.below(UInt64(members)))
      let host = world.hosts[from]
      if host.isAlive, let own = host.snapshot.community?.address?.address, !all.isEmpty {
        var to = all[Int(random.below(UInt64(all.count)))]
        if random.below(3) == 0 { to.low ^= random.below(4_096) }
        let size = Int(random.below(2)) * 1_300
        let payload = [UInt8](repeating: 3, count: 8 + size)
        world.send(Packets.v4(payload, proto: random.below(4) == 0 ? 1 : 17, from: own, to: to), from: from)
        let ula = IPAddress(high: home.ulaPrefix.address.high | random.below(65_536), low: random.next())
        if random.below(8) == 0 {
          world.send(Packets.v6(payload, from: home.ula(of: host.core.id), to: ula), from: from)
        }
        if random.below(8) == 0 {
          world.act(host) { host.core.lookUp(address: to, id: nil, ticket: 1, &host.context) }
        }
      }
      world.run(for: .seconds(2))
    }
  }

  @Test func longLifeLosesNoSlots() throws {
    let world = World(seed: 201)
    var random = Random(seed: 201)
    var cut: Set<Int> = []
    world.passes = { cut.count < 2 || !(cut.contains($0) && cut.contains($1)) }
    world.add()
    for _ in 0..<members { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    var atMinuteFive: [Int] = []
    for round in 0..<120 {
      if round == 30 { atMinuteFive = world.hosts.map(used) }
      world.lossPerMille = random.below(4) == 0 ? 100 : 0
      cut = random.below(3) == 0 ? [1 + Int(random.below(4)), 1 + Int(random.below(4))] : []
      // Two come and go, the others stay.
      if round % 6 == 1 { world.kill(3 + round / 6 % 2) }
      if round % 6 == 5 { world.restart(3 + round / 6 % 2, bootstraps: [0]) }
      talk(world, &random)
    }
    cut = []
    world.lossPerMille = 0
    world.run(for: .seconds(60))
    for host in world.hosts {
      #expect(host.context.effects.dropped == 0 && host.context.pool.exhausted == 0)
      // Halves of packets whose other half was lost wait until the next half comes.
      let limit = atMinuteFive[host.number] + Reassembly.capacity / 4
      #expect(used(host) <= limit, "node \(host.number): \(atMinuteFive[host.number]), then \(used(host))")
      let queues = host.core.network.events.dropped + host.core.network.links.events.dropped
      #expect(queues == 0)
    }
    // The seed was never restarted.
    #expect(used(world.hosts[0]) == 0)
  }
}
