// Goal: what a member says to all or to a group is believed only from its own address, and only as it was
// signed, whatever the program on the sending machine does.
// Method: whole nodes on a virtual clock. One of them says, past its own checks, what it should not.

import Base
import Simulator
import Testing

@testable import Node
@testable import Overlay
@testable import Session
@testable import VPN

extension NodeCore {
  /// Says to all, or by a group's tree, what the device would not be allowed to. Takes the slot.
  fileprivate mutating func sayUnchecked(_ packet: PacketRef, byTree: Bool, _ context: inout Context) {
    if byTree {
      tunnel?.value.raise(packet, &network, &context)
    } else {
      tunnel?.value.broadcasting.say(.packet, packet, &network.links, &context)
    }
    context.pool.release(packet)
    settle(&context)
  }

  /// As if a program here had joined a group.
  fileprivate mutating func join(_ group: IPAddress, _ community: Community, _ context: inout Context) {
    _ = tunnel?.value.multicast.local.note(group, isReceived: true, at: context.now)
    tunnel?.value.multicast.tree.set(group, isReceived: true, community, at: context.now)
    settle(&context)
  }

  /// Shows all linked members a claim of an address that is another's; of its own one nothing is said any
  /// more.
  fileprivate mutating func showClaim(of address: IPAddress, _ context: inout Context) {
    guard var tunnel = tunnel.take() else { return }
    let bytes = Tunnel.bytes(address)
    tunnel.value.leaseBytes = tunnel.value.makeLease(
      .claim, name: bytes, content: bytes, 600, network.links)
    tunnel.value.forgetShown()
    tunnel.value.showAgain(&network, &context)
    self.tunnel = consume tunnel
    settle(&context)
  }

  /// Hands a frame to each linked member. Takes the slot.
  fileprivate mutating func handToMembers(_ frame: PacketRef, _ context: inout Context) {
    for slot in 0..<network.links.peers.highWater where network.links.peers.isUsed(slot) {
      guard let content = network.links.memberSlot(slot),
        let copy = context.pool.take(copying: context.pool.frame(frame))
      else { continue }
      network.links.sendData(copy, content: content, to: slot, &context)
    }
    context.pool.release(frame)
    settle(&context)
  }
}

@Suite struct ForgeryTests {
  private static let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private static let group = IPAddress("239.1.2.3")!
  private static let group6 = IPAddress("ff15::7741")!
  private static let everybody6 = IPAddress("ff02::fb")!
  private static let (culprit, victim, count) = (1, 2, 20)

