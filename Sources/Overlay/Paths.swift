// Paths: adding, proving, choosing and leaving them.

import Base
import Session

extension Links {
  /// The slot of the path to `endpoint`, made when it is new; nil when none is free.
  /// - Parameter mayReplace: whether an unproven path may give way: the peer was heard from this endpoint.
  mutating func addPath(_ slot: Int, _ endpoint: Endpoint, mayReplace: Bool = true, _ now: Instant) -> Int? {
    if let index = peers[slot].index(of: .endpoint(endpoint)) { return index }
    // Never through a virtual network of our own: a tunnel inside itself.
    if underlay.virtualNetworks.contains(where: { $0.contains(endpoint.address) }) { return nil }
    var free: Int?
    for i in 1..<Peer.circuitSlot where free == nil && peers[slot].paths[i] == nil { free = i }
    for i in 1..<Peer.circuitSlot where free == nil && mayReplace && peers[slot].paths[i]?.isValid == false {
      free = i
    }
    guard let index = free else { return nil }
    peers[slot].paths[index] = Path(
      way: .endpoint(endpoint), isLAN: underlay.isOnLink(endpoint.address), at: now)
    return index
  }

  mutating func openOverlayPath(_ slot: Int, _ now: Instant) {
    if peers[slot].paths[0] == nil { peers[slot].paths[0] = Path(way: .overlay, isLAN: false, at: now) }
  }

  mutating func dropPaths(_ slot: Int) {
    peers[slot].paths.removeAll()
    peers[slot].best = nil
    routesAreStale = true
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
    if let endpoint = peers[slot].paths[index]!.endpoint { peers[slot].provenAt = endpoint }
    peers[slot].paths[index]!.heardAt = context.now
    peers[slot].paths[index]!.probe.tries = 0
    peers[slot].paths[index]!.isLastResort = false
    peers[slot].heardAt = context.now
    if !wasValid {
      routesAreStale = true
      // Its size is asked for together with the next ping: now.
      peers[slot].paths[index]!.probe.dueAt = context.now
      peers[slot].paths[index]!.probe.isUrgent = true
      if index != Peer.circuitSlot { peers[slot].directRetryIn = Timing.directRetryMin }
      wake(slot, at: context.now)
      if index > 0, index != Peer.circuitSlot { events.append(.direct(peer: slot)) }
    }
    chooseBest(slot, &context)
  }

  /// The path is dead: others take over at once; without any, the link is lost.
  mutating func abandon(_ slot: Int, _ index: Int, _ context: inout Context) {
    let roundTrip = peers[slot].paths[index]!.roundTrip
    if let endpoint = peers[slot].paths[index]!.endpoint, peers[slot].paths[index]!.isValid {
      peers[slot].hints.insert(endpoint, at: 0)
    }
    peers[slot].paths[index] = nil
    routesAreStale = true
    if peers[slot].best == index { peers[slot].best = nil }
    // A far link that was direct is of use only while it is; for the others the ring may know a way.
    let isWorthDetour =
      peers[slot].roles.contains(.near) || peers[slot].isForTraffic || index == Peer.circuitSlot
    if index > 0, !peers[slot].hasDirectPath, isWorthDetour {
      if index != Peer.circuitSlot { wakeCircuits(at: context.now) }
      openOverlayPath(slot, context.now)
      // Until it has samples of its own, the way over the ring is expected to take twice as long.
      if roundTrip.samples > 0, peers[slot].paths[0]!.roundTrip.samples == 0 {
        peers[slot].paths[0]!.roundTrip.add(roundTrip.smoothed * 2)
        peers[slot].paths[0]!.isLastResort = true
        peers[slot].paths[0]!.probe.isUrgent = true
        peers[slot].paths[0]!.probe.dueAt = context.now
      }
      peers[slot].directRetryAt = context.now + peers[slot].directRetryIn
      wake(slot, at: context.now)
    }
    chooseBest(slot, &context)
    if peers[slot].best == nil { lose(slot, &context) }
  }

  /// No way to the peer works any more.
  mutating func lose(_ slot: Int, _ context: inout Context) {
    let key = peers[slot].key
    let id = peers[slot].id
    let hints = peers[slot].hints
    let provenAt = peers[slot].provenAt
    let isMissed = peers[slot].roles.contains(.near) || peers[slot].isForTraffic
    forget(slot)
    context.notify(.linkLost(id))
    if provenAt != .none, isMissed { dead.bury(key, at: provenAt, &context) }
    // Remembered for a while, so that hearsay does not bring it back at once.
    if let grave = find(key, &context) {
      peers[grave].deadUntil = context.now + Timing.deadFor
      peers[grave].hints = hints
      wake(grave, at: context.now + Timing.deadFor)
    }
  }

