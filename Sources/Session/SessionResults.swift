// What the session table answers, and what it counts.

import Base

/// One session with one peer. A handle to a session that is gone finds nothing, also when its slot is used
/// again.
public struct SessionID: Hashable, Sendable, BitwiseCopyable {
  public let slot: UInt32
  public let serial: UInt32

  public init(slot: UInt32, serial: UInt32) {
    self.slot = slot
    self.serial = serial
  }
}

/// What a handshake datagram led to. Lengths are those of the datagram in the caller's room.
public enum HandshakeResult: Equatable, Sendable, BitwiseCopyable {
  /// Nothing changed.
  case dropped(HandshakeReject)
  /// Send the answer where the datagram came from. The sender's key is known in IK only, and not yet proven
  /// fresh.
  case reply(length: Int, from: PublicKey?)
  /// This side may seal. `reply` is the length of the third message of XX to be sent, or 0. `attempt` is what
  /// `initiateUnknown` returned. `restarted`: the peer's incarnation is another one than that of the session
  /// before.
  case established(SessionID, reply: Int, attempt: UInt32?, restarted: Bool)
  /// The third message of XX came; the first record under the new keys makes or renews the session.
  case awaitingProof
}

/// Why a handshake datagram was dropped.
public enum HandshakeReject: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  /// Not a handshake datagram.
  case malformed
  /// The sender does not know the overlay or this node's key. Never answered.
  case wrongMAC
  /// No handshake of ours waits for this answer.
  case unknownIndex
  /// It does not decrypt, or what it carries is no payload.
  case forged
  /// The identity key is no valid point, or not that of the handshake, or not the one that was meant.
  case wrongKey
  /// The identity key may not stand on the ring.
  case noPuzzle
  /// It comes from this node itself.
  case own
  /// An init that is not newer than a confirmed one, or than one that waits for its proof.
  case stale
  /// Our own init to this peer stands: it has the smaller key.
  case simultaneous
  /// All sessions are in use.
  case full
}

/// Whether a record was sealed.
public enum SealResult: UInt8, Sendable, BitwiseCopyable {
  case sealed
  /// No session, or none of its keys may be used any more: handshake.
  case noKeys
  /// The keys were used for too long or too much: handshake.
  case exhausted
}

/// An opened record.
public struct Opened: Sendable, BitwiseCopyable {
  public let session: SessionID
  /// Part bits and class, or community slot.
  public let content: UInt8
  public let offload: UInt16
  /// The packet, in place in the datagram.
  public let packet: Frame
  /// The counter space.
  public let space: UInt8
  /// This record proved a handshake of the peer's: the session was made or has new keys.
  public let confirmed: Bool
  /// With `confirmed`: the peer's incarnation is another one than that of the session before.
  public let restarted: Bool

  @_noAllocation @_noLocks
  init(
    session: SessionID, content: UInt8, offload: UInt16, packet: Frame, space: UInt8, confirmed: Bool,
    restarted: Bool
  ) {
    self.session = session
    self.content = content
    self.offload = offload
    self.packet = packet
    self.space = space
    self.confirmed = confirmed
    self.restarted = restarted
  }
}

/// What became of a record.
public enum OpenResult: Sendable, BitwiseCopyable {
  case opened(Opened)
  /// No keys have this index: answer with a reset, if the source is not over its rate.
  case unknownIndex
  case dropped(RecordReject)
}

/// Why a record was dropped.
public enum RecordReject: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  /// Not a record, or spare bits are not zero.
  case malformed
  /// It came already, or its number is too old to tell.
  case replayed
  /// The tag is wrong.
  case forged
  /// The keys may not be used any more.
  case expired
  /// The peer uses too many counter spaces.
  case tooManySpaces
  /// It would make a session, and all are in use.
  case full
}

/// How often what happened since the table was made.
public struct SessionCounters: Equatable, Sendable, BitwiseCopyable {
  public internal(set) var sealed: UInt64 = 0
  public internal(set) var opened: UInt64 = 0
  public internal(set) var refused: UInt64 = 0
  public internal(set) var unknownIndex: UInt64 = 0
  public internal(set) var malformed: UInt64 = 0
  public internal(set) var replayed: UInt64 = 0
  public internal(set) var forged: UInt64 = 0
  public internal(set) var expired: UInt64 = 0
  public internal(set) var tooManySpaces: UInt64 = 0
  public internal(set) var full: UInt64 = 0

  public internal(set) var initiated: UInt64 = 0
  public internal(set) var answered: UInt64 = 0
  public internal(set) var established: UInt64 = 0
  public internal(set) var resetsSent: UInt64 = 0
  public internal(set) var resetsReceived: UInt64 = 0
  public internal(set) var resetsForged: UInt64 = 0
  /// Half-open handshakes that gave way to newer ones because the table was full.
  public internal(set) var evicted: UInt64 = 0
  private var rejected = PackedCounters()

  public init() {}

  /// How many handshake datagrams were dropped for this reason.
  public subscript(reason: HandshakeReject) -> UInt64 { rejected[Int(reason.rawValue)] }

  mutating func count(_ reason: HandshakeReject) { rejected.increment(Int(reason.rawValue)) }

  @_noAllocation @_noLocks
  mutating func count(_ reason: RecordReject) {
    switch reason {
    case .malformed: malformed &+= 1
    case .replayed: replayed &+= 1
    case .forged: forged &+= 1
    case .expired: expired &+= 1
    case .tooManySpaces: tooManySpaces &+= 1
    case .full: full &+= 1
    }
  }
}

/// A counter for each reason of dropping a handshake.
private struct PackedCounters: Equatable, Sendable, BitwiseCopyable {
  private var counters: InlineArray<10, UInt64> = InlineArray(repeating: 0)

  subscript(index: Int) -> UInt64 { counters[index] }

  mutating func increment(_ index: Int) { counters[index] += 1 }

  static func == (a: PackedCounters, b: PackedCounters) -> Bool {
    a.counters.indices.allSatisfy { a.counters[$0] == b.counters[$0] }
  }
}
