// Bodies of records in the directory: XChaCha20-Poly1305 with a key commitment.
//
//  offset  size  field
//       0    24  nonce           random
//      24    32  commitment      BLAKE2b of the nonce, keyed
//      56     n  ciphertext
//  56 + n    16  tag
//
// Poly1305 does not bind a ciphertext to one key: who knows two keys can make one that opens under both. A
// record is read by members only, but an epoch has a key of its own, so the reader must be sure which key it
// was sealed with: the commitment is compared first, and the text is encrypted under a key that follows from
// it.

import Base
import CSodium

/// Sealing of what holders of records must not read.
public enum SealedBody {
  private static let nonceBytes = Int(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
  private static let tagBytes = Int(crypto_aead_xchacha20poly1305_ietf_ABYTES)

  /// Bytes that sealing adds.
  public static let overhead = nonceBytes + Key.byteCount + tagBytes

  /// - Parameters:
  ///   - plain: what only owners of `key` may read.
  ///   - associated: what must be the same when it is opened; not part of the result.
  public static func seal(
    _ plain: [UInt8], key: Key, associated: [UInt8], _ random: inout SecureRandom
  ) -> [UInt8] {
    var nonce = [UInt8](repeating: 0, count: nonceBytes)
    nonce.withUnsafeMutableBytes { random.fill(Frame(base: $0.baseAddress!, count: $0.count)) }
    let (commitment, encryption) = keys(key, nonce)
    var cipher = [UInt8](repeating: 0, count: plain.count + tagBytes)
    _ = encryption.reading {
      crypto_aead_xchacha20poly1305_ietf_encrypt(
        &cipher, nil, plain, UInt64(plain.count), associated, UInt64(associated.count), nil, nonce, $0.pointer
      )
    }
    return nonce + commitment.bytes + cipher
  }

  /// What was sealed; nil when key, bytes or associated bytes are not those of the sealing.
  public static func open(_ sealed: Frame, key: Key, associated: [UInt8]) -> [UInt8]? {
    guard sealed.count >= overhead else { return nil }
    Sodium.start()
    let nonce = sealed.prefix(nonceBytes).bytes
    let (commitment, encryption) = keys(key, nonce)
    guard Key(sealed.slice(nonceBytes, Key.byteCount)).matches(commitment) else { return nil }
    let cipher = sealed.dropping(nonceBytes + Key.byteCount)
    var plain = [UInt8](repeating: 0, count: cipher.count - tagBytes)
    let status = encryption.reading {
      crypto_aead_xchacha20poly1305_ietf_decrypt(
        &plain, nil, nil, cipher.pointer, UInt64(cipher.count), associated, UInt64(associated.count), nonce,
        $0.pointer)
    }
    return status == 0 ? plain : nil
  }

  private static func keys(_ key: Key, _ nonce: [UInt8]) -> (commitment: Key, encryption: Key) {
    (Hash.key("commitment", key: key, parts: [nonce]), Hash.key("encryption", key: key, parts: [nonce]))
  }
}
