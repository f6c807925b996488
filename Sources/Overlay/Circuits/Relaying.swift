// What a relay does: it joins two sides that ask for each other, passes their datagrams on in place, and lets
// go of what is silent or has lost a side.
//
// A side is an end, or the relay of an end: then an end has asked this node for a circuit through the other
// relay, and this node asks that one. It asks nobody but a peer that it reaches directly, and never on behalf
// of a relay, so that nothing can be passed round.
//
// A label alone is worth nothing: a datagram is passed on only when it comes from a proven endpoint of the
// very peer that the label was given to.

import Base
import Session

extension Links {
  // MARK: - Parties

  func party(_ slot: Int) -> Party {
    Party(slot: slot, serial: peers.serial(slot), upAt: peers[slot].upAt)
  }

  /// Whether the link is the same as when the party was noted.
  func isPresent(_ party: Party) -> Bool {
    peers.isUsed(party.slot) && peers.serial(party.slot) == party.serial && peers[party.slot].isUp
      && peers[party.slot].upAt == party.upAt
  }

  /// Whether the link still leads directly to the party.
  func isReached(_ party: Party) -> Bool { isPresent(party) && peers[party.slot].hasDirectPath }

  /// Where datagrams to a directly reached peer go.
  func directEndpoint(_ slot: Int) -> Endpoint? {
    if let endpoint = peers[slot].bestPath?.endpoint { return endpoint }
    for i in 1..<Peer.circuitSlot where peers[slot].paths[i]?.isValid == true {
      return peers[slot].paths[i]?.endpoint
    }
    return nil
  }

  /// Whether the peer has proved that it is reached at this endpoint.
  func isProven(_ endpoint: Endpoint, of slot: Int) -> Bool {
    guard let index = peers[slot].index(of: .endpoint(endpoint)) else { return false }
    return peers[slot].paths[index]!.isValid
  }

  /// A label that stands for nothing here yet.
  mutating func freshLabel() -> UInt32 {
    while true {
      let label = UInt32(truncatingIfNeeded: secure.next())
      if label != 0, !relayed.hasLabel(label), !circuitEnds.hasLabel(label) { return label }
    }
  }

  // MARK: - Datagrams

  /// Takes a circuit datagram: passes it on, slot and all, or hands out the record in it.
  mutating func receiveCircuit(
    _ ref: PacketRef, from origin: Origin, _ context: inout Context
  ) -> Arrival {
    let datagram = context.pool.frame(ref)
    guard let header = CircuitHeader(datagram), case .endpoint(let endpoint) = origin else {
      counters.malformed &+= 1
      return .none
    }
    if let (circuit, side) = relayed.sender(header.label) {
      return pass(ref, header, circuit, side, from: endpoint, &context)
    }
    return receiveAtEnd(ref, header, from: endpoint, &context)
  }

  private mutating func pass(
    _ ref: PacketRef, _ header: CircuitHeader, _ circuit: Int, _ side: Int, from endpoint: Endpoint,
    _ context: inout Context
  ) -> Arrival {
    guard let (label, destination) = onward(circuit, side, from: endpoint) else {
      counters.circuitUnknown &+= 1
      return .none
    }
    guard header.hops > 0 else {
      counters.hopsExceeded &+= 1
      return .none
    }
    guard mayPass(circuit, Int(ref.length), at: context.now) else {
      counters.relayLimited &+= 1
      return .none
    }
    counters.circuitForwarded &+= 1
    CircuitHeader(hops: header.hops - 1, label: label).write(to: context.pool.frame(ref))
    context.emit(.transmit(ref, to: destination), owning: ref)
    return .passed
  }

  /// Where the datagrams of a side go on, and under which label; nil when they do not come from there, or the
  /// other side is not there.
  private func onward(
    _ circuit: Int, _ side: Int, from endpoint: Endpoint
  ) -> (label: UInt32, destination: Endpoint)? {
    guard let near = relayed.circuit(circuit)?.sides[side], isPresent(near.party),
      isProven(endpoint, of: near.party.slot), let far = relayed.circuit(circuit)?.sides[1 - side],
      far.hasAsked, isPresent(far.party), let destination = directEndpoint(far.party.slot)
    else { return nil }
    return (far.farLabel, destination)
  }

