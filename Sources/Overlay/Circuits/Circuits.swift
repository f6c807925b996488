// Circuits from their ends: paths to a peer that cannot be reached directly, through nodes to which both have
// a direct path.
//
// Which relays these are is chosen in `Proxies.swift`. Each end asks the relay for the other; what comes of
// it is a path like any other: proved and measured by pings, left when it is silent, better than the way over
// the ring and worse than any endpoint. A peer with traffic has two through different relays, so that a dead
// relay costs no more than a change of paths, and a quicker one takes over when it is proved.
//
// *Invariant:* an end's label is accepted only from a proven endpoint of the relay that it was given to, and
// only while the links with relay and peer are those in which it was set up. When all circuits are lost, the
// way over the ring carries on until there is another.

import Base
import Session

extension Links {
  mutating func receive(_ message: CircuitMessage, from slot: Int, _ context: inout Context) {
    switch message {
    case .offer(let relays): receiveOffer(relays, from: slot, &context)
    case .answer(let relay, let beyond, let instead):
      receiveAnswer(relay, beyond: beyond, instead: instead, from: slot, &context)
    case .ask(let ask): receiveAsk(ask, from: slot, &context)
    case .ready(let asked, let label):
      if circuitEnds.hasLabel(asked) {
        receiveReady(asked, label: label, from: slot, &context)
      } else {
        receiveReady(onwards: asked, label: label, from: slot, &context)
      }
    case .closed(let asked, let reason):
      if circuitEnds.hasLabel(asked) {
        receiveClosed(asked, reason, from: slot, &context)
      } else {
        receiveClosed(onwards: asked, reason, from: slot, &context)
      }
    case .leave(let asked): receiveLeave(asked, from: slot, &context)
    }
  }

  func isCircuit(_ index: Int) -> Bool { Peer.circuitSlots.contains(index) }

  /// Whether the peer is reached over the ring or through others, and nobody wants it to be.
  func lacksDirectPath(_ slot: Int) -> Bool {
    peers[slot].isUp && !peers[slot].hasDirectPath && !peers[slot].isPinnedToOverlay
  }

  // MARK: - Choosing among those that are there

  /// The circuit that data takes when there is no endpoint: one that answers, among these the quicker one,
  /// but only for a clear gain.
  func bestCircuit(_ slot: Int) -> Int? {
    var best: Int?
    for i in Peer.circuitSlots where peers[slot].paths[i]?.isValid == true {
      guard let other = best else {
        best = i
        continue
      }
      if isBetterCircuit(slot, i, than: other) { best = i }
    }
    return best
  }

  private func isBetterCircuit(_ slot: Int, _ new: Int, than old: Int) -> Bool {
    let isSilent = peers[slot].paths[new]!.probe.tries >= CircuitTiming.silentTries
    let wasSilent = peers[slot].paths[old]!.probe.tries >= CircuitTiming.silentTries
    if isSilent != wasSilent { return wasSilent }
    let (first, second) = (peers[slot].paths[new]!.roundTrip, peers[slot].paths[old]!.roundTrip)
    guard first.samples > 0, second.samples > 0 else { return peers[slot].best == new }
    if peers[slot].best == new { return !isClearlyLess(second.shortest, than: first.shortest) }
    return isClearlyLess(first.shortest, than: second.shortest)
  }

  /// Whether the first round trip is shorter by 5 % and by 2 ms: less is not worth a change. It is a quarter
  /// of what is asked of endpoints: a change of circuits loses nothing, and the relay shall come near the
  /// best one that there is.
  func isClearlyLess(_ new: Interval, than old: Interval) -> Bool {
    new.ns < old.ns / 20 * 19 && new + .milliseconds(2) < old
  }

  // MARK: - Asking a relay

  /// Asks a relay to join us with the peer, or with the peer's own relay; what had this place is left.
  mutating func askRelay(
    _ relay: Int, beyond: OverlayID = .zero, for slot: Int, place: Int, _ context: inout Context
  ) {
    if let old = circuitEnds.find(peer: slot, place: place) { leaveCircuit(old, &context) }
    guard circuitEnds.count < CircuitEndTable.limit else { return }
    let index = circuitEnds.insert(
      CircuitEnd(
        peer: party(slot), peerID: peers[slot].id, relay: party(relay), relayID: peers[relay].id,
        beyond: beyond, label: freshLabel(), place: place, since: context.now, nextAt: context.now,
        usedAt: context.now))
    askIfDue(index, slot, &context)
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
    let ask = CircuitAsk(peer: end.peerID, beyond: end.beyond, label: end.label)
    send(.circuit, to: end.relay.slot, &context) { CircuitMessage.ask(ask).encode(to: &$0) }
  }

