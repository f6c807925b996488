// Who a node is: one Ed25519 pair, and the X25519 pair that it converts to and that the handshakes use.
//
// An identity of a simulation (`stub`) has checksums in the places of both; see `Suite.swift`.

import Base
import CSodium

/// The secret of a node. All of it follows from one seed of 32 bytes.
public struct Identity: Sendable {
  /// The cryptography of this identity, and with it of its node.
  public let suite: Suite
  public let seed: Key
  public let signing: SigningKey
  public let id: OverlayID
  let exchange: KeyPair

  public var publicKey: PublicKey { signing.publicKey }

  public init(seed: Key) {
    suite = .real
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

  /// The identity of the node `number` of a simulation. Different numbers give unrelated places on the ring,
  /// the same in every process.
  public static func stub(number: UInt64) -> Identity { Identity(stub: number) }

  private init(stub number: UInt64) {
    suite = .stub
    var digest = StubDigest(.identity)
    digest.absorb(number)
    seed = digest.value()
    signing = SigningKey(seed: seed, suite: .stub)
    id = signing.publicKey.id
    guard let key = Suite.stub.exchangeKey(of: signing.publicKey) else {
      preconditionFailure("every key has a stub of its exchange key")
    }
    exchange = KeyPair(stub: key)
  }

  /// A new identity that may stand on the ring. Takes about 0.1 s.
  public static func generate(_ random: inout SecureRandom) -> Identity {
    while true {
      let seed = random.key()
      if SigningKey(seed: seed).publicKey.solvesPuzzle { return Identity(seed: seed) }
    }
  }
}