  /// Whether the limits of the circuit and of the relay allow a datagram of this size.
  private mutating func mayPass(_ circuit: Int, _ bytes: Int, at now: Instant) -> Bool {
    let isAllowed =
      relayed.mayPass(circuit, bytes, at: now)
      && relay.allows(
        bytes, isFavoured: relayed.circuit(circuit)!.isFavoured, isSmall: !RelayedCircuit.isData(bytes),
        at: now)
    if !isAllowed, relay.isUsedUp { wakeCircuits(at: now) }
    if relay.saveAt < circuitsAt { wakeCircuits(at: relay.saveAt) }
    return isAllowed
  }

  /// Whether a datagram may be one of a circuit that is relayed here.
  public func mayForward(_ datagram: Frame) -> Bool {
    relayed.count > 0 && datagram[0] == CircuitHeader.kind
  }

  /// Passes datagrams on where they stand: those at the beginning of a run that belong to one circuit. They
  /// keep their size, so they leave as they came, by one call.
  /// - Parameters:
  ///   - run: datagrams of `segmentBytes` each, but the last, which came from `endpoint`.
  public mutating func forward(
    _ run: Frame, segmentBytes: Int, from endpoint: Endpoint, at now: Instant
  ) -> RunForwarding {
    guard mayForward(run), let first = CircuitHeader(run.prefix(min(segmentBytes, run.count))),
      let (circuit, side) = relayed.sender(first.label),
      let (label, destination) = onward(circuit, side, from: endpoint), destination.socket == .main
    else { return .notForwarded }
    var bytes = 0
    // What comes as one run may be longer than what one call sends.
    for _ in 0..<DatagramRun.countMax where bytes < run.count {
      let datagram = run.slice(bytes, min(segmentBytes, run.count - bytes))
      guard bytes + datagram.count <= DatagramRun.bytesMax || bytes == 0 else { break }
      guard let header = CircuitHeader(datagram), header.label == first.label, header.hops > 0,
        mayPass(circuit, datagram.count, at: now)
      else { break }
      CircuitHeader(hops: header.hops - 1, label: label).write(to: datagram)
      counters.circuitForwarded &+= 1
      bytes += datagram.count
    }
    if bytes > 0 { return .onward(bytes: bytes, to: destination) }
    if first.hops == 0 { counters.hopsExceeded &+= 1 } else { counters.relayLimited &+= 1 }
    return .dropped(bytes: min(segmentBytes, run.count))
  }

  // MARK: - Asking

  /// A peer asks to be joined with another one, for itself or for an end that has asked it.
  mutating func receiveAsk(_ ask: CircuitAsk, from slot: Int, _ context: inout Context) {
    let asker = peers[slot].id
    let near = CircuitFlank(adjacent: asker, end: ask.origin == .zero ? asker : ask.origin)
    let far = CircuitFlank(adjacent: ask.beyond == .zero ? ask.peer : ask.beyond, end: ask.peer)
    guard near.end != id, far.end != id, far.adjacent != id, near.end != far.end, far.adjacent != asker,
      far.end != asker, far.adjacent != near.end
    else {
      counters.malformed &+= 1
      return
    }
    guard relay.isWilling else { return refuse(ask, to: slot, .unwilling, &context) }
    guard peers[slot].hasDirectPath, let other = peer(far.adjacent), peers[other].isUp,
      peers[other].hasDirectPath
    else { return refuse(ask, to: slot, .unreachable, &context) }
    // An end beyond another relay is only spoken of.
    let hasMember = [near, far].contains { $0.adjacent == $0.end && isMember($0.end) }
    guard hasMember || !relay.terms.isForMembersOnly else {
      return refuse(ask, to: slot, .unwilling, &context)
    }
    if let old = relayed.find(near, far), !areEndsPresent(old) || relayed.circuit(old)!.closesAt != .never {
      relayed.remove(old)
    }
    guard let index = relayed.find(near, far) ?? openCircuit(near, far, askedBy: slot, context.now) else {
      return refuse(ask, to: slot, .full, &context)
    }
    relayed.favour(index, hasMember && relay.terms.favoursMembers)
    wakeCircuits(at: context.now + CircuitTiming.halfAsked)
    accept(ask, from: slot, index, relayed.circuit(index)!.side(of: near), &context)
  }

