// How a link comes up: handshakes over an endpoint or over the ring, the first record, bootstraps.

import Base
import Session

extension Links {
  // MARK: - Bootstraps

  /// Comes in through the node at `endpoint`. Its key is learned at the first contact when it is not given.
  public mutating func addBootstrap(_ endpoint: Endpoint, key: PublicKey?, _ context: inout Context) {
    if bootstraps.count == Self.bootstrapsMax { return }
    if bootstraps.contains(where: { $0.endpoint == endpoint }) { return }
    bootstraps.append(Bootstrap(endpoint: endpoint, key: key, nextAt: context.now))
    deadline = min(deadline, context.now)
  }

  mutating func contactBootstraps(_ context: inout Context) {
    for i in 0..<bootstraps.count where bootstraps[i].nextAt <= context.now {
      if let key = bootstraps[i].key, let slot = peer(key.id), peers[slot].isUp {
        bootstraps[i].tries = 0
        let wait = isComfortable ? Timing.outside : Timing.bootstrapRetryMax
        bootstraps[i].nextAt = context.now + context.random.jittered(wait)
        if isComfortable { events.append(.outside(peer: slot)) }
        continue
      }
      let longest = upCount == 0 ? Timing.bootstrapRetryMax : Timing.bootstrapRetryCalm
      var wait = min(Timing.bootstrapRetryMin * (1 << UInt64(min(bootstraps[i].tries, 10))), longest)
      if isComfortable { wait = Timing.outside }
      bootstraps[i].nextAt = context.now + context.random.jittered(wait)
      bootstraps[i].tries += 1
      contact(i, &context)
    }
  }

  private mutating func contact(_ index: Int, _ context: inout Context) {
    guard let ref = context.pool.take(length: 0) else { return }
    let endpoint = endpointForContact(index, &context)
    let room = context.pool.room(ref)
    if let key = bootstraps[index].key {
      guard let length = sessions.initiate(to: key, at: context.now, into: room),
        let slot = find(key, &context)
      else { return context.pool.release(ref) }
      peers[slot].roles.insert(.bootstrap)
      transmit(ref, length: length, to: endpoint, &context)
    } else {
      guard let (length, attempt) = sessions.initiateUnknown(at: context.now, into: room) else {
        return context.pool.release(ref)
      }
      bootstraps[index].attempt = attempt
      transmit(ref, length: length, to: endpoint, &context)
    }
  }

  /// The last link is gone: the bootstraps are asked at once and, as UDP has been silent for a while, with
  /// the next try over TCP.
  mutating func hurryBootstraps(at now: Instant) {
    isComfortable = false
    for i in 0..<bootstraps.count {
      bootstraps[i].tries = StreamTiming.datagramTries - 1
      bootstraps[i].nextAt = now
      deadline = now
    }
  }

