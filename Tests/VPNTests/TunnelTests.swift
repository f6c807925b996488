// Goal: a packet comes in only from the member that owns its source address and goes out only to the member
// that owns its destination, whatever members do.
// Method: whole nodes in a simulated network; what a cheating peer would send is put in behind its session.

import Base
import Overlay
import Session
import Simulator
import Testing

@testable import DHT
@testable import Node
@testable import VPN

extension NodeCore {
  /// Takes a packet as if it had come in a record of the peer.
  fileprivate mutating func accept(
    _ packet: PacketRef, from slot: Int, content: UInt8, _ context: inout Context
  ) {
    tunnel?.value.receive(
      packet, from: slot, content: content, offload: 0, counter: 1, &network, &context)
    settle(&context)
  }

  /// Takes a claim as if the peer had shown it.
  fileprivate mutating func acceptClaim(_ packet: PacketRef, from slot: Int, _ context: inout Context) {
    tunnel?.value.receiveClaim(packet, from: slot, &network, &context)
    settle(&context)
  }

  /// The content byte under which this node takes data of the community from the peer.
  fileprivate func receiveSlot(_ slot: Int) -> UInt8? {
    network.links.peers[slot].session.flatMap { network.links.sessions.slots($0, community: 0)?.receive }
  }

  fileprivate var lease: [UInt8] { reading { $0.leaseBytes } ?? [] }

  /// The tags of the questions to the directory that wait for their answers.
  fileprivate var openTags: [UInt32] {
    let requests = network.directory.requests.highWater
    return (0..<requests).filter { network.directory.requests.isUsed($0) }.map {
      network.directory.requests[$0].tag
    }
  }

  /// An answer of the directory.
  fileprivate mutating func answer(_ tag: UInt32, _ context: inout Context) {
    tunnel?.value.on(.directory(.failed(tag: tag)), &network, &context)
    settle(&context)
  }
}

extension Host {
  fileprivate func slot(of peer: Host) -> Int? { core.peer(with: peer.core.id) }
  fileprivate func receiveSlot(of peer: Host) -> UInt8? { slot(of: peer).flatMap { core.receiveSlot($0) } }
  fileprivate var lease: [UInt8] { core.lease }
  fileprivate var openTags: [UInt32] { core.openTags }
}

@Suite struct TunnelTests {
  let home = Community.shared(name: "home", secret: [UInt8](1...32))

  private func network(_ members: Int, seed: UInt64) throws -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 0..<members { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    world.run(for: .seconds(3))
    return world
  }

  private func address(_ host: Host) -> IPAddress { host.snapshot.community!.address!.address }

  private func counters(_ host: Host) -> TunnelCounters { host.snapshot.tunnel! }

  /// Both have sent each other a packet, so that there is a link on which the claims were shown.
  private func meet(_ world: World, _ a: Int, _ b: Int) throws {
    world.send(
      Packets.v4([1, 2, 3, 4, 5, 6, 7, 8], from: address(world.hosts[a]), to: address(world.hosts[b])),
      from: a)
    let before = world.hosts[b].delivered.count
    try #require(world.run(upTo: .seconds(5)) { world.hosts[b].delivered.count > before } != nil)
    world.run(for: .seconds(2))
  }

  private func feed(_ world: World, _ bytes: [UInt8], to host: Host, from peer: Host, content: UInt8? = nil)
    throws
  {
    let slot = try #require(host.slot(of: peer))
    let content = try #require(content ?? host.receiveSlot(of: peer))
    world.act(host) {
      guard let ref = host.context.pool.take(copying: Packets.frame(bytes)) else { return }
      host.core.accept(ref, from: slot, content: content, &host.context)
    }
  }

