// Paths: adding, proving, choosing and leaving them.

import Base
import Session

extension Links {
  /// The slot of the path to `endpoint`, made when it is new; nil when none is free.
  /// - Parameter mayReplace: whether an unproven path may give way: the peer was heard from this endpoint.
  mutating func addPath(
    _ slot: Int, _ endpoint: Endpoint, mayReplace: Bool = true, _ context: inout Context
  ) -> Int? {
    if let index = peers[slot].index(of: .endpoint(endpoint)) { return index }
    // Never through a virtual network of our own: a tunnel inside itself.
    if underlay.isVirtual(endpoint.address) { return nil }
    var free: Int?
    for i in 1..<Peer.circuitSlot where free == nil && peers[slot].paths[i] == nil { free = i }
    for i in 1..<Peer.circuitSlot where free == nil && mayReplace && peers[slot].paths[i]?.isValid == false {
      free = i
    }
    guard let index = free else { return nil }
    dropPath(slot, index, keeping: endpoint.socket, &context)
    peers[slot].paths[index] = Path(
      way: .endpoint(endpoint), isLAN: underlay.isOnLink(endpoint.address), at: context.now)
    adopt(endpoint.socket, by: slot)
    return index
  }

  mutating func openOverlayPath(_ slot: Int, _ now: Instant) {
    if peers[slot].paths[0] == nil { peers[slot].paths[0] = Path(way: .overlay, isLAN: false, at: now) }
  }

  /// - Parameter kept: a socket that stays open: the peer was just heard on it.
  mutating func dropPaths(_ slot: Int, keeping kept: SocketNumber = .main, _ context: inout Context) {
    for index in 0..<Peer.pathSlots { dropPath(slot, index, keeping: kept, &context) }
    peers[slot].best = nil
    routesAreStale = true
  }

  /// The path is no longer one; a socket that was only for it is closed.
  mutating func dropPath(
    _ slot: Int, _ index: Int, keeping kept: SocketNumber = .main, _ context: inout Context
  ) {
    guard let path = peers[slot].paths[index] else { return }
    peers[slot].paths[index] = nil
    if peers[slot].best == index { peers[slot].best = nil }
    guard let socket = path.endpoint?.socket, socket != .main, socket != kept, !isInUse(socket) else {
      return
    }
    streams.remove(socket)
    context.close(socket)
    if birthday != nil { birthday!.sockets.remove(socket) }
  }

  /// A socket is gone, and the paths through it.
  public mutating func closed(_ socket: SocketNumber, _ context: inout Context) {
    streams.remove(socket)
    if birthday != nil { birthday!.sockets.remove(socket) }
    for slot in 0..<peers.highWater where peers.isUsed(slot) {
      let serial = peers.serial(slot)
      for index in 1..<Peer.circuitSlot where peers[slot].paths[index]?.endpoint?.socket == socket {
        abandon(slot, index, &context)
        if !peers.isUsed(slot) || peers.serial(slot) != serial { break }
      }
    }
  }

  /// The peer was heard over the ring through `via`: it can be answered that way.
  mutating func learn(via: OverlayID?, of slot: Int) {
    guard let via, via != id, peers[slot].vias.isEmpty || peers[slot].vias[0] != via else { return }
    if let old = peers[slot].vias.firstIndex(where: { $0 == via }) { peers[slot].vias.remove(at: old) }
    peers[slot].vias.insert(via, at: 0)
  }

  /// A nonce came back over the path.
  mutating func validate(_ slot: Int, _ index: Int, _ context: inout Context) {
    guard peers[slot].paths[index] != nil else { return }
    let wasValid = peers[slot].paths[index]!.isValid
    peers[slot].paths[index]!.isValid = true
    if let endpoint = peers[slot].paths[index]!.endpoint?.listening, endpoint != .none {
      peers[slot].provenAt = endpoint
    }
    peers[slot].paths[index]!.heardAt = context.now
    peers[slot].paths[index]!.probe.tries = 0
    peers[slot].paths[index]!.isLastResort = false
    peers[slot].heardAt = context.now
    if !wasValid {
      routesAreStale = true
      notePassage(slot, index, context.now)
      noteProved(slot, peers[slot].paths[index]!)
      // Its size is asked for together with the next ping: now.
      peers[slot].paths[index]!.probe.dueAt = context.now
      peers[slot].paths[index]!.probe.isUrgent = true
      if !isCircuit(index) { peers[slot].directRetryIn = Timing.directRetryMin }
      wake(slot, at: context.now)
      if index > 0, !isCircuit(index) {
        birthdayHasCome(slot, &context)
        events.append(.direct(peer: slot))
      }
    }
    chooseBest(slot, &context)
  }

