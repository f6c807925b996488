// Two relays in a row: C reaches only A, A only C and D, D only A and B, B only D (the chain C-A-D-B).

import Base
import Session
import Testing

@testable import Overlay

/// A chain of direct links; further nodes hear only their neighbours.
private struct Chain {
  let wires: Wires
  /// From one end to the other.
  let sides: [Side]

  init() throws {
    wires = Wires(count: 4)
    sides = wires.sides
    let order = sides.map(\.endpoint)
    wires.passes = { datagram in
      guard let from = order.firstIndex(of: datagram.from), let to = order.firstIndex(of: datagram.to) else {
        return true
      }
      return from - to == 1 || to - from == 1
    }
    for i in 0..<3 { try wires.link(sides[i], sides[i + 1]) }
    let (c, b) = (sides[0], sides[3])
    wires.act(c) { c.links.connect(b.key, role: .onDemand, via: sides[2].id, firstHand: true, &c.context) }
    try #require(wires.run(upTo: .seconds(5)) { c.isUp(b) && b.isUp(c) } != nil)
    b.links.peers[b.slot(c)].roles.insert(.onDemand)
  }

  var c: Side { sides[0] }
  var b: Side { sides[3] }

  var isJoined: Bool {
    c.peer(b)?.bestPath?.kind == .proxy && b.peer(c)?.bestPath?.kind == .proxy
  }

  func exchange(_ count: Int) {
    for _ in 0..<count {
      wires.send([1, 2, 3], from: c, to: b)
      wires.send([4, 5], from: b, to: c)
      wires.run(for: .milliseconds(50))
    }
    wires.run(for: .milliseconds(200))
  }

  /// Lets the circuit come up under traffic.
  func join() throws {
    var rounds = 0
    while !isJoined, rounds < 300 {
      exchange(1)
      rounds += 1
    }
    try #require(isJoined)
  }
}