  /// Notes what a side has asked for, and says when both have.
  private mutating func accept(
    _ ask: CircuitAsk, from slot: Int, _ index: Int, _ side: Int, _ context: inout Context
  ) {
    let known = relayed.circuit(index)!.sides[side]
    let wasComplete = relayed.circuit(index)!.isComplete
    if known?.farLabel != ask.label {
      // A side that this node has asked has its label already.
      let label = known?.hasAsked == false ? known!.label : freshLabel()
      let value = CircuitSide(party: party(slot), label: label, farLabel: ask.label)
      relayed.set(index, side, value, at: context.now)
    }
    if relayed.circuit(index)!.isComplete {
      tellReady(index, side, &context)
      if !wasComplete { tellReady(index, 1 - side, &context) }
    } else if ask.beyond != .zero {
      askOn(index, 1 - side, &context)
    }
  }

  /// Asks the relay of the other end to join us with that end, on behalf of this one.
  private mutating func askOn(_ index: Int, _ side: Int, _ context: inout Context) {
    let flank = relayed.circuit(index)!.flanks[side]
    guard let to = peer(flank.adjacent) else { return }
    if relayed.circuit(index)!.sides[side] == nil {
      let value = CircuitSide(party: party(to), label: freshLabel(), farLabel: 0)
      relayed.set(index, side, value, at: context.now)
    }
    let ask = CircuitAsk(
      origin: relayed.circuit(index)!.flanks[1 - side].end, peer: flank.end,
      label: relayed.circuit(index)!.sides[side]!.label)
    send(.circuit, to: to, &context) { CircuitMessage.ask(ask).encode(to: &$0) }
  }

  private mutating func openCircuit(
    _ near: CircuitFlank, _ far: CircuitFlank, askedBy slot: Int, _ now: Instant
  ) -> Int? {
    let asked = relayed.count(askedBy: slot)
    guard asked < CircuitTable.peerLimit else { return nil }
    if asked == 0, relayed.askers().count(where: \.self) >= CircuitTable.askersMax { return nil }
    return relayed.insert(RelayedCircuit(near, far, rate: relay.terms.bytesPerSecond, at: now))
  }

  private mutating func tellReady(_ index: Int, _ side: Int, _ context: inout Context) {
    guard let to = relayed.circuit(index)?.sides[side] else { return }
    let message = CircuitMessage.ready(asked: to.farLabel, label: to.label)
    send(.circuit, to: to.party.slot, &context) { message.encode(to: &$0) }
  }

  private mutating func refuse(
    _ ask: CircuitAsk, to slot: Int, _ reason: CircuitRefusal, _ context: inout Context
  ) {
    counters.circuitRefused &+= 1
    let message = CircuitMessage.closed(asked: ask.label, reason)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
  }

  /// The relay that this node has asked is ready.
  mutating func receiveReady(
    onwards asked: UInt32, label: UInt32, from slot: Int, _ context: inout Context
  ) {
    guard let (index, side) = relaySide(asked, slot), var value = relayed.circuit(index)?.sides[side],
      value.farLabel != label
    else { return }
    let wasComplete = relayed.circuit(index)!.isComplete
    value.farLabel = label
    relayed.set(index, side, value, at: context.now)
    if !wasComplete, relayed.circuit(index)!.isComplete { tellReady(index, 1 - side, &context) }
  }

