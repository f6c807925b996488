// Circuits from their ends: a path to a peer that cannot be reached directly, through a node to which both
// have a direct path.
//
// The end with the smaller ID offers relays, the other one chooses the quickest for both, and each asks that
// relay for the other. What comes of it is a path like any other: proved and measured by pings, left when it
// is silent, better than the way over the ring and worse than any endpoint.
//
// *Invariant:* an end's label is accepted only from a proven endpoint of the relay that it was given to, and
// only while the links with relay and peer are those in which it was set up. A circuit that is lost is
// replaced through another relay, if there is one; meanwhile the way over the ring carries on.

import Base
import Session

/// Times of circuits, each with its reason.
enum CircuitTiming {
  /// The first probes of a direct path have been answered by then, or will not be.
  static let start = Interval.milliseconds(1_500)
  /// After an offer that led to nothing, and at most.
  static let retryMin = Interval.seconds(1)
  static let retryMax = Interval.minutes(5)
  /// Waits between the tries of an ask: one is lost now and then, and the other end asks a little later.
  static let ask: [Interval] = [
    .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(1),
  ]
  /// A relay waits this long for the second end.
  static let halfAsked = Interval.seconds(5)
  /// A circuit through which nothing went, or which a direct path has replaced, is let go after this.
  static let idle = Interval.minutes(2)
}

/// Our end of a circuit.
struct CircuitEnd: BitwiseCopyable {
  let peer: Party
  let peerID: OverlayID
  let relay: Party
  let relayID: OverlayID
  /// Under which we receive.
  let label: UInt32
  /// Under which the relay receives; 0 until it is ready.
  var farLabel: UInt32 = 0
  /// When the relay was first asked.
  let since: Instant
  var tries: UInt8 = 0
  var nextAt: Instant
  /// When data last had no better path than this.
  var usedAt: Instant
  /// Whether its path was ever proved.
  var wasProven = false
}

/// All our ends.
struct CircuitEndTable {
  static let limit = 256

  private var ends: [CircuitEnd?] = []
  private var labels = LabelIndex()
  private(set) var count = 0

  var highWater: Int { ends.count }

  subscript(index: Int) -> CircuitEnd? { ends[index] }

  func hasLabel(_ label: UInt32) -> Bool { labels.target(label) != nil }

  func receiver(_ label: UInt32) -> CircuitEnd? { labels.target(label).flatMap { ends[$0] } }

  func find(peer slot: Int) -> Int? { ends.firstIndex { $0?.peer.slot == slot } }

  func find(peer id: OverlayID, relay slot: Int) -> Int? {
    ends.firstIndex { $0?.peerID == id && $0?.relay.slot == slot }
  }

  /// Ends whose circuits go through this peer.
  func count(relay slot: Int) -> Int { ends.count { $0?.relay.slot == slot } }

  mutating func insert(_ end: CircuitEnd) {
    precondition(count < Self.limit)
    count += 1
    var index = ends.count
    if let free = ends.firstIndex(where: { $0 == nil }) {
      index = free
      ends[free] = end
    } else {
      ends.append(end)
    }
    labels.insert(end.label, index)
  }

  mutating func update(_ index: Int, _ change: (inout CircuitEnd) -> Void) { change(&ends[index]!) }

  mutating func remove(_ index: Int) {
    labels.remove(ends[index]!.label)
    ends[index] = nil
    count -= 1
    while let last = ends.last, last == nil { ends.removeLast() }
  }
}

extension Links {
  mutating func receive(_ message: CircuitMessage, from slot: Int, _ context: inout Context) {
    switch message {
    case .offer(let relays): receiveOffer(relays, from: slot, &context)
    case .answer(let relay): receiveAnswer(relay, from: slot, &context)
    case .ask(let peer, let label): receiveAsk(peer, label: label, from: slot, &context)
    case .ready(let peer, let label): receiveReady(peer, label: label, from: slot, &context)
    case .closed(let peer, let label, _):
      if let index = circuitEnds.find(peer: peer, relay: slot), circuitEnds[index]?.label == label {
        failCircuit(index, &context)
      }
    case .leave(let peer, let label): receiveLeave(peer, label: label, from: slot, &context)
    }
  }

