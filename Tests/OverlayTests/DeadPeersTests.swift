// Goal: who is believed to be gone is asked again, often at first, then ever more rarely, for a day, and
// never more than a bounded number of them.
// Method: the list on a clock of its own, and links on wires that are cut for a while.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct DeadPeersTests {
  private let endpoint = Endpoint(IPAddress(v4: 0x0A00_0001), port: 7_741)

  /// The moments at which peers are asked, until `end`.
  private func tries(
    _ dead: inout DeadPeers, _ context: inout Context, until end: Instant
  ) -> [(key: PublicKey, at: Instant)] {
    var list: [(PublicKey, Instant)] = []
    while dead.deadline <= end, list.count < 10_000 {
      context.now = max(context.now, dead.deadline)
      while let peer = dead.takeDue(&context) { list.append((peer.key, context.now)) }
    }
    return list
  }

  @Test(arguments: [UInt64(1), 2, 3]) func triesComeOftenThenRarelyForADay(seed: UInt64) {
    var context = Context(packets: 1, effects: 1, seed: seed)
    var random = Random(seed: seed)
    var dead = DeadPeers()
    dead.bury(random.publicKey(), at: endpoint, &context)
    let moments = tries(&dead, &context, until: .start + .minutes(25 * 60)).map(\.at)
    var gaps: [Double] = []
    for (i, moment) in moments.enumerated() {
      gaps.append((moment - (i == 0 ? .start : moments[i - 1])).seconds)
    }
    // The first, and six more as often.
    #expect(gaps.prefix(7).allSatisfy { (8...12).contains($0) }, "\(gaps.prefix(7))")
    let rarer = gaps.dropFirst(7)
    for (gap, next) in zip(rarer, rarer.dropFirst()) where gap < 480 {
      #expect((1.3...3).contains(next / gap), "from \(gap) s to \(next) s: twice as long, more or less")
    }
    #expect(rarer.dropFirst(8).allSatisfy { (480...720).contains($0) })
    #expect((130...180).contains(moments.count), "\(moments.count) tries")
    #expect(moments.last! <= .start + .minutes(24 * 60))
    #expect(dead.peers.isEmpty && dead.deadline == .never)
  }

  @Test func ofManyOneIsAskedAtATimeByLot() {
    var context = Context(packets: 1, effects: 1, seed: 4)
    var random = Random(seed: 4)
    var dead = DeadPeers()
    let keys = (0..<20).map { _ in random.publicKey() }
    for key in keys { dead.bury(key, at: endpoint, &context) }
    let asked = tries(&dead, &context, until: .start + .minutes(30))
    #expect((145...220).contains(asked.count), "every ten seconds: \(asked.count)")
    for key in keys { #expect((1...25).contains(asked.count { $0.key == key })) }
  }

  @Test func tooManyMakeWayForNewOnes() {
    var context = Context(packets: 1, effects: 1, seed: 5)
    var random = Random(seed: 5)
    var dead = DeadPeers()
    let keys = (0..<DeadPeers.limit).map { _ in random.publicKey() }
    for key in keys.prefix(40) { dead.bury(key, at: endpoint, &context) }
    _ = tries(&dead, &context, until: .start + .seconds(30))
    for key in keys.dropFirst(40) { dead.bury(key, at: endpoint, &context) }
    #expect(dead.peers.count == DeadPeers.limit)
    for _ in 0..<24 {
      let most = dead.peers.map(\.tries).max()!
      let new = random.publicKey()
      let before = dead.peers
      dead.bury(new, at: endpoint, &context)
      #expect(dead.peers.count == DeadPeers.limit && dead.peers.contains { $0.key == new })
      let gone = before.filter { old in !dead.peers.contains { $0.key == old.key } }
      #expect(gone.count == 1 && gone[0].tries == most, "whom it asked most often")
    }
    #expect(keys.dropFirst(40).allSatisfy { key in dead.peers.contains { $0.key == key } })
  }

  @Test func buriedAgainIsOneRecordThatBeginsAnew() {
    var context = Context(packets: 1, effects: 1, seed: 6)
    var random = Random(seed: 6)
    var dead = DeadPeers()
    let key = random.publicKey()
    dead.bury(key, at: endpoint, &context)
    _ = tries(&dead, &context, until: .start + .seconds(60))
    #expect(dead.peers[0].tries > 3)
    let elsewhere = Endpoint(IPAddress(v4: 0x0A00_0002), port: 1)
    dead.bury(key, at: elsewhere, &context)
    #expect(dead.peers.count == 1 && dead.peers[0].tries == 0 && dead.peers[0].endpoint == elsewhere)
    #expect(dead.peers[0].diedAt == context.now)
    #expect(dead.remove(key) == true)
    #expect(dead.remove(key) == false)
    #expect(dead.takeDue(&context) == nil && dead.deadline == .never)
  }

  @Test func whoVanishedAndComesBackIsFound() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    wires.passes = { _ in false }
    // Data that is not answered for raises doubt at once.
    wires.send([1], from: a, to: b)
    wires.send([1], from: b, to: a)
    try #require(wires.run(upTo: .seconds(40)) { !a.isUp(b) && !b.isUp(a) } != nil)
    #expect(a.links.dead.peers.map(\.key) == [b.key])
    wires.run(for: .seconds(25))
    #expect(!a.isUp(b) && a.links.dead.peers[0].tries >= 2)
    wires.passes = { _ in true }
    #expect(wires.run(upTo: .seconds(13)) { a.isUp(b) && b.isUp(a) } != nil)
    #expect(a.links.dead.peers.isEmpty && b.links.dead.peers.isEmpty)
    #expect(a.peer(b)!.isRevived || b.peer(a)!.isRevived, "it may stand on another ring")
    wires.run(for: .seconds(1))
    #expect(a.available == 256 && b.available == 256)
  }
}