  @Test func onlyTheOwnersPacketsForThisNodeComeIn() throws {
    let world = try network(3, seed: 101)
    let (a, b, c) = (world.hosts[1], world.hosts[2], world.hosts[3])
    try meet(world, 1, 2)
    try meet(world, 3, 2)
    let free = b.context.pool.available
    let delivered = b.delivered.count
    try feed(world, Packets.v4([1], from: address(a), to: address(b)), to: b, from: a)
    #expect(b.delivered.count == delivered + 1)
    // Another member's address, one of nobody, one of the world outside, our own.
    for source in [address(c), IPAddress("100.95.255.1")!, IPAddress("8.8.8.8")!, address(b)] {
      try feed(world, Packets.v4([1], from: source, to: address(b)), to: b, from: a)
    }
    #expect(counters(b).spoofed == 4)
    let (ula, foreign) = (home.ula(of: a.core.id), home.ula(of: c.core.id))
    let own = home.ula(of: b.core.id)
    try feed(world, Packets.v6([1], from: foreign, to: own), to: b, from: a)
    #expect(counters(b).spoofed == 5)
    for target in [address(c), IPAddress("8.8.8.8")!, IPAddress("255.255.255.255")!, IPAddress("127.0.0.1")!]
    {
      try feed(world, Packets.v4([1], from: address(a), to: target), to: b, from: a)
    }
    #expect(counters(b).foreignDestination == 4)
    try feed(world, Packets.v6([1], from: ula, to: own), to: b, from: a)
    #expect(b.delivered.count == delivered + 2)
    try feed(world, [1, 2, 3], to: b, from: a)
    #expect(counters(b).malformed == 1)
    let found = b.core.network.links.peer(a.core.id)
    let slot = try #require(found)
    let received = b.core.network.links.peers[slot].receivedBytes
    #expect(received > 0)
    for content in UInt8(8)..<16 where content != b.receiveSlot(of: a) {
      try feed(world, Packets.v4([1], from: address(a), to: address(b)), to: b, from: a, content: content)
    }
    #expect(counters(b).noMember == 7 && b.delivered.count == delivered + 2)
    #expect(b.core.network.links.peers[slot].receivedBytes == received, "what is no member's is no traffic")
    #expect(b.context.pool.available == free)
  }

  @Test func programsCannotSendInTheNameOfOthers() throws {
    let world = try network(2, seed: 102)
    let (a, b) = (world.hosts[1], world.hosts[2])
    world.send(Packets.v4([1], from: address(b), to: address(b)), from: 1)
    world.send(Packets.v4([1], from: IPAddress("8.8.8.8")!, to: address(b)), from: 1)
    #expect(counters(a).foreignSource == 2)
    for target in ["8.8.8.8", "127.0.0.1", "2001:db8::1", "ff01::1"] {
      let target = IPAddress(target)!
      let packet =
        target.isV4
        ? Packets.v4([1], from: address(a), to: target)
        : Packets.v6([1], from: home.ula(of: a.core.id), to: target)
      world.send(packet, from: 1)
    }
    #expect(counters(a).notUnicast == 4)
    world.send([0x45, 0, 0], from: 1)
    #expect(counters(a).malformed == 1)
    world.run(for: .seconds(1))
    #expect(b.delivered.isEmpty)
  }

  @Test func claimOfAnotherIdentityIsRefused() throws {
    let world = try network(3, seed: 103)
    let (a, b, c) = (world.hosts[1], world.hosts[2], world.hosts[3])
    try meet(world, 1, 2)
    try meet(world, 3, 2)
    let slot = try #require(b.slot(of: a))
    let content = try #require(b.receiveSlot(of: a))
    func show(_ lease: [UInt8], content: UInt8) {
      world.act(b) {
        guard let ref = b.context.pool.take(copying: Packets.frame([0, content] + lease)) else { return }
        b.core.acceptClaim(ref, from: slot, &b.context)
      }
    }
    let before = counters(b).badClaims
    show(c.lease, content: content)
    var tampered = a.lease
    tampered[tampered.count - 70] ^= 1
    show(tampered, content: content)
    show(Array(a.lease.dropLast()), content: content)
    show(a.lease, content: content ^ 1)
    #expect(counters(b).badClaims == before + 4)
    show(a.lease, content: content)
    show([], content: content)
    #expect(counters(b).badClaims == before + 4)
    // Nothing was moved: packets still reach their owners.
    for (host, n) in [(a, 1), (c, 3)] {
      let delivered = host.delivered.count
      world.send(Packets.v4([9], from: address(b), to: address(host)), from: 2)
      world.run(for: .milliseconds(200))
      #expect(host.delivered.count == delivered + 1, "host \(n)")
    }
  }

