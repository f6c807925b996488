// Which cryptography a node uses: the real one, or a stub for simulations.
//
// A simulation of thousands of nodes spends nearly all its time in curves and ciphers, and what it asks about
// (the ring, the directory, paths) does not depend on them. Under `.stub` the same state machines run, with
// the same messages of the same sizes through the same codecs; but a handshake costs no curve, a record no
// cipher, a key no puzzle, and a signature is a checksum that everybody can make. Errors are still found: a
// wrong key, a changed byte, a datagram for somebody else. Attackers are not.
//
// The suite is a property of the local identity and of nothing else. It is not negotiated, no message names
// it, and whoever verifies goes by the suite of its own identity, never by what a remote sent. Real and stub
// nodes do not understand each other: prologue, mac1, transport keys and tags of a stub differ, so a real
// node drops all of it as it drops noise. The only way to a stub identity is `Identity.stub`, and a tidy test
// keeps that word out of the daemon.

import Base

/// The cryptography of an identity.
public enum Suite: UInt8, Sendable, BitwiseCopyable {
  /// Noise, AEADs, Ed25519, the puzzle.
  case real
  /// Checksums in their places, for simulations only.
  case stub
}

extension Suite {
  /// Whether AES is quick here. Without cryptography it makes no difference.
  public var hasAES: Bool { self == .stub || Sodium.hasAES }

  /// Whether `key` may name a node of the ring.
  public func admits(_ key: PublicKey) -> Bool { self == .stub || key.solvesPuzzle }

  /// Whether `signature` was made over `message` by the owner of `key`. Under `.stub` everybody could have
  /// made it.
  public func verifies(_ signature: Signature, of message: Frame, by key: PublicKey) -> Bool {
    switch self {
    case .real: key.verifies(signature, of: message)
    case .stub: signature == Self.stubSignature(of: message, by: key)
    }
  }

  /// Whether `signature` was made over `bytes` by the owner of `key`.
  public func verifies(_ signature: Signature, of bytes: [UInt8], by key: PublicKey) -> Bool {
    bytes.reading { verifies(signature, of: $0, by: key) }
  }

  /// The static key that the owner of `key` has in handshakes; nil when the key is no valid point.
  func exchangeKey(of key: PublicKey) -> Key? {
    switch self {
    case .real: key.isValidPoint ? key.x25519 : nil
    case .stub: key.reading { StubDigest(.exchange, of: $0).value() }
    }
  }

  /// The pair for one handshake.
  func ephemeral(_ random: inout SecureRandom) -> KeyPair {
    switch self {
    case .real: KeyPair(secret: random.key())
    case .stub: KeyPair(stub: random.key())
    }
  }

  /// A digest of `frame`, keyed or not.
  func digest<Value: FixedBytes>(_ frame: Frame, key: Key?) -> Value {
    switch self {
    case .real: Hash.digest(frame, key: key)
    case .stub: StubDigest(.keyed, key, of: frame).value()
    }
  }

  /// What `Hash.labelled` computes of the same label and parts.
  /// - Parameter capacity: for label and parts, in bytes.
  func labelled<Value: FixedBytes>(
    _ label: String, key: Key?, capacity: Int = 384, _ parts: (inout WireWriter) -> Void
  ) -> Value {
    Hash.withInput(label, capacity: capacity, parts: parts) { digest($0, key: key) }
  }

  static func stubSignature(of message: Frame, by key: PublicKey) -> Signature {
    var digest = StubDigest(.signature)
    key.reading { digest.absorb($0) }
    digest.absorb(message)
    return digest.value()
  }
}
