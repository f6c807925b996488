// BLAKE2b (RFC 7693) in the shapes this project needs: a digest of parts, keyed or not, and HMAC with HKDF on
// top of it as Noise wants them (RFC 2104, RFC 5869; Noise revision 34, §4.3).
//
// Inputs are put together on the stack and hashed in one call: nothing is allocated, and nothing of a secret
// stays behind on the heap.

import Base
import CSodium

/// Digests of messages and keys derived from keys.
public enum Hash {
  /// BLAKE2b of all parts, one behind the other, without a key.
  /// - Parameter length: of the digest, 1 ... 64 bytes.
  public static func blake2b(_ parts: [UInt8]..., length: Int) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: length)
    withParts(parts) { input in
      digest.withUnsafeMutableBytes {
        compute(input, key: nil, into: Frame(base: $0.baseAddress!, count: length))
      }
    }
    return digest
  }

  /// The place on the ring that 160 bits of BLAKE2b of all parts name.
  public static func blake2b160(_ parts: [UInt8]...) -> OverlayID { withParts(parts) { blake2b160($0) } }

  /// The place on the ring of what a frame holds.
  public static func blake2b160(_ frame: Frame) -> OverlayID {
    withStack(OverlayID.byteCount) {
      compute(frame, key: nil, into: $0)
      return OverlayID($0)
    }
  }

  /// 32 bytes for the purpose that `label` names: BLAKE2b, keyed with `key`, of the label, a zero byte, and
  /// each part behind its length (4 bytes, most significant first), so that no two lists of parts give the
  /// same input.
  public static func key(_ label: String, key: Key? = nil, parts: [[UInt8]] = []) -> Key {
    labelled(label, key: key, parts: parts)
  }

  /// The same input as `key(_:key:parts:)`, as a digest of the wanted size.
  static func labelled<Value: FixedBytes>(_ label: String, key: Key?, parts: [[UInt8]]) -> Value {
    let size = parts.reduce(label.utf8.count + 1) { $0 + 4 + $1.count }
    return withInput(label, capacity: size) { input in
      for part in parts { input.part(part) }
    } body: {
      digest($0, key: key)
    }
  }

  /// The digest of one frame, in one call.
  static func digest<Value: FixedBytes>(_ frame: Frame, key: Key? = nil) -> Value {
    var value = Value.zero
    value.filling { compute(frame, key: key, into: $0) }
    return value
  }

  /// Lends an input on the stack: the label, a zero byte, and what `parts` writes.
  /// - Parameter capacity: of the whole input, in bytes.
  static func withInput<Result>(
    _ label: String, capacity: Int, parts: (inout WireWriter) -> Void, body: (Frame) -> Result
  ) -> Result {
    withStack(capacity) { room in
      var writer = WireWriter(room)
      var label = label
      label.withUTF8 { text in
        for byte in text { writer.byte(byte) }
      }
      writer.byte(0)
      parts(&writer)
      precondition(!writer.overflowed, "the input of a hash is longer than was said")
      return body(room.prefix(writer.count))
    }
  }

  /// Lends `count` bytes of the stack, of any content; they are wiped afterwards.
  static func withStack<Result>(_ count: Int, _ body: (Frame) -> Result) -> Result {
    withUnsafeTemporaryAllocation(byteCount: max(count, 1), alignment: 16) { buffer in
      guard let base = buffer.baseAddress else { preconditionFailure("a buffer of some bytes is somewhere") }
      defer { sodium_memzero(base, count) }
      return body(Frame(base: base, count: count))
    }
  }

  private static func withParts<Result>(_ parts: [[UInt8]], _ body: (Frame) -> Result) -> Result {
    withStack(parts.reduce(0) { $0 + $1.count }) { room in
      var offset = 0
      for part in parts {
        room.dropping(offset).write(part)
        offset += part.count
      }
      return body(room)
    }
  }

  private static func compute(_ input: Frame, key: Key?, into digest: Frame) {
    Sodium.start()
    let status =
      if let key {
        key.reading {
          crypto_generichash_blake2b(
            digest.pointer, digest.count, input.pointer, UInt64(input.count), $0.pointer, $0.count)
        }
      } else {
        crypto_generichash_blake2b(
          digest.pointer, digest.count, input.pointer, UInt64(input.count), nil, 0)
      }
    precondition(status == 0, "BLAKE2b takes digests and keys of these sizes")
  }

  /// HMAC with BLAKE2b of 64 bytes (block of 128 bytes); the key has 64 bytes.
  static func hmac(key: Digest, _ parts: [UInt8]...) -> Digest {
    withParts(parts) { hmac(key: key, $0) }
  }

  /// HMAC with BLAKE2b of 64 bytes (block of 128 bytes) of at most 128 bytes; the key has 64 bytes.
  private static func hmac(key: Digest, _ message: Frame) -> Digest {
    withStack(256) { room in
      func pad(_ byte: UInt8) {
        key.write(to: room)
        for i in 0..<Digest.byteCount { room[i] ^= byte }
        for i in Digest.byteCount..<128 { room[i] = byte }
      }
      pad(0x36)
      room.dropping(128).copy(message)
      let inner: Digest = digest(room.prefix(128 + message.count))
      pad(0x5C)
      inner.write(to: room.dropping(128))
      return digest(room.prefix(128 + Digest.byteCount))
    }
  }

  /// Noise's HKDF: three outputs of 64 bytes (who needs two leaves the third).
  static func expand(chain: Digest, _ input: [UInt8]) -> (Digest, Digest, Digest) {
    let temporary = hmac(key: chain, input)
    return withStack(Digest.byteCount + 1) { room in
      room[0] = 1
      let first = hmac(key: temporary, room.prefix(1))
      func next(_ last: Digest, _ number: UInt8) -> Digest {
        last.write(to: room)
        room[Digest.byteCount] = number
        return hmac(key: temporary, room)
      }
      let second = next(first, 2)
      return (first, second, next(second, 3))
    }
  }
}

extension WireWriter {
  /// Begins a part of a hash's input.
  mutating func partLength(_ count: Int) { integer(UInt32(count)) }

  /// A part of a hash's input, behind its length.
  mutating func part(_ value: some FixedBytes) {
    partLength(type(of: value).byteCount)
    value.encode(to: &self)
  }

  /// A part of a hash's input, behind its length.
  mutating func part(_ bytes: [UInt8]) {
    partLength(bytes.count)
    reserve(bytes.count)?.write(bytes)
  }
}