  // MARK: - Choosing a relay

  /// Keeps the circuit to the peer, or begins one when it is wanted.
  mutating func circuitIfDue(_ slot: Int, _ context: inout Context) {
    if let index = circuitEnds.find(peer: slot) { keepCircuit(index, slot, &context) }
    guard circuitEnds.find(peer: slot) == nil, lacksDirectPath(slot), id < peers[slot].id,
      peers[slot].circuitAt != .never
    else { return }
    guard peers[slot].circuitAt <= context.now else { return wake(slot, at: peers[slot].circuitAt) }
    guard wantsCircuit(slot, context.now) else { return }
    peers[slot].circuitAt = context.now + context.random.jittered(peers[slot].circuitRetryIn)
    peers[slot].circuitRetryIn = min(peers[slot].circuitRetryIn * 2, CircuitTiming.retryMax)
    wake(slot, at: peers[slot].circuitAt)
    let relays = relayOffers(for: slot)
    guard !relays.isEmpty else { return }
    let message = CircuitMessage.offer(relays)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
  }

  /// Whether the peer is reached over the ring, and nobody wants it to be.
  private func lacksDirectPath(_ slot: Int) -> Bool {
    peers[slot].isUp && !peers[slot].hasDirectPath && !peers[slot].isPinnedToOverlay
  }

  /// Whether the link is one of the ring, for us or for the peer, or has traffic.
  private func wantsCircuit(_ slot: Int, _ now: Instant) -> Bool {
    isNeighbour(peers[slot].id, at: now) || now - peers[slot].usedAt < Timing.activity
  }

  /// Those of our direct peers that the peer may reach directly too: those that it has named, then our
  /// bootstraps and ring neighbours, the ones nearest to it first.
  private func relayOffers(for slot: Int) -> BoundedArray<4, RelayOffer> {
    var list = BoundedArray<4, RelayOffer>()
    func distance(_ relay: OverlayID) -> OverlayID {
      let isNamed = peers[slot].vias.contains { $0 == relay }
      return isNamed ? .zero : relay.distance(to: peers[slot].id)
    }
    for other in 0..<peers.highWater where other != slot && mayRelay(other) {
      let relay = peers[other].id
      guard relay != peers[slot].circuitAvoid else { continue }
      let isKnown = peers[other].isLasting || peers[other].roles.contains(.bootstrap)
      guard isKnown || peers[slot].vias.contains(where: { $0 == relay }) else { continue }
      var place = 0
      while place < list.count, distance(list[place].relay) <= distance(relay) { place += 1 }
      list.insert(RelayOffer(relay: relay, roundTrip: roundTripToRelay(other)), at: place)
    }
    // The one that failed last is better than none.
    if list.isEmpty, let other = peer(peers[slot].circuitAvoid), mayRelay(other) {
      list.append(RelayOffer(relay: peers[other].id, roundTrip: roundTripToRelay(other)))
    }
    return list
  }

  private func mayRelay(_ slot: Int) -> Bool {
    peers.isUsed(slot) && peers[slot].isUp && peers[slot].hasDirectPath
      && circuitEnds.count(relay: slot) < CircuitTable.peerLimit
  }

  /// In microseconds; 0 when it was not measured.
  private func roundTripToRelay(_ slot: Int) -> UInt32 {
    guard let path = peers[slot].bestPath, path.endpoint != nil, path.roundTrip.samples > 0 else { return 0 }
    return UInt32(min(max(path.roundTrip.smoothed.ns / 1_000, 1), UInt64(UInt32.max)))
  }

