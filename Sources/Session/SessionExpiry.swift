// What time takes away: handshakes that nobody finished, and keys that are too old.

import Base

extension SessionTable {
  /// How often the sessions are looked at. Keys that are over open and seal nothing, whether they were let go
  /// or not.
  static let sweep = Interval.seconds(10)

  /// Lets go of what is over. To be called about once a second; the sessions, each of which is read from
  /// memory of its own, are looked at more rarely. A session without keys stays until it is removed.
  public mutating func expire(at now: Instant) {
    advance(to: now)
    initiated.expire(at: now, life: Timing.initiatedLife)
    strangers.expire(at: now, life: Timing.strangerLife)
    for position in halfOpen.indices.reversed()
    where now - halfOpen[position].pointee.createdAt >= Timing.halfOpenLife {
      dropHalfOpen(at: position)
    }
    guard now >= sweepAt else { return }
    sweepAt = now + Self.sweep
    for slot in 0..<slotCount {
      guard let session = slots[slot] else { continue }
      dropIfOver(session.pointee.sealing, in: session, at: now)
      dropIfOver(session.pointee.second, in: session, at: now)
      dropIfOver(session.pointee.third, in: session, at: now)
    }
  }

  private mutating func dropIfOver(
    _ generation: GenerationPointer?, in session: SessionPointer, at now: Instant
  ) {
    if let generation, isOver(generation, in: session, at: now) { drop(generation) }
  }

  /// Whether a generation may open no more, or was replaced and the peer uses it no more.
  private func isOver(_ generation: GenerationPointer, in session: SessionPointer, at now: Instant) -> Bool {
    if now >= generation.pointee.refuseAt { return true }
    if session.pointee.sealing == generation { return false }
    let silentSince = max(generation.pointee.openedAt, generation.pointee.replacedAt)
    return now - silentSince >= KeyLimits.idlePrevious
  }
}