  /// Takes the best path that works: on the own network before the rest of the world, that before a circuit,
  /// that before the ring; among equals the quicker one, but only for a clear gain (20 % and 5 ms).
  mutating func chooseBest(_ slot: Int, _ context: inout Context) {
    let old = peers[slot].best
    if peers[slot].isPinnedToOverlay, peers[slot].isUp { openOverlayPath(slot, context.now) }
    var best: Int? = peers[slot].paths[0] == nil ? nil : 0
    if !peers[slot].isPinnedToOverlay {
      if peers[slot].hasCircuit { best = Peer.circuitSlot }
      if let old, old > 0, peers[slot].paths[old]?.isValid == true { best = old }
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
    if best == 0, old != Peer.circuitSlot { peers[slot].circuitAt = context.now + CircuitTiming.start }
    if path.endpoint == nil {
      peers[slot].directRetryAt = min(peers[slot].directRetryAt, context.now + peers[slot].directRetryIn)
      wake(slot, at: peers[slot].directRetryAt)
    } else {
      peers[slot].directRetryAt = .never
    }
    context.notify(.pathChanged(peers[slot].id, path.kind, path.endpoint ?? .none))
  }

  private func isClearlyBetter(_ path: Path, than other: Path) -> Bool {
    if path.isLAN != other.isLAN { return path.isLAN }
    let (new, old) = (path.roundTrip.smoothed, other.roundTrip.smoothed)
    guard path.roundTrip.samples > 0, other.roundTrip.samples > 0 else { return false }
    return new.ns < old.ns / 5 * 4 && new + .milliseconds(5) < old
  }

  // MARK: - Candidates

  /// Tells the peer where we may be reached, once a session; for a ring link, or after a proof of membership.
  public mutating func introduce(_ slot: Int, _ context: inout Context) {
    guard peers[slot].isUp, !peers[slot].isIntroduced else { return }
    peers[slot].isIntroduced = true
    // A peer that reaches us directly where alone we can be reached has nothing to learn.
    if peers[slot].hasDirectPath && underlay.candidates.count < 2 { return }
    sendCandidates(slot, wantsAnswer: false, &context)
  }

  mutating func sendCandidates(_ slot: Int, wantsAnswer: Bool, _ context: inout Context) {
    let message = Candidates(
      wantsAnswer: wantsAnswer, endpoints: underlay.candidates, vias: vias(for: slot))
    send(.candidates, to: slot, &context) { message.encode(to: &$0) }
  }

  /// Nodes with a direct path to us, other than the asker: bootstraps first, then neighbours.
  func vias(for asker: Int?) -> BoundedArray<2, OverlayID> {
    var vias = BoundedArray<2, OverlayID>()
    for isBootstrap in [true, false] {
      for slot in 0..<peers.highWater where slot != asker && peers.isUsed(slot) && !vias.isFull {
        guard peers[slot].isUp, peers[slot].hasDirectPath,
          isBootstrap == peers[slot].roles.contains(.bootstrap),
          isBootstrap || peers[slot].isLasting
        else { continue }
        vias.append(peers[slot].id)
      }
    }
    return vias
  }

  mutating func receive(_ candidates: Candidates, from slot: Int, _ context: inout Context) {
    if !candidates.vias.isEmpty { peers[slot].vias = candidates.vias }
    for i in 0..<candidates.endpoints.count {
      let endpoint = candidates.endpoints[i]
      guard underlay.mayProbe(endpoint), peers[slot].index(of: .endpoint(endpoint)) == nil,
        mayTryCandidate(slot, context.now)
      else { continue }
      if addPath(slot, endpoint, mayReplace: false, context.now) != nil { peers[slot].candidates.count += 1 }
    }
    // Only ring links and members of the own community hear where we are.
    if candidates.wantsAnswer, peers[slot].isIntroduced, peers[slot].answers.take(at: context.now) {
      sendCandidates(slot, wantsAnswer: false, &context)
    }
    wake(slot, at: context.now)
    tick(slot, &context)
  }

  private mutating func mayTryCandidate(_ slot: Int, _ now: Instant) -> Bool {
    if now - peers[slot].candidates.since > Timing.candidatesSpan { peers[slot].candidates = (0, now) }
    return peers[slot].candidates.count < Timing.candidatesMax
  }

  /// The machine's addresses changed: everybody is told, and all direct ways are asked at once.
  public mutating func underlayChanged(_ context: inout Context) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      for i in 1..<Peer.circuitSlot where peers[slot].paths[i] != nil {
        peers[slot].paths[i]!.probe.isUrgent = true
      }
      if peers[slot].isIntroduced { sendCandidates(slot, wantsAnswer: true, &context) }
      wake(slot, at: context.now)
    }
  }
}