  private mutating func receiveOffer(
    _ offers: BoundedArray<4, RelayOffer>, from slot: Int, _ context: inout Context
  ) {
    guard peers[slot].id < id, lacksDirectPath(slot) else { return }
    var best: (relay: Int, roundTrip: UInt64)?
    for i in 0..<offers.count {
      guard let relay = peer(offers[i].relay), relay != slot, mayRelay(relay) else { continue }
      let own = roundTripToRelay(relay)
      let isMeasured = own > 0 && offers[i].roundTrip > 0
      var sum = isMeasured ? UInt64(own) + UInt64(offers[i].roundTrip) : 1 << 40
      if peers[relay].id == peers[slot].circuitAvoid { sum += 1 << 41 }
      if best == nil || sum < best!.roundTrip { best = (relay, sum) }
    }
    let chosen = best.map { peers[$0.relay].id } ?? .zero
    let message = CircuitMessage.answer(relay: chosen)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
    guard let best else { return }
    // Offered twice because the answer took long: what was begun goes on.
    if let old = circuitEnds.find(peer: slot), circuitEnds[old]!.relay == party(best.relay),
      context.now - circuitEnds[old]!.since < CircuitTiming.retryMin
    {
      return
    }
    askRelay(best.relay, for: slot, &context)
  }

  private mutating func receiveAnswer(_ relay: OverlayID, from slot: Int, _ context: inout Context) {
    guard relay != .zero, id < peers[slot].id, lacksDirectPath(slot), let relay = peer(relay), relay != slot,
      mayRelay(relay)
    else { return }
    if let old = circuitEnds.find(peer: slot), circuitEnds[old]!.relay == party(relay) { return }
    askRelay(relay, for: slot, &context)
  }

  // MARK: - Asking it

  private mutating func askRelay(_ relay: Int, for slot: Int, _ context: inout Context) {
    if let old = circuitEnds.find(peer: slot) { leaveCircuit(old, &context) }
    guard circuitEnds.count < CircuitEndTable.limit else { return }
    circuitEnds.insert(
      CircuitEnd(
        peer: party(slot), peerID: peers[slot].id, relay: party(relay), relayID: peers[relay].id,
        label: freshLabel(), since: context.now, nextAt: context.now, usedAt: context.now))
    askIfDue(circuitEnds.find(peer: slot)!, slot, &context)
  }

  private mutating func askIfDue(_ index: Int, _ slot: Int, _ context: inout Context) {
    let end = circuitEnds[index]!
    if end.nextAt > context.now { return wake(slot, at: end.nextAt) }
    guard Int(end.tries) < CircuitTiming.ask.count else { return failCircuit(index, &context) }
    let nextAt = context.now + CircuitTiming.ask[Int(end.tries)]
    circuitEnds.update(index) {
      $0.tries += 1
      $0.nextAt = nextAt
    }
    wake(slot, at: nextAt)
    let message = CircuitMessage.ask(peer: end.peerID, label: end.label)
    send(.circuit, to: end.relay.slot, &context) { message.encode(to: &$0) }
  }

  /// The relay has joined us with the peer, or has done so anew.
  private mutating func receiveReady(
    _ other: OverlayID, label: UInt32, from slot: Int, _ context: inout Context
  ) {
    guard let index = circuitEnds.find(peer: other, relay: slot), let end = circuitEnds[index],
      isPresent(end.peer), isPresent(end.relay), end.farLabel != label
    else { return }
    circuitEnds.update(index) { $0.farLabel = label }
    let to = end.peer.slot
    if peers[to].best == Peer.circuitSlot { abandon(to, Peer.circuitSlot, &context) }
    peers[to].paths[Peer.circuitSlot] = Path(
      way: .circuit(relay: end.relayID, label: label), isLAN: false, at: context.now)
    wake(to, at: context.now)
    tick(to, &context)
  }

  // MARK: - Keeping it

  private mutating func keepCircuit(_ index: Int, _ slot: Int, _ context: inout Context) {
    let end = circuitEnds[index]!
    guard isPresent(end.peer) else { return leaveCircuit(index, &context) }
    guard isReached(end.relay) else { return failCircuit(index, &context) }
    if end.farLabel == 0 { return askIfDue(index, slot, &context) }
    guard let path = peers[slot].paths[Peer.circuitSlot] else { return failCircuit(index, &context) }
    if path.isValid, !end.wasProven {
      circuitEnds.update(index) { $0.wasProven = true }
      peers[slot].circuitRetryIn = CircuitTiming.retryMin
      peers[slot].circuitAvoid = .zero
    }
    // A lost ping: the peer may be gone, or the relay, whose place in other ways is then to be filled too.
    if path.isValid, path.probe.tries == 2 { doubt(end.relay.slot, context.now) }
    guard peers[slot].hasDirectPath else { return circuitEnds.update(index) { $0.usedAt = context.now } }
    let doneAt = end.usedAt + CircuitTiming.idle
    if doneAt <= context.now { leaveCircuit(index, &context) } else { wake(slot, at: doneAt) }
  }

