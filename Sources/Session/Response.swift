// Answering handshakes.
//
// What comes is checked in the order of its cost: shape, mac1, then Diffie–Hellman and signatures' points. An
// init makes a half-open generation, of which there is one a static key, 1,024 in all, for five seconds;
// nothing else changes, so a recorded init that is played again does no harm.

import Base

/// The lengths of the payloads that make all handshake datagrams equally long.
enum PayloadBytes {
  private static let message = HandshakeHeader.messageBytes
  private static let key = Key.byteCount
  private static let sealedKey = Key.byteCount + NoiseSymmetry.tagBytes

  static let ik1 = message - key - sealedKey - NoiseSymmetry.tagBytes
  static let ik2 = message - key - NoiseSymmetry.tagBytes
  static let xx1 = message - key - NoiseSymmetry.tagBytes
  static let xx2 = message - key - sealedKey - NoiseSymmetry.tagBytes
  static let xx3 = message - sealedKey - NoiseSymmetry.tagBytes
}

/// How long handshakes live.
enum Timing {
  /// An init of ours waits this long for its answer (an answer may come all the way round the ring).
  static let initiatedLife = Interval.seconds(15)
  /// An XX handshake of a stranger waits this long for message 3.
  static let strangerLife = Interval.seconds(5)
  /// A half-open generation waits this long for its first record.
  static let halfOpenLife = Interval.seconds(5)
  /// Of two inits that cross, that of the smaller key stands: for this long after its first try the other one
  /// is not answered. No longer, or a side whose inits do not arrive would never be answered.
  static let precedence = Interval.seconds(1)
}

extension SessionTable {
  /// Takes in a datagram of kind 1 or 2. Decrypts it in place.
  /// - Parameter room: at least 288 bytes, for what has to be sent back; not the datagram itself.
  public mutating func receiveHandshake(
    _ datagram: Frame, at now: Instant, reply room: Frame
  ) -> HandshakeResult {
    advance(to: now)
    let result = receive(datagram, at: now, reply: room)
    switch result {
    case .dropped(let reason): counters.count(reason)
    case .reply: counters.answered += 1
    case .established, .awaitingProof: break
    }
    return result
  }

  private mutating func receive(_ datagram: Frame, at now: Instant, reply room: Frame) -> HandshakeResult {
    guard let header = HandshakeHeader(datagram) else { return .dropped(.malformed) }
    switch (header.kind, header.pattern) {
    case (HandshakeHeader.initKind, .ik):
      guard hasMAC(datagram, macKeyIK) else { return .dropped(.wrongMAC) }
      return answerIK(datagram, header, at: now, reply: room)
    case (HandshakeHeader.initKind, .xx):
      guard hasMAC(datagram, macKeyXX) else { return .dropped(.wrongMAC) }
      return answerXX(datagram, header, at: now, reply: room)
    case (HandshakeHeader.initKind, .xxFinal):
      guard hasMAC(datagram, macKeyXX) else { return .dropped(.wrongMAC) }
      return finishXX(datagram, header, at: now)
    default:
      guard let position = initiated.position(localIndex: header.receiver),
        initiated[position].handshake.pattern.rawValue == header.pattern.rawValue
      else { return .dropped(.unknownIndex) }
      guard hasMAC(datagram, initiated[position].macKey) else { return .dropped(.wrongMAC) }
      if header.pattern == .ik { return completeIK(datagram, header, position: position, at: now) }
      return completeXX(datagram, header, position: position, at: now, reply: room)
    }
  }

  private func hasMAC(_ datagram: Frame, _ key: Key) -> Bool {
    Token(HandshakeHeader.mac1(datagram)).matches(overlay.mac1(key, of: datagram))
  }

  /// Why `key` is no identity that could have made a handshake with the static key `exchange`; nil when it
  /// could.
  func objection(to key: PublicKey, with exchange: Key?) -> HandshakeReject? {
    if key == identity.publicKey || exchange == identity.exchange.publicKey { return .own }
    if !identity.suite.admits(key) { return .noPuzzle }
    guard let converted = identity.suite.exchangeKey(of: key), converted == exchange else {
      return .wrongKey
    }
    return nil
  }