  /// The relay that this node has asked lets go, or will not.
  mutating func receiveClosed(
    onwards asked: UInt32, _ reason: CircuitRefusal, from slot: Int, _ context: inout Context
  ) {
    guard let (index, side) = relaySide(asked, slot) else { return }
    closeCircuit(index, except: side, reason, &context)
  }

  /// The side towards another relay that this node has asked with the label.
  private func relaySide(_ asked: UInt32, _ slot: Int) -> (circuit: Int, side: Int)? {
    guard let (index, side) = relayed.sender(asked), let circuit = relayed.circuit(index),
      circuit.flanks[side].isRelay, let party = circuit.sides[side]?.party, party.slot == slot,
      isPresent(party)
    else { return nil }
    return (index, side)
  }

  /// Whether those sides that have asked are still linked as they were.
  private func areEndsPresent(_ index: Int) -> Bool {
    guard let circuit = relayed.circuit(index) else { return false }
    for i in 0..<2 {
      if let side = circuit.sides[i], !isPresent(side.party) { return false }
    }
    return true
  }

  /// Whether the node is known to be a member of a community of ours.
  private func isMember(_ end: OverlayID) -> Bool {
    guard let slot = peer(end), peers[slot].isUp, let session = peers[slot].session else { return false }
    return (0..<SessionTable.communityLimit).contains { sessions.slots(session, community: $0) != nil }
  }

  // MARK: - Letting go

  /// A side needs the circuit no longer.
  mutating func receiveLeave(_ asked: UInt32, from slot: Int, _ context: inout Context) {
    guard let (index, side) = relayed.asked(by: slot, asked), relayed.circuit(index)!.closesAt == .never
    else {
      return
    }
    closeCircuit(index, except: side, .done, &context)
  }

  /// Lets go of a circuit and tells its sides. What is on its way still passes when one of them has left.
  private mutating func closeCircuit(
    _ index: Int, except: Int?, _ reason: CircuitRefusal, _ context: inout Context
  ) {
    guard let circuit = relayed.circuit(index) else { return }
    if reason == .done, except != nil, circuit.isComplete, areEndsPresent(index) {
      relayed.close(index, at: context.now + CircuitTiming.linger)
      wakeCircuits(at: context.now + CircuitTiming.linger)
    } else {
      relayed.remove(index)
    }
    for i in 0..<2 where i != except {
      guard let side = circuit.sides[i], isPresent(side.party) else { continue }
      // What this node has asked for it leaves; what it was asked for it closes.
      let message: CircuitMessage =
        circuit.flanks[i].isRelay ? .leave(asked: side.label) : .closed(asked: side.farLabel, reason)
      send(.circuit, to: side.party.slot, &context) { message.encode(to: &$0) }
    }
  }

  // MARK: - Time

  /// Links changed, or a circuit may have been silent too long: `expireCircuits` shall look.
  mutating func wakeCircuits(at instant: Instant) {
    circuitsAt = min(circuitsAt, instant)
    deadline = min(deadline, circuitsAt)
  }

  mutating func expireCircuits(_ context: inout Context) {
    let now = context.now
    guard circuitsAt <= now else { return }
    circuitsAt = .never
    accountForRelaying(&context)
    checkCircuitEnds(&context)
    var index = 0
    while index < relayed.highWater {
      if let circuit = relayed.circuit(index) { expire(circuit, index, &context) }
      index += 1
    }
  }

  private mutating func expire(_ circuit: RelayedCircuit, _ index: Int, _ context: inout Context) {
    if circuit.closesAt != .never {
      if circuit.closesAt <= context.now { return relayed.remove(index) }
      return wakeCircuits(at: circuit.closesAt)
    }
    let span = circuit.isComplete ? CircuitTiming.idle : CircuitTiming.halfAsked
    if !relay.isWilling {
      closeCircuit(index, except: nil, .unwilling, &context)
    } else if circuit.usedAt + span <= context.now || !areEndsPresent(index) {
      closeCircuit(index, except: nil, .done, &context)
    } else {
      wakeCircuits(at: circuit.usedAt + span)
    }
  }
}
