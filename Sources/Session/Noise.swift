// The symmetric half of a Noise handshake: hash, chaining key and cipher key (Noise revision 34, §5.1 and
// §5.2), with BLAKE2b and ChaCha20-Poly1305.
//
// A plain value, so that a message is read on a copy of the state: a forged message leaves the handshake as
// it was.

import Base
import CSodium

/// What both sides know after the messages so far.
struct NoiseSymmetry: BitwiseCopyable {
  private(set) var hash: Digest
  private var chain: Digest
  private var key: Key?
  private var nonce: UInt64 = 0

  /// - Parameter name: of the protocol, at most 64 bytes.
  init(protocolName name: String) {
    let padding = [UInt8](repeating: 0, count: Digest.byteCount - name.utf8.count)
    hash = Digest(bytes: Array(name.utf8) + padding)!
    chain = hash
  }

  mutating func mixHash(_ frame: Frame) {
    hash = Hash.withStack(Digest.byteCount + frame.count) {
      hash.write(to: $0)
      $0.dropping(Digest.byteCount).copy(frame)
      return Hash.digest($0)
    }
  }

  mutating func mixHash(_ bytes: [UInt8]) { bytes.reading { mixHash($0) } }

  mutating func mixKey(_ input: Key) {
    let (first, second, _) = Hash.expand(chain: chain, input.bytes)
    chain = first
    key = second.low
    nonce = 0
  }

  mutating func mixKeyAndHash(_ input: Key) {
    let (first, second, third) = Hash.expand(chain: chain, input.bytes)
    chain = first
    mixHash(second.bytes)
    key = third.low
    nonce = 0
  }

  static let tagBytes = 16

  /// Encrypts the first `count` bytes of `room` in place, writes the tag behind them and mixes both in.
  mutating func encryptAndHash(_ room: Frame, count: Int) {
    let cipher = Cipher.chacha20poly1305
    hash.reading { associated in
      cipherKey.reading {
        cipher.seal(
          room.base, length: count, tag: room.slice(count, Self.tagBytes).base, associated: associated.base,
          associatedLength: associated.count, counter: nonce, state: $0.base)
      }
    }
    nonce += 1
    mixHash(room.prefix(count + Self.tagBytes))
  }

  /// Mixes `sealed` in and decrypts it in place.
  /// - Returns: the text in place; nil when the tag is wrong (then the state is of no further use).
  mutating func decryptAndHash(_ sealed: Frame) -> Frame? {
    guard sealed.count >= Self.tagBytes else { return nil }
    let before = hash
    mixHash(sealed)
    let text = sealed.prefix(sealed.count - Self.tagBytes)
    let opened = before.reading { associated in
      cipherKey.reading {
        Cipher.chacha20poly1305.open(
          text.base, length: text.count, tag: sealed.dropping(text.count).base, associated: associated.base,
          associatedLength: associated.count, counter: nonce, state: $0.base)
      }
    }
    nonce += 1
    return opened ? text : nil
  }

  /// The two keys at the end: from the initiator, and to it.
  func split() -> (Key, Key) {
    let (first, second, _) = Hash.expand(chain: chain, [])
    return (first.low, second.low)
  }

  /// In a pattern with a pre-shared key the first token sets the key, before anything is encrypted.
  private var cipherKey: Key {
    guard let key else { preconditionFailure("a Noise message is encrypted before a key is there") }
    return key
  }
}
