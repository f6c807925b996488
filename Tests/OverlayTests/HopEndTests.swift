// Goal: where a message ends nobody is as good as the silent one, so that is told again; a via that fails is
// left out; a message that others did not take, and that is for this node by now, arrives; what confirmations
// measure is the way that was taken.
// Method: a lone node with peers made by hand.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct HopEndTests {
  private func message(
    _ node: LoneNode, _ mode: RoutingMode, to target: OverlayID, from source: OverlayID? = nil,
    via: OverlayID? = nil
  ) -> RoutedHeader {
    var header = RoutedHeader(
      mode: mode, hops: 56, payload: .ring, destination: target, source: source ?? node.id,
      destinationVia: via)
    header.wantsNotice = true
    return header
  }

  private func send(_ node: LoneNode, _ header: RoutedHeader, from hop: Int? = nil) {
    var header = header
    let payload = node.links.compose(&node.context) { RingMessage.find(nonce: 77, names: 9).encode(to: &$0) }!
    guard case .forward(let next) = node.links.decide(&header, from: hop) else {
      return node.context.pool.release(payload)
    }
    node.links.hand(header, payload, to: next, from: hop, &node.context)
  }

  private func slots(_ node: LoneNode) -> [Int] {
    let top = node.links.hops.highWater
    return (0..<top).filter { node.links.hops.isUsed($0) }
  }

  private func hop(_ node: LoneNode) -> Hop? { slots(node).first.map { node.links.hops[$0] } }

  private func lapse(_ node: LoneNode) -> Interval {
    let due = hop(node)!.dueAt
    let wait = due - node.context.now
    node.context.now = due
    node.links.expireHops(&node.context)
    return wait
  }

  private func confirm(_ node: LoneNode, isTaken: Bool, from peer: Int) {
    let slot = slots(node)[0]
    let number = node.links.hops.serial(slot) &<< 6 | UInt32(slot)
    node.links.receive(HopConfirmation(number: number, isTaken: isTaken), from: peer, &node.context)
  }

  private func node(_ peers: Int, seed: UInt64) -> LoneNode {
    var random = Random(seed: seed)
    let node = LoneNode(seed)
    node.raise(peers, &random)
    return node
  }

  // MARK: - Again

  @Test(arguments: [true, false]) func silentEndIsToldTwiceMore(isVia: Bool) {
    let node = node(8, seed: 1)
    var random = Random(seed: 2)
    let target = isVia ? random.overlayID() : node.id(3)
    send(node, message(node, .exact, to: target, via: isVia ? node.id(3) : nil))
    var waits: [Interval] = []
    for n in 0..<3 {
      #expect(hop(node)?.next.slot == 3 && Int(hop(node)!.repeats) == n)
      waits.append(lapse(node))
    }
    #expect(waits == [.milliseconds(500), .seconds(1), .seconds(2)])
    #expect(hop(node)?.next.slot != 3 && hop(node)?.repeats == 0 && node.links.counters.rerouted == 1)
    node.links.releasePackets(&node.context)
    #expect(node.available == 256)
  }

  @Test func ownerIsToldAgainAndOthersAreNot() {
    let node = node(8, seed: 3)
    let successor = node.links.neighbourhood.successor!
    send(node, message(node, .owner, to: node.id(successor)))
    #expect(hop(node)?.next.slot == successor && hop(node)?.header.isFinal == true)
    _ = lapse(node)
    #expect(hop(node)?.next.slot == successor)
    node.links.releasePackets(&node.context)
    var random = Random(seed: 4)
    send(node, message(node, .exact, to: random.overlayID()))
    let first = hop(node)!.next.slot
    _ = lapse(node)
    #expect(hop(node)?.next.slot != first)
    node.links.releasePackets(&node.context)
  }

  @Test func whoRefusesIsNotToldAgain() {
    let node = node(8, seed: 5)
    send(node, message(node, .exact, to: node.id(3)))
    confirm(node, isTaken: false, from: 3)
    #expect(hop(node)?.next.slot != 3)
    node.links.releasePackets(&node.context)
  }

  // MARK: - Vias

  @Test func viaThatRefusesIsNamedNoMore() {
    let node = node(8, seed: 6)
    var random = Random(seed: 7)
    send(node, message(node, .exact, to: random.overlayID(), via: node.id(3)))
    confirm(node, isTaken: false, from: 3)
    #expect(hop(node)?.header.destinationVia == nil && hop(node)!.header.detours >= 1)
    node.links.releasePackets(&node.context)
  }

  // MARK: - Here after all

  @Test func messageThatNobodyNearerTakesArrives() {
    var random = Random(seed: 8)
    let node = LoneNode(8)
    // One peer at the target, another far away that sent the message.
    var target = node.id
    target.high ^= 3
    var far = node.id
    far.high ^= 1 << 63
    let near = node.raise(random.publicKey(), at: target)
    let hop = node.raise(random.publicKey(), at: far)
    send(node, message(node, .nearest, to: target, from: random.overlayID()), from: hop)
    #expect(self.hop(node)?.next.slot == near && node.links.arrivals.count == 0)
    _ = lapse(node)
    #expect(self.hop(node) == nil && node.links.counters.undeliverable == 0)
    #expect(node.links.arrivals.count == 1 && node.links.arrivals[0].from == hop)
    node.context.pool.release(node.links.arrivals[0].payload)
    #expect(node.available == 256)
  }

  @Test func ownerThatIsGoneLeavesItsKeysToTheNext() {
    let node = node(2, seed: 9)
    let predecessor = node.links.neighbourhood.predecessor!
    let other = node.links.neighbourhood.successor!
    // The predecessor's own key goes to it, as it should; then its link is lost, and the key is this node's.
    send(node, message(node, .owner, to: node.id(predecessor), from: node.id(other)), from: other)
    #expect(hop(node)?.next.slot == predecessor)
    node.links.forget(predecessor, &node.context)
    _ = lapse(node)
    #expect(hop(node) == nil && node.links.arrivals.count == 1)
    node.context.pool.release(node.links.arrivals[0].payload)
    #expect(node.available == 256)
  }

  // MARK: - Confirmations

  @Test func sampleIsOfTheWayThatWasTaken() {
    let node = node(6, seed: 10)
    send(node, message(node, .exact, to: node.id(3)))
    // Meanwhile another path has become the best one.
    node.links.peers[3].paths[2] = Path(
      way: .endpoint(Endpoint(IPAddress(v4: 0x0B00_0001), port: 7_741)), isLAN: true, at: .start)
    node.links.peers[3].paths[2]!.isValid = true
    node.links.peers[3].best = 2
    node.context.now = .start + .milliseconds(30)
    confirm(node, isTaken: true, from: 3)
    #expect(node.links.peers[3].paths[1]!.roundTrip.samples == 1)
    #expect(node.links.peers[3].paths[2]!.roundTrip.samples == 0)
    // And once the way is gone there is nothing to be learned.
    send(node, message(node, .exact, to: node.id(3)))
    node.links.peers[3].paths[2] = nil
    node.links.peers[3].best = 1
    confirm(node, isTaken: true, from: 3)
    #expect(node.links.peers[3].paths[1]!.roundTrip.samples == 1 && slots(node).isEmpty)
  }

  @Test func newTenantOfASlotConfirmsNothing() {
    let node = node(6, seed: 11)
    var random = Random(seed: 12)
    send(node, message(node, .exact, to: node.id(3)))
    node.links.forget(3, &node.context)
    #expect(node.raise(random.publicKey(), at: random.overlayID()) == 3)
    confirm(node, isTaken: true, from: 3)
    #expect(slots(node).count == 1)
    confirm(node, isTaken: false, from: 3)
    #expect(node.links.counters.rerouted == 0)
    node.links.releasePackets(&node.context)
  }

  @Test func newTenantOfTheSlotItCameFromIsAHopLikeOthers() {
    var random = Random(seed: 13)
    let node = LoneNode(13)
    let target = random.overlayID()
    let (first, hop) = (node.raise(random.publicKey(), at: target &+ OverlayID(exp2: 100)), 1)
    node.raise(random.publicKey(), at: random.overlayID())
    send(node, message(node, .exact, to: target, from: random.overlayID()), from: hop)
    #expect(self.hop(node)?.next.slot == first)
    node.links.forget(hop, &node.context)
    #expect(node.raise(random.publicKey(), at: target &+ OverlayID(exp2: 110)) == hop)
    confirm(node, isTaken: false, from: first)
    #expect(self.hop(node)?.next.slot == hop)
    node.links.releasePackets(&node.context)
  }

  // MARK: - Notices

  @Test func noticeAboutAHandshakeBringsOnTheNextTryWithoutVias() {
    let node = node(6, seed: 14)
    var random = Random(seed: 15)
    let slot = node.links.find(random.publicKey(), &node.context)!
    let target = node.id(slot)
    node.links.peers[slot].vias.append(node.id(2))
    node.links.peers[slot].attempt = Attempt(tries: 1, nextAt: .start + .seconds(1))
    node.links.onUnreached(target, &node.context)
    #expect(node.links.peers[slot].attempt?.nextAt == .start && node.links.peers[slot].vias.isEmpty)
    #expect(node.links.peers[slot].attempt?.tries == 1 && node.links.deadline == .start)
    // Later tries wait as long as they would: anybody may say that a node is not reached.
    node.links.peers[slot].attempt = Attempt(tries: 3, nextAt: .start + .seconds(1))
    node.links.onUnreached(target, &node.context)
    #expect(node.links.peers[slot].attempt?.nextAt == .start + .seconds(1))
    // Nor does it touch a link that is up.
    node.links.peers[4].vias.append(node.id(2))
    node.links.onUnreached(node.id(4), &node.context)
    #expect(node.links.peers[4].isUp && node.links.peers[4].vias.count == 1)
    node.links.onUnreached(random.overlayID(), &node.context)
  }
}