  private static func bytes(_ address: IPAddress) -> [UInt8] {
    let all = [address.high, address.low].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
    }
    return address.isV4 ? Array(all.suffix(4)) : all
  }

  /// A UDP packet with a number.
  private static func packet(from source: IPAddress, to target: IPAddress, number: UInt8) -> [UInt8] {
    let (ends, payload) = (bytes(source) + bytes(target), [0, 9, 0, 9, 0, 9, 0, 0, number])
    return target.isV4
      ? [0x45, 0, 0, 29, 0, 0, 0, 0, 1, 17, 0, 0] + ends + payload
      : [0x60, 0, 0, 0, 0, 9, 17, 1] + ends + payload
  }

  /// A seed, and twenty members that receive both groups and have all heard each other.
  private func network(seed: UInt64) throws -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 0..<Self.count { world.add(community: Self.home, bootstraps: [0]) }
    let isReady = world.run(upTo: .seconds(30)) {
      world.hosts.allSatisfy { $0.snapshot.isReady && ($0.core.subringView?.isSettled ?? true) }
    }
    try #require(isReady != nil)
    for host in world.hosts.dropFirst() {
      world.act(host) {
        host.core.join(Self.group, Self.home, &host.context)
        host.core.join(Self.group6, Self.home, &host.context)
      }
    }
    world.run(for: .seconds(20))
    for member in 1...Self.count {
      world.send(
        Self.packet(from: address(world, member), to: .broadcast, number: UInt8(member)), from: member)
      world.run(for: .milliseconds(200))
    }
    world.run(for: .seconds(2))
    return world
  }

  private func address(_ world: World, _ node: Int) -> IPAddress {
    world.hosts[node].snapshot.community!.address!.address
  }

  /// How many members' devices were given the packet.
  private func hearers(_ world: World, _ packet: [UInt8]) -> Int {
    world.hosts.filter { host in host.isAlive && host.delivered.contains { $0.bytes == packet } }.count
  }

  private func spoofed(_ world: World) -> UInt64 {
    world.hosts.dropFirst().reduce(0) { $0 + $1.snapshot.tunnel!.spoofed }
  }

  private func say(_ world: World, _ packet: [UInt8], byTree: Bool) {
    let host = world.hosts[Self.culprit]
    world.act(host) {
      guard let ref = host.context.pool.take(length: packet.count) else { return }
      host.context.pool.frame(ref).write(packet)
      host.core.sayUnchecked(ref, byTree: byTree, &host.context)
    }
    world.run(for: .seconds(2))
  }

  @Test(arguments: [false, true]) func nobodyBelievesTheAddressOfAnother(byTree: Bool) throws {
    let world = try network(seed: 91)
    let pool = try #require(world.hosts[1].snapshot.community?.pool)
    let (own, own6) = (
      address(world, Self.culprit), Self.home.ula(of: world.hosts[Self.culprit].core.id)
    )
    let foreign6 = Self.home.ula(of: world.hosts[Self.victim].core.id)
    let (to, to6) = byTree ? (Self.group, Self.group6) : (.broadcast, Self.everybody6)
    for (number, source) in [own, own6].enumerated() {
      let packet = Self.packet(from: source, to: source.isV4 ? to : to6, number: UInt8(100 + number))
      say(world, packet, byTree: byTree)
      #expect(hearers(world, packet) == Self.count - 1, "what is true is heard: \(source)")
    }
    let sources = [
      address(world, Self.victim), pool.broadcast, IPAddress("8.8.8.8")!, .broadcast, foreign6,
      IPAddress("2001:db8::1")!, IPAddress("fe80::7")!,
    ]
    for (number, source) in sources.enumerated() {
      let before = spoofed(world)
      let packet = Self.packet(from: source, to: source.isV4 ? to : to6, number: UInt8(120 + number))
      say(world, packet, byTree: byTree)
      #expect(hearers(world, packet) == 0, "in the name of \(source)")
      #expect(spoofed(world) - before == UInt64(Self.count - 1), "each counts it: \(source)")
    }
  }

  @Test func shownClaimOfAnotherHoldsOnlyUntilItMatters() throws {
    let world = try network(seed: 94)
    let host = world.hosts[Self.culprit]
    let taken = address(world, Self.victim)
    world.act(host) { host.core.showClaim(of: taken, &host.context) }
    world.run(for: .seconds(5))
    // Who believed it asks the directory as soon as anybody speaks from there.
    say(world, Self.packet(from: taken, to: .broadcast, number: 170), byTree: false)
    let forged = Self.packet(from: taken, to: .broadcast, number: 171)
    say(world, forged, byTree: false)
    #expect(hearers(world, forged) == 0)
    let mine = Self.packet(from: taken, to: .broadcast, number: 172)
    world.send(mine, from: Self.victim)
    world.run(for: .seconds(2))
    #expect(hearers(world, mine) == Self.count - 1)
  }

  @Test func newOwnerOfAnAddressIsHeard() throws {
    let world = try network(seed: 93)
    let community = try #require(world.hosts[Self.victim].snapshot.community)
    let taken = address(world, Self.victim)
    world.kill(Self.victim)
    // Its claim holds for two minutes.
    world.run(for: .seconds(130))
    let heir = world.add(
      TunnelConfiguration(community: Self.home, address: IPPrefix(taken, length: community.pool!.length)),
      bootstraps: [0])
    let isReady = world.run(upTo: .seconds(30)) { heir.snapshot.isReady }
    try #require(isReady != nil && address(world, heir.number) == taken)
    world.run(for: .seconds(5))
    for number in 0..<UInt8(8) {
      let packet = Self.packet(from: taken, to: .broadcast, number: 160 + number)
      world.send(packet, from: heir.number)
      world.run(for: .seconds(3))
      if number == 7 { #expect(hearers(world, packet) == Self.count - 1) }
    }
  }

  @Test(arguments: [false, true]) func nobodyBelievesTheNameOfAnother(byTree: Bool) throws {
    let world = try network(seed: 92)
    let (host, victim) = (world.hosts[Self.culprit], world.hosts[Self.victim])
    let target = byTree ? Self.group : .broadcast
    let packet = Self.packet(from: address(world, Self.victim), to: target, number: 140)
    let overhead = byTree ? TreeFrame.overhead : BroadcastFrame.overhead
    let scratch = Scratch(capacity: packet.count)
    scratch.frame.write(packet)
    world.act(host) {
      guard let ref = host.context.pool.take(length: packet.count + overhead) else { return }
      let frame = host.context.pool.frame(ref)
      let identity = host.core.network.links.identity
      // Where the origin's key stands.
      var named = WireWriter(frame.dropping(byTree ? 3 : 22))
      if byTree {
        TreeFrame.write(scratch.frame, sequence: 1 << 50, by: identity, in: Self.home, to: frame)
        TreeFrame.address(frame, steps: 0, isDown: false)
      } else {
        BroadcastFrame.write(
          .packet, scratch.frame, sequence: 1 << 50, by: identity, in: Self.home, to: frame)
        BroadcastFrame.address(frame, steps: 0, ticket: 1, .all(but: host.core.id.high))
      }
      victim.core.network.links.identity.publicKey.encode(to: &named)
      host.core.handToMembers(ref, &host.context)
    }
    world.run(for: .seconds(2))
    #expect(hearers(world, packet) == 0)
    let counts = world.hosts.dropFirst().map { ($0.core.broadcasts!, $0.snapshot.multicast!) }
    let forged = counts.reduce(0) { $0 + (byTree ? $1.1.forged : $1.0.forged) }
    // By the tree only those take it at all that stand nearer to the group's place.
    #expect(forged > 0 && counts.allSatisfy { $0.0.handedOn == 0 })
    #expect(byTree || forged >= 8)
    // The victim is heard as before.
    let mine = Self.packet(from: address(world, Self.victim), to: .broadcast, number: 141)
    world.send(mine, from: Self.victim)
    world.run(for: .seconds(2))
    #expect(hearers(world, mine) == Self.count - 1)
  }
}
