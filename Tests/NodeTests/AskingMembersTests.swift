// Goal: an address is found among linked members before the directory is asked; only the owner's own claim
// counts; and the directory is asked when members do not know, do not answer, or were wrong.
// Method: whole nodes on a virtual clock. What a member says wrongly is put in behind its session.

import Base
import Overlay
import Session
import Simulator
import Testing

@testable import DHT
@testable import Node
@testable import VPN

extension NodeCore {
  fileprivate mutating func hear(_ bytes: Frame, from slot: Int, _ context: inout Context) {
    guard let answer = try? AddressAnswer(decoding: bytes) else { return }
    tunnel?.value.receive(answer, from: slot, &network, &context)
    settle(&context)
  }

  /// A member asks for an address that often, at once.
  fileprivate mutating func isAsked(
    _ times: Int, for address: IPAddress, by slot: Int, _ context: inout Context
  ) {
    for n in 0..<times {
      let question = AddressQuestion(nonce: UInt64(n), address: address)
      tunnel?.value.answer(question, to: slot, &network, &context)
    }
    settle(&context)
  }

  fileprivate func mayAskMembers(_ address: IPAddress, at now: Instant) -> Bool {
    reading { $0.resolver.mayAskMembers(address, at: now) } ?? false
  }

  fileprivate mutating func forget(_ address: IPAddress) { tunnel?.value.known.forget(address) }

  /// The number of the question about an address, and where it is asked.
  fileprivate func question(_ address: IPAddress) -> (nonce: UInt64, stage: Resolver.Stage)? {
    reading { tunnel in
      tunnel.resolver.question(for: address).map {
        (tunnel.resolver.questions[$0].nonce, tunnel.resolver.questions[$0].stage)
      }
    } ?? nil
  }

  fileprivate var asked: [Int] {
    let (slots, _) = network.links.quickMembers()
    return (0..<slots.count).map { Int(slots[$0]) }
  }

  fileprivate var lease: [UInt8] { reading { $0.leaseBytes } ?? [] }
}

extension Host {
  fileprivate var lease: [UInt8] { core.lease }
  fileprivate var asked: [Int] { core.asked }

  fileprivate func question(_ address: IPAddress) -> (nonce: UInt64, stage: Resolver.Stage)? {
    core.question(address)
  }
}

