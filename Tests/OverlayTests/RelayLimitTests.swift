// What the owner of a relay allows: months, bytes in them, and for whom.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct RelayLimitTests {
  @Test(
    arguments: [
      (0, 0, 2_678_400),
      (2_678_399, 0, 2_678_400),
      (2_678_400, 1, 5_097_600),
      // 29 February 2024, and the days around it.
      (1_709_164_800, 649, 1_709_251_200),
      (1_709_251_200, 650, 1_711_929_600),
      // 2100 has no 29 February.
      (4_107_456_000, 1_561, 4_107_542_400),
      (4_107_542_400, 1_562, 4_110_220_800),
    ] as [(UInt64, UInt32, UInt64)])
  func monthsAreThoseOfTheCalendar(_ unix: UInt64, _ number: UInt32, _ end: UInt64) {
    let month = CalendarMonth(unixSeconds: unix)
    #expect(month.number == number && month.end == end)
  }

  @Test func absurdClocksHaveAMonthToo() {
    #expect(CalendarMonth(unixSeconds: .max).number > 400_000)
  }

  @Test func bytesOfAMonthAreUsedUpAndThereAgainInTheNext() {
    // A hundred seconds before the end of January 1970.
    var limit = RelayLimit(
      RelayTerms(bytesPerSecond: 1 << 20, monthlyBytes: 10_000), unixSeconds: 2_678_300, at: .start)
    let now = Instant.start + .seconds(10)
    var passed = [Bool]()
    for _ in 0..<10 { passed.append(limit.allows(1_000, at: now)) }
    #expect(passed.allSatisfy { $0 })
    #expect(limit.isUsedUp && !limit.isWilling && limit.monthBytes == 10_000)
    passed = [limit.allows(1_000, at: now), limit.allows(1, isFavoured: true, at: now)]
    #expect(passed == [false, false])
    #expect(limit.renewedAt == .start + .seconds(100))
    passed = [.milliseconds(99_999), .seconds(100)].map { limit.allows(1_000, at: .start + $0) }
    #expect(passed == [false, true])
    #expect(limit.isWilling && limit.monthBytes == 1_000)
  }

  @Test func whatWasPassedOnOutlivesARestartInTheSameMonthOnly() {
    let terms = RelayTerms(bytesPerSecond: 1 << 20, monthlyBytes: 10_000)
    var limit = RelayLimit(terms, unixSeconds: 1_000, at: .start)
    #expect(limit.saveAt == .never)
    let isAllowed = limit.allows(9_000, at: .start + .seconds(1))
    #expect(isAllowed)
    #expect(limit.saveAt == .start + .seconds(61))
    let room = Scratch(capacity: 12)
    var writer = WireWriter(room.frame)
    limit.write(to: &writer)
    #expect(limit.saveAt == .never && writer.count == 12)
    var again = RelayLimit(terms, unixSeconds: 2_000, at: .start)
    again.recover(room.frame)
    #expect(again.monthBytes == 9_000)
    var later = RelayLimit(terms, unixSeconds: 2_678_400, at: .start)
    later.recover(room.frame)
    #expect(later.monthBytes == 0)
    for count in 0..<12 {
      var other = RelayLimit(terms, unixSeconds: 2_000, at: .start)
      other.recover(room.frame.prefix(count))
      #expect(other.monthBytes == 0)
    }
  }

  @Test func withoutAMonthlyLimitNothingIsCountedOrWritten() {
    var limit = RelayLimit(bytesPerSecond: 1 << 20, at: .start)
    let isAllowed = limit.allows(9_000, at: .start)
    #expect(isAllowed)
    #expect(limit.monthBytes == 0 && limit.saveAt == .never && !limit.isUsedUp && limit.renewedAt == .never)
  }

  @Test func relayWhoseBytesAreUsedUpClosesItsCircuitsSaysSoAndIsNotAskedAgain() throws {
    let scene = try CircuitScene()
    let relay = scene.relays[0]
    relay.links.relay = RelayLimit(
      RelayTerms(bytesPerSecond: 1 << 20, monthlyBytes: 50_000), unixSeconds: 0, at: scene.wires.now)
    try scene.join()
    scene.exchange(30, bytes: 1_400)
    scene.wires.run(for: .seconds(1))
    #expect(relay.links.relay.isUsedUp && relay.links.relayed.count == 0)
    #expect(relay.told.contains { if case .relayUsedUp(true) = $0 { true } else { false } })
    #expect(scene.kind(scene.a, scene.b) == .overlay && scene.kind(scene.b, scene.a) == .overlay)
    let refused = relay.counters.circuitRefused
    scene.exchange(100)
    scene.wires.run(for: .seconds(20))
    #expect(relay.counters.circuitRefused <= refused + 1, "whoever is unwilling is left alone")
  }

  @Test func circuitsForMembersAreForPairsWithAMember() throws {
    let scene = try CircuitScene()
    let relay = scene.relays[0]
    relay.links.relay = RelayLimit(
      RelayTerms(isForMembersOnly: true), unixSeconds: 0, at: scene.wires.now)
    scene.wires.run(for: .seconds(10))
    #expect(!scene.isJoined && relay.counters.circuitRefused > 0)
    // Both learn that they share a community; one of them with the relay would do.
    let community = Community.open("home")
    for side in [relay, scene.a] { side.links.sessions.setCommunities([community]) }
    scene.wires.restart(0)
    let a = scene.wires.sides[0]
    a.links.sessions.setCommunities([community])
    try scene.wires.link(a, relay)
    let session = try #require(relay.peer(a)?.session)
    #expect(relay.links.sessions.slots(session, community: 0) != nil)
    for (one, other) in [(a, scene.b), (scene.b, a)] where relay.links.peer(one.id) != nil {
      scene.wires.act(relay) {
        let ask = CircuitAsk(peer: other.id, label: 7)
        relay.links.receiveAsk(ask, from: relay.slot(one), &relay.context)
      }
    }
    let index = try #require(relay.links.relayed.find(flank(a.id), flank(scene.b.id)))
    #expect(relay.links.relayed.circuit(index)?.isComplete == true)
    #expect(relay.links.relayed.circuit(index)?.isFavoured == false, "served, not favoured")
  }

  @Test func favouredCircuitsKnowNoRateAndOthersDo() {
    var circuit = RelayedCircuit(flank(.zero), flank(.zero), rate: 1_000, at: .start)
    var passed = 0
    for _ in 0..<1_000 where circuit.allows(1_400, at: .start) { passed += 1 }
    #expect(passed < 100)
    circuit.isFavoured = true
    for _ in 0..<1_000 where circuit.allows(1_400, at: .start) { passed += 1 }
    #expect(passed >= 1_000)
  }

  @Test func halfAnAskKeepsNobodyElsesLink() throws {
    let wires = Wires(count: 3)
    let (a, b, relay) = (wires.sides[0], wires.sides[1], wires.sides[2])
    try wires.link(a, relay)
    try wires.link(b, relay, role: [])
    relay.links.peers[relay.slot(b)].roles = []
    b.links.peers[b.slot(relay)].roles = []
    // Asked again and again, as nobody who means well would.
    for n in 0..<15 {
      wires.act(relay) {
        guard relay.links.peer(b.id) != nil else { return }
        let ask = CircuitAsk(peer: b.id, label: UInt32(n + 1))
        relay.links.receiveAsk(ask, from: relay.slot(a), &relay.context)
      }
      wires.run(for: .seconds(1))
    }
    #expect(relay.links.peer(b.id) == nil && relay.isUp(a))
  }
}
