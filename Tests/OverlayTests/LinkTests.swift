// How links come up, stay, and go: two or three machines on a virtual clock, each datagram in the test's
// hands.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct LinkTests {
  @Test func knownKeyIsLinkedInOneRoundTripAndProvedInTwo() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.connect(a, b)
    let took = try #require(wires.run(upTo: .seconds(1)) { a.isUp(b) && b.isUp(a) })
    #expect(took <= .milliseconds(31))
    wires.run(for: .seconds(1))
    #expect(a.best(b) == b.endpoint && b.best(a) == a.endpoint)
    #expect(a.peer(b)!.bestPath!.kind == .lan)
    for side in [a, b] {
      #expect(side.happened.contains { if case .proved = $0 { true } else { false } })
      #expect(side.available == 256)
    }
  }

  @Test func bootstrapOfUnknownKeyIsPinned() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.act(a) { a.links.addBootstrap(b.endpoint, key: nil, &a.context) }
    try #require(wires.run(upTo: .seconds(2)) { a.isUp(b) && b.isUp(a) } != nil)
    wires.run(for: .seconds(1))
    #expect(a.links.bootstraps[0].key == b.key)
    #expect(a.peer(b)!.roles.contains(.bootstrap))
    #expect(
      a.told.contains {
        if case .bootstrapReached(let id, let at) = $0 { id == b.id && at == b.endpoint } else { false }
      })
  }

  @Test func bootstrapThatComesUpLaterIsFound() {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    var isThere = false
    wires.passes = { _ in isThere }
    wires.act(a) { a.links.addBootstrap(b.endpoint, key: b.key, &a.context) }
    wires.run(for: .seconds(60))
    #expect(!a.isUp(b))
    isThere = true
    #expect(wires.run(upTo: .seconds(7)) { a.isUp(b) && b.isUp(a) } != nil)
  }

  @Test(arguments: [true, false]) func crossedBootstrapsMakeOneLink(isKeyKnown: Bool) {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    for (one, other) in [(a, b), (b, a)] {
      wires.act(one) {
        one.links.addBootstrap(other.endpoint, key: isKeyKnown ? other.key : nil, &one.context)
      }
    }
    wires.run(for: .seconds(3))
    #expect(a.isUp(b) && b.isUp(a))
    #expect(a.upCount == 1 && b.upCount == 1)
    wires.send([1, 2, 3], from: a, to: b)
    wires.send([4, 5, 6], from: b, to: a)
    wires.run(for: .milliseconds(50))
    #expect(b.packets.map(\.bytes) == [[1, 2, 3]] && a.packets.map(\.bytes) == [[4, 5, 6]])
  }

  @Test func simultaneousHandshakesMakeOneLink() {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.connect(a, b)
    wires.connect(b, a)
    wires.run(for: .seconds(2))
    #expect(a.isUp(b) && b.isUp(a))
    wires.send([1], from: a, to: b)
    wires.send([2], from: b, to: a)
    wires.run(for: .milliseconds(50))
    #expect(b.packets.count == 1 && a.packets.count == 1)
  }

  @Test func restartedPeerIsBackAfterTheNextRecord() throws {
    let wires = Wires(count: 2)
    try wires.link(wires.sides[0], wires.sides[1])
    wires.restart(1)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.send([1], from: a, to: b)
    // Record, reset, init, response, first record.
    let took = try #require(wires.run(upTo: .seconds(1)) { b.isUp(a) })
    #expect(took <= .milliseconds(51), "took \(took.milliseconds) ms")
    wires.run(for: .seconds(1))
    #expect(a.counters.resets == 1)
    wires.send([2], from: a, to: b)
    wires.send([3], from: b, to: a)
    wires.run(for: .milliseconds(50))
    #expect(b.packets.last?.bytes == [2] && a.packets.last?.bytes == [3])
    #expect(a.happened.filter { if case .up = $0 { true } else { false } }.count == 2)
  }

  @Test func lateAnswersToAHelloEndTheExchange() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    // Longer than the first wait for an answer, so that the hello is sent twice and answered twice.
    wires.delay = .milliseconds(700)
    wires.connect(a, b)
    try #require(wires.run(upTo: .seconds(6)) { a.isUp(b) && b.isUp(a) } != nil)
    wires.run(for: .seconds(20))
    let begin = wires.now
    wires.run(for: .seconds(60))
    let hello = Hello.byteCount + 1 + SessionTable.overhead
    #expect(wires.sent.filter { $0.at > begin && $0.bytes.count == hello }.isEmpty)
  }

  @Test func answerFromElsewhereMovesNothingForLong() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    // Somebody on the way is quicker with the answer to the handshake, from another address.
    let elsewhere = Endpoint("10.0.0.99:9000")!
    var isDone = false
    wires.passes = { datagram in
      guard datagram.from == b.endpoint, datagram.bytes[0] == 2, !isDone else { return true }
      isDone = true
      wires.inject(datagram.bytes, from: elsewhere, to: a.endpoint)
      return true
    }
    wires.connect(a, b)
    wires.run(for: .seconds(10))
    #expect(isDone && a.isUp(b) && b.isUp(a))
    #expect(a.best(b) == b.endpoint)
    let begin = wires.now
    wires.run(for: .seconds(60))
    #expect(!wires.sent.contains { $0.at > begin && $0.to == elsewhere })
  }

  @Test func closeIsTakenAtItsWord() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    wires.act(a) { a.links.close(&a.context) }
    wires.run(for: .milliseconds(20))
    #expect(b.links.peer(a.id) == nil)
    #expect(b.happened.contains { if case .down(let key) = $0 { key == a.key } else { false } })
    #expect(b.links.neighbourhood.successor == nil)
  }

  @Test func idleLinkIsLetGoAfterFiveMinutes() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .onDemand)
    let last = wires.now
    wires.send([1], from: a, to: b)
    wires.run(for: .seconds(295))
    #expect(a.isUp(b) && b.isUp(a))
    #expect(wires.run(upTo: .seconds(10)) { !a.isUp(b) && !b.isUp(a) } != nil)
    #expect(wires.now - last >= .seconds(299))
    #expect(a.links.peer(b.id) == nil && b.links.peer(a.id) == nil)
    wires.run(for: .minutes(10))
    #expect(a.available == 256 && b.available == 256)
  }

  @Test func neighboursStay() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .near)
    wires.run(for: .minutes(20))
    #expect(a.isUp(b) && b.isUp(a))
  }

  @Test func deadPeerIsLostAndNotSoughtOnHearsay() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    wires.passes = { _ in false }
    let took = try #require(wires.run(upTo: .seconds(30)) { !a.isUp(b) })
    #expect(took <= .seconds(29), "took \(took.seconds) s")
    wires.run(for: .seconds(1))
    let before = wires.sent.count
    wires.connect(a, b)
    wires.run(for: .seconds(5))
    #expect(wires.sent.count == before, "hearsay must wait")
    wires.act(a) { a.links.connect(b.key, role: .onDemand, firstHand: true, &a.context) }
    wires.run(for: .seconds(1))
    #expect(wires.sent.count > before)
  }

  @Test(arguments: [true, false]) func unansweredHandshakesAreGivenUpAndSaid(isFirstHand: Bool) {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.passes = { _ in false }
    wires.act(a) {
      a.links.connect(b.key, role: .onDemand, hint: b.endpoint, firstHand: isFirstHand, &a.context)
    }
    wires.run(for: .seconds(15))
    #expect(a.happened.contains { if case .unreachable(let key) = $0 { key == b.key } else { false } })
    #expect(wires.sent.count == (isFirstHand ? Timing.handshakeRetry.count : Int(Timing.hearsayTries)))
    wires.run(for: .seconds(60))
    #expect(a.links.peer(b.id) == nil, "a peer without a reason goes")
    #expect(a.available == 256)
  }

  @Test func keysAreRenewedUnderTraffic() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    for n in 0..<400 {
      wires.send([UInt8(n & 255), UInt8(n >> 8)], from: a, to: b)
      wires.run(for: .seconds(1))
    }
    #expect(b.packets.count == 400)
    #expect(a.happened.filter { if case .up = $0 { true } else { false } }.count == 1)
  }

  @Test func tableIsBoundedAndNeighboursNeverGiveWay() throws {
    let side = Side(0)
    var random = Random(seed: 9)
    func stranger() -> PublicKey {
      PublicKey(bytes: (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) })!
    }
    let first = stranger()
    for n in 0..<Links.peersMax {
      let slot = try #require(side.find(n == 0 ? first : stranger(), at: Instant(ns: UInt64(n))))
      side.links.peers[slot].isUp = true
      side.links.peers[slot].roles = n.isMultiple(of: 2) && n > 0 ? .near : .onDemand
    }
    #expect(side.find(stranger(), at: .start + .seconds(1)) != nil)
    #expect(side.peersCount == 1_024 && side.links.peer(first.id) == nil, "the one idle longest has gone")
    for slot in 0..<Links.peersMax {
      side.links.peers[slot].isUp = true
      side.links.peers[slot].roles = .near
    }
    #expect(side.find(stranger(), at: .start + .seconds(1)) == nil)
    #expect(side.counters.tableFull == 1 && side.peersCount == 1_024)
    // In a crowd, whoever came only now keeps its place for a moment.
    side.links.peers[7].roles = []
    side.links.peers[7].upAt = .start + .seconds(1)
    #expect(side.find(stranger(), at: .start + .seconds(1) + .milliseconds(249)) == nil)
    #expect(side.find(stranger(), at: .start + .seconds(1) + .milliseconds(250)) == 7)
  }

  @Test func whomABootstrapSendsAwayComesBackSoon() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.act(a) { a.links.addBootstrap(b.endpoint, key: nil, &a.context) }
    try #require(wires.run(upTo: .seconds(2)) { a.isUp(b) && b.isUp(a) } != nil)
    // It has more peers than it can have, and makes room.
    var random = Random(seed: 3)
    wires.act(b) {
      while b.peersCount < Links.peersMax {
        let slot = b.links.peers.insert(Peer(key: random.publicKey(), id: random.overlayID()))!
        b.links.peers[slot].isUp = true
        b.links.peers[slot].roles = .near
      }
      b.context.now = wires.now + .milliseconds(250)
      #expect(b.links.find(random.publicKey(), &b.context) != nil)
      #expect(!b.isUp(a))
    }
    #expect(wires.run(upTo: .milliseconds(100)) { !a.isUp(b) } != nil, "it hears of that")
    let took = try #require(wires.run(upTo: .seconds(3)) { a.isUp(b) })
    #expect(took >= .milliseconds(800) && took <= .milliseconds(1_300))
  }
}
