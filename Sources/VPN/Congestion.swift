// Marks of congestion (ECN) go through the tunnel: what a router on the underlay has marked reaches the two
// that talk to each other. The outer header shows what the inner one has (RFC 6040, section 4.1, normal
// mode); DSCP it does not show, which is the sender's own business and nobody's on the way.

import Base

enum Congestion {
  private static let notCapable: UInt8 = 0
  private static let capable1: UInt8 = 1
  private static let capable0: UInt8 = 2
  private static let experienced: UInt8 = 3

  /// What the outer header has of the inner one's traffic class.
  static func outer(of trafficClass: UInt8) -> UInt8 { trafficClass & 3 }

  /// Gives a packet the mark of its outer header (RFC 6040, section 4.2).
  /// - Parameters:
  ///   - outer: the traffic class of the outer header.
  ///   - packet: IPv4 or IPv6, 20 bytes at least.
  /// - Returns: false when the packet is to be dropped: it was marked, which its ends would not understand.
  static func pass(outer: UInt8, to packet: Frame) -> Bool {
    let isV4 = packet[0] >> 4 == 4
    let mark = outer & 3
    let own = isV4 ? packet[1] & 3 : packet[1] >> 4 & 3
    switch (own, mark) {
    case (notCapable, experienced): return false
    case (capable0, capable1), (capable0, experienced), (capable1, experienced): break
    default: return true
    }
    guard isV4 else {
      packet[1] = packet[1] & 0xCF | mark << 4
      return true
    }
    let old = packet.big(0, as: UInt16.self)
    packet[1] = packet[1] & 0xFC | mark
    // RFC 1624, equation 3.
    let sum = UInt64(~packet.big(10, as: UInt16.self)) + UInt64(~old) + UInt64(packet.big(0, as: UInt16.self))
    packet.setBig(10, Checksum.fold(sum))
    return true
  }
}
