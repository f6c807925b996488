// Goal: marks of congestion pass from the outer header to the inner one as RFC 6040 says, and nothing else of
// a packet changes.
// Method: the whole table of section 4.2, for both versions; checksums by the plain definition.

import Base
import Testing

@testable import VPN

@Suite struct CongestionTests {
  /// Inner, outer, and what comes of it; nil: dropped. Section 4.2, figure 4.
  private static let table: [(inner: UInt8, outer: UInt8, result: UInt8?)] = [
    (0, 0, 0), (0, 2, 0), (0, 1, 0), (0, 3, nil),
    (2, 0, 2), (2, 2, 2), (2, 1, 1), (2, 3, 3),
    (1, 0, 1), (1, 2, 1), (1, 1, 1), (1, 3, 3),
    (3, 0, 3), (3, 2, 3), (3, 1, 3), (3, 3, 3),
  ]

  @Test(arguments: table.indices, [false, true]) func marksPass(row: Int, isV6: Bool) {
    let (inner, outer, result) = Self.table[row]
    let dscp: UInt8 = 0b1011_1000
    var bytes = [UInt8](repeating: 0x5A, count: 60)
    let trafficClass = dscp | inner
    if isV6 {
      bytes[0] = 0x60 | trafficClass >> 4
      bytes[1] = trafficClass << 4 | 0xC
    } else {
      bytes[0] = 0x45
      bytes[1] = trafficClass
      bytes[10...11] = [0, 0]
      let sum = Self.sum(bytes[..<20])
      bytes[10...11] = [UInt8(sum >> 8), UInt8(sum & 255)]
    }
    let scratch = Scratch(capacity: bytes.count)
    scratch.frame.write(bytes)
    #expect(Congestion.pass(outer: dscp | outer, to: scratch.frame) == (result != nil))
    guard let result else { return }
    let after = scratch.frame.bytes
    if isV6 {
      #expect(after[0] == bytes[0] && after[1] == (dscp | result) << 4 | 0xC)
    } else {
      #expect(after[1] == dscp | result && Self.sum(after[..<20]) == 0)
      #expect(after[0] == bytes[0] && after[2..<10] == bytes[2..<10])
    }
    #expect(after[12...] == bytes[12...])
  }

  /// The complement of the sum of 16-bit words (RFC 1071).
  private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
    var sum: UInt32 = 0
    for i in stride(from: 0, to: bytes.count, by: 2) { sum += UInt32(bytes[i]) << 8 + UInt32(bytes[i + 1]) }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
  }
}
