// The checksum behind the stub suite: two lanes of multiplications, 16 bytes a step, 128 bits of state.
//
// Each step is a bijection of its lane, so one changed word of the input always changes the state; other
// errors stay unseen once in 2^64 times. It stands up to no attacker, and need not: see `Suite.swift`. Steps
// and constants are those of the finalizers of SplitMix64 and MurmurHash3.

import Base

/// A cheap digest of all that it absorbed, in order.
struct StubDigest: BitwiseCopyable {
  /// What the digest is for: digests of different purposes have nothing in common.
  enum Purpose: UInt64 {
    case identity = 1
    case signing
    case exchange
    case signature
    case keyed
    case handshake
    case record
    case stream
  }

  private var a: UInt64
  private var b: UInt64

  @_noAllocation @_noLocks
  init(_ purpose: Purpose) {
    a = 0x9E37_79B9_7F4A_7C15 &* purpose.word
    b = 0xD1B5_4A32_D192_ED03 &+ a
  }

  /// The digest of one frame, keyed or not.
  init(_ purpose: Purpose, _ key: Key? = nil, of frame: Frame) {
    self.init(purpose)
    if let key { key.reading { absorb($0) } }
    absorb(frame)
  }

  @_noAllocation @_noLocks
  mutating func absorb(_ first: UInt64, _ second: UInt64) {
    a = (a ^ first) &* 0xBF58_476D_1CE4_E5B9
    a ^= a &>> 31
    b = (b ^ second) &* 0x94D0_49BB_1331_11EB
    b ^= b &>> 29
  }

  @_noAllocation @_noLocks
  mutating func absorb(_ word: UInt64) { absorb(word, word &>> 32) }

  /// Absorbs the bytes, and how many they are.
  mutating func absorb(_ frame: Frame) { absorb(UnsafeRawPointer(frame.base), count: frame.count) }

  /// Absorbs the bytes, and how many they are.
  @_noAllocation @_noLocks
  mutating func absorb(_ bytes: UnsafeRawPointer, count: Int) {
    var offset = 0
    while offset &+ 16 <= count {
      absorb(
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)))
      offset &+= 16
    }
    var (first, second): (UInt64, UInt64) = (0, UInt64(truncatingIfNeeded: count) &<< 56)
    if offset &+ 8 <= count {
      first = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset &+= 8
      while offset < count {
        second = second &<< 8 ^ UInt64(bytes.load(fromByteOffset: offset, as: UInt8.self))
        offset &+= 1
      }
    } else {
      while offset < count {
        first = first &<< 8 | UInt64(bytes.load(fromByteOffset: offset, as: UInt8.self))
        offset &+= 1
      }
    }
    absorb(first, second)
    // The lanes meet here: still a bijection of both together.
    absorb(UInt64(truncatingIfNeeded: count), a)
  }

  /// 128 bits of digest.
  @_noAllocation @_noLocks
  func words() -> (low: UInt64, high: UInt64) {
    let low = Self.spread(a &+ (b &<< 29 | b &>> 35))
    return (low, Self.spread(b ^ low))
  }

  /// The digest stretched to the size of `Value`, which is a multiple of 8 bytes.
  func value<Value: FixedBytes>(_ type: Value.Type = Value.self) -> Value {
    let (low, high) = words()
    var value = Value.zero
    value.filling { frame in
      frame.setLittle(0, low)
      for offset in stride(from: 8, to: Value.byteCount, by: 8) {
        frame.setLittle(offset, Self.spread(high &+ UInt64(offset) &* 0x9E37_79B9_7F4A_7C15 &+ low))
      }
    }
    return value
  }

  @_noAllocation @_noLocks
  private static func spread(_ x: UInt64) -> UInt64 {
    var z = (x ^ (x &>> 33)) &* 0xFF51_AFD7_ED55_8CCD
    z = (z ^ (z &>> 33)) &* 0xC4CE_B9FE_1A85_EC53
    return z ^ (z &>> 33)
  }
}

extension StubDigest.Purpose {
  fileprivate var word: UInt64 {
    @_noAllocation @_noLocks get { rawValue }
  }
}

/// The stub of a cipher: text stays as it is, the tag is a checksum over key, header and text.
enum StubCipher {
  /// Two words of the key.
  static var stateBytes: Int {
    @_noAllocation @_noLocks get { 16 }
  }

  static func expand(_ key: Key, into state: UnsafeMutableRawPointer) {
    key.reading { state.copyMemory(from: $0.base, byteCount: 16) }
  }

  /// The tag of a text.
  @_noAllocation @_noLocks
  static func tag(
    _ text: UnsafeRawPointer, length: Int, associated: UnsafeRawPointer, associatedLength: Int,
    counter: UInt64, state: UnsafeRawPointer
  ) -> (low: UInt64, high: UInt64) {
    var digest = StubDigest(.record)
    digest.absorb(
      state.loadUnaligned(as: UInt64.self), state.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    digest.absorb(counter)
    digest.absorb(associated, count: associatedLength)
    digest.absorb(text, count: length)
    return digest.words()
  }
}
