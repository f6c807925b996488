// Relays that are sought: offers, links with proxies, and letting all of it go again.

import Base
import Session
import Testing

@testable import Overlay

/// Two nodes that never hear each other, `near` linked with the first and `far` with the second.
private struct Village {
  let wires = Wires(count: 4)
  var a: Side { wires.sides[0] }
  var near: Side { wires.sides[1] }
  var far: Side { wires.sides[2] }
  var b: Side { wires.sides[3] }

  /// - Parameter isShared: whether `near` is linked with the second one as well.
  init(isShared: Bool) throws {
    let ends = [a.endpoint, b.endpoint]
    wires.passes = { !(ends.contains($0.from) && ends.contains($0.to)) }
    try wires.link(a, near)
    try wires.link(near, far)
    try wires.link(far, b)
    if isShared {
      try wires.link(near, b)
      try wires.link(a, far)
      // Then everybody is linked with both relays, but for one.
      wires.act(b) { b.links.forget(b.slot(far), &b.context) }
      wires.act(far) { far.links.forget(far.slot(b), &far.context) }
    }
    let via = isShared ? near.id : far.id
    wires.act(a) { a.links.connect(b.key, role: .onDemand, via: via, firstHand: true, &a.context) }
    try #require(wires.run(upTo: .seconds(5)) { a.isUp(b) && b.isUp(a) } != nil)
    b.links.peers[b.slot(a)].roles.insert(.onDemand)
  }

  func relays(of one: Side, to other: Side) -> [OverlayID] {
    Peer.circuitSlots.compactMap { place in
      guard let path = one.peer(other)?.path(place), path.isValid else { return nil }
      return path.relay
    }
  }

  func exchange(_ count: Int, every gap: Interval = .milliseconds(50)) {
    for _ in 0..<count {
      wires.send([1], from: a, to: b)
      wires.send([2], from: b, to: a)
      wires.run(for: gap)
    }
  }
}

@Suite struct ProxyTests {
  @Test func whereNothingIsCommonAnOfferedNodeIsMetAndUsed() throws {
    let village = try Village(isShared: false)
    let begin = village.wires.now
    while village.relays(of: village.a, to: village.b).isEmpty, village.wires.now - begin < .seconds(10) {
      village.exchange(1)
    }
    #expect(village.wires.now - begin < .seconds(4))
    let relay = try #require(village.relays(of: village.a, to: village.b).first)
    #expect(
      village.b.peer(village.near)?.hasDirectPath == true
        || village.a.peer(village.far)?.hasDirectPath == true)
    #expect([village.near.id, village.far.id].contains(relay), "one, not two in a row")
    let proxies = [village.a.peer(village.far), village.b.peer(village.near)].compactMap { $0 }
    #expect(proxies.contains { $0.roles.contains(.proxy) })
    for side in village.wires.sides { #expect(side.available == 256) }
  }

  @Test func nodeThatPromisesToBeQuickerIsMetAndTakesTheSecondPlace() throws {
    let village = try Village(isShared: true)
    let (a, b, near, far) = (village.a, village.b, village.near, village.far)
    for (one, relay, time) in [(a, near, 90), (b, near, 90), (a, far, 10)] as [(Side, Side, UInt64)] {
      let slot = one.slot(relay)
      for _ in 0..<60 { one.links.peers[slot].paths[1]!.roundTrip.add(.milliseconds(time)) }
    }
    #expect(b.links.peer(far.id) == nil)
    let begin = village.wires.now
    while village.relays(of: b, to: a).count < 2, village.wires.now - begin < .seconds(10) {
      village.exchange(1)
    }
    #expect(Set(village.relays(of: b, to: a)) == [near.id, far.id])
    #expect(b.peer(far)?.roles == .proxy)
  }

