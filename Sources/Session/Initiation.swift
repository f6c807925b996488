// Beginning a handshake, and the answer that ends it at this side.

import Base

extension SessionTable {
  /// Begins, or begins again, a handshake with a known key: writes message 1 of IK. A message that an earlier
  /// call made for the same key is forgotten. A present session goes on until the new keys are there.
  /// - Parameter room: at least 288 bytes.
  /// - Returns: the length of the datagram; nil when the key cannot be a peer, or too many handshakes are
  ///   under way.
  public mutating func initiate(to peer: PublicKey, at now: Instant, into room: Frame) -> Int? {
    advance(to: now)
    guard peer != identity.publicKey, identity.suite.admits(peer),
      let remote = identity.suite.exchangeKey(of: peer)
    else { return nil }
    var firstAt = now
    if let position = initiated.position(peer: peer) {
      if now - initiated[position].firstAt < Timing.initiatedLife { firstAt = initiated[position].firstAt }
      initiated.remove(at: position)
    }
    guard !initiated.isFull else { return nil }
    let handshake = Handshake(
      .ik, isInitiator: true, overlay: overlay, responder: peer.id, own: identity.exchange,
      ephemeral: identity.suite.ephemeral(&random), remoteStatic: remote)
    let pending = Pending(
      handshake: handshake, localIndex: freshIndex(), remoteIndex: 0, peer: peer,
      macKey: overlay.macKey(responder: remote), attempt: nil, startedAt: now, firstAt: firstAt)
    let payload = initiatorPayload(for: peer).padded(to: PayloadBytes.ik1)
    return begin(pending, .ik, payload: payload, into: room)
  }

  /// Begins a handshake with a bootstrap whose key is not known: writes message 1 of XX. Several may be under
  /// way.
  /// - Parameter room: at least 288 bytes.
  /// - Returns: the length of the datagram, and a number that comes back with `established`.
  public mutating func initiateUnknown(at now: Instant, into room: Frame) -> (length: Int, attempt: UInt32)? {
    advance(to: now)
    guard !initiated.isFull else { return nil }
    attempts &+= 1
    let handshake = Handshake(
      .xx, isInitiator: true, overlay: overlay, responder: .zero, own: identity.exchange,
      ephemeral: identity.suite.ephemeral(&random))
    let pending = Pending(
      handshake: handshake, localIndex: freshIndex(), remoteIndex: 0, peer: nil, macKey: macKeyXX,
      attempt: attempts,
      startedAt: now, firstAt: now)
    let payload = [UInt8](repeating: 0, count: PayloadBytes.xx1)
    return begin(pending, .xx, payload: payload, into: room).map { ($0, pending.attempt ?? 0) }
  }

  private mutating func begin(
    _ pending: Pending, _ pattern: HandshakeHeader.Pattern, payload: [UInt8], into room: Frame
  ) -> Int? {
    var pending = pending
    let header = HandshakeHeader(
      kind: HandshakeHeader.initKind, receiver: 0, pattern: pattern, sender: pending.localIndex)
    guard write(header, &pending.handshake, macKey: pending.macKey, into: room, payload: { _ in payload })
    else {
      return nil
    }
    initiated.append(pending)
    counters.initiated += 1
    return HandshakeHeader.datagramBytes
  }

  /// Writes a whole handshake datagram.
  /// - Returns: false when a Diffie–Hellman result is all zeros.
  func write(
    _ header: HandshakeHeader, _ handshake: inout Handshake, macKey: Key, into room: Frame,
    payload: (Digest) -> [UInt8]
  ) -> Bool {
    let datagram = room.prefix(HandshakeHeader.datagramBytes)
    datagram.clear()
    header.write(to: datagram)
    guard let length = handshake.write(into: HandshakeHeader.message(datagram), payload: payload) else {
      return false
    }
    precondition(length == HandshakeHeader.messageBytes)
    overlay.mac1(macKey, of: datagram).write(to: HandshakeHeader.mac1(datagram))
    return true
  }