@Suite struct CircuitChainTests {
  @Test func endsOfAChainReachEachOtherThroughBothRelays() throws {
    let chain = try Chain()
    let begin = chain.wires.now
    try chain.join()
    #expect(chain.wires.now - begin < .seconds(15))
    #expect(chain.c.peer(chain.b)?.bestPath?.relay == chain.sides[1].id)
    #expect(chain.b.peer(chain.c)?.bestPath?.relay == chain.sides[2].id)
    let before = (chain.c.packets.count, chain.b.packets.count)
    let forwarded = chain.sides[1].counters.circuitForwarded
    chain.exchange(20)
    #expect(chain.c.packets.count == before.0 + 20 && chain.b.packets.count == before.1 + 20)
    #expect(chain.sides[1].counters.circuitForwarded >= forwarded + 40)
    #expect(chain.sides[2].counters.circuitForwarded >= 40)
    let last = chain.wires.sent.last { $0.to == chain.b.endpoint && $0.bytes[0] == 5 }
    #expect(last?.bytes[1] == 0, "both hops are used up")
    for side in chain.sides { #expect(side.available == 256) }
  }

  @Test func chainEndsAsAWhole() throws {
    let chain = try Chain()
    try chain.join()
    chain.wires.act(chain.c) {
      chain.c.links.send(.close, to: chain.c.slot(chain.b), &chain.c.context) { _ in }
      chain.c.links.forget(chain.c.slot(chain.b), &chain.c.context)
    }
    chain.wires.run(for: CircuitTiming.linger + .seconds(4))
    for side in chain.sides[1...2] { #expect(side.links.relayed.count == 0) }
    for side in [chain.c, chain.b] { #expect(side.links.circuitEnds.count == 0) }
  }

  @Test func chainIsSetUpAgainAfterARelayRestarted() throws {
    let chain = try Chain()
    try chain.join()
    chain.wires.restart(1)
    let begin = chain.wires.now
    var took: Interval?
    while took == nil, chain.wires.now - begin < .seconds(40) {
      chain.exchange(1)
      if chain.isJoined, chain.wires.sides[1].counters.circuitForwarded > 10 {
        took = chain.wires.now - begin
      }
    }
    #expect(took != nil)
  }

  @Test func halfAChainIsForgottenAndKeepsNobodysLink() throws {
    let wires = Wires(count: 4)
    let (a, first, second, b) = (wires.sides[0], wires.sides[1], wires.sides[2], wires.sides[3])
    try wires.link(a, first)
    try wires.link(first, second)
    try wires.link(second, b)
    wires.act(first) {
      let ask = CircuitAsk(peer: b.id, beyond: second.id, label: 7)
      first.links.receiveAsk(ask, from: first.slot(a), &first.context)
    }
    wires.run(for: .milliseconds(100))
    #expect(first.links.relayed.count == 1 && second.links.relayed.count == 1)
    #expect(first.links.relayed.count(askedBy: first.slot(second)) == 0)
    #expect(second.links.relayed.count(askedBy: second.slot(b)) == 0)
    #expect(b.links.circuitEnds.count == 0)
    wires.run(for: .seconds(6))
    #expect(first.links.relayed.count == 0 && second.links.relayed.count == 0)
  }

  @Test func relayDoesNotAskForARelay() throws {
    let wires = Wires(count: 4)
    let (a, relay, next) = (wires.sides[0], wires.sides[1], wires.sides[2])
    try wires.link(a, relay)
    try wires.link(relay, next)
    let far = wires.sides[3].id
    let stranger = OverlayID(high: 1, middle: 2, low: 3)
    let before = relay.counters.malformed
    let asks = [
      CircuitAsk(peer: relay.id, label: 1), CircuitAsk(peer: a.id, label: 1),
      CircuitAsk(peer: far, beyond: relay.id, label: 1), CircuitAsk(peer: far, beyond: a.id, label: 1),
      CircuitAsk(origin: relay.id, peer: far, label: 1), CircuitAsk(origin: far, peer: far, label: 1),
    ]
    for ask in asks {
      wires.act(relay) { relay.links.receiveAsk(ask, from: relay.slot(a), &relay.context) }
    }
    #expect(relay.counters.malformed == before + UInt64(asks.count))
    // For another one and through another one: not even readable.
    let room = Scratch(capacity: 128)
    var writer = WireWriter(room.frame)
    CircuitAsk(origin: stranger, peer: far, beyond: next.id, label: 1).encode(to: &writer)
    #expect((try? CircuitAsk(decoding: room.frame.prefix(writer.count))) == nil)
    #expect(relay.links.relayed.count == 0)
  }

  @Test func thirdPartyTakesNoPlaceOfAPair() throws {
    let wires = Wires(count: 4)
    let (a, relay, other, b) = (wires.sides[0], wires.sides[1], wires.sides[2], wires.sides[3])
    for side in [a, other, b] { try wires.link(side, relay) }
    // Somebody asks for the pair as if it were the relay of one of the two.
    wires.act(relay) {
      let ask = CircuitAsk(origin: a.id, peer: b.id, label: 9)
      relay.links.receiveAsk(ask, from: relay.slot(other), &relay.context)
    }
    for (one, far) in [(a, b), (b, a)] {
      wires.act(relay) {
        let ask = CircuitAsk(peer: far.id, label: 7)
        relay.links.receiveAsk(ask, from: relay.slot(one), &relay.context)
      }
    }
    let index = try #require(relay.links.relayed.find(flank(a.id), flank(b.id)))
    #expect(relay.links.relayed.circuit(index)?.isComplete == true)
    #expect(relay.links.relayed.count == 2)
    let parties = (0..<2).compactMap { relay.links.relayed.circuit(index)?.sides[$0]?.party.slot }
    #expect(parties.sorted() == [relay.slot(a), relay.slot(b)].sorted())
  }
}
