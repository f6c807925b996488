// The Internet checksum (RFC 1071).
//
// The one's complement sum does not care in which byte order its words are read, only the result is swapped
// (RFC 1071, section 2 (B)), and words of 32 bits may be summed as well as those of 16. So eight bytes are
// loaded at once and their halves added to two wide sums; what overflows 16 bits is folded once, at the end.

import Base

/// The one's complement sum of 16-bit words.
enum Checksum {
  /// The sum of `frame` as 16-bit words, added to `initial`, not yet folded. It is zero only if all words and
  /// `initial` are. *Precondition:* the frame is shorter than 16 GiB.
  static func sum(_ frame: Frame, _ initial: UInt64 = 0) -> UInt64 {
    let count = frame.count
    var (low, high): (UInt64, UInt64) = (0, 0)
    var i = 0
    while i &+ 32 <= count {
      let a = frame.little(i, as: UInt64.self)
      let b = frame.little(i &+ 8, as: UInt64.self)
      let c = frame.little(i &+ 16, as: UInt64.self)
      let d = frame.little(i &+ 24, as: UInt64.self)
      low &+= (a & 0xFFFF_FFFF) &+ (b & 0xFFFF_FFFF) &+ (c & 0xFFFF_FFFF) &+ (d & 0xFFFF_FFFF)
      high &+= (a >> 32) &+ (b >> 32) &+ (c >> 32) &+ (d >> 32)
      i &+= 32
    }
    while i &+ 4 <= count {
      low &+= UInt64(frame.little(i, as: UInt32.self))
      i &+= 4
    }
    if i &+ 2 <= count {
      low &+= UInt64(frame.little(i, as: UInt16.self))
      i &+= 2
    }
    if i < count { low &+= UInt64(frame[i]) }
    return initial &+ UInt64(folded(low &+ high).byteSwapped)
  }

  /// The sum in 16 bits, as it stands in the field of a partial checksum.
  static func folded(_ sum: UInt64) -> UInt16 {
    var sum = (sum & 0xFFFF_FFFF) &+ (sum >> 32)
    while sum > 0xFFFF { sum = (sum & 0xFFFF) &+ (sum >> 16) }
    return UInt16(truncatingIfNeeded: sum)
  }

  /// The checksum: the complement of the folded sum.
  static func fold(_ sum: UInt64) -> UInt16 { ~folded(sum) }
}
