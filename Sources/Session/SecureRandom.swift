// Randomness for keys: a ChaCha20 stream from a seed that the driver gives.
//
// The daemon's seed comes from the kernel, a simulation's from its scenario, so that the same run can be had
// again. After each draw the key of the stream is replaced by bytes of the stream (fast key erasure): who
// reads the memory later cannot learn what was drawn before. A node of the stub suite draws from Base's cheap
// generator instead.

import Base
import CSodium

/// A deterministic source of unpredictable bytes. Never used twice from one seed outside of simulations.
public struct SecureRandom: Sendable {
  private enum State: Sendable {
    case real(Key)
    case stub(Random)
  }

  private var state: State

  /// - Parameter seed: 32 bytes.
  public init(seed: [UInt8], suite: Suite = .real) {
    guard let key = Key(bytes: seed) else { preconditionFailure("a seed has 32 bytes") }
    switch suite {
    case .real:
      Sodium.start()
      state = .real(key)
    case .stub:
      state = .stub(Random(seed: key.reading { StubDigest(.stream, of: $0).words().low }))
    }
  }

  /// Overwrites all of `frame`.
  public mutating func fill(_ frame: Frame) {
    switch state {
    case .real(let key):
      Self.draw(nonce: 1, key: key, into: frame)
      var successor = Key.zero
      successor.filling { Self.draw(nonce: 0, key: key, into: $0) }
      state = .real(successor)
    case .stub(var random):
      Self.fill(frame, &random)
      state = .stub(random)
    }
  }

  private static func fill(_ frame: Frame, _ random: inout Random) {
    var offset = 0
    while offset + 8 <= frame.count {
      frame.setLittle(offset, random.next())
      offset += 8
    }
    var word = offset < frame.count ? random.next() : 0
    while offset < frame.count {
      frame[offset] = UInt8(truncatingIfNeeded: word)
      word >>= 8
      offset += 1
    }
  }

  public mutating func next() -> UInt64 {
    var value: UInt64 = 0
    withUnsafeMutableBytes(of: &value) { fill(Frame(base: $0.baseAddress!, count: $0.count)) }
    return value
  }

  public mutating func key() -> Key { value() }

  /// Any fixed-size value, drawn.
  mutating func value<Value: FixedBytes>() -> Value {
    var value = Value.zero
    value.filling { fill($0) }
    return value
  }

  private static func draw(nonce: UInt64, key: Key, into frame: Frame) {
    var nonce = nonce.littleEndian
    withUnsafeMutableBytes(of: &nonce) { n in
      let nonce = Frame(base: n.baseAddress!, count: n.count)
      _ = key.reading {
        crypto_stream_chacha20(frame.pointer, UInt64(frame.count), nonce.pointer, $0.pointer)
      }
    }
  }
}