  @Test func searchEndsWithTheLinkItIsFor() throws {
    let village = try Village(isShared: false)
    let (a, b) = (village.a, village.b)
    let slot = a.slot(b)
    village.wires.act(a) { a.links.receiveOffer(BoundedArray(), from: slot, &a.context) }
    #expect(a.links.circuitSearches.count == 1)
    village.wires.act(a) {
      a.links.forget(slot, &a.context)
      // A proxy comes up in the same moment.
      a.links.wakeSearches(at: village.wires.now)
    }
    #expect(a.links.wakesAt(slot) == .never)
    village.wires.run(for: .milliseconds(1))
    #expect(a.links.circuitSearches.isEmpty)
  }

  @Test func offersNameFewAndTheNextOnesOthers() throws {
    let side = Side(0)
    var random = Random(seed: 4)
    var slots: [Int] = []
    for n in 0..<9 {
      var bytes = [UInt8](repeating: 0, count: 32)
      for i in 0..<32 { bytes[i] = UInt8(truncatingIfNeeded: random.next()) }
      let key = try #require(PublicKey(bytes: bytes))
      let slot = try #require(side.find(key, at: .start))
      slots.append(slot)
      guard n > 0 else { continue }
      side.links.raise(slot)
      let endpoint = Endpoint(IPAddress(v4: 0x0A00_0100 + UInt32(n)), port: 7_741)
      var path = Path(way: .endpoint(endpoint), isLAN: false, at: .start)
      path.isValid = true
      path.roundTrip.add(.milliseconds(UInt64(10 * n)))
      side.links.peers[slot].paths[1] = path
      side.links.peers[slot].best = 1
      if n > 6 { side.links.peers[slot].roles.insert(.bootstrap) }
    }
    let first = side.links.relayOffers(for: slots[0], at: .start)
    #expect(first.count == 4)
    let names = (0..<4).map { first[$0].node.key.id }
    let expected = [7, 8, 1, 2].map { side.links.peers[slots[$0]].id }
    #expect(names == expected, "two that the peer probably reaches, and the quickest two of the others")
    side.links.peers[slots[0]].circuitRound = 1
    let second = side.links.relayOffers(for: slots[0], at: .start)
    let others = (0..<4).map { second[$0].node.key.id }
    #expect(others[2...] == [3, 4].map { side.links.peers[slots[$0]].id }[...])
    // A peer that has TCP only does not reach who is behind a box.
    for n in 1...4 { side.links.peers[slots[n]].mapping = .open }
    side.links.peers[slots[0]].circuitRound = 0
    for (mapping, expected) in [(.stopped, [1, 2, 3, 4]), (.varies, [1, 2, 5, 6])] as [(Mapping, [Int])] {
      side.links.peers[slots[0]].mapping = mapping
      let list = side.links.relayOffers(for: slots[0], at: .start)
      let names = (0..<list.count).map { list[$0].node.key.id }
      #expect(names == expected.map { side.links.peers[slots[$0]].id })
    }
  }

  @Test func fiveMinutesOfSilenceReleaseLinkCircuitsAndKeepalives() throws {
    let scene = try CircuitScene.withSpare()
    for (one, other) in [(scene.a, scene.b), (scene.b, scene.a)] {
      one.links.peers[one.slot(other)].roles = .onDemand
      one.links.peers[one.slot(other)].isGuest = false
    }
    for _ in 0..<4 {
      scene.wires.run(for: .minutes(2))
      scene.exchange(1)
    }
    #expect(scene.a.isUp(scene.b), "traffic keeps")
    scene.wires.run(for: Timing.idle + CircuitTiming.linger + .seconds(1))
    #expect(scene.a.links.peer(scene.b.id) == nil && scene.b.links.peer(scene.a.id) == nil)
    for side in scene.wires.sides {
      #expect(side.links.circuitEnds.count == 0 && side.links.relayed.count == 0)
      #expect(side.links.circuitSearches.isEmpty)
    }
    let begin = scene.wires.now
    scene.wires.run(for: .minutes(2))
    #expect(!scene.wires.sent.contains { $0.at > begin && $0.bytes[0] == CircuitHeader.kind })
  }
}