  /// What an initiator says about itself. Uses up a sequence number.
  mutating func initiatorPayload(for peer: PublicKey) -> InitiatorPayload {
    initSequence += 1
    let session = byPeer[peer].flatMap { slots[Int($0)] }
    return InitiatorPayload(
      key: identity.publicKey, incarnation: incarnation, sequence: initSequence,
      previous: session?.pointee.sealing?.pointee.remoteIndex ?? 0, capabilities: capabilities)
  }

  /// Message 2 of IK: the responder has proven its key, the new keys seal from now on.
  mutating func completeIK(
    _ datagram: Frame, _ header: HandshakeHeader, position: Int, at now: Instant
  ) -> HandshakeResult {
    let pending = initiated[position]
    var handshake = pending.handshake
    guard let payload = handshake.read(HandshakeHeader.message(datagram)),
      let answer = try? KnockingPayload(decoding: payload)
    else { return .dropped(.forged) }
    guard answer.responder.key == pending.peer else { return .dropped(.wrongKey) }
    guard
      let (session, restarted) = conclude(
        handshake, answer.responder, position: position, remoteIndex: header.sender, at: now)
    else { return .dropped(.full) }
    session.pointee.sealing?.pointee.resetToken = answer.hello.resetToken
    noteRemembered(answer.hello.remembered)
    let binding = KnockBinding(
      hash: handshake.payloadHash, initiator: identity.publicKey, responder: answer.responder.key)
    match(answer.hello.tokens, binding: binding, fromInitiator: false, in: session)
    return .established(session.pointee.id, reply: 0, attempt: nil, restarted: restarted)
  }

  /// Message 2 of XX: who the bootstrap is becomes known; message 3 goes back.
  mutating func completeXX(
    _ datagram: Frame, _ header: HandshakeHeader, position: Int, at now: Instant, reply room: Frame
  ) -> HandshakeResult {
    let pending = initiated[position]
    var handshake = pending.handshake
    guard let payload = handshake.read(HandshakeHeader.message(datagram)),
      let answer = try? ResponderPayload(decoding: payload)
    else { return .dropped(.forged) }
    if let reject = objection(to: answer.key, with: handshake.remoteStatic) { return .dropped(reject) }
    guard byPeer[answer.key] != nil || byPeer.count < capacity else { return .dropped(.full) }
    let own = initiatorPayload(for: answer.key).padded(to: PayloadBytes.xx3)
    let final = HandshakeHeader(
      kind: HandshakeHeader.initKind, receiver: header.sender, pattern: .xxFinal, sender: pending.localIndex)
    guard write(final, &handshake, macKey: macKeyXX, into: room, payload: { _ in own }),
      let (session, restarted) = conclude(
        handshake, answer, position: position, remoteIndex: header.sender, at: now)
    else { return .dropped(.forged) }
    return .established(
      session.pointee.id, reply: HandshakeHeader.datagramBytes, attempt: pending.attempt, restarted: restarted
    )
  }

  /// Turns a finished handshake of this side into keys that seal.
  /// - Returns: nil when all sessions are in use.
  private mutating func conclude(
    _ handshake: Handshake, _ answer: ResponderPayload, position: Int, remoteIndex: UInt32, at now: Instant
  ) -> (SessionPointer, restarted: Bool)? {
    guard byPeer[answer.key] != nil || byPeer.count < capacity else { return nil }
    let localIndex = initiated[position].localIndex
    initiated.remove(at: position)
    let generation = Generation(
      peer: answer.key, incarnation: answer.incarnation, sequence: 0, capabilities: answer.capabilities,
      localIndex: localIndex, remoteIndex: remoteIndex,
      cipher: Cipher(identity.suite, capabilities, answer.capabilities, bulk: bulk),
      isInitiator: true, hash: handshake.hash, createdAt: now
    ).allocate(split: handshake.split())
    indices.insert(localIndex, generation)
    return establish(generation, at: now)
  }
}
