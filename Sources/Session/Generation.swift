// One generation of a session's keys, as one block of flat memory: this head, then the expanded key that
// seals, then the expanded key that opens.
//
// A generation of AES keys takes about 1.4 KiB (2.4 KiB where libipsec-mb works), one of ChaCha20 keys a
// quarter of that; each data space that the peer uses adds a window of about 1 KiB, the control space one of
// 160 bytes. The block is wiped before it is freed.

import Base
import CSodium

/// Limits on the use of one generation of keys.
enum KeyLimits {
  /// A generation under which data flowed is replaced after this time, counted from the first data record …
  static let dataRekey = Interval.seconds(120)
  /// … and seals and opens no more after this.
  static let dataRefuse = Interval.seconds(180)
  /// The same for a generation that carries control records only.
  static let controlRekey = Interval.minutes(60)
  static let controlRefuse = Interval.minutes(90)
  /// The responder waits this much longer, so that one side starts.
  static let responderPatience = Interval.seconds(10)
  /// 2^28 records, 2^29 records, 2^38 bytes.
  static let rekeyRecords: UInt64 = 0x1000_0000
  static let refuseRecords: UInt64 = 0x2000_0000
  static let rekeyBytes: UInt64 = 0x40_0000_0000
  /// A generation that was replaced goes on opening until the peer has been silent under it for this time.
  static let idlePrevious = Interval.seconds(30)
  /// Counter spaces a peer may use under one generation.
  static let spaces = 64
  /// The greatest number of a counter space: 0 for control, then 8 for each of 16 lanes.
  static let lastSpace: UInt8 = 128
}

typealias GenerationPointer = UnsafeMutablePointer<Generation>

/// What was agreed in one handshake.
struct Generation: BitwiseCopyable {
  // What each record needs stands first, in one cache line.

  /// What records to us carry, chosen here.
  let localIndex: UInt32
  /// What records to the peer carry, chosen there.
  let remoteIndex: UInt32
  let cipher: Cipher
  let isInitiator: Bool
  var carriesData = false
  /// The session it belongs to; a half-open one belongs to none yet.
  var slot: UInt32?
  var refuseAt: Instant
  var openedAt: Instant
  var opened: UInt64 = 0
  var bytes: UInt64 = 0
  var windows: UnsafeMutablePointer<ReplayWindow>?
  var sealed: UInt64 = 0
  var rekeyAt: Instant
  var windowCount = 0
  /// Since when another generation seals.
  var replacedAt = Instant.never

  let createdAt: Instant
  let peer: PublicKey
  /// The incarnation and the sequence that the peer showed in this handshake (a responder shows no sequence).
  let incarnation: UInt64
  let sequence: UInt64
  let capabilities: Capabilities
  /// The final handshake hash: what knock tokens are bound to.
  let hash: Digest
  /// What proves a reset from the peer.
  var resetToken: Token?

  init(
    peer: PublicKey, incarnation: UInt64, sequence: UInt64, capabilities: Capabilities, localIndex: UInt32,
    remoteIndex: UInt32, cipher: Cipher, isInitiator: Bool, hash: Digest, createdAt: Instant
  ) {
    self.peer = peer
    self.incarnation = incarnation
    self.sequence = sequence
    self.capabilities = capabilities
    self.localIndex = localIndex
    self.remoteIndex = remoteIndex
    self.cipher = cipher
    self.isInitiator = isInitiator
    self.hash = hash
    self.createdAt = createdAt
    openedAt = createdAt
    rekeyAt = createdAt + KeyLimits.controlRekey
    refuseAt = createdAt + KeyLimits.controlRefuse
  }

  /// Moves the generation into memory of its own, with the transport keys that follow from the handshake.
  func allocate(split: (send: Key, receive: Key)) -> GenerationPointer {
    let block = UnsafeMutableRawPointer.allocate(byteCount: blockBytes, alignment: Cipher.stateAlignment)
    let generation = block.bindMemory(to: Generation.self, capacity: 1)
    generation.initialize(to: self)
    cipher.expand(transportKey(split.send), into: generation.sealingKey)
    cipher.expand(transportKey(split.receive), into: generation.openingKey)
    return generation
  }