  /// The relay has joined us with the peer, or has done so anew.
  private mutating func receiveReady(
    _ asked: UInt32, label: UInt32, from slot: Int, _ context: inout Context
  ) {
    guard let index = circuitEnds.find(label: asked), let end = circuitEnds[index], end.relay.slot == slot,
      !end.isLeft, isPresent(end.peer), isPresent(end.relay), end.farLabel != label
    else { return }
    circuitEnds.update(index) { $0.farLabel = label }
    let to = end.peer.slot
    if peers[to].best == end.place { abandon(to, end.place, &context) }
    peers[to].paths[end.place] = Path(
      way: .circuit(relay: end.relayID, label: label), isLAN: false, at: context.now)
    wake(to, at: context.now)
    tick(to, &context)
  }

  private mutating func receiveClosed(
    _ asked: UInt32, _ reason: CircuitRefusal, from slot: Int, _ context: inout Context
  ) {
    guard let index = circuitEnds.find(label: asked), let end = circuitEnds[index], end.relay.slot == slot,
      isPresent(end.relay), !end.isLeft
    else { return }
    switch reason {
    case .unwilling: peers[slot].relaysFrom = context.now + CircuitTiming.unwilling
    case .full: peers[slot].relaysFrom = context.now + CircuitTiming.full
    // The relay may be about to prove its path to one of the two: the next ask will tell.
    case .unreachable where end.farLabel == 0 && end.beyond == .zero: return
    case .done, .unreachable: break
    }
    // The relay has let go already, unless the other end has left, which receives a moment longer.
    leaveCircuit(index, isTold: true, &context)
    replaceCircuit(end, &context)
  }

  // MARK: - Keeping them

  /// Keeps the circuits to the peer, and looks for others when they are wanted.
  mutating func circuitIfDue(_ slot: Int, _ context: inout Context) {
    for place in Peer.circuitSlots {
      if let index = circuitEnds.find(peer: slot, place: place) { keepCircuit(index, slot, &context) }
    }
    searchIfDue(slot, &context)
    offerIfDue(slot, &context)
  }

  private mutating func keepCircuit(_ index: Int, _ slot: Int, _ context: inout Context) {
    let end = circuitEnds[index]!
    guard isPresent(end.peer) else { return leaveCircuit(index, &context) }
    guard isReached(end.relay) else { return failCircuit(index, &context) }
    if end.farLabel == 0 { return askIfDue(index, slot, &context) }
    guard let path = peers[slot].paths[end.place] else { return failCircuit(index, &context) }
    if path.isValid, !end.wasProven {
      circuitEnds.update(index) { $0.wasProven = true }
      peers[slot].circuitAvoid = .zero
      peers[slot].circuitRetryIn = CircuitTiming.improve
      peers[slot].circuitAt = context.now + context.random.jittered(CircuitTiming.improve)
      wake(slot, at: peers[slot].circuitAt)
    }
    // A lost ping: the peer may be gone, or the relay, whose place in other ways is then to be filled too.
    // The spare takes over before that is known.
    if path.isValid, path.probe.tries >= CircuitTiming.silentTries {
      doubt(end.relay.slot, context.now)
      chooseBest(slot, &context)
    }
    if isNeeded(end.place, slot, context.now) {
      circuitEnds.update(index) { $0.usedAt = context.now }
      return
    }
    let doneAt = end.usedAt + CircuitTiming.idle
    if doneAt <= context.now { leaveCircuit(index, &context) } else { wake(slot, at: doneAt) }
  }

  /// Whether the circuit is the way of data, or its spare while there is any.
  private func isNeeded(_ place: Int, _ slot: Int, _ now: Instant) -> Bool {
    if peers[slot].hasDirectPath { return false }
    return peers[slot].best == place || bestCircuit(slot) == place || isBusy(slot, now)
  }

  /// Whether there is traffic with the peer.
  func isBusy(_ slot: Int, _ now: Instant) -> Bool {
    peers[slot].isForTraffic && now - peers[slot].usedAt < Timing.activity
  }

