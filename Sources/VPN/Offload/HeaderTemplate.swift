// The headers of a train, kept aside while the buffer is written over.
//
// Up to 60 bytes of IP header, 60 of TCP header and 18 of Ethernet, as words of eight bytes.

import Base

/// A copy of a few bytes in fixed memory.
struct HeaderTemplate: ~Copyable {
  static let wordsMax = 18

  private var words = InlineArray<18, UInt64>(repeating: 0)

  /// - Parameter bytes: at most 144.
  init(_ bytes: Frame) {
    precondition(bytes.count <= 8 * Self.wordsMax)
    var (word, at) = (0, 0)
    while at &+ 8 <= bytes.count {
      words[word] = bytes.little(at, as: UInt64.self)
      word &+= 1
      at &+= 8
    }
    var shift: UInt64 = 0
    while at < bytes.count {
      words[word] |= UInt64(bytes[at]) << shift
      shift &+= 8
      at &+= 1
    }
  }

  /// Writes all of `target`, at most as many bytes as were given.
  @inline(__always) mutating func write(to target: Frame) {
    var (word, at) = (0, 0)
    while at &+ 8 <= target.count {
      target.setLittle(at, words[word])
      word &+= 1
      at &+= 8
    }
    if at == target.count { return }
    // Headers are of an even length.
    var rest = words[word]
    while at < target.count {
      target.setLittle(at, UInt16(truncatingIfNeeded: rest))
      rest >>= 16
      at &+= 2
    }
  }
}