  private func transportKey(_ key: Key) -> Key {
    let suite: Suite = cipher == .stub ? .stub : .real
    return suite.labelled(cipher.label, key: key) { $0.part(hash) }
  }

  fileprivate var blockBytes: Int { Self.headBytes + 2 * cipher.stateBytes }

  /// This structure, rounded up to where an expanded key may begin.
  fileprivate static var headBytes: Int {
    @_noAllocation @_noLocks get {
      let mask = Cipher.stateAlignment &- 1
      return (MemoryLayout<Generation>.stride &+ mask) & ~mask
    }
  }

  /// What knock tokens of this generation are bound to.
  func binding(own: PublicKey) -> KnockBinding {
    KnockBinding(hash: hash, initiator: isInitiator ? own : peer, responder: isInitiator ? peer : own)
  }
}

extension GenerationPointer {
  var sealingKey: UnsafeMutableRawPointer {
    @_noAllocation @_noLocks get { UnsafeMutableRawPointer(self) + Generation.headBytes }
  }

  var openingKey: UnsafeMutableRawPointer {
    @_noAllocation @_noLocks get { sealingKey + pointee.cipher.stateBytes }
  }

  /// The window of a counter space; nil until its first authentic record.
  @_noAllocation @_noLocks
  func window(_ space: UInt8) -> UnsafeMutablePointer<ReplayWindow>? {
    var window = pointee.windows
    while let candidate = window, candidate.pointee.space != space { window = candidate.pointee.next }
    return window
  }

  /// Makes the window of a counter space: the one allocation on the way of a record, at the first of each
  /// space.
  /// - Returns: nil when the peer uses too many spaces.
  @_noAllocation @_noLocks
  func addWindow(_ space: UInt8) -> UnsafeMutablePointer<ReplayWindow>? {
    if pointee.windowCount >= KeyLimits.spaces { return nil }
    return _unsafePerformance {
      let window = ReplayWindow.allocate(space: space, next: pointee.windows)
      pointee.windows = window
      pointee.windowCount += 1
      return window
    }
  }

  /// Counts a record; the first data record starts the shorter clock.
  @_noAllocation @_noLocks
  func count(space: UInt8, bytes: Int, at now: Instant) {
    pointee.bytes &+= UInt64(truncatingIfNeeded: bytes)
    if space != 0, !pointee.carriesData { startDataClock(at: now) }
  }

  @_noAllocation @_noLocks
  private func startDataClock(at now: Instant) {
    pointee.carriesData = true
    _unsafePerformance {
      pointee.rekeyAt = Swift.min(pointee.rekeyAt, now + KeyLimits.dataRekey)
      pointee.refuseAt = Swift.min(pointee.refuseAt, now + KeyLimits.dataRefuse)
    }
  }

  /// Whether the keys may seal no more.
  @_noAllocation @_noLocks
  func isExhausted(at now: Instant) -> Bool {
    pointee.sealed >= KeyLimits.refuseRecords || now.ns >= pointee.refuseAt.ns
  }

  /// Whether the keys were used as long or as much as they should be.
  func needsReplacement(at now: Instant) -> Bool {
    let patience = pointee.isInitiator ? Interval.zero : KeyLimits.responderPatience
    return now >= pointee.rekeyAt + patience || pointee.sealed >= KeyLimits.rekeyRecords
      || pointee.opened >= KeyLimits.rekeyRecords || pointee.bytes >= KeyLimits.rekeyBytes
  }

  /// Wipes the keys and frees the block and its windows.
  func release() {
    var window = pointee.windows
    while let current = window {
      window = current.pointee.next
      current.deallocate()
    }
    let bytes = pointee.blockBytes
    sodium_memzero(self, bytes)
    UnsafeMutableRawPointer(self).deallocate()
  }

  /// Bytes of memory that the generation takes.
  var footprint: Int {
    var bytes = pointee.blockBytes
    var window = pointee.windows
    while let current = window {
      bytes += current.pointee.blockBytes
      window = current.pointee.next
    }
    return bytes
  }
}