  /// Message 1 of IK.
  private mutating func answerIK(
    _ datagram: Frame, _ header: HandshakeHeader, at now: Instant, reply room: Frame
  ) -> HandshakeResult {
    var handshake = Handshake(
      .ik, isInitiator: false, overlay: overlay, responder: identity.id, own: identity.exchange,
      ephemeral: identity.suite.ephemeral(&random))
    guard let payload = handshake.read(HandshakeHeader.message(datagram)),
      let asked = try? InitiatorPayload(decoding: payload)
    else { return .dropped(.forged) }
    if let reject = objection(to: asked.key, with: handshake.remoteStatic) { return .dropped(reject) }
    if isStale(asked) { return .dropped(.stale) }
    if identity.publicKey < asked.key, let position = initiated.position(peer: asked.key),
      now - initiated[position].firstAt < Timing.precedence
    {
      return .dropped(.simultaneous)
    }
    let index = freshIndex()
    let own = ResponderPayload(key: identity.publicKey, incarnation: incarnation, capabilities: capabilities)
    let random = randomTokens()
    let greatest = session(with: asked.key)?.pointee.greatestIncarnation ?? 0
    let answer = HandshakeHeader(
      kind: HandshakeHeader.responseKind, receiver: header.sender, pattern: .ik, sender: index)
    let written = write(answer, &handshake, macKey: macKeyIK, into: room) { hash in
      let binding = KnockBinding(hash: hash, initiator: asked.key, responder: identity.publicKey)
      let hello = Hello(
        resetToken: resetToken(index), remembered: greatest > asked.incarnation ? greatest : 0,
        tokens: fill(random, binding, fromInitiator: false, positions: positions(for: asked.key)))
      return KnockingPayload(responder: own, hello: hello).padded(to: PayloadBytes.ik2)
    }
    guard written else { return .dropped(.forged) }
    addHalfOpen(asked, handshake, localIndex: index, remoteIndex: header.sender, at: now)
    return .reply(length: HandshakeHeader.datagramBytes, from: asked.key)
  }

  /// Message 1 of XX: from anybody.
  private mutating func answerXX(
    _ datagram: Frame, _ header: HandshakeHeader, at now: Instant, reply room: Frame
  ) -> HandshakeResult {
    var handshake = Handshake(
      .xx, isInitiator: false, overlay: overlay, responder: .zero, own: identity.exchange,
      ephemeral: identity.suite.ephemeral(&random))
    guard let payload = handshake.read(HandshakeHeader.message(datagram)), payload.isZero else {
      return .dropped(.forged)
    }
    let index = freshIndex()
    let own = ResponderPayload(key: identity.publicKey, incarnation: incarnation, capabilities: capabilities)
    let answer = HandshakeHeader(
      kind: HandshakeHeader.responseKind, receiver: header.sender, pattern: .xx, sender: index)
    guard
      write(
        answer, &handshake, macKey: macKeyXX, into: room, payload: { _ in own.padded(to: PayloadBytes.xx2) })
    else { return .dropped(.forged) }
    if strangers.isFull {
      strangers.remove(at: Int(random.next() % UInt64(strangers.count)))
      counters.evicted += 1
    }
    strangers.append(
      Pending(
        handshake: handshake, localIndex: index, remoteIndex: header.sender, peer: nil, macKey: macKeyXX,
        attempt: nil,
        startedAt: now, firstAt: now))
    return .reply(length: HandshakeHeader.datagramBytes, from: nil)
  }

  /// Message 3 of XX: now it is known who asked.
  private mutating func finishXX(_ datagram: Frame, _ header: HandshakeHeader, at now: Instant)
    -> HandshakeResult
  {
    guard let position = strangers.position(localIndex: header.receiver),
      strangers[position].remoteIndex == header.sender
    else { return .dropped(.unknownIndex) }
    let pending = strangers[position]
    var handshake = pending.handshake
    guard let payload = handshake.read(HandshakeHeader.message(datagram)),
      let asked = try? InitiatorPayload(decoding: payload)
    else { return .dropped(.forged) }
    strangers.remove(at: position)
    if let reject = objection(to: asked.key, with: handshake.remoteStatic) { return .dropped(reject) }
    if isStale(asked) { return .dropped(.stale) }
    addHalfOpen(asked, handshake, localIndex: pending.localIndex, remoteIndex: header.sender, at: now)
    return .awaitingProof
  }

  /// Whether an init is not newer than the newest proven one of its incarnation, or than the half-open one.
  /// One of a lower incarnation than a proven one may be a node restored from a backup, and is answered.
  private func isStale(_ asked: InitiatorPayload) -> Bool {
    if let session = session(with: asked.key)?.pointee, session.greatestIncarnation == asked.incarnation,
      asked.sequence <= session.sequence
    {
      return true
    }
    return halfOpen.contains {
      $0.pointee.peer == asked.key
        && ($0.pointee.incarnation, $0.pointee.sequence) >= (asked.incarnation, asked.sequence)
    }
  }

  private mutating func addHalfOpen(
    _ asked: InitiatorPayload, _ handshake: Handshake, localIndex: UInt32, remoteIndex: UInt32,
    at now: Instant
  ) {
    if let older = halfOpen.firstIndex(where: { $0.pointee.peer == asked.key }) {
      dropHalfOpen(at: older)
    } else if halfOpen.count >= Self.halfOpenLimit {
      dropHalfOpen(at: Int(random.next() % UInt64(halfOpen.count)))
      counters.evicted += 1
    }
    let generation = Generation(
      peer: asked.key, incarnation: asked.incarnation, sequence: asked.sequence,
      capabilities: asked.capabilities,
      localIndex: localIndex, remoteIndex: remoteIndex,
      cipher: Cipher(identity.suite, capabilities, asked.capabilities, bulk: bulk),
      isInitiator: false, hash: handshake.hash, createdAt: now
    ).allocate(split: handshake.split())
    indices.insert(localIndex, generation)
    halfOpen.append(generation)
  }
}
