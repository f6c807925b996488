// The two handshakes of the project (Noise revision 34, §5.3, §7 and §9):
//
//   IKpsk2:  <- s                                XXpsk3:  -> e
//            ...                                          <- e, ee, s, es
//            -> e, es, s, ss                              -> s, se, psk
//            <- e, ee, se, psk
//
// IK towards a known key takes one round trip and hides who asks. XX is for a bootstrap whose key is not
// known yet. The ephemeral pair is given from outside, so that published vectors can be replayed.

import Base

/// One side of a handshake. A plain value: messages are read on a copy.
struct NoiseHandshake: BitwiseCopyable {
  enum Pattern: UInt8 {
    case ik = 0
    case xx = 1

    var name: String {
      switch self {
      case .ik: "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"
      case .xx: "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b"
      }
    }

    fileprivate var messages: [[Step]] {
      switch self {
      case .ik: [[.e, .es, .s, .ss], [.e, .ee, .se, .psk]]
      case .xx: [[.e], [.e, .ee, .s, .es], [.s, .se, .psk]]
      }
    }
  }

  fileprivate enum Step { case e, s, ee, es, se, ss, psk }

  let pattern: Pattern
  let isInitiator: Bool
  private let psk: Key
  private let own: KeyPair
  private let ephemeral: KeyPair
  private var symmetry: NoiseSymmetry
  private var message = 0
  private var remoteEphemeral = Key.zero
  /// The other side's static key, as soon as it is known.
  private(set) var remoteStatic: Key?
  /// The handshake hash as it stood before the payload of the last message.
  private(set) var payloadHash = Digest.zero

  /// The handshake hash after the messages so far.
  var hash: Digest { symmetry.hash }
  var isFinished: Bool { message == pattern.messages.count }

  /// - Parameter remoteStatic: the responder's key, given to an initiator of IK only.
  init(
    _ pattern: Pattern, isInitiator: Bool, prologue: [UInt8], psk: Key, own: KeyPair, ephemeral: KeyPair,
    remoteStatic: Key? = nil
  ) {
    precondition((remoteStatic != nil) == (pattern == .ik && isInitiator))
    self.pattern = pattern
    self.isInitiator = isInitiator
    self.psk = psk
    self.own = own
    self.ephemeral = ephemeral
    self.remoteStatic = remoteStatic
    symmetry = NoiseSymmetry(protocolName: pattern.name)
    symmetry.mixHash(prologue)
    if pattern == .ik { symmetry.mixHash((remoteStatic ?? own.publicKey).bytes) }
  }

  /// Writes this side's next message to the beginning of `room`.
  /// - Parameter payload: gets the handshake hash before the payload, answers the payload.
  /// - Returns: the length in bytes; nil when a Diffie–Hellman result is all zeros.
  mutating func write(into room: Frame, payload: (Digest) -> [UInt8]) -> Int? {
    var writer = WireWriter(room)
    for step in pattern.messages[message] {
      switch step {
      case .e:
        ephemeral.publicKey.encode(to: &writer)
        mixEphemeral(ephemeral.publicKey)
      case .s:
        guard let field = writer.reserve(Key.byteCount + NoiseSymmetry.tagBytes) else { return nil }
        own.publicKey.write(to: field)
        symmetry.encryptAndHash(field, count: Key.byteCount)
      default: if !mix(step) { return nil }
      }
    }
    message += 1
    payloadHash = symmetry.hash
    let bytes = payload(payloadHash)
    guard let field = writer.reserve(bytes.count + NoiseSymmetry.tagBytes) else { return nil }
    field.write(bytes)
    symmetry.encryptAndHash(field, count: bytes.count)
    return writer.count
  }

  /// Reads the other side's next message and decrypts it in place.
  /// - Returns: the payload in place; nil when it is not that message (then this value is of no further use).
  mutating func read(_ frame: Frame) -> Frame? {
    var reader = WireReader(frame)
    for step in pattern.messages[message] {
      switch step {
      case .e:
        guard let field = try? reader.take(Key.byteCount) else { return nil }
        remoteEphemeral = Key(field)
        mixEphemeral(remoteEphemeral)
      case .s:
        guard let field = try? reader.take(Key.byteCount + NoiseSymmetry.tagBytes),
          let key = symmetry.decryptAndHash(field)
        else { return nil }
        remoteStatic = Key(key)
      default: if !mix(step) { return nil }
      }
    }
    message += 1
    payloadHash = symmetry.hash
    return symmetry.decryptAndHash(reader.rest())
  }

  /// The transport keys: what this side sends with, and what it receives with.
  func split() -> (send: Key, receive: Key) {
    precondition(isFinished)
    let (forth, back) = symmetry.split()
    return isInitiator ? (forth, back) : (back, forth)
  }

  /// With a pre-shared key an ephemeral key is mixed into the cipher key too (§9.2).
  private mutating func mixEphemeral(_ key: Key) {
    symmetry.mixHash(key.bytes)
    symmetry.mixKey(key)
  }

  /// - Returns: false when a Diffie–Hellman result is all zeros.
  private mutating func mix(_ step: Step) -> Bool {
    if step == .psk {
      symmetry.mixKeyAndHash(psk)
      return true
    }
    let usesOwnStatic = step == .ss || (isInitiator ? step == .se : step == .es)
    let usesRemoteStatic = step == .ss || (isInitiator ? step == .es : step == .se)
    guard let point = usesRemoteStatic ? remoteStatic : remoteEphemeral,
      let secret = (usesOwnStatic ? own : ephemeral).shared(with: point)
    else { return false }
    symmetry.mixKey(secret)
    return true
  }
}