  /// The path is dead: others take over at once; without any, the link is lost.
  mutating func abandon(_ slot: Int, _ index: Int, _ context: inout Context) {
    let roundTrip = peers[slot].paths[index]!.roundTrip
    noteSilent(slot, peers[slot].paths[index]!)
    if let endpoint = peers[slot].paths[index]!.endpoint?.listening, endpoint != .none,
      peers[slot].paths[index]!.isValid
    {
      peers[slot].hints.insert(endpoint, at: 0)
    }
    dropPath(slot, index, &context)
    routesAreStale = true
    // A far link that was direct is of use only while it is; for the others the ring may know a way.
    let isWorthDetour =
      peers[slot].roles.contains(.near) || peers[slot].isForTraffic || isCircuit(index)
    if index > 0, !peers[slot].hasDirectPath, !peers[slot].hasCircuit, isWorthDetour {
      if !isCircuit(index) { wakeCircuits(at: context.now) }
      openOverlayPath(slot, context.now)
      // Until it has samples of its own, the way over the ring is expected to take twice as long.
      if roundTrip.samples > 0, peers[slot].paths[0]!.roundTrip.samples == 0 {
        peers[slot].paths[0]!.roundTrip.add(roundTrip.smoothed * 2)
        peers[slot].paths[0]!.isLastResort = true
        peers[slot].paths[0]!.probe.isUrgent = true
        peers[slot].paths[0]!.probe.dueAt = context.now
      }
      // Under traffic at once: the peer, or a box in front of one of the two, may just have moved.
      let isWanted = !isCircuit(index) && isActive(slot, context.now)
      peers[slot].directRetryAt = isWanted ? context.now : context.now + peers[slot].directRetryIn
      wake(slot, at: context.now)
    }
    chooseBest(slot, &context)
    if peers[slot].best == nil { lose(slot, &context) }
  }

  /// No way to the peer works any more.
  mutating func lose(_ slot: Int, _ context: inout Context) {
    let key = peers[slot].key
    let hints = peers[slot].hints
    let provenAt = peers[slot].provenAt
    let rest = peers[slot].roles.contains(.near) ? Timing.lostFor : Timing.deadFor
    let isMissed = peers[slot].roles.contains(.near) || peers[slot].isForTraffic
    let isActive = isActive(slot, context.now)
    forget(slot, &context)
    if provenAt != .none, isMissed { dead.bury(key, at: provenAt, &context) }
    // Remembered for a while, so that hearsay does not bring it back at once.
    if let grave = find(key, &context) {
      peers[grave].deadUntil = context.now + rest
      peers[grave].hints = hints
      wake(grave, at: context.now + rest)
      // In the midst of traffic the peer has moved more probably than died: a handshake over the ring tells.
      if isActive {
        peers[grave].roles = .onDemand
        peers[grave].attempt = Attempt(nextAt: context.now)
        wake(grave, at: context.now)
      }
    }
  }

  /// Takes the best path that works: on the own network before the rest of the world, that before a circuit,
  /// that before the ring; among equals the quicker one, but only for a clear gain (20 % and 5 ms).
  mutating func chooseBest(_ slot: Int, _ context: inout Context) {
    let old = peers[slot].best
    if peers[slot].isPinnedToOverlay, peers[slot].isUp { openOverlayPath(slot, context.now) }
    var best: Int? = peers[slot].paths[0] == nil ? nil : 0
    if !peers[slot].isPinnedToOverlay {
      if let circuit = bestCircuit(slot) { best = circuit }
      if let old, old > 0, !isCircuit(old), peers[slot].paths[old]?.isValid == true { best = old }
      for i in 1..<Peer.circuitSlot where i != best && peers[slot].paths[i]?.isValid == true {
        if best == nil || peers[slot].paths[best!]!.endpoint == nil
          || isClearlyBetter(peers[slot].paths[i]!, than: peers[slot].paths[best!]!)
        {
          best = i
        }
      }
    }
    guard best != old else { return }
    peers[slot].best = best
    routesAreStale = true
    guard let best, let path = peers[slot].paths[best] else { return }
    if best == 0, !isCircuit(old ?? 0) { peers[slot].circuitAt = context.now + CircuitTiming.start }
    if path.endpoint == nil {
      peers[slot].directRetryAt = min(peers[slot].directRetryAt, context.now + peers[slot].directRetryIn)
      wake(slot, at: peers[slot].directRetryAt)
    } else {
      peers[slot].directRetryAt = .never
    }
    context.notify(.pathChanged(peers[slot].id, path.kind, path.endpoint ?? .none))
  }

  private func isClearlyBetter(_ path: Path, than other: Path) -> Bool {
    // Two questions without an answer: another way that answers is better, whatever it is like.
    if other.probe.tries >= Timing.doubtTries, path.probe.tries < Timing.doubtTries { return true }
    if path.probe.tries >= Timing.doubtTries, other.probe.tries < Timing.doubtTries { return false }
    if path.rank != other.rank { return path.rank > other.rank }
    let (new, old) = (path.roundTrip.smoothed, other.roundTrip.smoothed)
    guard path.roundTrip.samples > 0, other.roundTrip.samples > 0 else { return false }
    // IPv6 wins unless it is slower, and is left like any other path: between the two lies room enough.
    if !path.isV4, other.isV4 { return new.ns <= old.ns / 10 * 11 || new <= old + .milliseconds(5) }
    return new.ns < old.ns / 5 * 4 && new + .milliseconds(5) < old
  }
}
