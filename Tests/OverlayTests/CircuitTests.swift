// Circuits: two nodes that reach each other only through others, each datagram in the test's hands.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct CircuitTests {
  @Test func circuitFormsWithinSecondsAndCarriesDataBothWays() throws {
    let scene = try CircuitScene()
    let took = scene.wires.run(upTo: .seconds(5)) { scene.isJoined }
    #expect(try #require(took) < .seconds(2))
    scene.wires.run(for: .seconds(1))
    #expect(scene.relay(of: scene.a, scene.b) == scene.relays[0].id)
    let forwarded = scene.relays[0].counters.forwarded
    let begin = scene.wires.now
    scene.exchange(20, bytes: 1_400)
    #expect(scene.a.packets.count == 20 && scene.b.packets.count == 20, "whole, not in halves")
    #expect(scene.b.packets.map(\.bytes.count).allSatisfy { $0 == 1_400 })
    #expect(scene.relays[0].counters.forwarded == forwarded, "nothing more over the ring")
    let sent = scene.circuitDatagrams(scene.a, scene.relays[0], since: begin)
    #expect(sent.count >= 20 && sent.allSatisfy { $0[1] == 2 && $0[8] == 4 })
    let passed = scene.circuitDatagrams(scene.relays[0], scene.b, since: begin)
    #expect(passed.allSatisfy { $0[1] == 1 })
    for side in scene.wires.sides { #expect(side.available == 256) }
  }

  @Test func relayChangesEightBytesAndNoMore() throws {
    let scene = try CircuitScene()
    try scene.join()
    let begin = scene.wires.now
    scene.exchange(1)
    let before = scene.circuitDatagrams(scene.a, scene.relays[0], since: begin)
    let after = scene.circuitDatagrams(scene.relays[0], scene.b, since: begin)
    #expect(before.map { Array($0[8...]) } == after.map { Array($0[8...]) })
    #expect(before[0][4..<8] != after[0][4..<8])
  }

  @Test func pingsOfACircuitAreAnsweredAndTheRoundTripIsThatOfBothLegs() throws {
    let scene = try CircuitScene()
    try scene.join()
    let path = try #require(scene.a.peer(scene.b)?.bestPath)
    #expect(path.roundTrip.smoothed == .milliseconds(40))
    #expect(path.size == 1_444)
    scene.wires.run(for: .minutes(5))
    #expect(scene.isJoined, "kept open by its pings")
  }

  @Test func stolenLabelIsWorthNothingElsewhere() throws {
    let scene = try CircuitScene(relays: 2)
    try scene.join()
    let relay = try #require(scene.relays.first { $0.id == scene.relay(of: scene.a, scene.b) })
    let other = try #require(scene.relays.first { $0.id != relay.id })
    let begin = scene.wires.now
    scene.exchange(1)
    let toRelay = try #require(scene.circuitDatagrams(scene.a, relay, since: begin).first)
    let toEnd = try #require(scene.circuitDatagrams(relay, scene.b, since: begin).first)
    let (atRelay, atEnd) = (relay.counters, scene.b.counters)
    let received = scene.b.packets.count
    // From an unknown endpoint, from that of another peer, and from the other end of the same circuit.
    for from in [Endpoint("10.0.0.99:9000")!, other.endpoint, scene.b.endpoint] {
      scene.wires.inject(toRelay, from: from, to: relay.endpoint)
      scene.wires.inject(
        toEnd, from: from == scene.b.endpoint ? scene.a.endpoint : from, to: scene.b.endpoint)
    }
    scene.wires.run(for: .milliseconds(50))
    #expect(relay.counters.circuitUnknown == atRelay.circuitUnknown + 3)
    #expect(relay.counters.circuitForwarded == atRelay.circuitForwarded)
    #expect(scene.b.counters.circuitUnknown == atEnd.circuitUnknown + 3)
    #expect(scene.b.packets.count == received)
    for side in scene.wires.sides { #expect(side.available == 256) }
  }

  @Test func malformedDatagramsAndUnknownLabelsAreCountedAndDropped() throws {
    let scene = try CircuitScene()
    try scene.join()
    let begin = scene.wires.now
    scene.exchange(1)
    let good = try #require(scene.circuitDatagrams(scene.a, scene.relays[0], since: begin).first)
    let before = scene.relays[0].counters
    func inject(_ change: (inout [UInt8]) -> Void) {
      var bytes = good
      change(&bytes)
      scene.wires.inject(bytes, from: scene.a.endpoint, to: scene.relays[0].endpoint)
      scene.wires.run(for: .milliseconds(1))
    }
    inject { $0[1] = 3 }
    inject { $0[2] = 1 }
    inject { $0[3] = 1 }
    for count in 1...8 { inject { $0 = Array($0[..<count]) } }
    #expect(scene.relays[0].counters.malformed == before.malformed + 11)
    inject { $0[7] ^= 1 }
    #expect(scene.relays[0].counters.circuitUnknown == before.circuitUnknown + 1)
    inject { $0[1] = 0 }
    #expect(scene.relays[0].counters.hopsExceeded == before.hopsExceeded + 1)
    #expect(scene.relays[0].counters.circuitForwarded == before.circuitForwarded)
    inject { $0[1] = 2 }
    #expect(scene.relays[0].counters.circuitForwarded == before.circuitForwarded + 1)
  }

  @Test func nobodyIsJoinedWithSomebodyWhoDidNotAsk() throws {
    let wires = Wires(count: 3)
    let (a, b, relay) = (wires.sides[0], wires.sides[1], wires.sides[2])
    try wires.link(a, relay)
    try wires.link(b, relay)
    wires.act(relay) {
      relay.links.receiveAsk(CircuitAsk(peer: b.id, label: 7), from: relay.slot(a), &relay.context)
    }
    wires.run(for: .milliseconds(50))
    #expect(relay.links.relayed.count == 1 && a.links.circuitEnds.count == 0)
    #expect(relay.links.relayed.circuit(0)?.isComplete == false)
    wires.run(for: .seconds(6))
    #expect(relay.links.relayed.count == 0, "the second one never came")
  }

  @Test func relayServesOnlyThoseWhomItReachesDirectlyAndOnlyAsManyAsItMay() throws {
    let wires = Wires(count: 3)
    let (a, b, relay) = (wires.sides[0], wires.sides[1], wires.sides[2])
    try wires.link(a, relay)
    wires.act(relay) {
      relay.links.receiveAsk(CircuitAsk(peer: b.id, label: 7), from: relay.slot(a), &relay.context)
    }
    #expect(relay.links.relayed.count == 0 && relay.counters.circuitRefused == 1)
    try wires.link(b, relay)
    // As if there were many others.
    for n in 0..<CircuitTable.peerLimit {
      let other = OverlayID(high: 1, middle: 0, low: UInt32(n))
      let index = relay.links.relayed.insert(
        RelayedCircuit(flank(a.id), flank(other), rate: 1, at: wires.now))!
      let side = CircuitSide(party: relay.links.party(relay.slot(a)), label: UInt32(n + 1), farLabel: 1)
      relay.links.relayed.set(index, 0, side, at: wires.now)
    }
    wires.act(relay) {
      relay.links.receiveAsk(CircuitAsk(peer: b.id, label: 7), from: relay.slot(a), &relay.context)
    }
    #expect(relay.counters.circuitRefused == 2)
    var table = CircuitTable()
    for n in 0..<CircuitTable.limit {
      let other = OverlayID(high: UInt64(n), middle: 0, low: 1)
      #expect(table.insert(RelayedCircuit(flank(.zero), flank(other), rate: 1, at: .start)) == n)
    }
    #expect(table.insert(RelayedCircuit(flank(a.id), flank(b.id), rate: 1, at: .start)) == nil)
    relay.links.relay = RelayLimit(bytesPerSecond: 0, at: wires.now)
    wires.act(relay) {
      relay.links.receiveAsk(CircuitAsk(peer: b.id, label: 7), from: relay.slot(a), &relay.context)
    }
    #expect(relay.counters.circuitRefused == 3)
  }

  @Test func whoHasCircuitsGoesLastAndAQuarterOfTheTableIsForOthers() throws {
    let relay = Side(0)
    var random = Random(seed: 21)
    for n in 0..<Links.peersMax {
      let slot = try #require(relay.find(random.publicKey(), at: Instant(ns: UInt64(n))))
      relay.links.raise(slot)
      let endpoint = Endpoint(IPAddress(v4: 0x0A00_0100 + UInt32(n)), port: 7_741)
      relay.links.peers[slot].paths[1] = Path(way: .endpoint(endpoint), isLAN: false, at: .start)
      relay.links.peers[slot].paths[1]!.isValid = true
      relay.links.peers[slot].best = 1
    }
    func ask(_ slot: Int, _ other: Int) -> Int {
      let before = relay.links.relayed.count
      let message = CircuitAsk(peer: relay.links.peers[other].id, label: UInt32(slot + 1))
      relay.links.receiveAsk(message, from: slot, &relay.context)
      return relay.links.relayed.count - before
    }
    // Those that were idle longest.
    for n in 0..<CircuitTable.askersMax { #expect(ask(n, 1_023) == 1) }
    #expect(ask(1_000, 1_001) == 0 && relay.counters.circuitRefused == 1)
    #expect(ask(5, 1_001) == 1, "who has circuits may have more")
    #expect(relay.find(random.publicKey(), at: .start + .seconds(1)) == CircuitTable.askersMax)
    for n in 0..<CircuitTable.askersMax { #expect(relay.links.peers[n].isUp) }
  }

  @Test func dataIsLimitedAndPingsPass() throws {
    let scene = try CircuitScene()
    scene.relays[0].links.relay = RelayLimit(bytesPerSecond: 100_000, at: scene.wires.now)
    try scene.join()
    // 1.4 MB/s either way for five seconds.
    scene.exchange(500, bytes: 1_400, every: .milliseconds(10))
    let bytes = (scene.a.packets + scene.b.packets).reduce(0) { $0 + $1.bytes.count }
    #expect((400_000...800_000).contains(bytes), "\(bytes) bytes in 5 s")
    #expect(scene.relays[0].counters.relayLimited > 500)
    #expect(scene.isJoined)
  }

  @Test func whenTheRelayDiesTheRingAndThenAnotherRelayTakeOver() throws {
    let scene = try CircuitScene(relays: 2)
    try scene.join()
    let relay = try #require(scene.relays.first { $0.id == scene.relay(of: scene.a, scene.b) })
    let other = try #require(scene.relays.first { $0.id != relay.id })
    let ends = [scene.a.endpoint, scene.b.endpoint]
    scene.wires.passes = { datagram in
      datagram.from != relay.endpoint && datagram.to != relay.endpoint
        && !(ends.contains(datagram.from) && ends.contains(datagram.to))
    }
    var took: Interval?
    let begin = scene.wires.now
    while took == nil, scene.wires.now - begin < .seconds(15) {
      scene.exchange(1)
      if scene.relay(of: scene.a, scene.b) == other.id, scene.relay(of: scene.b, scene.a) == other.id {
        took = scene.wires.now - begin
      }
    }
    #expect(try #require(took) < .seconds(9))
    #expect(scene.a.isUp(scene.b) && scene.b.isUp(scene.a))
    let before = scene.b.packets.count
    scene.exchange(20)
    #expect(scene.b.packets.count == before + 20)
    for side in [scene.a, scene.b, other] { #expect(side.available > 240) }
  }

  @Test func circuitOfARelayThatClosesIsLeftAtOnce() throws {
    let scene = try CircuitScene(relays: 2)
    try scene.join()
    let relay = try #require(scene.relays.first { $0.id == scene.relay(of: scene.a, scene.b) })
    scene.wires.act(relay) { relay.links.close(&relay.context) }
    scene.wires.run(for: .milliseconds(15))
    #expect(scene.relay(of: scene.a, scene.b) != relay.id && scene.relay(of: scene.b, scene.a) != relay.id)
    #expect(scene.wires.run(upTo: .seconds(2)) { scene.isJoined } != nil)
    #expect(scene.relay(of: scene.a, scene.b) != relay.id)
  }

  @Test func circuitIsSetUpAgainAtOnceAfterTheRelayRestarted() throws {
    let scene = try CircuitScene()
    try scene.join()
    scene.wires.restart(2)
    let relay = scene.wires.sides[2]
    let begin = scene.wires.now
    var took: Interval?
    while took == nil, scene.wires.now - begin < .seconds(10) {
      scene.exchange(1)
      if relay.links.relayed.count == 1, scene.isJoined, relay.counters.circuitForwarded > 10 {
        took = scene.wires.now - begin
      }
    }
    #expect(try #require(took) < .seconds(7))
    let before = scene.b.packets.count
    scene.exchange(20)
    #expect(scene.b.packets.count == before + 20)
  }

  @Test func directPathTakesOverAndTheIdleCircuitIsLetGo() throws {
    let scene = try CircuitScene()
    try scene.join()
    scene.wires.passes = { _ in true }
    for (one, other) in [(scene.a, scene.b), (scene.b, scene.a)] {
      scene.wires.act(one) { one.links.introduce(one.slot(other), &one.context) }
    }
    #expect(scene.wires.run(upTo: .seconds(3)) { scene.kind(scene.a, scene.b) == .lan } != nil)
    scene.wires.run(for: .seconds(60))
    #expect(scene.relays[0].links.relayed.count == 1, "a while longer")
    scene.wires.run(for: .seconds(90))
    #expect(scene.relays[0].links.relayed.count == 0)
    #expect(scene.a.links.circuitEnds.count == 0 && scene.b.links.circuitEnds.count == 0)
    #expect(scene.kind(scene.a, scene.b) == .lan && scene.kind(scene.b, scene.a) == .lan)
  }

  @Test func silentCircuitIsReleasedByTheRelay() throws {
    let scene = try CircuitScene()
    try scene.join()
    // The ends are gone without a word, and the relay's own links to them are quiet.
    scene.wires.passes = { _ in false }
    scene.wires.run(for: .seconds(150))
    #expect(scene.relays[0].links.relayed.count == 0)
    #expect(!scene.relays[0].links.relayed.hasLabel(1))
  }

  @Test func circuitEndsWithItsLink() throws {
    let scene = try CircuitScene()
    try scene.join()
    scene.wires.act(scene.a) {
      scene.a.links.send(.close, to: scene.a.slot(scene.b), &scene.a.context) { _ in }
      scene.a.links.forget(scene.a.slot(scene.b), &scene.a.context)
    }
    scene.wires.run(for: .milliseconds(100))
    #expect(scene.relays[0].links.relayed.circuit(0)?.closesAt != .never, "what is on its way still passes")
    scene.wires.run(for: CircuitTiming.linger)
    #expect(scene.relays[0].links.relayed.count == 0)
    #expect(scene.a.links.circuitEnds.count == 0 && scene.b.links.circuitEnds.count == 0)
  }

  @Test func quickerOfTwoRelaysIsChosen() throws {
    let scene = try CircuitScene(relays: 2)
    // Known before anything was offered.
    for (n, relay) in scene.relays.enumerated() {
      for end in [scene.a, scene.b] {
        let slot = end.slot(relay)
        for _ in 0..<60 {
          end.links.peers[slot].paths[1]!.roundTrip.add(.milliseconds(n == 0 ? 90 : 30))
        }
      }
    }
    try scene.join()
    #expect(scene.relay(of: scene.a, scene.b) == scene.relays[1].id)
  }

  @Test func pinnedPeerIsLeftOnTheRing() throws {
    let scene = try CircuitScene()
    scene.wires.act(scene.b) {
      scene.b.links.pin(scene.b.slot(scene.a), toOverlay: true, &scene.b.context)
    }
    scene.wires.run(for: .seconds(20))
    #expect(scene.kind(scene.a, scene.b) == .overlay && scene.relays[0].links.relayed.count == 0)
  }
}

@Suite struct CircuitTableTests {
  @Test func labelsAreFoundAndForgottenLikeInAModel() {
    var random = Random(seed: 3)
    var index = LabelIndex()
    var model: [UInt32: Int] = [:]
    for step in 0..<4_000 {
      let label = UInt32(random.below(500))
      if random.below(2) == 0, model[label] == nil {
        index.insert(label, step)
        model[label] = step
      } else {
        index.remove(label)
        model[label] = nil
      }
      let asked = UInt32(random.below(500))
      #expect(index.target(asked) == model[asked])
      #expect(index.count == model.count)
    }
  }

  @Test func headerIsEightBytesAndHasNoSpareBits() {
    let room = Scratch(capacity: 9)
    CircuitHeader(hops: 2, label: 0x0102_0304).write(to: room.frame)
    #expect(room.frame.prefix(8).bytes == [5, 2, 0, 0, 1, 2, 3, 4])
    #expect(CircuitHeader(room.frame) == CircuitHeader(hops: 2, label: 0x0102_0304))
    for count in 0...8 { #expect(CircuitHeader(room.frame.prefix(count)) == nil) }
    for (offset, value) in [(0, 4), (1, 3), (2, 1), (3, 128)] as [(Int, UInt8)] {
      let old = room.frame[offset]
      room.frame[offset] = value
      #expect(CircuitHeader(room.frame) == nil)
      room.frame[offset] = old
    }
  }
}
