// How paths are proved, measured, chosen and left: two machines and a third that relays, each datagram in the
// test's hands.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct PathTests {
  private let elsewhere = Endpoint("10.0.0.99:9000")!

  /// Two that shall reach each other over the ring.
  private func pinned() throws -> Wires {
    let wires = try Wires.relayed(settling: .seconds(2))
    let (a, b) = (wires.sides[0], wires.sides[1])
    for (one, other) in [(a, b), (b, a)] {
      wires.act(one) { one.links.pin(one.slot(other), toOverlay: true, &one.context) }
    }
    return wires
  }

  private func introduce(_ wires: Wires, _ a: Side, _ b: Side) {
    for (one, other) in [(a, b), (b, a)] {
      wires.act(one) { one.links.introduce(one.slot(other), &one.context) }
    }
  }

  @Test func linkOverTheRingCarriesData() throws {
    let wires = try pinned()
    let (a, b, relay) = (wires.sides[0], wires.sides[1], wires.sides[2])
    #expect(a.best(b) == Endpoint.none && b.best(a) == Endpoint.none)
    wires.send([UInt8](repeating: 7, count: 900), from: a, to: b)
    wires.run(for: .milliseconds(100))
    #expect(b.packets.map(\.bytes) == [[UInt8](repeating: 7, count: 900)])
    #expect(relay.counters.forwarded > 0)
    for side in wires.sides { #expect(side.available == 256) }
  }

  @Test func packetsLargerThanThePathTravelInTwoParts() throws {
    let wires = try pinned()
    let (a, b) = (wires.sides[0], wires.sides[1])
    let packet = (0..<1_400).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    wires.send(packet, from: a, to: b)
    wires.run(for: .milliseconds(100))
    try #require(b.packets.count == 2)
    let (first, second) = (b.packets[0], b.packets[1])
    #expect(first.content == Content.communities | Content.firstPart)
    #expect(second.content == Content.communities | Content.secondPart)
    #expect(second.counter == first.counter + 1)
    #expect(first.bytes + second.bytes == packet)
    wires.run(for: .seconds(1))
    for side in wires.sides { #expect(side.available == 256) }
  }

  @Test func packetThatFitsInNoTwoPartsIsDroppedAndCounted() throws {
    let wires = try pinned()
    let (a, b) = (wires.sides[0], wires.sides[1])
    let before = a.available
    wires.act(a) {
      guard var ref = a.context.pool.take(length: 1_700) else { return }
      a.links.peers[a.slot(b)].paths[0]!.size = 800
      ref.length = 1_700
      a.links.sendData(ref, content: Content.communities, to: a.slot(b), &a.context)
    }
    #expect(a.counters.noSlot == 1 && a.available == before)
  }

  @Test func candidatesLeadToADirectPath() throws {
    let wires = try Wires.relayed(settling: .seconds(2))
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.passes = { _ in true }
    introduce(wires, a, b)
    let took = wires.run(upTo: .seconds(2)) { a.best(b) == b.endpoint && b.best(a) == a.endpoint }
    #expect(took != nil)
    for side in [a, b] {
      #expect(side.happened.contains { if case .direct = $0 { true } else { false } })
    }
    wires.run(for: .seconds(30))
    #expect(a.peer(b)!.path(0) == nil, "the way over the ring is not kept warm in vain")
  }

  @Test func closedDirectWayIsTriedEverAgainAndFoundWhenItOpens() throws {
    let wires = try Wires.relayed(settling: .seconds(2))
    let (a, b) = (wires.sides[0], wires.sides[1])
    introduce(wires, a, b)
    wires.run(for: .seconds(60))
    #expect(a.best(b) == Endpoint.none)
    wires.passes = { _ in true }
    #expect(wires.run(upTo: .seconds(150)) { a.best(b) == b.endpoint } != nil)
  }

  @Test func candidatesAreProbedFiveTimesWithFewBytes() throws {
    let wires = try Wires.relayed(settling: .seconds(2))
    let (a, b) = (wires.sides[0], wires.sides[1])
    let begin = wires.now
    introduce(wires, a, b)
    wires.run(for: .milliseconds(2_300))
    let probes = wires.sent.filter { $0.at > begin && $0.from == a.endpoint && $0.to == b.endpoint }
    #expect(probes.count == 5 && probes.allSatisfy { $0.bytes.count <= 64 })
    #expect(a.endpoints(b).isEmpty)
  }

  @Test func pathOfAnEthernetIsProvedByOneLargeProbe() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .onDemand)
    #expect(a.path(b, b.endpoint)!.size == 1_452 && b.path(a, a.endpoint)!.size == 1_452)
    #expect(wires.sent.map(\.bytes.count).max() == 1_452)
    wires.send([UInt8](repeating: 1, count: 1_400), from: a, to: b)
    wires.run(for: .milliseconds(50))
    #expect(b.packets.map(\.bytes.count) == [1_400])
  }

  @Test func narrowPathKeepsItsSizeAndIsAskedThreeTimes() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.passes = { $0.bytes.count <= 1_300 }
    try wires.link(a, b, role: .onDemand)
    wires.run(for: .seconds(120))
    #expect(a.path(b, b.endpoint)!.size == 1_232)
    // Asked together with pings: in quiet, one side's pings serve both.
    let asked = [a, b].map { side in
      wires.sent.count { $0.from == side.endpoint && $0.bytes.count == 1_452 }
    }
    #expect(asked.max() == 3 && asked.min()! >= 1, "\(asked)")
    wires.send([UInt8](repeating: 1, count: 1_400), from: a, to: b)
    wires.run(for: .milliseconds(50))
    #expect(b.packets.map(\.bytes.count) == [700, 700])
  }

  @Test func recordFromAnUnknownEndpointEarnsAQuestionAndMovesNothing() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    // On the way, somebody copies a record and is quicker from another address.
    var captured: [UInt8] = []
    wires.passes = {
      guard $0.from == a.endpoint, captured.isEmpty else { return true }
      captured = $0.bytes
      return false
    }
    wires.send([1, 2, 3], from: a, to: b)
    wires.passes = { _ in true }
    let begin = wires.now
    wires.inject(captured, from: elsewhere, to: b.endpoint)
    wires.inject(captured, from: a.endpoint, to: b.endpoint, after: .milliseconds(5))
    wires.run(for: .milliseconds(20))
    #expect(b.packets.map(\.bytes) == [[1, 2, 3]], "delivered once")
    #expect(b.path(a, elsewhere)?.isValid == false)
    #expect(b.best(a) == a.endpoint)
    for n in 0..<20 {
      wires.send([UInt8(n)], from: b, to: a)
      wires.run(for: .milliseconds(300))
    }
    let there = wires.sent.filter { $0.at > begin && $0.to == elsewhere }
    #expect(there.count == 5 && there.allSatisfy { $0.bytes.count <= 64 })
    #expect(a.packets.count == 20 && b.best(a) == a.endpoint && b.endpoints(a) == [a.endpoint])
  }

  @Test func repeatedRecordMovesNothingAtAll() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    wires.send([1, 2, 3], from: a, to: b)
    let captured = wires.sent.last!.bytes
    wires.run(for: .milliseconds(50))
    let begin = wires.now
    for _ in 0..<10 { wires.inject(captured, from: elsewhere, to: b.endpoint) }
    wires.run(for: .seconds(3))
    #expect(b.packets.count == 1 && b.endpoints(a) == [a.endpoint])
    #expect(!wires.sent.contains { $0.at > begin && $0.to == elsewhere })
  }

  @Test func peerThatRoamsIsFollowedAfterTheEcho() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    a.endpoint = elsewhere
    wires.send([1], from: a, to: b)
    wires.run(for: .milliseconds(15))
    #expect(b.packets.count == 1)
    wires.run(for: .seconds(1))
    #expect(b.path(a, elsewhere)?.isValid == true)
    for _ in 0..<100 {
      wires.send([2], from: b, to: a)
      wires.run(for: .milliseconds(100))
    }
    #expect(b.best(a) == elsewhere)
    #expect(a.packets.count > 40)
  }

  @Test func silenceUnderTrafficIsNoticedWithinSeconds() throws {
    let wires = try Wires.relayed(settling: .seconds(2))
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.passes = { _ in true }
    introduce(wires, a, b)
    try #require(wires.run(upTo: .seconds(3)) { a.best(b) == b.endpoint } != nil)
    wires.run(for: .seconds(5))
    wires.passes = {
      !([a.endpoint, b.endpoint].contains($0.from) && [a.endpoint, b.endpoint].contains($0.to))
    }
    let closed = wires.now
    for _ in 0..<100 where a.best(b) == b.endpoint {
      wires.send([1], from: a, to: b)
      wires.run(for: .milliseconds(100))
    }
    #expect(a.best(b) == Endpoint.none && wires.now - closed <= .seconds(6))
    #expect(a.isUp(b))
  }

  @Test func idlePathIsAskedEvery25Seconds() throws {
    for role in [Roles.bootstrap, .near] {
      let wires = Wires(count: 2)
      let (a, b) = (wires.sides[0], wires.sides[1])
      try wires.link(a, b, role: role)
      wires.run(for: .seconds(10))
      let begin = wires.now
      wires.run(for: .seconds(60))
      let count = wires.count(from: a, to: b, since: begin)
      #expect((2...6).contains(count), "\(count) datagrams a minute")
    }
  }

  @Test func newUnderlayIsAskedAtOnce() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .bootstrap)
    wires.run(for: .seconds(10))
    let sent = a.peer(b)!.pingsSent
    wires.act(a) { a.links.underlayChanged(hasMoved: false, &a.context) }
    wires.run(for: .milliseconds(100))
    #expect(a.peer(b)!.pingsSent == sent + 1)
  }

  /// A side with two proven paths to its peer, of these round-trip times in milliseconds.
  private func choice(_ first: (ms: UInt64, isLAN: Bool), _ second: (ms: UInt64, isLAN: Bool), best: Int)
    -> Side
  {
    let side = Side(0)
    let slot = side.find(Fixed.identities[1].publicKey, at: .start)!
    side.links.peers[slot].isUp = true
    for (i, path) in [(1, first), (2, second)] {
      side.links.peers[slot].paths[i] = Path(
        way: .endpoint(Endpoint(IPAddress(v4: UInt32(i)), port: 5_000)), isLAN: path.isLAN, at: .start)
      side.links.peers[slot].paths[i]!.isValid = true
      side.links.peers[slot].paths[i]!.roundTrip.add(.milliseconds(path.ms))
    }
    side.links.peers[slot].best = best
    side.links.chooseBest(slot, &side.context)
    return side
  }

  @Test func anotherPathIsTakenOnlyForAClearGain() {
    func best(_ first: UInt64, _ second: UInt64, _ now: Int) -> Int? {
      let side = choice((first, false), (second, false), best: now)
      return side.links.peers[0].best
    }
    #expect(best(100, 90, 1) == 1, "10 %")
    #expect(best(100, 79, 1) == 2, "21 % and 21 ms")
    #expect(best(100, 79, 2) == 2)
    #expect(best(79, 100, 2) == 1)
    #expect(best(10, 6, 1) == 1, "40 %, but 4 ms")
    #expect(best(20, 14, 1) == 2, "30 % and 6 ms")
    #expect(best(85, 100, 2) == 2)
  }

  @Test func ownNetworkComesBeforeTheRestAndTheRingIsLast() {
    #expect(choice((5, false), (50, true), best: 1).links.peers[0].best == 2)
    let side = choice((50, true), (5, false), best: 1)
    #expect(side.links.peers[0].best == 1)
    side.links.openOverlayPath(0, .start)
    side.links.peers[0].paths[0]!.roundTrip.add(.milliseconds(1))
    side.links.chooseBest(0, &side.context)
    #expect(side.links.peers[0].best == 1)
    side.links.pin(0, toOverlay: true, &side.context)
    #expect(side.links.peers[0].best == 0)
    side.links.pin(0, toOverlay: false, &side.context)
    #expect(side.links.peers[0].best == 1)
    for i in [1, 2] { side.links.peers[0].paths[i]!.isValid = false }
    side.links.chooseBest(0, &side.context)
    #expect(side.links.peers[0].best == 0)
  }

  @Test func pathsOfAPeerAreBounded() {
    let side = choice((5, false), (50, false), best: 1)
    for n in 0..<20 {
      _ = side.links.addPath(0, Endpoint(IPAddress(v4: 99 + UInt32(n)), port: 5_000), &side.context)
    }
    let paths = (1..<5).map { side.links.peers[0].path($0)?.isValid }
    #expect(paths == [true, true, false, false], "proven ones stay")
    for i in 1..<5 { side.links.peers[0].paths[i]!.isValid = true }
    let refused = side.links.addPath(0, elsewhere, &side.context)
    #expect(refused == nil)
  }

  @Test func peopleMayMeasureAPeer() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    wires.act(a) { a.links.measure(a.slot(b), ticket: 5, &a.context) }
    wires.run(for: .milliseconds(30))
    #expect(
      a.told.contains {
        if case .pingAnswered(5, let took, .lan) = $0 { took == .milliseconds(20) } else { false }
      })
  }
}