@Suite struct AskingMembersTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))

  private func network(_ count: Int, seed: UInt64) throws -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 0..<count { world.add(community: home, bootstraps: [0]) }
    let isReady = world.run(upTo: .seconds(40)) {
      world.hosts.allSatisfy { $0.snapshot.isReady && ($0.core.subringView?.isSettled ?? true) }
    }
    try #require(isReady != nil)
    world.run(for: .seconds(30))
    return world
  }

  private func address(_ host: Host) -> IPAddress { host.snapshot.community!.address!.address }

  private func packet(_ from: Host, _ to: IPAddress, _ number: UInt8) -> [UInt8] {
    var packet: [UInt8] = [0x45, 0, 0, 29, 0, 0, 0, 0, 1, 17, 0, 0]
    for address in [address(from), to] {
      packet += (0..<4).map { UInt8(truncatingIfNeeded: address.v4 >> (24 - 8 * UInt32($0))) }
    }
    return packet + [0, 9, 0, 9, 0, 9, 0, 0, number]
  }

  /// A member, and another that it has not met.
  private func strangers(_ world: World) throws -> (Host, Host) {
    for a in world.hosts.dropFirst() {
      let linked = a.snapshot.peers.filter(\.isMember).map(\.id)
      if let b = world.hosts.dropFirst().first(where: { $0 !== a && !linked.contains($0.core.id) }) {
        return (a, b)
      }
    }
    throw SuiteError.nobody
  }

  private enum SuiteError: Error { case nobody }

  private func hear(_ world: World, _ bytes: [UInt8], at host: Host, from slot: Int, nonce: UInt64) {
    let scratch = Scratch(capacity: 8 + bytes.count)
    scratch.frame.setBig(0, nonce)
    scratch.frame.dropping(8).write(bytes)
    world.act(host) { host.core.hear(scratch.frame, from: slot, &host.context) }
  }

  @Test func aMemberThatKnowsIsEnough() throws {
    let world = try network(20, seed: 401)
    let (a, b) = try strangers(world)
    let before = a.snapshot.tunnel!
    world.send(packet(a, address(b), 1), from: a.number)
    #expect(a.question(address(b))?.stage == .members)
    try #require(world.run(upTo: .seconds(3)) { !b.delivered.isEmpty } != nil)
    world.run(for: .seconds(2))
    let after = a.snapshot.tunnel!
    #expect(after.askedMembers == before.askedMembers + 1 && after.membersKnew == before.membersKnew + 1)
    #expect(after.badClaims == before.badClaims)
    #expect(a.core.peer(with: b.core.id).map { a.core.isRouted(address(b), to: $0) } == true)
  }

  @Test func directoryIsAskedWhenNoMemberKnows() throws {
    let world = try network(20, seed: 402)
    let (a, b) = try strangers(world)
    for host in world.hosts where host !== b { host.core.forget(address(b)) }
    let before = a.snapshot.tunnel!
    world.send(packet(a, address(b), 1), from: a.number)
    try #require(world.run(upTo: .seconds(3)) { !b.delivered.isEmpty } != nil)
    let after = a.snapshot.tunnel!
    #expect(after.askedMembers == before.askedMembers + 1 && after.membersKnew == before.membersKnew)
  }

  @Test func silenceOfMembersCostsLittle() throws {
    let world = try network(20, seed: 403)
    let (a, b) = try strangers(world)
    let slots = a.asked
    let silent = world.hosts.filter { host in slots.contains { a.core.peer(with: host.core.id) == $0 } }
    try #require(silent.count == 4)
    for host in silent { world.kill(host.number) }
    world.send(packet(a, address(b), 1), from: a.number)
    let asked = try #require(
      world.run(upTo: .seconds(1)) { a.question(address(b)).map { $0.stage == .directory } ?? false })
    #expect(asked <= Tunnel.membersPatience)
    #expect(world.run(upTo: .seconds(9)) { !b.delivered.isEmpty } != nil)
  }

  @Test func nobodyLinkedMeansTheDirectoryAtOnce() throws {
    let world = try network(1, seed: 404)
    let a = world.hosts[1]
    let nobody = IPAddress(v4: address(a).v4 ^ 0x55)
    world.send(packet(a, nobody, 1), from: 1)
    #expect(a.question(nobody)?.stage != .members && a.snapshot.tunnel!.askedMembers == 0)
  }

  @Test func forgedClaimsAreRefused() throws {
    let world = try network(20, seed: 405)
    let (a, b) = try strangers(world)
    let liar = try #require(a.asked.first)
    let other = try #require(world.hosts.dropFirst().first { $0 !== a && $0 !== b })
    world.send(packet(a, address(b), 1), from: a.number)
    let nonce = try #require(a.question(address(b))?.nonce)
    let before = a.snapshot.tunnel!.badClaims
    var changed = b.lease
    changed[changed.count - 70] ^= 1
    for lease in [other.lease, changed, [1, 2, 3], Array(b.lease.dropLast())] {
      hear(world, lease, at: a, from: liar, nonce: nonce)
    }
    #expect(a.snapshot.tunnel!.badClaims == before + 4 && a.question(address(b))?.stage == .members)
    try #require(world.run(upTo: .seconds(3)) { !b.delivered.isEmpty } != nil)
    #expect(other.delivered.isEmpty)
  }

  /// A claim that was true once, passed on by a member that lies about it: the directory knows better.
  @Test func anOldClaimDoesNotLast() throws {
    let world = try network(20, seed: 406)
    let (a, b) = try strangers(world)
    let (old, lease) = (address(b), b.lease)
    let liar = try #require(a.asked.first)
    world.kill(b.number)
    world.run(for: .seconds(200))
    let heir = world.add(
      community: home, address: IPPrefix(old, length: b.snapshot.community!.pool!.length), bootstraps: [0])
    try #require(world.run(upTo: .seconds(20)) { heir.snapshot.isReady } != nil)
    for host in world.hosts where host.isAlive && host !== heir { host.core.forget(old) }
    let isLinked = a.snapshot.peers.contains { $0.id == heir.core.id }
    try #require(!isLinked)
    world.send(packet(a, old, 1), from: a.number)
    let nonce = try #require(a.question(old)?.nonce)
    hear(world, lease, at: a, from: liar, nonce: nonce)
    #expect(a.question(old)?.stage == .named)
    let took = world.run(upTo: .seconds(4)) { !heir.delivered.isEmpty }
    #expect(took != nil, "nobody waits for the end of a handshake with the one that was named")
    let isTrusted = a.core.mayAskMembers(old, at: a.context.now)
    #expect(!isTrusted)
    hear(world, lease, at: a, from: liar, nonce: nonce)
    #expect(a.core.peer(with: heir.core.id).map { a.core.isRouted(old, to: $0) } == true)
  }

  @Test func aMemberMayNotAskForEver() throws {
    let world = try network(3, seed: 407)
    let (a, b) = (world.hosts[1], world.hosts[2])
    let found = a.core.peer(with: b.core.id)
    let slot = try #require(found)
    world.act(a) { a.core.isAsked(80, for: address(a), by: slot, &a.context) }
    #expect(a.snapshot.tunnel!.askedTooMuch == 30)
    world.run(for: .seconds(1))
    world.act(a) { a.core.isAsked(50, for: address(a), by: slot, &a.context) }
    #expect(a.snapshot.tunnel!.askedTooMuch == 30)
  }
}

extension NodeCore {
  /// Whether packets for the address go to the peer.
  fileprivate func isRouted(_ address: IPAddress, to slot: Int) -> Bool {
    reading { $0.peer(with: address) == slot } ?? false
  }
}
