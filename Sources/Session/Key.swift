// Symmetric keys, digests, and the Diffie–Hellman pairs made of them.

import Base
import CSodium

/// 32 secret bytes.
public struct Key: FixedBytes {
  private var word0: UInt64
  private var word1: UInt64
  private var word2: UInt64
  private var word3: UInt64

  /// 32 zero bytes: the pre-shared key of an overlay that has none.
  public static let zero = Key(word0: 0, word1: 0, word2: 0, word3: 0)
}

/// 64 bytes of BLAKE2b: the hash and the chaining key of Noise.
struct Digest: FixedBytes {
  var low: Key
  var high: Key

  static let zero = Digest(low: .zero, high: .zero)
}

/// An X25519 pair.
struct KeyPair: BitwiseCopyable, Sendable {
  let secret: Key
  let publicKey: Key

  init(secret: Key) {
    Sodium.start()
    self.secret = secret
    var point = Key.zero
    _ = point.filling { p in secret.reading { s in crypto_scalarmult_curve25519_base(p.pointer, s.pointer) } }
    publicKey = point
  }

  /// What stands for a pair under the stub suite, which multiplies no points.
  init(stub key: Key) {
    secret = key
    publicKey = key
  }

  /// What this secret shares with the owner of `point`; nil when that is all zeros (a point of small order).
  func shared(with point: Key) -> Key? {
    var result = Key.zero
    let status = result.filling { r in
      secret.reading { s in
        point.reading { p in crypto_scalarmult_curve25519(r.pointer, s.pointer, p.pointer) }
      }
    }
    return status == 0 ? result : nil
  }
}
