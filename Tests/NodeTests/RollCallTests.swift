// Goal: whoever asks is shown all members of the community, whether they are linked or not; who has gone is
// shown as gone; and nobody answers for another.
// Method: whole nodes on a virtual clock. Forged answers are put in behind the session of a member.

import Base
import Overlay
import Session
import Simulator
import Testing

@testable import Node
@testable import VPN

extension NodeCore {
  /// Takes an answer as if it had come from the member with that ID.
  fileprivate mutating func hear(_ answer: Frame, from source: OverlayID, at now: Instant) throws {
    let answer = try RollAnswer(decoding: answer)
    tunnel?.value.receive(answer, from: source, network.links, at: now)
  }

  fileprivate mutating func lose(_ id: OverlayID, at now: Instant) {
    tunnel?.value.roster.onLost(id, at: now)
  }

  fileprivate var rollCalls: RollCallCounters { reading { $0.rollCalls } ?? RollCallCounters() }
  fileprivate var rollNonce: UInt64 { reading { $0.rollCall.nonce } ?? 0 }
  fileprivate var lease: [UInt8] { reading { $0.leaseBytes } ?? [] }

  /// Whether it would tell another member whose address that is.
  fileprivate func knows(_ address: IPAddress, at now: Instant) -> Bool {
    reading { $0.known.lease(of: address, at: now) != nil } ?? false
  }
}

extension Host {
  fileprivate var rollCalls: RollCallCounters { core.rollCalls }
  fileprivate var rollNonce: UInt64 { core.rollNonce }
  fileprivate var lease: [UInt8] { core.lease }
}

