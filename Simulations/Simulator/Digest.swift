// A number that two runs share only if they did the same.
//
// Every effect that leaves a node is folded in: the moment, the node, the kind of effect, and the bytes,
// eight at a time. The mixing step is the folded multiplication of Wang Yi's wyhash; it is quick and spreads
// every bit, and is not meant to withstand anybody.

/// A rolling sum of 64 bits over what happens.
public struct Digest: Equatable, Sendable {
  public private(set) var value: UInt64

  public init(seed: UInt64) { value = seed ^ 0xA076_1D64_78BD_642F }

  /// Folds two words in.
  @inline(__always) public mutating func fold(_ a: UInt64, _ b: UInt64) {
    let product = (a ^ 0xE703_7ED1_A0B4_28DB ^ value).multipliedFullWidth(by: b ^ 0x8EBC_6AF0_9C88_C6E3)
    value = product.high ^ product.low ^ (value &<< 7 | value &>> 57)
  }

  /// Folds `count` bytes in, and how many there are.
  public mutating func fold(_ bytes: UnsafeRawPointer, count: Int) {
    var i = 0
    while i &+ 16 <= count {
      fold(
        bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self),
        bytes.loadUnaligned(fromByteOffset: i &+ 8, as: UInt64.self))
      i &+= 16
    }
    var a: UInt64 = 0
    var b = UInt64(truncatingIfNeeded: count)
    if i &+ 8 <= count {
      a = bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self)
      i &+= 8
    }
    while i < count {
      b = b &<< 8 ^ UInt64(bytes.load(fromByteOffset: i, as: UInt8.self))
      i &+= 1
    }
    fold(a, b)
  }
}
