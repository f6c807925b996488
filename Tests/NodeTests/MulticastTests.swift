// Goal: a packet for a multicast group comes once to each member whose programs have joined it, by whichever
// way, and to no other; whoever joins, leaves or dies changes that soon.
// Method: whole nodes on a virtual clock. What a kernel would report is put into a device, and what devices
// are given is counted.

import Base
import Node
import Overlay
import Session
import Simulator
import Testing

@testable import VPN

private func bytes(_ address: IPAddress) -> [UInt8] {
  let all = [address.high, address.low].flatMap { word in
    (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
  }
  return address.isV4 ? Array(all.suffix(4)) : all
}

/// The bytes with a checksum at a place.
private func checked(_ bytes: [UInt8], at place: Int, with others: [UInt8] = []) -> [UInt8] {
  var total = 0
  for (i, byte) in (others + bytes).enumerated() { total += Int(byte) << (i % 2 == 0 ? 8 : 0) }
  while total > 0xFFFF { total = (total >> 16) + (total & 0xFFFF) }
  var bytes = bytes
  bytes[place] = UInt8((0xFFFF - total) >> 8)
  bytes[place + 1] = UInt8((0xFFFF - total) & 255)
  return bytes
}

/// What a kernel says when a program joins or leaves a group: IGMPv2 or MLDv1.
private func report(_ group: IPAddress, joins: Bool, from source: IPAddress) -> [UInt8] {
  if group.isV4 {
    let header = [0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0] + bytes(source) + bytes(group)
    return checked(header, at: 10) + checked([joins ? 0x16 : 0x17, 0, 0, 0] + bytes(group), at: 2)
  }
  let addresses = bytes(IPAddress("fe80::7")!) + bytes(group)
  let body = [joins ? 131 : 132, 0, 0, 0, 0, 0, 0, 0] + bytes(group)
  let whole = checked(body, at: 2, with: addresses + [0, 0, 0, 24, 0, 0, 0, 58])
  return [0x60, 0, 0, 0, 0, 32, 0, 1] + addresses + [58, 0, 5, 2, 0, 0, 1, 0] + whole
}

/// A UDP packet with a number.
private func datagram(from source: IPAddress, to group: IPAddress, number: UInt8) -> [UInt8] {
  let payload: [UInt8] = [0, 9, 0, 9, 0, 10, 0, 0, number, 77]
  return group.isV4
    ? [0x45, 0, 0, 30, 0, 0, 0, 0, 1, 17, 0, 0] + bytes(source) + bytes(group) + payload
    : [0x60, 0, 0, 0, 0, 10, 17, 1] + bytes(source) + bytes(group) + payload
}

@Suite struct MulticastTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let group = IPAddress("239.1.2.3")!
  private let group6 = IPAddress("ff15::7741")!

  /// A seed, and members numbered from 1 on.
  /// - Parameters:
  ///   - quiet: the member that wants no multicasts.
  ///   - still: the member that wants no broadcasts.
  private func network(_ count: Int, seed: UInt64, quiet: Int? = nil, still: Int? = nil) throws -> World {
    let world = World(seed: seed)
    world.add()
    for number in 1...count {
      let tunnel = TunnelConfiguration(
        community: home, broadcasts: number != still, multicasts: number != quiet)
      world.add(tunnel, bootstraps: [0])
    }
    let isReady = world.run(upTo: .seconds(30)) {
      world.hosts.allSatisfy { $0.snapshot.isReady && ($0.core.subringView?.isSettled ?? true) }
    }
    try #require(isReady != nil)
    world.run(for: .seconds(20))
    return world
  }

  private func address(_ world: World, _ node: Int, for group: IPAddress) -> IPAddress {
    let community = world.hosts[node].snapshot.community!
    return group.isV4 ? community.address!.address : community.address6
  }

  private func set(_ world: World, _ nodes: some Sequence<Int>, join group: IPAddress, _ joins: Bool = true) {
    for node in nodes {
      world.send(report(group, joins: joins, from: address(world, node, for: group)), from: node)
    }
  }

  private func say(_ world: World, _ number: UInt8, from node: Int, to group: IPAddress) -> [UInt8] {
    let packet = datagram(from: address(world, node, for: group), to: group, number: number)
    world.send(packet, from: node)
    return packet
  }

  /// Which members' devices were given the packet, each as often as it was.
  private func hearers(_ world: World, _ packet: [UInt8]) -> [Int] {
    world.hosts.flatMap { host in host.delivered.filter { $0.bytes == packet }.map { _ in host.number } }
  }

  private func counters(_ world: World, _ node: Int) -> MulticastCounters {
    world.hosts[node].snapshot.multicast!
  }

  /// The member nearest to the group's place.
  private func root(_ world: World, _ count: Int) -> Int {
    let place = home.place(of: group)
    let alive = (1...count).filter { world.hosts[$0].isAlive }
    return alive.min { distance(world, $0, place) < distance(world, $1, place) }!
  }

  private func distance(_ world: World, _ node: Int, _ place: OverlayID) -> OverlayID {
    world.hosts[node].core.id.distance(to: place)
  }

  @Test func fewReceiversGetItFromTheSenderAndOthersNothing() throws {
    let world = try network(20, seed: 71)
    for (turn, group) in [group, group6].enumerated() {
      let receivers = [3, 9, 17]
      set(world, receivers, join: group)
      world.run(for: .seconds(2))
      let before = counters(world, 5).toReceivers
      for number in 0..<10 {
        let packet = say(world, UInt8(10 * turn + number), from: 5, to: group)
        world.run(for: .milliseconds(300))
        #expect(hearers(world, packet) == receivers, "packet \(number) to \(group)")
      }
      #expect(counters(world, 5).toReceivers - before == 30)
      #expect((1...20).allSatisfy { counters(world, $0).unwanted == 0 && counters(world, $0).toAll == 0 })
    }
  }

  @Test func manyReceiversGetItByTheTree() throws {
    let world = try network(24, seed: 72)
    let receivers = Array(4...21)
    set(world, receivers, join: group)
    world.run(for: .seconds(2))
    for (number, sender) in [1, 2, 10, 21, 1].enumerated() {
      let packet = say(world, UInt8(number), from: sender, to: group)
      world.run(for: .seconds(1))
      #expect(hearers(world, packet) == receivers.filter { $0 != sender }, "from \(sender)")
    }
    let sums = (1...24).map { counters(world, $0) }
    #expect(sums.map(\.toTree).reduce(0, +) == 5 && sums.allSatisfy { $0.toAll == 0 && $0.forged == 0 })
    #expect(sums.map(\.lowered).reduce(0, +) <= 5 * 23, "not more copies than members")
  }

  @Test func nobodyReceivesWhatNobodyJoined() throws {
    let world = try network(5, seed: 73)
    let packet = say(world, 1, from: 2, to: group)
    world.run(for: .seconds(3))
    let sums = counters(world, 2)
    #expect(hearers(world, packet).isEmpty && sums.toNobody == 1 && sums.toAll == 0)
  }

  @Test func newcomersAndLeaversAreNoticedSoon() throws {
    let world = try network(12, seed: 74)
    set(world, [4], join: group)
    world.run(for: .seconds(1))
    var number: UInt8 = 0
    func next() -> [Int] {
      number += 1
      let packet = say(world, number, from: 2, to: group)
      world.run(for: .milliseconds(200))
      return hearers(world, packet)
    }
    #expect(next() == [4])
    set(world, [8], join: group)
    world.run(for: .milliseconds(500))
    #expect(next() == [4, 8])
    set(world, [4], join: group, false)
    world.run(for: .milliseconds(500))
    #expect(next() == [8])
    set(world, [8], join: group, false)
    world.run(for: .milliseconds(500))
    #expect(next() == [])
    set(world, [11], join: group)
    world.run(for: .milliseconds(500))
    #expect(next() == [11])
    // Nothing is reported for 260 s: the kernel would have answered the queries.
    world.run(for: .seconds(275))
    #expect(next() == [])
  }

  @Test(arguments: [6, 18]) func whoDiesIsForgotten(count: Int) throws {
    let world = try network(24, seed: 75)
    let receivers = Array(3..<(3 + count))
    set(world, receivers, join: group)
    world.run(for: .seconds(2))
    _ = say(world, 1, from: 1, to: group)
    world.run(for: .seconds(1))
    world.kill(receivers[1])
    world.kill(receivers[4])
    world.run(for: .seconds(8))
    let left = receivers.filter { world.hosts[$0].isAlive }
    for number in 2..<UInt8(6) {
      let packet = say(world, number, from: 1, to: group)
      world.run(for: .seconds(1))
      #expect(hearers(world, packet) == left)
    }
  }

  @Test(arguments: [3, 19]) func deathOfTheRootIsHealed(count: Int) throws {
    let world = try network(24, seed: 76)
    let root = root(world, 24)
    let members = (1...24).filter { $0 != root }
    let receivers = Array(members.prefix(count))
    let sender = members.last!
    set(world, receivers, join: group)
    world.run(for: .seconds(2))
    let before = say(world, 1, from: sender, to: group)
    world.run(for: .seconds(1))
    #expect(hearers(world, before) == receivers)
    world.kill(root)
    // A far link is asked every 25 s whether it is still there; those that report over it wait for that.
    world.run(for: .seconds(count > 16 ? 30 : 8))
    for number in 2..<UInt8(30) {
      let packet = say(world, number, from: sender, to: group)
      world.run(for: .seconds(1))
      #expect(hearers(world, packet) == receivers, "packet \(number)")
    }
    set(world, [members[count]], join: group)
    world.run(for: .seconds(1))
    let packet = say(world, 30, from: sender, to: group)
    world.run(for: .seconds(1))
    #expect(hearers(world, packet) == receivers + [members[count]])
  }

  @Test func newRootTakesOver() throws {
    let world = try network(12, seed: 77)
    set(world, [2, 6], join: group)
    world.run(for: .seconds(2))
    _ = say(world, 1, from: 4, to: group)
    world.run(for: .seconds(1))
    // Of so many newcomers one stands nearer to the place than all before.
    let old = root(world, 12)
    for _ in 0..<20 { world.add(TunnelConfiguration(community: home), bootstraps: [0]) }
    world.run(for: .seconds(30))
    #expect(root(world, 32) != old)
    for number in 2..<UInt8(6) {
      let packet = say(world, number, from: 4, to: group)
      world.run(for: .seconds(1))
      #expect(hearers(world, packet) == [2, 6])
    }
    set(world, [20], join: group)
    world.run(for: .seconds(1))
    let packet = say(world, 6, from: 4, to: group)
    world.run(for: .seconds(1))
    #expect(hearers(world, packet) == [2, 6, 20])
  }

  @Test func twoSendersAndTwoGroups() throws {
    let world = try network(10, seed: 78)
    set(world, [1, 2, 3], join: group)
    set(world, [3, 4], join: group6)
    world.run(for: .seconds(2))
    for number in 0..<UInt8(5) {
      let packets = [
        say(world, number, from: 1, to: group), say(world, number, from: 9, to: group),
        say(world, number, from: 9, to: group6),
      ]
      world.run(for: .milliseconds(500))
      #expect(packets.map { hearers(world, $0) } == [[2, 3], [1, 2, 3], [3, 4]])
    }
  }

  @Test func lossesDoNotLastLong() throws {
    let world = try network(12, seed: 79)
    world.lossPerMille = 100
    set(world, [3, 7, 11], join: group)
    world.run(for: .seconds(3))
    var copies = 0
    for number in 0..<UInt8(40) {
      let packet = say(world, number, from: 5, to: group)
      world.run(for: .milliseconds(200))
      let heard = hearers(world, packet)
      #expect(Set(heard).isSubset(of: [3, 7, 11]) && Set(heard).count == heard.count)
      copies += heard.count
    }
    #expect(copies > 90, "\(copies) of 120: one in ten is lost on each way")
  }

  @Test func whoWantsNoneGetsNoneAndSendsNone() throws {
    let world = try network(6, seed: 80, quiet: 3, still: 4)
    let everybody = IPAddress("224.0.0.251")!
    set(world, [2, 3], join: group)
    world.run(for: .seconds(2))
    let packet = say(world, 1, from: 5, to: group)
    let toAll = say(world, 2, from: 5, to: everybody)
    let mine = say(world, 3, from: 3, to: group)
    let mineToAll = say(world, 4, from: 3, to: everybody)
    let broadcast = say(world, 5, from: 3, to: .broadcast)
    let noBroadcast = say(world, 6, from: 4, to: .broadcast)
    world.run(for: .seconds(2))
    #expect(hearers(world, broadcast) == [1, 2, 5, 6] && hearers(world, noBroadcast) == [])
    #expect(world.hosts[4].snapshot.tunnel!.switchedOff == 2)
    world.run(for: .seconds(2))
    #expect(hearers(world, packet) == [2] && hearers(world, toAll) == [1, 2, 4, 6])
    #expect(hearers(world, mine) == [] && hearers(world, mineToAll) == [])
    #expect(world.hosts[3].snapshot.tunnel!.switchedOff >= 3)
  }

  @Test func deviceIsAskedEveryTwoMinutes() throws {
    let world = try network(2, seed: 81)
    world.run(for: .seconds(260))
    let queries = world.hosts[1].queries.filter { $0.bytes.count == 36 && $0.bytes[24] == 0x11 }.map(\.at)
    try #require(queries.count == 3)
    #expect(queries[1] - queries[0] == .seconds(125))
    #expect(world.hosts[1].queries.filter { $0.bytes.count == 76 && $0.bytes[48] == 130 }.count == 3)
  }
}
