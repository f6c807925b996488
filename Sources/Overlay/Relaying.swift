// What a relay does: it joins two ends that ask for each other, passes their datagrams on in place, and lets
// go of what is silent or has lost an end.
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
    guard let near = relayed.circuit(circuit)?.sides[side], isPresent(near.party),
      isProven(endpoint, of: near.party.slot), let far = relayed.circuit(circuit)?.sides[1 - side],
      isPresent(far.party), let destination = directEndpoint(far.party.slot)
    else {
      counters.circuitUnknown &+= 1
      return .none
    }
    guard header.hops > 0 else {
      counters.hopsExceeded &+= 1
      return .none
    }
    let bytes = Int(ref.length)
    guard relayed.mayPass(circuit, bytes, at: context.now),
      !RelayedCircuit.isData(bytes) || relay.allows(bytes, at: context.now)
    else {
      counters.relayLimited &+= 1
      return .none
    }
    counters.circuitForwarded &+= 1
    CircuitHeader(hops: header.hops - 1, label: far.farLabel).write(to: context.pool.frame(ref))
    context.emit(.transmit(ref, to: destination), owning: ref)
    return .passed
  }

  // MARK: - Asking

  /// A peer asks to be joined with another one.
  mutating func receiveAsk(
    _ other: OverlayID, label: UInt32, from slot: Int, _ context: inout Context
  ) {
    let asker = peers[slot].id
    guard other != id, other != asker else {
      counters.malformed &+= 1
      return
    }
    guard !relay.isOff else { return refuseCircuit(to: slot, with: other, label, .unwilling, &context) }
    guard peers[slot].hasDirectPath, let far = peer(other), peers[far].isUp, peers[far].hasDirectPath else {
      return refuseCircuit(to: slot, with: other, label, .unreachable, &context)
    }
    if let old = relayed.find(asker, other), !areEndsPresent(old) { relayed.remove(old) }
    guard let index = relayed.find(asker, other) ?? openCircuit(asker, other, context.now) else {
      return refuseCircuit(to: slot, with: other, label, .full, &context)
    }
    wakeCircuits(at: context.now + CircuitTiming.halfAsked)
    let side = relayed.circuit(index)!.side(of: asker)
    let isRepeated = relayed.circuit(index)!.sides[side]?.farLabel == label
    let wasComplete = relayed.circuit(index)!.isComplete
    if !isRepeated {
      let value = CircuitSide(party: party(slot), label: freshLabel(), farLabel: label)
      relayed.set(index, side, value, at: context.now)
    }
    guard relayed.circuit(index)!.isComplete else { return }
    tellReady(index, side, &context)
    if !wasComplete { tellReady(index, 1 - side, &context) }
  }

  private mutating func openCircuit(_ a: OverlayID, _ b: OverlayID, _ now: Instant) -> Int? {
    guard relayed.count(of: a) < CircuitTable.peerLimit, relayed.count(of: b) < CircuitTable.peerLimit else {
      return nil
    }
    return relayed.insert(RelayedCircuit(a, b, rate: relay.rate, at: now))
  }

  private mutating func tellReady(_ index: Int, _ side: Int, _ context: inout Context) {
    guard let circuit = relayed.circuit(index), let to = circuit.sides[side] else { return }
    let message = CircuitMessage.ready(peer: circuit.ids[1 - side], label: to.label)
    send(.circuit, to: to.party.slot, &context) { message.encode(to: &$0) }
  }

  private mutating func refuseCircuit(
    to slot: Int, with other: OverlayID, _ label: UInt32, _ reason: CircuitRefusal, _ context: inout Context
  ) {
    counters.circuitRefused &+= 1
    let message = CircuitMessage.closed(peer: other, label: label, reason)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
  }

  /// Whether those ends that have asked are still linked as they were.
  private func areEndsPresent(_ index: Int) -> Bool {
    guard let circuit = relayed.circuit(index) else { return false }
    for i in 0..<2 {
      if let side = circuit.sides[i], !isPresent(side.party) { return false }
    }
    return true
  }

  /// An end needs the circuit no longer.
  mutating func receiveLeave(
    _ other: OverlayID, label: UInt32, from slot: Int, _ context: inout Context
  ) {
    guard let index = relayed.find(peers[slot].id, other), let circuit = relayed.circuit(index),
      circuit.sides[circuit.side(of: peers[slot].id)]?.farLabel == label
    else { return }
    closeCircuit(index, except: slot, &context)
  }

  /// Lets go of a circuit and tells its ends.
  private mutating func closeCircuit(_ index: Int, except: Int?, _ context: inout Context) {
    guard let circuit = relayed.circuit(index) else { return }
    relayed.remove(index)
    for i in 0..<2 {
      guard let side = circuit.sides[i], isPresent(side.party), side.party.slot != except else { continue }
      let message = CircuitMessage.closed(peer: circuit.ids[1 - i], label: side.farLabel, .done)
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
    checkCircuitEnds(&context)
    var index = 0
    while index < relayed.highWater {
      if let circuit = relayed.circuit(index) {
        let span = circuit.isComplete ? CircuitTiming.idle : CircuitTiming.halfAsked
        if circuit.usedAt + span <= now || !areEndsPresent(index) {
          closeCircuit(index, except: nil, &context)
        } else {
          wakeCircuits(at: circuit.usedAt + span)
        }
      }
      index += 1
    }
  }
}