  /// The circuit does not work: another relay is tried, at once when this one did work.
  private mutating func failCircuit(_ index: Int, _ context: inout Context) {
    let end = circuitEnds[index]!
    leaveCircuit(index, &context)
    guard isPresent(end.peer) else { return }
    let slot = end.peer.slot
    peers[slot].circuitAvoid = end.relayID
    if end.wasProven { peers[slot].circuitAt = context.now }
    wake(slot, at: max(peers[slot].circuitAt, context.now))
  }

  /// Lets go of our end, and of the path through it.
  private mutating func leaveCircuit(_ index: Int, _ context: inout Context) {
    let end = circuitEnds[index]!
    circuitEnds.remove(index)
    if isPresent(end.relay) {
      let message = CircuitMessage.leave(peer: end.peerID, label: end.label)
      send(.circuit, to: end.relay.slot, &context) { message.encode(to: &$0) }
    }
    guard isPresent(end.peer), let path = peers[end.peer.slot].paths[Peer.circuitSlot] else { return }
    if path.isValid {
      abandon(end.peer.slot, Peer.circuitSlot, &context)
    } else {
      peers[end.peer.slot].paths[Peer.circuitSlot] = nil
    }
  }

  /// Links were lost or made anew: what hung on them is looked at.
  mutating func checkCircuitEnds(_ context: inout Context) {
    var index = 0
    while index < circuitEnds.highWater {
      if let end = circuitEnds[index] {
        if !isPresent(end.peer) {
          leaveCircuit(index, &context)
        } else if !isReached(end.relay) {
          failCircuit(index, &context)
          tick(end.peer.slot, &context)
        }
      }
      index += 1
    }
  }

  // MARK: - Datagrams

  /// A circuit datagram for which this node is no relay.
  mutating func receiveAtEnd(
    _ ref: PacketRef, _ header: CircuitHeader, from endpoint: Endpoint, _ context: inout Context
  ) -> Arrival {
    guard let end = circuitEnds.receiver(header.label), end.farLabel != 0, isPresent(end.relay),
      isProven(endpoint, of: end.relay.slot)
    else {
      counters.circuitUnknown &+= 1
      return .none
    }
    let before = UInt16(CircuitHeader.byteCount)
    let inner = PacketRef(slot: ref.slot, offset: ref.offset + before, length: ref.length - before)
    let origin = Origin.circuit(relay: end.relayID, label: end.farLabel)
    switch context.pool.frame(inner)[0] {
    case SessionTable.recordKind: return receiveRecord(inner, from: origin, &context)
    case SessionTable.resetKind: receiveReset(context.pool.frame(inner), &context)
    default: counters.malformed &+= 1
    }
    return .none
  }

  /// Sends a datagram through a relay. Takes the slot.
  mutating func transmit(
    _ datagram: PacketRef, through relay: OverlayID, label: UInt32, _ context: inout Context
  ) {
    guard let slot = peer(relay), peers[slot].isUp, let endpoint = directEndpoint(slot) else {
      counters.noWay &+= 1
      return context.pool.release(datagram)
    }
    let before = UInt16(CircuitHeader.byteCount)
    let whole = PacketRef(
      slot: datagram.slot, offset: datagram.offset - before, length: datagram.length + before)
    CircuitHeader(hops: 1, label: label).write(to: context.pool.frame(whole))
    if let index = peers[slot].index(of: .endpoint(endpoint)) {
      peers[slot].paths[index]!.usedAt = context.now
    }
    context.emit(.transmit(whole, to: endpoint), owning: whole)
  }
}
