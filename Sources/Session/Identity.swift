// Who a node is: one Ed25519 pair, and the X25519 pair that it converts to and that the handshakes use.

import Base
import CSodium

/// The secret of a node. All of it follows from one seed of 32 bytes.
public struct Identity: Sendable {
  public let seed: Key
  public let signing: SigningKey
  public let id: OverlayID
  let exchange: KeyPair

  public var publicKey: PublicKey { signing.publicKey }

  public init(seed: Key) {
    self.seed = seed
    let signing = SigningKey(seed: seed)
    self.signing = signing
    id = signing.publicKey.id
    var secret = Key.zero
    secret.filling { s in
      (seed.bytes + signing.publicKey.bytes).reading {
        _ = crypto_sign_ed25519_sk_to_curve25519(s.pointer, $0.pointer)
      }
    }
    exchange = KeyPair(secret: secret)
  }

  /// A new identity that may stand on the ring. Takes about 0.1 s.
  public static func generate(_ random: inout SecureRandom) -> Identity {
    while true {
      let seed = random.key()
      if SigningKey(seed: seed).publicKey.solvesPuzzle { return Identity(seed: seed) }
    }
  }
}