@Suite struct RollCallTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let work = Community.shared(name: "work", secret: [UInt8](33...64))

  /// A seed, members with names, and two of another community.
  private func network(_ count: Int, seed: UInt64) throws -> World {
    let world = World(seed: seed)
    world.add()
    for number in 1...count {
      world.add(TunnelConfiguration(community: home, name: MemberName("host-\(number)")), bootstraps: [0])
    }
    for _ in 0..<2 { world.add(community: work, bootstraps: [0]) }
    let isReady = world.run(upTo: .seconds(40)) {
      world.hosts.allSatisfy { $0.snapshot.isReady && ($0.core.subringView?.isSettled ?? true) }
    }
    try #require(isReady != nil)
    world.run(for: .seconds(20))
    return world
  }

  private func isCalled(_ host: Host, _ ticket: UInt32) -> Bool {
    host.events.contains { if case .rollCalled(ticket) = $0 { true } else { false } }
  }

  /// Asks who is there, and waits for the end.
  /// - Returns: how long that took.
  @discardableResult
  private func callRoll(_ world: World, _ node: Int, ticket: UInt32) throws -> Interval {
    let host = world.hosts[node]
    world.act(host) { host.core.callRoll(ticket, &host.context) }
    return try #require(world.run(upTo: .seconds(4)) { isCalled(host, ticket) })
  }

  /// Names of those that are there, and of those that are not.
  private func list(_ host: Host) -> (here: [String], gone: [String]) {
    let peers = host.snapshot.peers.filter(\.isMember)
    let others = host.core.members(at: host.context.now).members
    let here = peers.compactMap(\.name) + others.filter { $0.path == .idle }.compactMap(\.name)
    return (here.sorted(), others.filter { $0.path == .offline }.compactMap(\.name).sorted())
  }

  private func names(_ numbers: some Sequence<Int>) -> [String] { numbers.map { "host-\($0)" }.sorted() }

  @Test func linkedOnesAreShownAtOnce() throws {
    let world = try network(5, seed: 301)
    let took = try callRoll(world, 2, ticket: 9)
    #expect(took == .zero && world.hosts[2].rollCalls.called == 0)
    #expect(list(world.hosts[2]).here == names([1, 3, 4, 5]))
    let seed = world.hosts[0]
    world.act(seed) { seed.core.callRoll(3, &seed.context) }
    #expect(isCalled(seed, 3) && seed.core.members(at: seed.context.now).members.isEmpty)
  }

  @Test(arguments: [12, 24]) func allMembersAreShown(count: Int) throws {
    let world = try network(count, seed: 302)
    for (turn, node) in [1, 7, count].enumerated() {
      let host = world.hosts[node]
      let unlinked = count - 1 - host.snapshot.peers.filter(\.isMember).count
      let took = try callRoll(world, node, ticket: UInt32(turn + 1))
      #expect(took <= .seconds(3))
      #expect(list(host).here == names((1...count).filter { $0 != node }), "by \(node)")
      let others = host.core.members(at: host.context.now)
      let true4 = world.hosts.map { $0.snapshot.community?.address?.address }
      for member in others.members {
        let number = try #require(world.hosts.firstIndex { $0.core.id == member.id })
        #expect(member.address == true4[number] && others.isWhole)
      }
      let again = try callRoll(world, node, ticket: UInt32(turn + 100))
      #expect(again == .zero && host.rollCalls.called == 1, "a fresh list is shown again")
      #expect(host.rollCalls.heard <= UInt64(unlinked), "linked ones do not answer")
    }
    let strangers = world.hosts.suffix(2)
    #expect(strangers.allSatisfy { $0.rollCalls.answered == 0 })
    #expect(world.hosts.allSatisfy { $0.rollCalls.forged == 0 && $0.rollCalls.limited == 0 })
  }

  @Test func theDeadAreShownAsGone() throws {
    let world = try network(12, seed: 303)
    try callRoll(world, 1, ticket: 1)
    for dead in [5, 11] { world.kill(dead) }
    world.run(for: .seconds(60))
    try callRoll(world, 1, ticket: 2)
    let (here, gone) = list(world.hosts[1])
    #expect(gone == names([5, 11]) && here == names((2...12).filter { $0 != 5 && $0 != 11 }))
    let seen = world.hosts[1].core.members(at: world.hosts[1].context.now).members
      .filter { $0.path == .offline }
      .map(\.lastSeen)
    #expect(seen.allSatisfy { $0 > .seconds(20) && $0 < .seconds(64) }, "\(seen.map(\.seconds))")
  }

  @Test func whoSaysGoodByeIsShownAsGoneAtOnce() throws {
    let world = try network(6, seed: 304)
    let leaver = world.hosts[4]
    let address = try #require(leaver.snapshot.community?.address?.address)
    let others = [1, 2, 3, 5, 6].map { world.hosts[$0] }
    #expect(others.allSatisfy { $0.core.knows(address, at: $0.context.now) })
    world.act(leaver) { leaver.core.leave(&leaver.context) }
    world.kill(4)
    world.run(for: .milliseconds(100))
    for host in others { #expect(list(host).gone == ["host-4"], "by \(host.number)") }
    #expect(others.allSatisfy { !$0.core.knows(address, at: $0.context.now) }, "its link is lost for all")
  }

  @Test func nobodyIsShownTwice() throws {
    let world = try network(4, seed: 306)
    let (host, other) = (world.hosts[1], world.hosts[2])
    // As if its new keys had not proved it yet.
    host.core.lose(other.core.id, at: host.context.now)
    let linked = host.snapshot.peers.map(\.id)
    let others = host.core.members(at: host.context.now).members
    #expect(linked.contains(other.core.id) && !others.contains { linked.contains($0.id) })
  }

  @Test func nobodyAnswersForAnother() throws {
    let world = try network(10, seed: 305)
    let host = world.hosts[1]
    world.act(host) { host.core.callRoll(1, &host.context) }
    let (nonce, now) = (host.rollNonce, host.context.now)
    let mine = Identity(seed: Key(bytes: [UInt8](repeating: 9, count: 32))!)
    let theirs = world.hosts[2]
    func hear(_ bytes: [UInt8], from source: OverlayID) throws {
      let scratch = Scratch(capacity: bytes.count)
      scratch.frame.write(bytes)
      try host.core.hear(scratch.frame, from: source, at: now)
    }
    func answer(_ nonce: UInt64, lease: [UInt8] = []) -> [UInt8] {
      RollAnswer.make(nonce: nonce, name: MemberName("x"), lease: lease, by: mine, in: home)
    }
    var changed = answer(nonce)
    changed[41] ^= 1
    let wrong = [
      (changed, mine.id), (answer(nonce ^ 1), mine.id), (answer(nonce), theirs.core.id),
      (answer(nonce, lease: theirs.lease), mine.id), (answer(nonce, lease: [1, 2, 3]), mine.id),
    ]
    for (bytes, source) in wrong { try hear(bytes, from: source) }
    #expect(host.rollCalls.forged == UInt64(wrong.count))
    #expect(!list(host).here.contains("x") && !list(host).gone.contains("x"))
    try hear(answer(nonce), from: mine.id)
    #expect(list(host).here.contains("x") && host.rollCalls.forged == UInt64(wrong.count))
    let heard = host.rollCalls.heard
    try hear(answer(nonce), from: mine.id)
    #expect(host.rollCalls.heard == heard && host.rollCalls.forged == UInt64(wrong.count + 1), "once")
  }
}