  @Test func addressThatAPeerChangedIsLearnt() throws {
    let world = try network(3, seed: 104)
    let (a, b) = (world.hosts[1], world.hosts[2])
    try meet(world, 1, 2)
    let old = address(a)
    world.kill(1)
    world.run(for: .seconds(60))
    // The user asks for another address at the next start.
    let changed = IPPrefix(IPAddress(v4: old.v4 ^ 1), length: 16)
    let again = world.add(community: home, address: changed, bootstraps: [0])
    try #require(world.run(upTo: .seconds(20)) { again.snapshot.isReady } != nil)
    #expect(address(again) == changed.address)
    try meet(world, again.number, 2)
    #expect(b.snapshot.peers.first { $0.id == again.core.id }?.address == changed.address)
  }

  @Test func packetsToAMemberThatDiedNeverReachAnother() throws {
    let world = try network(3, seed: 105)
    let (a, dead) = (world.hosts[1], world.hosts[3])
    let gone = address(dead)
    world.kill(3)
    world.run(for: .seconds(40))
    // The claim is still there, but nobody answers.
    world.send(Packets.v4([1], from: address(a), to: gone), from: 1)
    world.run(for: .seconds(60))
    let others = (0..<6).map { _ in world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { others.allSatisfy { $0.snapshot.isReady } } != nil)
    for other in others { try meet(world, 1, other.number) }
    for n in 0..<10 {
      world.send(Packets.v4([UInt8(n)], from: address(a), to: gone), from: 1)
      world.run(for: .milliseconds(300))
    }
    for host in world.hosts where host.isAlive && host.number > 0 {
      #expect(counters(host).foreignDestination == 0)
    }
  }

  @Test func unansweredErrorsLoseNoSlots() throws {
    let world = try network(2, seed: 106)
    let a = world.hosts[1]
    let nobody = IPAddress(v4: address(a).v4 ^ 0x55)
    // The first question finds out that nobody is there.
    world.send(Packets.v4([1], from: address(a), to: nobody), from: 1)
    try #require(world.run(upTo: .seconds(15)) { !a.delivered.isEmpty } != nil)
    let free = a.context.pool.available
    for _ in 0..<20 {
      world.send(Packets.v4([3, 1, 0, 0, 0, 0, 0, 0], proto: 1, from: address(a), to: nobody), from: 1)
    }
    #expect(a.context.pool.available == free && a.delivered.count == 1)
  }

  @Test func addressThatIsTakenIsSaidOnce() throws {
    let world = try network(2, seed: 107)
    let wanted = IPPrefix(address(world.hosts[1]), length: 16)
    let late = world.add(community: home, address: wanted, bootstraps: [0])
    world.run(for: .seconds(60))
    let said = late.events.filter { if case .addressTaken(wanted.address) = $0 { true } else { false } }
    #expect(said.count == 1 && late.snapshot.community?.address == nil)
  }

  @Test func lateAnswerBelongsToItsOwnQuestion() throws {
    let world = try network(3, seed: 108)
    let (a, b) = (world.hosts[1], world.hosts[2])
    func isAnswered(_ ticket: UInt32) -> Bool {
      a.events.contains { if case .lookedUp(ticket, _) = $0 { true } else { false } }
    }
    world.act(a) { a.core.lookUp(address: IPAddress("100.80.3.3")!, id: nil, ticket: 1, &a.context) }
    let tag = try #require(a.openTags.first)
    try #require(world.run(upTo: .seconds(5)) { isAnswered(1) } != nil)
    // The place of the first question belongs to a second one when another answer to the first comes.
    world.act(a) { a.core.lookUp(address: address(b), id: nil, ticket: 2, &a.context) }
    try #require(!isAnswered(2))
    world.act(a) { a.core.answer(tag, &a.context) }
    #expect(!isAnswered(2))
    world.run(for: .seconds(2))
    #expect(
      a.events.contains {
        if case .lookedUp(2, .found(let id, _, _, _)) = $0 { id == b.core.id } else { false }
      })
  }
}
