// How a proven handshake makes or renews a session, and how sessions and keys go.

import Base

extension SessionTable {
  /// Makes `generation` the one that seals in the session with its peer, which is made if there is none.
  ///
  /// Another incarnation of the peer than the one before means that it lost what it knew: its older keys and
  /// its community slots go. The greatest incarnation is remembered, so that a node restored from a backup
  /// can be told.
  /// - Returns: nil when all sessions are in use.
  mutating func establish(_ generation: GenerationPointer, at now: Instant) -> (
    SessionPointer, restarted: Bool
  )? {
    let (peer, incarnation) = (generation.pointee.peer, generation.pointee.incarnation)
    let present = session(with: peer)
    guard let session = present ?? makeSession(for: generation) else { return nil }
    let restarted = present != nil && session.pointee.incarnation != incarnation
    if restarted {
      for older in session.generations where older.pointee.incarnation != incarnation { drop(older) }
      session.pointee.sendSlots = PackedBytes()
    }
    session.pointee.incarnation = incarnation
    session.pointee.capabilities = generation.pointee.capabilities
    if incarnation > session.pointee.greatestIncarnation {
      session.pointee.greatestIncarnation = incarnation
      session.pointee.sequence = generation.pointee.sequence
    } else if incarnation == session.pointee.greatestIncarnation {
      session.pointee.sequence = max(session.pointee.sequence, generation.pointee.sequence)
    }
    if let displaced = session.adopt(generation, at: now) { free(displaced) }
    if let older = halfOpen.firstIndex(where: {
      $0.pointee.peer == peer && $0.pointee.incarnation < incarnation
    }) {
      dropHalfOpen(at: older)
    }
    counters.established += 1
    return (session, restarted)
  }

  /// The first record under a half-open generation opened: its initiator has the key and is there now.
  mutating func confirm(_ generation: GenerationPointer, at now: Instant) -> (
    SessionPointer, restarted: Bool
  )? {
    guard let established = establish(generation, at: now) else { return nil }
    if let position = halfOpen.firstIndex(of: generation) { halfOpen.remove(at: position) }
    return established
  }

  /// The session with the owner of `key`.
  func session(with key: PublicKey) -> SessionPointer? { byPeer[key].flatMap { slots[Int($0)] } }

  /// Ends a session and wipes its keys. The peer is not told; its records are answered with resets.
  public mutating func remove(_ id: SessionID) {
    guard let session = session(id) else { return }
    for generation in session.generations { free(generation) }
    byPeer.remove(session.pointee.peer)
    slots[Int(id.slot)] = nil
    session.release()
  }

  /// Ends everything: after a snapshot of the machine was restored, or the clock jumped, no key may be used
  /// again.
  public mutating func removeAll() {
    for slot in 0..<slotCount {
      if let session = slots[slot] { remove(session.pointee.id) }
    }
    while !halfOpen.isEmpty { dropHalfOpen(at: halfOpen.count - 1) }
    initiated.removeAll()
    strangers.removeAll()
  }

  /// Goes on with a greater incarnation. It was stored before.
  public mutating func raiseIncarnation(to greater: UInt64) {
    precondition(greater > incarnation)
    incarnation = greater
    initSequence = 0
    if let outranked = outrankedBy, outranked < greater { outrankedBy = nil }
  }

  mutating func dropHalfOpen(at position: Int) { free(halfOpen.remove(at: position)) }

  /// Takes a generation out of its session and frees it.
  mutating func drop(_ generation: GenerationPointer) {
    if let slot = generation.pointee.slot { slots[Int(slot)]?.forget(generation) }
    free(generation)
  }

  private mutating func free(_ generation: GenerationPointer) {
    indices.remove(generation.pointee.localIndex)
    generation.release()
  }

  mutating func advance(to now: Instant) {
    if now > latest { latest = now }
  }

  private mutating func makeSession(for generation: GenerationPointer) -> SessionPointer? {
    guard byPeer.count < capacity else { return nil }
    var slot = 0
    while slot < slotCount, slots[slot] != nil { slot += 1 }
    if slot == slotRoom { growSlots() }
    slotCount = max(slotCount, slot + 1)
    serials[slot] &+= 1
    let peer = generation.pointee.peer
    let session = PeerSession.allocate(
      peer: peer, id: SessionID(slot: UInt32(slot), serial: serials[slot]),
      incarnation: generation.pointee.incarnation, capabilities: generation.pointee.capabilities,
      positions: positions(for: peer))
    slots[slot] = session
    byPeer.set(peer, UInt32(slot))
    return session
  }

  private mutating func growSlots() {
    let room = min(capacity, max(8, 2 * slotRoom))
    let (oldSlots, oldSerials) = (slots, serials)
    slots = .allocate(capacity: room)
    slots.initialize(repeating: nil, count: room)
    slots.update(from: oldSlots, count: slotRoom)
    serials = .allocate(capacity: room)
    serials.initialize(repeating: 0, count: room)
    serials.update(from: oldSerials, count: slotRoom)
    oldSlots.deallocate()
    oldSerials.deallocate()
    slotRoom = room
  }
}