  /// The circuit does not work.
  mutating func failCircuit(_ index: Int, _ context: inout Context) {
    let end = circuitEnds[index]!
    leaveCircuit(index, &context)
    replaceCircuit(end, &context)
  }

  /// Another relay is tried, at once when this one did work.
  private mutating func replaceCircuit(_ end: CircuitEnd, _ context: inout Context) {
    guard isPresent(end.peer) else { return }
    let slot = end.peer.slot
    peers[slot].circuitAvoid = end.relayID
    if end.wasProven {
      peers[slot].circuitAt = context.now
      peers[slot].circuitRetryIn = CircuitTiming.retryMin
    }
    wake(slot, at: max(peers[slot].circuitAt, context.now))
  }

  /// Lets go of our end, and of the path through it. What is on its way is still received.
  /// - Parameter isTold: whether the relay knows.
  mutating func leaveCircuit(_ index: Int, isTold: Bool = false, _ context: inout Context) {
    let end = circuitEnds[index]!
    if end.farLabel == 0 || !isPresent(end.peer) || !isPresent(end.relay) {
      circuitEnds.remove(index)
    } else {
      circuitEnds.update(index) { $0.leftUntil = context.now + CircuitTiming.linger }
      wakeCircuits(at: context.now + CircuitTiming.linger)
    }
    if !isTold, isPresent(end.relay) {
      let message = CircuitMessage.leave(asked: end.label)
      send(.circuit, to: end.relay.slot, &context) { message.encode(to: &$0) }
    }
    guard isPresent(end.peer), let path = peers[end.peer.slot].paths[end.place] else { return }
    if path.isValid {
      abandon(end.peer.slot, end.place, &context)
    } else {
      peers[end.peer.slot].paths[end.place] = nil
    }
  }

  /// Links were lost or made anew: what hung on them is looked at.
  mutating func checkCircuitEnds(_ context: inout Context) {
    circuitSearches = circuitSearches.filter { isPresent($0.peer) }
    var index = 0
    while index < circuitEnds.highWater {
      if let end = circuitEnds[index] { check(end, index, &context) }
      index += 1
    }
  }

  private mutating func check(_ end: CircuitEnd, _ index: Int, _ context: inout Context) {
    if end.isLeft {
      if end.leftUntil <= context.now || !isPresent(end.peer) { return circuitEnds.remove(index) }
      wakeCircuits(at: end.leftUntil)
    } else if !isPresent(end.peer) {
      leaveCircuit(index, &context)
    } else if !isReached(end.relay) {
      failCircuit(index, &context)
      tick(end.peer.slot, &context)
    }
  }

  // MARK: - Datagrams

  /// A circuit datagram for which this node is no relay.
  mutating func receiveAtEnd(
    _ ref: PacketRef, _ header: CircuitHeader, from endpoint: Endpoint, _ context: inout Context
  ) -> Arrival {
    guard let origin = originAtEnd(header, from: endpoint) else {
      counters.circuitUnknown &+= 1
      return .none
    }
    let before = UInt16(CircuitHeader.byteCount)
    let inner = PacketRef(slot: ref.slot, offset: ref.offset + before, length: ref.length - before)
    switch context.pool.frame(inner)[0] {
    case SessionTable.recordKind: return receiveRecord(inner, from: origin, &context)
    case SessionTable.resetKind: receiveReset(context.pool.frame(inner), &context)
    default: counters.malformed &+= 1
    }
    return .none
  }

  /// The circuit by which a datagram came, if this node is an end of it; nil when it came from elsewhere.
  func originAtEnd(_ header: CircuitHeader, from endpoint: Endpoint) -> Origin? {
    guard let end = circuitEnds.receiver(header.label), end.farLabel != 0, isPresent(end.relay),
      isProven(endpoint, of: end.relay.slot)
    else { return nil }
    return .circuit(relay: end.relayID, label: end.farLabel)
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
    CircuitHeader(hops: CircuitHeader.hopsMax, label: label).write(to: context.pool.frame(whole))
    if let index = peers[slot].index(of: .endpoint(endpoint)) {
      peers[slot].paths[index]!.usedAt = context.now
    }
    context.emit(.transmit(whole, to: endpoint), owning: whole)
  }
}
