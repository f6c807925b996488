// Sealing and opening of records: the code that runs for each packet.
//
//  offset  size  field
//       0     1  kind            4
//       1     3  index           the receiver's
//       4     8  counter         little-endian: number in the low 56 bits, counter space in the top 8
//      12     1  content         sealed from here: two part bits, and a class or a community slot
//      13     2  offload
//      15     1  zero
//      16     n  packet
//  16 + n    16  tag
//
// The clear header is associated data. The text, which is all that is sealed, is sealed where it stands in
// the record and opened where it was received; or, to save a copy, it is sealed from the buffer of the device
// and opened into it. The compiler proves that nothing here allocates or locks, but for the first record of a
// counter space and the first record under new keys, which are marked.

import Base

extension SessionTable {
  /// The first byte of a record.
  public static let recordKind: UInt8 = 4

  /// Makes a record of a packet where it stands. The age of the keys is reckoned at the latest moment that
  /// any call brought (`expire` brings one every second).
  /// - Parameters:
  ///   - space: the counter space, 0 ... 128; each is used by one thread.
  ///   - content: two part bits, and a class or a community slot.
  ///   - datagram: the whole record; the packet stands already at offset 16, with 16 bytes behind it.
  @_noAllocation @_noLocks
  public mutating func seal(
    _ id: SessionID, space: UInt8, content: UInt8, offload: UInt16, datagram: Frame
  ) -> SealResult {
    precondition(datagram.count >= 32)
    let text = _unsafePerformance { datagram.slice(12, datagram.count &- 28) }
    return seal(id, space: space, content: content, offload: offload, text: text, into: datagram)
  }

  /// Makes a record of a packet that stands elsewhere.
  /// - Parameters:
  ///   - text: 4 bytes, which are written here, and the packet. It does not overlap `datagram`, or is its
  ///     part from offset 12 on.
  ///   - datagram: the whole record; 28 bytes longer than `text`.
  @_noAllocation @_noLocks
  public mutating func seal(
    _ id: SessionID, space: UInt8, content: UInt8, offload: UInt16, text: Frame, into datagram: Frame
  ) -> SealResult {
    precondition(text.count >= 4 && datagram.count == text.count &+ 28 && space <= 128)
    guard let session = session(id), let generation = session.pointee.sealing else {
      counters.refused &+= 1
      return .noKeys
    }
    if generation.isExhausted(at: latest) {
      counters.refused &+= 1
      return .exhausted
    }
    let counter = session.pointee.nextSequence(space) | UInt64(space) &<< 56
    datagram.setBig(0, 4 &<< 24 | generation.pointee.remoteIndex)
    datagram.setLittle(4, counter)
    text.setBig(0, UInt32(content) &<< 24 | UInt32(offload) &<< 8)
    generation.pointee.cipher.seal(
      text.base, length: text.count, into: datagram.base + 12, tag: datagram.base + (12 &+ text.count),
      associated: datagram.base, associatedLength: 12, counter: counter, state: generation.sealingKey)
    generation.pointee.sealed &+= 1
    generation.count(space: space, bytes: datagram.count, at: latest)
    counters.sealed &+= 1
    return .sealed
  }

  /// Opens a record in place.
  /// - Parameter datagram: as it was received; changed also when it turns out to be forged.
  @_noAllocation @_noLocks
  public mutating func open(_ datagram: Frame, at now: Instant) -> OpenResult {
    // What is too short is dropped before anybody looks at its text.
    let text = _unsafePerformance {
      datagram.count < 32 ? datagram : datagram.slice(12, datagram.count &- 28)
    }
    return open(datagram, into: text, at: now)
  }

  /// Opens a record to another place.
  /// - Parameters:
  ///   - datagram: as it was received; it stays as it is.
  ///   - text: for all that was sealed: the packet is what follows the first 4 bytes. 28 bytes shorter than
  ///     `datagram`, unless that is too short for a record. It does not overlap `datagram`, or is its part
  ///     from offset 12 on. Written to also when the record turns out to be forged.
  @_noAllocation @_noLocks
  public mutating func open(_ datagram: Frame, into text: Frame, at now: Instant) -> OpenResult {
    if now.ns > latest.ns { latest = now }
    guard datagram.count >= 32, datagram[0] == 4 else { return drop(.malformed) }
    precondition(text.count == datagram.count &- 28)
    let counter = datagram.little(4, as: UInt64.self)
    let space = UInt8(truncatingIfNeeded: counter &>> 56)
    let sequence = counter & (1 &<< 56 &- 1)
    guard let generation = indices.find(datagram.big(0, as: UInt32.self) & 0xFF_FFFF) else {
      counters.unknownIndex &+= 1
      return .unknownIndex
    }
    if space > 128 { return drop(.malformed) }
    if now.ns >= generation.pointee.refuseAt.ns { return drop(.expired) }
    let window = generation.window(space)
    if let window, !window.admits(sequence) { return drop(.replayed) }
    let authentic = generation.pointee.cipher.open(
      datagram.base + 12, length: text.count, into: text.base, tag: datagram.base + (12 &+ text.count),
      associated: datagram.base, associatedLength: 12, counter: counter, state: generation.openingKey)
    if !authentic { return drop(.forged) }
    guard let window = window ?? generation.addWindow(space) else { return drop(.tooManySpaces) }
    window.mark(sequence)
    let content = text.big(0, as: UInt32.self)
    if content & 0xFF != 0 { return drop(.malformed) }
    generation.pointee.opened &+= 1
    generation.pointee.openedAt = now
    generation.count(space: space, bytes: datagram.count, at: now)
    return accept(generation, text, space: space, content: content, at: now)
  }

  /// What an authentic record says; the first one under a half-open generation proves it.
  @_noAllocation @_noLocks
  private mutating func accept(
    _ generation: GenerationPointer, _ text: Frame, space: UInt8, content: UInt32, at now: Instant
  ) -> OpenResult {
    var confirmed = false
    var restarted = false
    if generation.pointee.slot == nil {
      switch prove(generation, at: now) {
      case .refused: return drop(.full)
      case .renewed: break
      case .restarted: restarted = true
      }
      confirmed = true
    }
    guard let slot = generation.pointee.slot, let session = slots[Int(slot)] else { return drop(.malformed) }
    session.pointee.lastOpened = generation
    counters.opened &+= 1
    let packet = _unsafePerformance { text.dropping(4) }
    return .opened(
      Opened(
        session: session.pointee.id, content: UInt8(truncatingIfNeeded: content &>> 24),
        offload: UInt16(truncatingIfNeeded: content &>> 8), packet: packet, space: space,
        confirmed: confirmed,
        restarted: restarted))
  }

  private enum Proof: BitwiseCopyable { case refused, renewed, restarted }

  /// Makes or renews a session: once a handshake, so it may allocate.
  @_semantics("no_performance_analysis") @inline(never)
  private mutating func prove(_ generation: GenerationPointer, at now: Instant) -> Proof {
    guard let proven = confirm(generation, at: now) else { return .refused }
    return proven.restarted ? .restarted : .renewed
  }

  @_noAllocation @_noLocks
  private mutating func drop(_ reason: RecordReject) -> OpenResult {
    counters.count(reason)
    return .dropped(reason)
  }
}
