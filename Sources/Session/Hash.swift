// BLAKE2b (RFC 7693) in the shapes this project needs: a digest of parts, keyed or not, and HMAC with HKDF on
// top of it as Noise wants them (RFC 2104, RFC 5869; Noise revision 34, §4.3).

import Base
import CSodium

/// One BLAKE2b computation over parts that arrive one after the other.
struct Blake2b: ~Copyable {
  private let state: UnsafeMutableRawPointer
  private let length: Int

  private var typed: OpaquePointer { OpaquePointer(state) }

  /// - Parameter length: of the digest, 1 ... 64 bytes.
  init(length: Int, key: Key? = nil) {
    Sodium.start()
    self.length = length
    state = .allocate(byteCount: crypto_generichash_blake2b_statebytes(), alignment: 64)
    if let key {
      _ = key.reading { crypto_generichash_blake2b_init(typed, $0.pointer, $0.count, length) }
    } else {
      _ = crypto_generichash_blake2b_init(typed, nil, 0, length)
    }
  }

  deinit {
    sodium_memzero(state, crypto_generichash_blake2b_statebytes())
    state.deallocate()
  }

  func update(_ frame: Frame) {
    _ = crypto_generichash_blake2b_update(typed, frame.pointer, UInt64(frame.count))
  }

  func update(_ bytes: [UInt8]) { bytes.reading { update($0) } }

  func update(_ value: some FixedBytes) { value.reading { update($0) } }

  /// The digest; the computation is over.
  func finish<Value: FixedBytes>(_ type: Value.Type = Value.self) -> Value {
    precondition(Value.byteCount == length)
    var value = Value.zero
    _ = value.filling { crypto_generichash_blake2b_final(typed, $0.pointer, length) }
    return value
  }

  /// The digest as bytes; the computation is over.
  func finishBytes() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: length)
    _ = crypto_generichash_blake2b_final(typed, &bytes, length)
    return bytes
  }
}

/// Digests of messages and keys derived from keys.
public enum Hash {
  /// BLAKE2b of all parts, one behind the other, without a key.
  /// - Parameter length: of the digest, 1 ... 64 bytes.
  public static func blake2b(_ parts: [UInt8]..., length: Int) -> [UInt8] {
    let hash = Blake2b(length: length)
    for part in parts { hash.update(part) }
    return hash.finishBytes()
  }

  /// The place on the ring that 160 bits of BLAKE2b of all parts name.
  public static func blake2b160(_ parts: [UInt8]...) -> OverlayID {
    let hash = Blake2b(length: OverlayID.byteCount)
    for part in parts { hash.update(part) }
    return hash.finishBytes().reading { OverlayID($0) }
  }

  /// The place on the ring of what a frame holds.
  public static func blake2b160(_ frame: Frame) -> OverlayID {
    let hash = Blake2b(length: OverlayID.byteCount)
    hash.update(frame)
    return hash.finishBytes().reading { OverlayID($0) }
  }

  /// 32 bytes for the purpose that `label` names: BLAKE2b, keyed with `key`, of the label, a zero byte, and
  /// each part behind its length (4 bytes, most significant first), so that no two lists of parts give the
  /// same input.
  public static func key(_ label: String, key: Key? = nil, parts: [[UInt8]] = []) -> Key {
    labelled(label, key: key, parts: parts)
  }

  /// `key(_:key:parts:)` of the one part that a frame holds.
  public static func key(_ label: String, key: Key? = nil, frame: Frame) -> Key {
    labelled(label, key: key, parts: [frame.bytes])
  }

  /// The same input as `key(_:key:parts:)`, as a digest of the wanted size.
  static func labelled<Value: FixedBytes>(_ label: String, key: Key?, parts: [[UInt8]]) -> Value {
    let hash = Blake2b(length: Value.byteCount, key: key)
    hash.update(Array(label.utf8) + [0])
    for part in parts {
      let count = UInt32(part.count)
      hash.update([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) })
      hash.update(part)
    }
    return hash.finish()
  }

  /// HMAC with BLAKE2b of 64 bytes (block of 128 bytes); the key has 64 bytes.
  static func hmac(key: Digest, _ parts: [UInt8]...) -> Digest {
    func pad(_ byte: UInt8) -> [UInt8] {
      key.bytes.map { $0 ^ byte } + [UInt8](repeating: byte, count: 128 - Digest.byteCount)
    }
    let inner = Blake2b(length: Digest.byteCount)
    inner.update(pad(0x36))
    for part in parts { inner.update(part) }
    let outer = Blake2b(length: Digest.byteCount)
    outer.update(pad(0x5C))
    outer.update(inner.finish(Digest.self))
    return outer.finish()
  }

  /// Noise's HKDF: three outputs of 64 bytes (who needs two leaves the third).
  static func expand(chain: Digest, _ input: [UInt8]) -> (Digest, Digest, Digest) {
    let temporary = hmac(key: chain, input)
    let first = hmac(key: temporary, [1])
    let second = hmac(key: temporary, first.bytes, [2])
    let third = hmac(key: temporary, second.bytes, [3])
    return (first, second, third)
  }
}
