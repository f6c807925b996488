// What is due for a peer: handshake tries, pings, the larger size of a path, the direct way while relayed.
//
// A path is asked when it was silent: every 5 s under traffic, every 25 s otherwise
// (NATs forget), at once when we send and hear nothing. The nonces of a series follow each other, so that an
// answer later than the next question still counts, and is known for what it answers.

import Base
import Session

extension Links {
  /// Does what is due for the peer and sets its next moment.
  mutating func tick(_ slot: Int, _ context: inout Context) {
    quiet(slot)
    let serial = peers.serial(slot)
    attemptIfDue(slot, &context)
    if isGone(slot, serial) { return }
    if peers[slot].isUp {
      helloIfDue(slot, &context)
      askIfSilent(slot, context.now)
      for index in 0..<Peer.pathSlots {
        probeIfDue(slot, index, &context)
        if isGone(slot, serial) { return }
      }
      directIfDue(slot, &context)
      birthdayIfDue(slot, &context)
      circuitIfDue(slot, &context)
      rekeyIfDue(slot, &context)
    }
    letGoIfIdle(slot, &context)
  }

  private func isGone(_ slot: Int, _ serial: UInt32) -> Bool {
    !peers.isUsed(slot) || peers.serial(slot) != serial
  }

  private mutating func attemptIfDue(_ slot: Int, _ context: inout Context) {
    guard let attempt = peers[slot].attempt else { return }
    guard attempt.nextAt <= context.now else { return wake(slot, at: attempt.nextAt) }
    if attempt.tries >= attempt.triesMax {
      peers[slot].attempt = nil
      if peers[slot].isUp { return }
      peers[slot].deadUntil = context.now + Timing.deadFor
      events.append(.unreachable(peers[slot].key))
      return
    }
    let wait = context.random.jittered(Timing.handshakeRetry[Int(attempt.tries)])
    peers[slot].attempt!.tries += 1
    peers[slot].attempt!.nextAt = context.now + wait
    wake(slot, at: context.now + wait)
    sendInit(slot, tries: attempt.tries, &context)
  }

  private mutating func helloIfDue(_ slot: Int, _ context: inout Context) {
    guard case .sent(let tries, let nextAt) = peers[slot].hello else { return }
    if nextAt > context.now { return wake(slot, at: nextAt) }
    if tries >= Timing.helloTries {
      peers[slot].hello = .done
      return
    }
    sendHello(slot, tries: tries, &context)
    // The peer may never have seen the end of the handshake (the third message of XX was lost): begin anew.
    if tries == 1, peers[slot].attempt == nil {
      peers[slot].attempt = Attempt(nextAt: context.now)
      wake(slot, at: context.now)
    }
  }

  private mutating func rekeyIfDue(_ slot: Int, _ context: inout Context) {
    guard peers[slot].attempt == nil, let session = peers[slot].session,
      sessions.needsRekey(session, at: context.now)
    else { return }
    peers[slot].attempt = Attempt(nextAt: context.now)
    attemptIfDue(slot, &context)
  }

  // MARK: - Doubt

  /// A question was sent outside of the series of pings: if nothing is heard in time, pings follow.
  mutating func expectAnswer(_ slot: Int, _ now: Instant) {
    guard peers.isUsed(slot), peers[slot].askedAt == .never, let path = peers[slot].bestPath else { return }
    peers[slot].askedAt = now
    expect(slot, until: now + path.roundTrip.timeout)
  }

  private mutating func askIfSilent(_ slot: Int, _ now: Instant) {
    let askedAt = peers[slot].askedAt
    guard askedAt != .never, let path = peers[slot].bestPath else { return }
    if peers[slot].heardAt > askedAt {
      peers[slot].askedAt = .never
    } else if askedAt + path.roundTrip.timeout <= now {
      peers[slot].askedAt = .never
      doubt(slot, now)
    } else {
      expect(slot, until: askedAt + path.roundTrip.timeout)
    }
  }

