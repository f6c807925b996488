// "Which groups have your programs joined?": this node is the querier of its own device.
//
// General queries of IGMPv3 (RFC 3376, section 4.1) and MLDv2 (RFC 3810, section 5.1), with router alert and
// a hop limit of 1. A kernel answers for each group. The source of the IPv4 query is 0.0.0.0, as of a switch
// that has no address (RFC 4541, section 2.1.1); that of the IPv6 query has to be link-local.

import Base

enum ListenerQuery {
  static let bytesV4 = 36
  static let bytesV6 = 76
  /// When the next query comes, in seconds: fits the one byte of the field as it is.
  private static let interval: UInt8 = 125
  /// How often a host repeats what it reports of itself.
  private static let robustness: UInt8 = 2

  /// Writes an IGMPv3 general query.
  /// - Parameter out: `bytesV4` bytes.
  static func writeV4(to out: Frame) {
    out.clear()
    out[0] = 0x46
    out[1] = 0xC0
    out.setBig(2, UInt16(bytesV4))
    out[8] = 1
    out[9] = 2
    out.setBig(16, UInt32(0xE000_0001))
    out.setBig(20, UInt32(0x9404_0000))
    out.setBig(10, Checksum.fold(Checksum.sum(out.prefix(24))))
    let query = out.dropping(24)
    query[0] = 0x11
    // Within a second, in tenths: nobody else on this link would answer at the same time.
    query[1] = 10
    query[8] = robustness
    query[9] = interval
    query.setBig(2, Checksum.fold(Checksum.sum(query)))
  }

  /// Writes an MLDv2 general query.
  /// - Parameter out: `bytesV6` bytes.
  static func writeV6(to out: Frame) {
    out.clear()
    out[0] = 0x60
    out.setBig(4, UInt16(bytesV6 - 40))
    out[7] = 1
    // From fe80::1 to ff02::1.
    out.setBig(8, UInt64(0xFE80) << 48)
    out.setBig(16, UInt64(1))
    out.setBig(24, UInt64(0xFF02) << 48)
    out.setBig(32, UInt64(1))
    // Hop by hop: ICMPv6 follows; router alert for MLD (RFC 2711); padding.
    out[40] = 58
    out.setBig(42, UInt32(0x0502_0000))
    out.setBig(46, UInt16(0x0100))
    let query = out.dropping(48)
    query[0] = 130
    query.setBig(4, UInt16(1_000))
    query[24] = robustness
    query[25] = interval
    let pseudo = Checksum.sum(out.slice(8, 32), UInt64(query.count) + 58)
    query.setBig(2, Checksum.fold(Checksum.sum(query, pseudo)))
  }
}