  /// There is a link after there was none: whoever was asked in vain is asked over the ring.
  private mutating func hurryAttempts(_ now: Instant) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && !peers[slot].isUp {
      guard let attempt = peers[slot].attempt, attempt.tries > 1 else { continue }
      peers[slot].attempt = Attempt(tries: 1, nextAt: now)
      wake(slot, at: now)
    }
  }

  /// Remembers whose key answered a bootstrap attempt.
  private mutating func pin(
    attempt: UInt32?, to key: PublicKey, from origin: Origin, _ context: inout Context
  ) {
    guard case .endpoint(let endpoint) = origin else { return }
    let heard = endpoint.listening
    for i in 0..<bootstraps.count where bootstraps[i].endpoint == heard || bootstraps[i].attempt == attempt {
      if attempt != nil, bootstraps[i].key == nil { bootstraps[i].key = key }
      guard bootstraps[i].key == key, let slot = peer(key.id) else { continue }
      peers[slot].roles.insert(.bootstrap)
      bootstraps[i].tries = 0
      bootstraps[i].nextAt = context.now + Timing.bootstrapRetryMax
      context.notify(.bootstrapReached(key.id, heard))
    }
  }

  // MARK: - Handshakes

  /// Sends a fresh init to the peer: by turns over the ring and to an endpoint that may be its own.
  mutating func sendInit(_ slot: Int, tries: UInt8, _ context: inout Context) {
    // Who was said to reach it may do so no more: the next tries find their own way.
    if tries >= 2, !peers[slot].isUp { peers[slot].vias.removeAll() }
    guard let ref = context.pool.take(length: 0) else { return }
    guard let length = sessions.initiate(to: peers[slot].key, at: context.now, into: context.pool.room(ref))
    else {
      return context.pool.release(ref)
    }
    let datagram = PacketRef(slot: ref.slot, offset: ref.offset, length: UInt16(length))
    if let endpoint = endpointForInit(slot, tries: tries, &context) {
      transmit(ref, length: length, to: endpoint, &context)
    } else {
      routeDatagram(datagram, to: peers[slot].id, &context)
    }
  }

  /// A handshake over the ring did not arrive. Who was said to reach the peer does not: the next try finds
  /// its own way, and at once. Anybody may say so: it saves the wait of the first two tries and no more.
  public mutating func onUnreached(_ destination: OverlayID, _ context: inout Context) {
    guard let slot = peer(destination), !peers[slot].isUp, let attempt = peers[slot].attempt,
      attempt.tries <= 2
    else { return }
    peers[slot].vias.removeAll()
    peers[slot].attempt!.nextAt = min(attempt.nextAt, context.now)
    wake(slot, at: context.now)
  }

  private mutating func endpointForInit(
    _ slot: Int, tries: UInt8, _ context: inout Context
  ) -> Endpoint? {
    if let endpoint = peers[slot].bestPath?.endpoint, tries < 2 { return endpoint }
    let hints = peers[slot].hints
    if hints.isEmpty { return nil }
    if UInt32(tries) == StreamTiming.datagramTries,
      let stream = streamIfAlone(hints[0], for: peers[slot].id, &context)
    {
      return stream
    }
    let isRoutable = nextHop(toward: peers[slot].id, excluding: peers[slot].id, directOnly: true) != nil
    if isRoutable && tries & 1 == 1 { return nil }
    return hints[Int(tries / 2) % hints.count]
  }

  mutating func receiveHandshake(_ ref: PacketRef, from origin: Origin, _ context: inout Context) {
    guard let answer = context.pool.take(length: 0) else {
      counters.noSlot &+= 1
      return
    }
    let result = sessions.receiveHandshake(
      context.pool.frame(ref), at: context.now, reply: context.pool.room(answer))
    switch result {
    case .dropped, .awaitingProof:
      context.pool.release(answer)
    case .reply(let length, _):
      send(answer, length: length, back: origin, &context)
    case .established(let session, let length, let attempt, let restarted):
      if length > 0 {
        send(answer, length: length, back: origin, &context)
      } else {
        context.pool.release(answer)
      }
      guard let slot = linkUp(session, restarted: restarted, from: origin, &context) else { return }
      pin(attempt: attempt, to: peers[slot].key, from: origin, &context)
      sendHello(slot, tries: 0, &context)
      // Message 2 of IK carried the proofs: what waits goes out right behind the hello.
      events.append(.proved(peer: slot))
    }
  }

  private mutating func send(_ ref: PacketRef, length: Int, back origin: Origin, _ context: inout Context) {
    switch origin {
    case .endpoint(let endpoint):
      transmit(ref, length: length, to: endpoint, &context)
    case .routed(let source, let via):
      let datagram = PacketRef(slot: ref.slot, offset: ref.offset, length: UInt16(length))
      routeDatagram(datagram, to: source, via: via, &context)
    case .circuit(let relay, let label):
      let datagram = PacketRef(slot: ref.slot, offset: ref.offset, length: UInt16(length))
      transmit(datagram, through: relay, label: label, &context)
    }
  }

  func transmit(_ ref: PacketRef, length: Int, to endpoint: Endpoint, _ context: inout Context) {
    let datagram = PacketRef(slot: ref.slot, offset: ref.offset, length: UInt16(length))
    context.emit(.transmit(datagram, to: endpoint), owning: datagram)
  }

  // MARK: - Up

  /// The session has proved itself: by the answer to our handshake, or by the first record under its keys.
  mutating func linkUp(
    _ session: SessionID, restarted: Bool, from origin: Origin, _ context: inout Context
  ) -> Int? {
    guard let slot = find(sessions.peer(session), &context) else {
      sessions.remove(session)
      return nil
    }
    if let old = peers[slot].session, old.slot != session.slot { bySession.remove(old.slot) }
    bySession.set(session.slot, UInt32(slot))
    peers[slot].session = session
    peers[slot].attempt = nil
    peers[slot].hello = .answering(left: Timing.helloTries)
    peers[slot].deadUntil = .start
    if dead.remove(peers[slot].key) { peers[slot].isRevived = true }
    let wasUp = peers[slot].isUp
    if restarted || !wasUp { dropPaths(slot, keeping: origin.socket, &context) }
    if !wasUp {
      raise(slot)
      if upCount == 1 { hurryAttempts(context.now) }
    }
    // New keys of a session that is up prove nothing about the way: somebody may have copied the datagram.
    if restarted || !wasUp { prove(origin, of: slot, &context) } else { note(slot, from: origin, &context) }
    if restarted || !wasUp {
      peers[slot].forgetLinks()
      main.forget(slot)
      members.forget(slot)
      routes.forget(slot)
      peers[slot].upAt = context.now
      wakeCircuits(at: context.now)
      peers[slot].isIntroduced = false
      routesAreStale = true
      events.append(.up(peer: slot))
      context.notify(.linkUp(peers[slot].id))
    }
    wake(slot, at: context.now)
    return slot
  }

  /// The first handshake of a link is as good as an echo: the way it came works.
  private mutating func prove(_ origin: Origin, of slot: Int, _ context: inout Context) {
    var index = 0
    switch origin {
    case .endpoint(let endpoint):
      if let direct = addPath(slot, endpoint, mayReplace: true, &context) {
        index = direct
      } else {
        openOverlayPath(slot, context.now)
      }
    case .routed(_, let via):
      openOverlayPath(slot, context.now)
      learn(via: via, of: slot)
    case .circuit:
      // Circuits of the session before are gone with it; the handshake itself came over the ring.
      openOverlayPath(slot, context.now)
    }
    validate(slot, index, &context)
  }

  mutating func sendHello(_ slot: Int, tries: UInt8, _ context: inout Context) {
    guard let session = peers[slot].session else { return }
    let hello = sessions.hello(session)
    send(.hello, to: slot, &context) { hello.encode(to: &$0) }
    let timeout = max(
      peers[slot].bestPath?.roundTrip.timeout ?? RoundTrip.timeoutInitial, RoundTrip.timeoutMin)
    // Where a crowd met somebody at once, who had no place for all of them, it comes back spread out.
    let wait = context.random.jittered(timeout * (1 << UInt64(min(tries, 4))))
    peers[slot].hello = .sent(tries: tries + 1, nextAt: context.now + wait)
    wake(slot, at: context.now + wait)
  }

  mutating func receiveHello(_ hello: Hello, from slot: Int, _ context: inout Context) {
    guard let session = peers[slot].session else { return }
    sessions.receive(hello, on: session)
    if case .sent = peers[slot].hello {
      peers[slot].hello = .done
    } else if case .answering(let left) = peers[slot].hello, left > 0 {
      // The peer made these keys, or did not get our answer: it shall have ours.
      peers[slot].hello = .answering(left: left - 1)
      let hello = sessions.hello(session)
      send(.hello, to: slot, &context) { hello.encode(to: &$0) }
    }
    events.append(.proved(peer: slot))
  }

  /// The peer says that it no longer knows our session.
  mutating func receiveReset(_ datagram: Frame, _ context: inout Context) {
    guard let session = sessions.receiveReset(datagram), let slot = bySession[session.slot].map(Int.init),
      peers.isUsed(slot), peers[slot].attempt == nil
    else { return }
    counters.resets &+= 1
    peers[slot].attempt = Attempt(nextAt: context.now)
    wake(slot, at: context.now)
    tick(slot, &context)
  }
}
