// Resets: "I no longer know this session", provably from the one who once did.
//
//  offset  size  field
//       0     1  kind            7
//       1     3  zero
//       4     4  index           of the record that it answers
//       8    16  token           given to the peer inside the session
//
// A node that restarted, or let a session go, answers records that name an index it does not know. The token
// follows from its identity and the index, so it needs no memory of the session, and nobody else can make
// one. The peer keeps the session and handshakes at once. A reset is shorter than any record and answers
// nothing but records.

import Base

extension SessionTable {
  /// The first byte of a reset.
  public static let resetKind: UInt8 = 7
  public static let resetBytes = 24

  /// Writes the answer to a record with an unknown index. The caller bounds the rate a source.
  /// - Returns: its length; nil when the datagram is not such a record.
  public mutating func writeReset(answering datagram: Frame, at now: Instant, into room: Frame) -> Int? {
    advance(to: now)
    guard datagram.count >= Self.overhead, datagram[0] == Self.recordKind else { return nil }
    let index = datagram.big(0, as: UInt32.self) & 0xFF_FFFF
    guard indices.find(index) == nil, strangers.position(localIndex: index) == nil,
      initiated.position(localIndex: index) == nil
    else { return nil }
    room.setBig(0, UInt32(Self.resetKind) << 24)
    room.setBig(4, index)
    resetToken(index).write(to: room.dropping(8))
    counters.resetsSent += 1
    return Self.resetBytes
  }

  /// Takes in a reset.
  /// - Returns: the session whose present keys the peer no longer has; nil when it does not come from the
  ///   peer of any. The session stays; the caller begins a handshake.
  public mutating func receiveReset(_ datagram: Frame) -> SessionID? {
    guard datagram.count == Self.resetBytes, datagram.big(0, as: UInt32.self) == UInt32(Self.resetKind) << 24
    else {
      counters.resetsForged += 1
      return nil
    }
    let index = datagram.big(4, as: UInt32.self)
    let token = Token(datagram.dropping(8))
    for slot in 0..<slotCount {
      guard let session = slots[slot]?.pointee, let generation = session.sealing?.pointee,
        generation.remoteIndex == index, generation.resetToken?.matches(token) == true
      else { continue }
      counters.resetsReceived += 1
      return session.id
    }
    counters.resetsForged += 1
    return nil
  }

  /// What proves that a reset for this index comes from us.
  func resetToken(_ index: UInt32) -> Token {
    identity.suite.labelled("reset", key: resetKey) {
      $0.partLength(3)
      $0.byte(UInt8(truncatingIfNeeded: index >> 16))
      $0.integer(UInt16(truncatingIfNeeded: index))
    }
  }
}
