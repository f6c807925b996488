// What a packet says of itself, read strictly: RFC 791, RFC 8200, RFC 9293, RFC 768.
//
// Offloads let a kernel cut, join and sum packets by what their headers say. So no offset, length or type of
// a peer is believed: everything is taken from here. A packet that is well-formed as IP but whose transport
// header is cut short, contradicts the lengths, or is of another protocol, is a packet all the same; it only
// has no `transportBytes` and can neither be partial nor part of a train.

import Base

/// The headers of one well-formed IPv4 or IPv6 packet.
public struct InnerHeader: Sendable, BitwiseCopyable {
  static let tcp: UInt8 = 6
  static let udp: UInt8 = 17

  public let source: IPAddress
  public let destination: IPAddress
  /// IPv4 protocol or IPv6 next header.
  public let proto: UInt8
  public let isV4: Bool
  /// Whether it is one of several fragments. Of IPv6 only a fragment header directly behind the first header
  /// is looked at: behind any other there is no transport header for us anyway.
  public let isFragment: Bool
  /// DSCP and ECN: the IPv4 type of service or the IPv6 traffic class.
  public let trafficClass: UInt8
  /// Where the IP header begins: 0, or behind an Ethernet header.
  public let ipAt: Int
  /// Bytes of the IP header with its options, 20 ... 60; IPv6: 40.
  public let ipBytes: Int
  /// Bytes of the TCP header with its options, or of the UDP header; 0 when there is no whole and consistent
  /// one.
  public let transportBytes: Int
  /// Bytes from the IP header to the end, both included.
  public let packetBytes: Int
  /// Whether its transport checksum may be partial between two members: an unfragmented IPv4 packet, or an
  /// IPv6 packet without extension headers, with a whole TCP or UDP header; for UDP also the field is not
  /// zero (zero means "no checksum", which a partial sum never is) and neither port is one of DHCP, whose
  /// clients read raw sockets and would see the partial sum.
  public let canBePartial: Bool

  /// Reads the packet that begins at `ipAt` and ends with the frame; nil when the bytes are not one whole
  /// IPv4 or IPv6 packet.
  public init?(_ frame: Frame, at ipAt: Int = 0) {
    guard ipAt >= 0, ipAt <= frame.count &- 20 else { return nil }
    let packet = frame.dropping(ipAt)
    self.ipAt = ipAt
    packetBytes = packet.count
    switch packet[0] >> 4 {
    case 4:
      isV4 = true
      ipBytes = Int(packet[0] & 15) &* 4
      guard ipBytes >= 20, ipBytes <= packet.count, Int(packet.big(2, as: UInt16.self)) == packet.count else {
        return nil
      }
      trafficClass = packet[1]
      isFragment = packet.big(6, as: UInt16.self) & 0x3FFF != 0
      proto = packet[9]
      source = IPAddress(v4: packet.big(12, as: UInt32.self))
      destination = IPAddress(v4: packet.big(16, as: UInt32.self))
    case 6:
      isV4 = false
      ipBytes = 40
      guard packet.count >= 40, Int(packet.big(4, as: UInt16.self)) &+ 40 == packet.count else { return nil }
      trafficClass = UInt8(truncatingIfNeeded: packet.big(0, as: UInt16.self) >> 4)
      proto = packet[6]
      isFragment = proto == 44
      source = IPAddress(high: packet.big(8, as: UInt64.self), low: packet.big(16, as: UInt64.self))
      destination = IPAddress(high: packet.big(24, as: UInt64.self), low: packet.big(32, as: UInt64.self))
    default:
      return nil
    }
    transportBytes = isFragment ? 0 : Self.transportBytes(packet.dropping(ipBytes), proto)
    canBePartial = transportBytes > 0 && (proto == Self.tcp || Self.hasOwnSum(packet.dropping(ipBytes)))
  }

  public var isTCP: Bool { proto == Self.tcp && transportBytes > 0 }
  public var isUDP: Bool { proto == Self.udp && transportBytes > 0 }

  /// Where the transport header begins.
  var transportAt: Int { ipAt &+ ipBytes }
  /// Bytes from the frame's beginning to the payload.
  var headerBytes: Int { ipAt &+ ipBytes &+ transportBytes }
  /// Where the checksum stands in a TCP or UDP header.
  var checksumOffset: Int { proto == Self.tcp ? 16 : 6 }

  /// The sum of the pseudo-header without the length: addresses and protocol.
  /// - Parameter frame: what was parsed.
  func pseudoSum(_ frame: Frame) -> UInt64 {
    let addresses = isV4 ? frame.slice(ipAt &+ 12, 8) : frame.slice(ipAt &+ 8, 32)
    return Checksum.sum(addresses, UInt64(proto))
  }

  private static func transportBytes(_ transport: Frame, _ proto: UInt8) -> Int {
    switch proto {
    case tcp:
      guard transport.count >= 20 else { return 0 }
      let bytes = Int(transport[12] >> 4) &* 4
      return bytes >= 20 && bytes <= transport.count ? bytes : 0
    case udp:
      guard transport.count >= 8, Int(transport.big(4, as: UInt16.self)) == transport.count else { return 0 }
      return 8
    default:
      return 0
    }
  }

  /// Whether a UDP header has a checksum and no port of DHCP.
  private static func hasOwnSum(_ transport: Frame) -> Bool {
    let (from, to) = (transport.big(0, as: UInt16.self), transport.big(2, as: UInt16.self))
    return transport.big(6, as: UInt16.self) != 0 && !isDHCP(from) && !isDHCP(to)
  }

  private static func isDHCP(_ port: UInt16) -> Bool { port == 67 || port == 68 }
}
