// Goal: a message whose next node is silent or refuses goes to the next best one, three times more at most;
// then its source hears of it. Confirmations that do not belong to a hop change nothing, and no packet is
// lost.
// Method: a lone node with peers made by hand, for each decision; then real links on wires that lose
// datagrams.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct HopTests {
  private let ticket: UInt64 = 77

  /// A node with peers at random places, and the message it is about to send to a place where nobody is.
  private final class Sender {
    let node: LoneNode
    let target: OverlayID
    /// The peers, the one nearest to the target first.
    let order: [Int]

    init(peers: Int, seed: UInt64) {
      var random = Random(seed: seed)
      let node = LoneNode(seed)
      node.raise(peers, &random)
      let target = random.overlayID()
      self.node = node
      self.target = target
      order = (0..<peers).sorted { node.id($0).distance(to: target) < node.id($1).distance(to: target) }
    }

    func send(_ kind: RoutedPayload = .directory, firstByte: UInt8 = 1) {
      var header = RoutedHeader(
        mode: .exact, hops: 56, payload: kind, destination: target, source: node.id)
      header.wantsNotice = true
      let payload = node.links.compose(&node.context) {
        $0.byte(firstByte)
        $0.integer(77 as UInt64)
      }
      node.links.route(header, payload: payload!, &node.context)
    }

    /// The slots of the messages that nobody has taken over.
    var waiting: [Int] {
      let top = node.links.hops.highWater
      return (0..<top).filter { node.links.hops.isUsed($0) }
    }

    var next: Int? { waiting.first.map { node.links.hops[$0].next.slot } }

    func number(_ slot: Int) -> UInt32 {
      let serial = node.links.hops.serial(slot)
      return serial &<< 6 | UInt32(slot)
    }

    func confirm(_ number: UInt32, isTaken: Bool, from peer: Int) {
      node.links.receive(HopConfirmation(number: number, isTaken: isTaken), from: peer, &node.context)
    }

    func isDoubted(_ peer: Int) -> Bool { node.links.peers[peer].paths[1]!.probe.isUrgent }

    /// Lets time pass until the first message is overdue, and a moment before.
    func letLapse() {
      let due = node.links.hops[waiting[0]].dueAt
      node.context.now = Instant(ns: due.ns - 1)
      node.links.expireHops(&node.context)
      node.context.now = due
      node.links.expireHops(&node.context)
    }

    var notices: Int {
      let events = (0..<node.links.events.count).map { node.links.events[$0] }
      return events.filter { if case .undeliverable(target, .directory, 77) = $0 { true } else { false } }
        .count
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func silentHopIsLeftForTheNextBestAndDoubted(seed: UInt64) {
    let sender = Sender(peers: 6, seed: seed)
    sender.send()
    #expect(sender.next == sender.order[0])
    let due = sender.node.links.hops[sender.waiting[0]].dueAt
    sender.node.context.now = Instant(ns: due.ns - 1)
    sender.node.links.expireHops(&sender.node.context)
    #expect(sender.next == sender.order[0] && !sender.isDoubted(sender.order[0]), "it is not due yet")
    sender.node.context.now = due
    sender.node.links.expireHops(&sender.node.context)
    #expect(sender.next == sender.order[1])
    #expect(sender.isDoubted(sender.order[0]))
    #expect(sender.order.dropFirst().allSatisfy { !sender.isDoubted($0) })
    #expect(sender.node.links.counters.rerouted == 1)
    sender.confirm(sender.number(sender.waiting[0]), isTaken: true, from: sender.order[1])
    #expect(sender.waiting.isEmpty && sender.node.available == 256)
  }

  @Test(arguments: [UInt64(4), 5]) func hopThatRefusesIsLeftAtOnceAndNotDoubted(seed: UInt64) {
    let sender = Sender(peers: 6, seed: seed)
    sender.send()
    sender.confirm(sender.number(sender.waiting[0]), isTaken: false, from: sender.order[0])
    #expect(sender.next == sender.order[1])
    #expect(sender.order.allSatisfy { !sender.isDoubted($0) })
    // What the refusing one says later is no longer asked for.
    sender.confirm(sender.number(sender.waiting[0]), isTaken: true, from: sender.order[0])
    sender.confirm(sender.number(sender.waiting[0]), isTaken: false, from: sender.order[0])
    #expect(sender.next == sender.order[1] && sender.node.links.counters.rerouted == 1)
  }

  @Test(arguments: [true, false]) func afterThreeMoreTriesTheSourceHears(isSilent: Bool) {
    let sender = Sender(peers: 6, seed: 6)
    sender.send()
    for i in 0..<4 {
      #expect(sender.next == sender.order[i] && sender.notices == 0)
      if isSilent {
        sender.letLapse()
      } else {
        sender.confirm(sender.number(sender.waiting[0]), isTaken: false, from: sender.order[i])
      }
    }
    #expect(sender.waiting.isEmpty && sender.notices == 1)
    #expect(sender.node.links.counters.rerouted == 3 && sender.node.links.counters.undeliverable == 1)
    #expect(sender.node.available == 256)
    #expect(sender.isDoubted(sender.order[0]) == isSilent)
  }

  @Test func sourceHearsSoonerWhenNobodyIsLeft() {
    let sender = Sender(peers: 2, seed: 7)
    sender.send()
    sender.letLapse()
    #expect(sender.next == sender.order[1])
    sender.letLapse()
    #expect(sender.waiting.isEmpty && sender.notices == 1 && sender.node.available == 256)
  }

  @Test func confirmationsThatDoNotBelongChangeNothing() {
    let sender = Sender(peers: 6, seed: 8)
    sender.send()
    let slot = sender.waiting[0]
    let number = sender.number(slot)
    for other in sender.order.dropFirst() {
      sender.confirm(number, isTaken: true, from: other)
      sender.confirm(number, isTaken: false, from: other)
    }
    for wrong in [0, number ^ 1, number &+ 64, number &- 64, number | 63, .max] {
      sender.confirm(wrong, isTaken: true, from: sender.order[0])
    }
    #expect(sender.waiting == [slot] && sender.next == sender.order[0])
    sender.confirm(number, isTaken: true, from: sender.order[0])
    #expect(sender.waiting.isEmpty)
    // A duplicate, before and after the place has another message.
    sender.confirm(number, isTaken: true, from: sender.order[0])
    sender.send()
    #expect(sender.waiting == [slot] && sender.number(slot) != number)
    sender.confirm(number, isTaken: true, from: sender.order[0])
    sender.confirm(number, isTaken: false, from: sender.order[0])
    #expect(sender.waiting == [slot] && sender.next == sender.order[0])
    sender.node.links.releasePackets(&sender.node.context)
    #expect(sender.node.available == 256)
  }

  @Test func onlyTheFirstTryMeasuresTheRoundTrip() {
    let sender = Sender(peers: 6, seed: 9)
    func samples(_ peer: Int) -> UInt32 { sender.node.links.peers[peer].paths[1]!.roundTrip.samples }
    sender.send()
    sender.node.context.now = .start + .milliseconds(30)
    sender.confirm(sender.number(sender.waiting[0]), isTaken: true, from: sender.order[0])
    #expect(samples(sender.order[0]) == 1)
    let measured = sender.node.links.peers[sender.order[0]].paths[1]!.roundTrip.smoothed
    #expect(measured == .milliseconds(30))
    // A late answer may be one to the try before.
    sender.send()
    sender.letLapse()
    sender.confirm(sender.number(sender.waiting[0]), isTaken: true, from: sender.order[1])
    #expect(sender.waiting.isEmpty && samples(sender.order[0]) == 1 && samples(sender.order[1]) == 0)
  }

  @Test func newTenantOfASlotIsNotDoubtedForTheOldOne() {
    let sender = Sender(peers: 6, seed: 10)
    sender.send()
    let first = sender.order[0]
    sender.node.links.forget(first, &sender.node.context)
    var random = Random(seed: 11)
    let tenant = sender.node.raise(random.publicKey(), at: random.overlayID())
    #expect(tenant == first)
    sender.letLapse()
    #expect(!sender.isDoubted(tenant))
    #expect(sender.waiting.count == 1)
    sender.node.links.releasePackets(&sender.node.context)
  }

  @Test func onlyControlAndHandshakesAreConfirmed() {
    let sender = Sender(peers: 6, seed: 12)
    sender.send(.datagram, firstByte: SessionTable.recordKind)
    #expect(sender.waiting.isEmpty && sender.node.available == 256)
    sender.send(.datagram, firstByte: 1)
    #expect(sender.waiting.count == 1)
    sender.send(.ring)
    #expect(sender.waiting.count == 2)
    sender.node.links.releasePackets(&sender.node.context)
    #expect(sender.waiting.isEmpty && sender.node.available == 256)
  }

  @Test func noCopiesAreKeptWhenSlotsAreShort() throws {
    let sender = Sender(peers: 6, seed: 13)
    var held: [PacketRef] = []
    // One slot is for the message itself.
    while sender.node.available > 65 {
      let ref = sender.node.context.pool.take(length: 0)
      held.append(try #require(ref))
    }
    sender.send()
    #expect(sender.waiting.isEmpty && sender.node.available == 65)
    sender.node.context.pool.release(held.removeLast())
    sender.send()
    #expect(sender.waiting.count == 1 && sender.node.available == 65)
    for ref in held { sender.node.context.pool.release(ref) }
    sender.node.links.releasePackets(&sender.node.context)
    #expect(sender.node.available == 256)
  }

  // MARK: - On wires

  private func ask(_ wires: Wires, _ a: Side, for target: OverlayID) {
    wires.act(a) {
      a.links.routeMessage(.directory, mode: .exact, to: target, wantsNotice: true, &a.context) {
        $0.byte(1)
        $0.integer(77 as UInt64)
      }
    }
  }

  /// `a` is linked with two others, of whom the one that stands nearer to the fourth comes first.
  private func square() -> (Wires, a: Side, first: Side, second: Side, d: Side) {
    let wires = Wires(count: 4)
    let (a, d) = (wires.sides[0], wires.sides[2])
    let others = [wires.sides[1], wires.sides[3]].sorted {
      $0.id.distance(to: d.id) < $1.id.distance(to: d.id)
    }
    return (wires, a, others[0], others[1], d)
  }

  @Test func messageArrivesAlthoughItsFirstHopIsSilent() throws {
    let (wires, a, first, second, d) = square()
    for (one, other) in [(a, first), (a, second), (first, d), (second, d)] { try wires.link(one, other) }
    let pings = a.peer(first)!.pingsSent
    wires.passes = { !($0.from == a.endpoint && $0.to == first.endpoint) }
    ask(wires, a, for: d.id)
    // One wait for the silent one, then two hops.
    let took = try #require(wires.run(upTo: .seconds(1)) { !d.arrived.isEmpty })
    #expect(took <= .milliseconds(220), "took \(took.milliseconds) ms")
    wires.run(for: .milliseconds(60))
    #expect(d.arrived.count == 1 && second.counters.forwarded == 1 && first.counters.forwarded == 0)
    #expect(a.counters.rerouted == 1 && a.peer(first)!.pingsSent > pings)
    #expect(wires.sides.allSatisfy { $0.available == 256 })
  }

  @Test func messageArrivesAlthoughItsFirstHopLeadsNowhere() throws {
    let (wires, a, first, second, d) = square()
    for (one, other) in [(a, first), (a, second), (second, d)] { try wires.link(one, other) }
    ask(wires, a, for: d.id)
    // There, back, and over the other one: no wait at all.
    let took = try #require(wires.run(upTo: .seconds(1)) { !d.arrived.isEmpty })
    #expect(took <= .milliseconds(41), "took \(took.milliseconds) ms")
    wires.run(for: .milliseconds(60))
    #expect(first.counters.undeliverable == 1 && a.counters.rerouted == 1 && a.counters.undeliverable == 0)
    #expect(wires.sides.allSatisfy { $0.available == 256 })
  }

  @Test func lostConfirmationDoesNotLoseTheMessage() throws {
    let (wires, a, first, second, d) = square()
    for (one, other) in [(a, first), (a, second), (first, d), (second, d)] { try wires.link(one, other) }
    wires.passes = { !($0.from == first.endpoint && $0.to == a.endpoint) }
    ask(wires, a, for: d.id)
    wires.run(for: .milliseconds(400))
    #expect((1...2).contains(d.arrived.count), "it comes again rather than not at all")
    #expect(wires.sides.allSatisfy { $0.available == 256 })
  }

  @Test func whoKnowsNoWayTellsTheSourceInTheEnd() throws {
    let (wires, a, first, second, d) = square()
    for (one, other) in [(a, first), (a, second)] { try wires.link(one, other) }
    ask(wires, a, for: d.id)
    wires.run(for: .milliseconds(100))
    let heard = a.happened.filter {
      if case .undeliverable(d.id, .directory, 77) = $0 { true } else { false }
    }
    #expect(heard.count == 1 && first.counters.undeliverable == 1 && second.counters.undeliverable == 1)
    #expect(wires.sides.allSatisfy { $0.available == 256 })
  }

  @Test func fullTableSendsWithoutNumbers() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    wires.passes = { _ in false }
    let before = wires.sent.count
    for _ in 0..<70 { ask(wires, a, for: b.id) }
    let sizes = wires.sent[before...].map(\.bytes.count)
    #expect(sizes.count == 70)
    #expect(sizes.prefix(64).allSatisfy { $0 == sizes[69] + 4 }, "64 carry a number of four bytes")
    #expect(sizes.suffix(6).allSatisfy { $0 == sizes[69] })
    #expect(a.links.hops.count == Links.hopsPending && a.available == 256 - Links.hopsPending)
    wires.run(for: .seconds(3))
    #expect(a.links.hops.count == 0 && a.available == 256)
  }
}
