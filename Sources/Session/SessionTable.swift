// All sessions of a node: the state that handshakes make and records use.
//
// This file holds the table and what it answers without changing; the other files extend it by one idea each:
// `Initiation`, `Response` and `Establishment` (handshakes), `Records`, `Knocking`, `Reset`, `SessionExpiry`.
//
// An init of a stranger changes nothing but a bounded table of half-open generations. A session is made or
// renewed when message 2 comes (at the initiator) or when the first record under the new keys opens (at the
// responder): by then the peer has proven that it holds its key now. Every table grows with use, so the
// capacity costs nothing as long as it is not used.

import Base

/// The sessions of one identity in one overlay.
@safe public struct SessionTable: ~Copyable {
  /// The clear header of a record.
  public static let headerBytes = 12
  /// Content, offload and the spare byte in front of the packet.
  public static let contentBytes = 4
  public static let tagBytes = 16
  /// What a record adds to a packet.
  public static let overhead = 32
  /// The length of every handshake datagram.
  public static let handshakeBytes = HandshakeHeader.datagramBytes
  /// The most communities a node carries: as many as a list of tokens has places.
  public static let communityLimit = TokenList.count

  private let anchor = Anchor()
  public let identity: Identity
  public let capabilities: Capabilities
  public let capacity: Int
  /// What this node says in its handshakes; see `raiseIncarnation`.
  public internal(set) var incarnation: UInt64
  /// The greatest incarnation of this node, above its own, that an authenticated peer remembers: the state
  /// directory was restored from a backup, or somebody else uses the identity. The driver goes on with that +
  /// 1.
  public internal(set) var outrankedBy: UInt64?
  public internal(set) var counters = SessionCounters()

  let overlay: OverlayName
  let macKeyIK: Key
  let macKeyXX: Key
  let resetKey: Key
  let shuffleKey: Key
  /// Which library works under keys that are made from now on.
  var bulk = BulkAEAD.chosen
  var random: SecureRandom
  /// The latest moment that any call brought.
  var latest = Instant.start
  /// When `expire` looks at the sessions again.
  var sweepAt = Instant.start
  var initSequence: UInt64 = 0
  var attempts: UInt32 = 0

  var indices = IndexTable()
  var initiated = PendingList(limit: 256)
  /// As many as there may be peers: a crowd that comes at once shall be able to say who it is.
  var strangers = PendingList(limit: 1_024)
  var halfOpen: [GenerationPointer] = []
  static let halfOpenLimit = 1_024

  var slotCount = 0
  /// For how many slots there is memory.
  var slotRoom = 0
  var slots: UnsafeMutablePointer<SessionPointer?>
  var serials: UnsafeMutablePointer<UInt32>
  var byPeer: FlatMap<PublicKey, UInt32>
  var members = MemberSlots()
  var memberOrder = MemberOrder()

  /// - Parameters:
  ///   - network: the overlay's name.
  ///   - incarnation: greater than any that this identity showed before; stored before it is used.
  ///   - capabilities: `.aes256gcm` is taken away when the processor has no AES.
  ///   - capacity: the most sessions.
  ///   - seed: 32 bytes for all keys, indices and tokens.
  ///   - psk: the overlay's pre-shared key; zero when it has none.
  public init(
    identity: Identity, network: String, incarnation: UInt64, capabilities: Capabilities, capacity: Int,
    seed: [UInt8], psk: Key = .zero
  ) {
    precondition(capacity > 0 && capacity <= 1 << 18)
    self.identity = identity
    self.incarnation = incarnation
    self.capabilities = Sodium.hasAES ? capabilities : capabilities.subtracting(.aes256gcm)
    self.capacity = capacity
    let overlay = OverlayName(name: Array(network.utf8), psk: psk, suite: identity.suite)
    self.overlay = overlay
    macKeyIK = overlay.macKey(responder: identity.exchange.publicKey)
    macKeyXX = overlay.macKey(responder: nil)
    resetKey = Hash.key("reset", key: identity.seed)
    var random = SecureRandom(seed: seed, suite: identity.suite)
    shuffleKey = random.key()
    self.random = random
    slots = .allocate(capacity: 0)
    serials = .allocate(capacity: 0)
    byPeer = FlatMap(limit: capacity)
  }

  deinit {
    for generation in halfOpen { generation.release() }
    for slot in 0..<slotCount {
      guard let session = slots[slot] else { continue }
      for generation in session.generations { generation.release() }
      session.release()
    }
    slots.deallocate()
    serials.deallocate()
  }

  /// The session with the owner of `key`.
  public func find(_ key: PublicKey) -> SessionID? { byPeer[key].flatMap { slots[Int($0)]?.pointee.id } }

  /// How many sessions there are.
  public var count: Int { byPeer.count }

  /// Whether the handle names a session.
  public func contains(_ id: SessionID) -> Bool { session(id) != nil }

  /// Visits the sessions in the order of their slots.
  public func forEach(_ body: (SessionID) -> Void) {
    for slot in 0..<slotCount {
      if let session = slots[slot] { body(session.pointee.id) }
    }
  }

  /// Whose session it is. *Precondition:* the session exists.
  public func peer(_ id: SessionID) -> PublicKey { live(id).pointee.peer }

  /// The incarnation that the peer showed last. *Precondition:* the session exists.
  public func incarnation(of id: SessionID) -> UInt64 { live(id).pointee.incarnation }

  /// What the peer can do. *Precondition:* the session exists.
  public func capabilities(of id: SessionID) -> Capabilities { live(id).pointee.capabilities }

  /// Whether the session has keys that seal.
  public func isEstablished(_ id: SessionID) -> Bool {
    guard let generation = session(id)?.pointee.sealing else { return false }
    return !generation.isExhausted(at: latest)
  }

  /// Whether this side should begin a handshake to renew the keys; also when there are none.
  public func needsRekey(_ id: SessionID, at now: Instant) -> Bool {
    guard let generation = session(id)?.pointee.sealing else { return true }
    return generation.needsReplacement(at: now)
  }

  /// Bytes of memory that the session takes, keys and windows included.
  public func footprint(_ id: SessionID) -> Int { session(id)?.footprint ?? 0 }

  /// The state behind a handle; nil when the session is gone.
  @_noAllocation @_noLocks
  func session(_ id: SessionID) -> SessionPointer? {
    guard id.slot < UInt32(truncatingIfNeeded: slotCount), let session = slots[Int(id.slot)],
      session.pointee.id.serial == id.serial
    else { return nil }
    return session
  }

  private func live(_ id: SessionID) -> SessionPointer {
    guard let session = session(id) else { preconditionFailure("session \(id.slot).\(id.serial) is gone") }
    return session
  }

  /// A random index that nothing uses. Its low four bits are the receive lane, of which there is one.
  mutating func freshIndex() -> UInt32 {
    while true {
      let index = UInt32(truncatingIfNeeded: random.next()) & 0xFF_FFF0
      if index != 0, indices.find(index) == nil, initiated.position(localIndex: index) == nil,
        strangers.position(localIndex: index) == nil
      {
        return index
      }
    }
  }
}
