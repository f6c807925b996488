// Ed25519 keys and signatures: who a node is, and who wrote a record (RFC 8032).
//
// Every table of the project is keyed by the Ed25519 key or its overlay ID, never by the X25519 key that it
// converts to: flipping the sign bit of an Ed25519 key names another node with the same X25519 key.

import Base
import CSodium

/// An Ed25519 public key: the name of an identity.
public struct PublicKey: FixedBytes, FlatKey {
  private var word0: UInt64
  private var word1: UInt64
  private var word2: UInt64
  private var word3: UInt64

  public static let zero = PublicKey(word0: 0, word1: 0, word2: 0, word3: 0)

  public var flatHash: UInt64 { mixed(word0 ^ mixed(word1)) }

  /// The place on the ring: BLAKE2b-160 of the key.
  public var id: OverlayID { reading { Hash.blake2b160($0) } }

  /// How many leading bits of BLAKE2b("puzzle" ‖ key) an identity of the ring has at zero. Making such a key
  /// costs about 4,096 tries, so choosing one's place on the ring costs 4,096 times more.
  public static let puzzleBits = 12

  /// Whether the key may name a node of the ring.
  public var solvesPuzzle: Bool {
    let digest: Key = Hash.withStack(6 + Self.byteCount) { room in
      room.setBig(0, 0x7075_7A7A as UInt32)
      room.setBig(4, 0x6C65 as UInt16)
      write(to: room.dropping(6))
      return Hash.digest(room)
    }
    return digest.reading { $0.big(0, as: UInt16.self) } >> (16 - Self.puzzleBits) == 0
  }

  /// Whether the key is a canonical point of the main subgroup.
  public var isValidPoint: Bool {
    Sodium.start()
    return reading { crypto_core_ed25519_is_valid_point($0.pointer) == 1 }
  }

  /// The X25519 key of the same owner; nil when the point does not convert.
  var x25519: Key? {
    Sodium.start()
    var result = Key.zero
    let status = result.filling { r in reading { crypto_sign_ed25519_pk_to_curve25519(r.pointer, $0.pointer) }
    }
    return status == 0 ? result : nil
  }

  /// Whether `signature` was made over `message` by the owner of this key.
  public func verifies(_ signature: Signature, of message: Frame) -> Bool {
    Sodium.start()
    return signature.reading { s in
      reading { k in
        crypto_sign_verify_detached(s.pointer, message.pointer, UInt64(message.count), k.pointer) == 0
      }
    }
  }

  /// Whether `signature` was made over `bytes` by the owner of this key.
  public func verifies(_ signature: Signature, of bytes: [UInt8]) -> Bool {
    bytes.reading { verifies(signature, of: $0) }
  }
}

extension PublicKey: Comparable {
  /// The order of the bytes, the first one weighing most.
  public static func < (a: PublicKey, b: PublicKey) -> Bool {
    (a.word0.byteSwapped, a.word1.byteSwapped, a.word2.byteSwapped, a.word3.byteSwapped)
      < (b.word0.byteSwapped, b.word1.byteSwapped, b.word2.byteSwapped, b.word3.byteSwapped)
  }
}

extension PublicKey: CustomStringConvertible, LosslessStringConvertible {
  /// 64 hexadecimal digits.
  public var description: String { Hex.string(bytes) }

  /// Reads 64 hexadecimal digits; nil when `text` is anything else.
  public init?(_ text: String) {
    guard let bytes = Hex.bytes(text) else { return nil }
    self.init(bytes: bytes)
  }
}

/// An Ed25519 signature: 64 bytes.
public struct Signature: FixedBytes {
  private var low: Key
  private var high: Key

  public static let zero = Signature(low: .zero, high: .zero)
}

/// The secret half of an Ed25519 key, or its stub.
public struct SigningKey: Sendable {
  let suite: Suite
  let seed: Key
  public let publicKey: PublicKey

  /// The key that 32 random or derived bytes define.
  public init(seed: Key, suite: Suite = .real) {
    self.suite = suite
    self.seed = seed
    guard suite == .real else {
      publicKey = seed.reading { StubDigest(.signing, of: $0).value() }
      return
    }
    Sodium.start()
    var key = PublicKey.zero
    var secret = Signature.zero
    _ = key.filling { k in
      secret.filling { s in seed.reading { crypto_sign_seed_keypair(k.pointer, s.pointer, $0.pointer) } }
    }
    publicKey = key
  }

  /// The signature of this key over `message`. Deterministic.
  public func sign(_ message: Frame) -> Signature {
    if suite == .stub { return Suite.stubSignature(of: message, by: publicKey) }
    var signature = Signature.zero
    signature.filling { s in
      (seed.bytes + publicKey.bytes).reading {
        _ = crypto_sign_detached(s.pointer, nil, message.pointer, UInt64(message.count), $0.pointer)
      }
    }
    return signature
  }

  /// The signature of this key over `bytes`.
  public func sign(_ bytes: [UInt8]) -> Signature { bytes.reading { sign($0) } }
}