  /// Whether the peer's other paths have died, nothing came over the ring since, and no traffic says that it
  /// was there a moment ago: such a peer is asked whether it lives, and told nothing.
  func isPresumedDead(_ slot: Int, _ now: Instant) -> Bool {
    peers[slot].bestPath?.isLastResort == true && !isActive(slot, now)
  }

  /// Something speaks against the peer's being there: it is asked at once.
  mutating func doubt(_ slot: Int, _ now: Instant) {
    guard peers[slot].isUp, let best = peers[slot].best, peers[slot].paths[best]!.probe.tries == 0 else {
      return
    }
    peers[slot].paths[best]!.probe.isUrgent = true
    wake(slot, at: now)
  }

  /// Everybody is asked.
  mutating func doubtAll(_ now: Instant) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) { doubt(slot, now) }
  }

  /// All ring neighbours are asked that were not heard for a moment.
  private mutating func doubtNeighbours(_ now: Instant) {
    let near = neighbourhood.all
    for i in 0..<near.count where now - peers[Int(near[i])].heardAt > Timing.quietLink {
      doubt(Int(near[i]), now)
    }
  }

  // MARK: - Pings

  private mutating func probeIfDue(_ slot: Int, _ index: Int, _ context: inout Context) {
    guard let path = peers[slot].paths[index] else { return }
    // Without a network nothing is learned of a peer; it is asked when there is one.
    if underlay.isOffline { return }
    if !path.isValid && index > 0 { return probeCandidate(slot, index, &context) }
    // The way over the ring is kept warm only while it is in use.
    if index == 0, peers[slot].best != 0 {
      if peers[slot].hasDirectPath && !peers[slot].isPinnedToOverlay { peers[slot].paths[0] = nil }
      return
    }
    var probe = path.probe
    if probe.tries == 0 { probe.dueAt = nextQuestion(slot, path, context.now) }
    if probe.dueAt > context.now {
      peers[slot].paths[index]!.probe = probe
      wake(slot, at: probe.dueAt)
      // Data may make the next question due earlier than now it seems.
      if context.now - path.usedAt < Timing.activity, isActive(slot, context.now) {
        wake(slot, at: context.now + .milliseconds(500))
      }
      return
    }
    if probe.tries > 0 { peers[slot].pingsLost &+= 1 }
    let isHeard = probe.tries > 0 && path.heardAt > probe.beganAt
    let tries = path.isLastResort ? Timing.indirectTries : Timing.pingTries
    if probe.tries >= tries + (isHeard ? Timing.pingTriesMore : 0) { return abandon(slot, index, &context) }
    if index == 0, probe.tries > 0, peers[slot].vias.count > 0 { rotateVias(slot) }
    // What took one neighbour may have taken others.
    if probe.tries == 2, peers[slot].roles.contains(.near) { doubtNeighbours(context.now) }
    let patience = max(path.roundTrip.timeout, path.isStream ? StreamTiming.pingWaitMin : Timing.pingWaitMin)
    // Whoever is heard and does not answer in time may be slow: the last questions wait longer.
    let late = probe.tries + 1 > tries ? probe.tries + 1 - tries : 0
    probe.dueAt = context.now + min(patience * (1 << UInt64(late)), RoundTrip.timeoutMax)
    sendPing(slot, index, probe: &probe, &context)
    peers[slot].paths[index]!.probe = probe
    wake(slot, at: probe.dueAt)
    if probe.tries == Timing.doubtTries, peers[slot].best == index { chooseBest(slot, &context) }
    if index > 0, peers[slot].isForTraffic { probeSizeIfDue(slot, index, &context) }
  }

  /// When a proven, quiet path shall be asked again.
  private func nextQuestion(_ slot: Int, _ path: Path, _ now: Instant) -> Instant {
    if path.probe.isUrgent || path.roundTrip.samples == 0 { return min(path.probe.dueAt, now) }
    let isProxy = peers[slot].roles.contains(.proxy) && path.endpoint != nil
    if isProxy, path.roundTrip.samples < Timing.proxySamples {
      return path.probe.sentAt + Timing.pingWaitMin
    }
    // One side asks first: what it asks serves both.
    let quiet = peers[slot].id < id ? Timing.keepalive : Timing.keepalive + Timing.keepaliveGrace
    var regular = path.heardAt + (isActive(slot, now) ? Timing.activeProbe : quiet)
    // A far link is told now and then that it is one, however busy it is.
    if !peers[slot].roles.isDisjoint(with: .farLinks) {
      regular = min(regular, path.probe.sentAt + Timing.keepalive)
    }
    let silence = path.relay == nil ? Timing.silence : CircuitTiming.silence
    guard path.usedAt > path.heardAt, now - path.usedAt < Timing.activity else {
      return max(regular, path.probe.sentAt + silence)
    }
    return min(regular, max(path.heardAt, path.probe.sentAt) + silence)
  }

  func isActive(_ slot: Int, _ now: Instant) -> Bool { now - peers[slot].usedAt < Timing.activity }

  /// The first via did not help: the next shall try, and after it none.
  private mutating func rotateVias(_ slot: Int) {
    if peers[slot].vias.count > 1 {
      let first = peers[slot].vias.remove(at: 0)
      peers[slot].vias.append(first)
    } else if peers[slot].paths[0]!.probe.tries >= 3 {
      peers[slot].vias.removeAll()
    }
  }

  private mutating func probeCandidate(_ slot: Int, _ index: Int, _ context: inout Context) {
    var probe = peers[slot].paths[index]!.probe
    if probe.dueAt > context.now { return wake(slot, at: probe.dueAt) }
    guard Int(probe.tries) < Timing.candidateProbes.count else {
      return dropPath(slot, index, &context)
    }
    guard probes.take(at: context.now) else { return wake(slot, at: context.now + Timing.probeWait) }
    counters.punchPings &+= 1
    if let endpoint = peers[slot].paths[index]!.endpoint { noteAsked(slot, endpoint, .heard) }
    probe.dueAt = context.now + Timing.candidateProbes[Int(probe.tries)]
    sendPing(slot, index, probe: &probe, &context)
    peers[slot].paths[index]!.probe = probe
    wake(slot, at: probe.dueAt)
  }

  private mutating func sendPing(_ slot: Int, _ index: Int, probe: inout Probe, _ context: inout Context) {
    let ping = Ping(
      nonce: probe.ask(&secure, at: context.now), isGuest: !peers[slot].roles.isDisjoint(with: .farLinks))
    peers[slot].pingsSent &+= 1
    send(.ping, to: slot, path: index, &context) { ping.encode(to: &$0) }
  }

  /// A larger size is asked for a few times, and a proven one again now and then: a route may have changed to
  /// one that swallows large datagrams and lets pings through.
  private mutating func probeSizeIfDue(_ slot: Int, _ index: Int, _ context: inout Context) {
    guard let path = peers[slot].paths[index], !path.isStream else { return }
    let isProven = path.size >= path.sizeMax
    if isProven && context.now - path.sizeAt < Timing.sizeCheck { return }
    if path.sizeTries < 3 { return probeSize(slot, index, &context) }
    if isProven {
      peers[slot].paths[index]!.size = PathSize.base - (PathSize.ethernet - path.sizeMax)
      peers[slot].paths[index]!.sizeTries = 0
    }
  }

  /// Asks whether a whole packet of a 1,500-byte underlay gets through (RFC 8899, with one step).
  private mutating func probeSize(_ slot: Int, _ index: Int, _ context: inout Context) {
    let nonce = Nonce(high: secure.next(), low: secure.next())
    let size = Int(peers[slot].paths[index]!.sizeMax)
    let ping = Ping(nonce: nonce, padding: size - SessionTable.overhead - 18)
    peers[slot].paths[index]!.sizeProbe = nonce
    peers[slot].paths[index]!.sizeTries += 1
    send(.ping, to: slot, path: index, &context) { ping.encode(to: &$0) }
  }

  mutating func receive(_ ping: Ping, from slot: Int, _ origin: Origin, _ context: inout Context) {
    var observed = Endpoint.none
    if case .endpoint(let endpoint) = origin, !endpoint.socket.isStream { observed = endpoint }
    if ping.isGuest { receiveGuest(slot, &context) }
    let pong = Pong(
      nonce: ping.nonce, observed: observed, isGuest: !peers[slot].roles.isDisjoint(with: .farLinks),
      bearings: bearings)
    reply(.pong, to: slot, origin, &context) { pong.encode(to: &$0) }
  }

  mutating func receive(_ pong: Pong, from slot: Int, _ origin: Origin, _ context: inout Context) {
    guard let index = peers[slot].index(of: origin.way), !isMeasured(pong, slot, index, &context) else {
      return
    }
    if peers[slot].paths[index]!.sizeProbe == pong.nonce {
      peers[slot].paths[index]!.size = peers[slot].paths[index]!.sizeMax
      peers[slot].paths[index]!.sizeProbe = nil
      peers[slot].paths[index]!.sizeTries = 0
      peers[slot].paths[index]!.sizeAt = context.now
    } else if let sentAt = peers[slot].paths[index]!.probe.sentAt(answeredBy: pong.nonce)
      ?? punched(slot, origin, pong.nonce)
    {
      peers[slot].bearings = pong.bearings
      main[slot].size = pong.bearings.size
      if pong.isGuest { receiveGuest(slot, &context) }
      if peers[slot].paths[index]!.roundTrip.samples == 0 { routesAreStale = true }
      peers[slot].paths[index]!.roundTrip.add(context.now - sentAt)
      if index > 0, !isCircuit(index) { locate(slot, peers[slot].paths[index]!.roundTrip, &context) }
      validate(slot, index, &context)
    } else {
      return
    }
    if let observer = peers[slot].paths[index]?.endpoint, observer.socket == .main {
      let wasDisputed = underlay.reflection.disputed?.seen
      let isNews = underlay.observe(pong.observed, by: observer, of: peers[slot].id)
      // Who moves tells everybody anyway.
      if !rebindIfOfUse(&context), isNews { announceSoon(context.now) }
      // One peer sees this node elsewhere: do the others?
      if let disputed = underlay.reflection.disputed, disputed.seen != wasDisputed { doubtAll(context.now) }
    }
    tick(slot, &context)
    readDeadline()
  }

  /// A direct round trip says how far apart two nodes are.
  private mutating func locate(_ slot: Int, _ roundTrip: RoundTrip, _ context: inout Context) {
    vivaldi.observe(roundTrip.shortest, of: peers[slot].bearings.coordinate, random: &context.random)
    bearings.coordinate = vivaldi.publishable
    if roundTrip.samples <= Timing.proxySamples, peers[slot].roles.contains(.proxy) {
      wakeSearches(at: context.now)
    }
  }

  /// Asks the peer once on the path that data takes; the answer is an event with the ticket.
  public mutating func measure(_ slot: Int, ticket: UInt32, _ context: inout Context) {
    let ping = Ping(nonce: Nonce(high: secure.next(), low: secure.next()))
    if measurements.count == measurements.capacity {
      measurements = SlotTable(capacity: measurements.capacity)
    }
    _ = measurements.insert(Measurement(nonce: ping.nonce, ticket: ticket, sentAt: context.now))
    peers[slot].usedAt = context.now
    wake(slot, at: context.now + Timing.silence)
    send(.ping, to: slot, &context) { ping.encode(to: &$0) }
  }

  private mutating func isMeasured(_ pong: Pong, _ slot: Int, _ index: Int, _ context: inout Context) -> Bool
  {
    for i in 0..<measurements.highWater where measurements.isUsed(i) && measurements[i].nonce == pong.nonce {
      let kind = peers[slot].paths[index]?.kind ?? .offline
      context.notify(
        .pingAnswered(ticket: measurements[i].ticket, context.now - measurements[i].sentAt, kind))
      events.append(.measured(ticket: measurements[i].ticket))
      measurements.remove(i)
      return true
    }
    return false
  }

  // MARK: - Direct again

  /// While a peer is reached over the ring, the direct way is tried ever again, by both sides at once.
  private mutating func directIfDue(_ slot: Int, _ context: inout Context) {
    guard peers[slot].bestPath != nil, !peers[slot].hasDirectPath, !peers[slot].isPinnedToOverlay,
      peers[slot].isIntroduced, !isPresumedDead(slot, context.now)
    else { return }
    guard peers[slot].directRetryAt <= context.now else { return wake(slot, at: peers[slot].directRetryAt) }
    let wait = peers[slot].directRetryIn
    peers[slot].directRetryIn = min(wait * 2, Timing.directRetryMax)
    peers[slot].directRetryAt = context.now + context.random.jittered(wait)
    wake(slot, at: peers[slot].directRetryAt)
    sendCandidates(slot, wantsAnswer: true, &context)
  }

  // MARK: - Letting go

  /// Whether a circuit goes through the link: one of ours, or one that is relayed here.
  private func carriesCircuits(_ slot: Int) -> Bool {
    circuitEnds.count(relay: slot) > 0 || relayed.count(askedBy: slot) > 0
  }

  private mutating func letGoIfIdle(_ slot: Int, _ context: inout Context) {
    let now = context.now
    trim(slot, on: .main, now)
    trim(slot, on: .members, now)
    if peers[slot].isGuest, peers[slot].wantedAt + Timing.wanted <= now { peers[slot].isGuest = false }
    if peers[slot].deadUntil > now { wake(slot, at: peers[slot].deadUntil) }
    if peers[slot].attempt != nil || peers[slot].deadUntil > now { return }
    let isKept =
      peers[slot].isLasting || (peers[slot].roles.contains(.bootstrap) && !isComfortable)
      || carriesCircuits(slot)
    if isKept && peers[slot].isUp { return }
    let patience = peers[slot].isForTraffic ? Timing.idle : Timing.idleWithoutRole
    let wantedUntil = peers[slot].wantedAt == .start ? Instant.start : peers[slot].wantedAt + Timing.wanted
    let idleAt = max(max(peers[slot].usedAt, peers[slot].upAt) + patience, wantedUntil)
    if peers[slot].isUp, idleAt > now { return wake(slot, at: idleAt) }
    if peers[slot].isUp { send(.close, to: slot, &context) { _ in } }
    if !peers[slot].isUp, peers[slot].deadUntil != .start {
      askAgain(about: peers[slot].id, on: .main)
      askAgain(about: peers[slot].id, on: .members)
    }
    forget(slot, &context)
  }

  /// Who has not been one of the nearest of a ring for a while is kept for it no more.
  private mutating func trim(_ slot: Int, on ring: RingKind, _ now: Instant) {
    let trimAt = self[ring][slot].trimAt
    if trimAt <= now {
      self[ring][slot].trimAt = .never
      peers[slot].roles.remove(ring.near)
    } else if trimAt != .never {
      wake(slot, at: trimAt)
    }
  }

  /// A node that counted as dead may be spoken of again. Who has it among its neighbours said so before it
  /// was lost here, or meanwhile, and would not repeat it: the neighbour on its side is asked for its lists.
  private mutating func askAgain(about lost: OverlayID, on ring: RingKind) {
    let near = self[ring].neighbourhood
    guard near.wants(lost, around: id, peers) else { return }
    let isRight = id.clockwise(to: lost) < lost.clockwise(to: id)
    if let slot = isRight ? near.successor : near.predecessor { self[ring][slot].viewSeen = 0 }
  }
}
