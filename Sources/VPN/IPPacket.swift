// What the tunnel must know of an IP packet: whose it is and whether its lengths agree.
//
// RFC 791 and RFC 8200. Nothing is trusted: a packet from the device may be anything a program wrote there,
// one from a peer anything at all.

import Base

/// The addresses of a well-formed packet.
struct IPPacket: BitwiseCopyable {
  let source: IPAddress
  let destination: IPAddress
  /// IPv4 protocol or IPv6 next header.
  let proto: UInt8
  /// Bytes before the payload.
  let headerBytes: Int

  /// Reads the header; nil when the bytes are not one whole IPv4 or IPv6 packet.
  init?(_ frame: Frame) {
    guard frame.count >= 20 else { return nil }
    switch frame[0] >> 4 {
    case 4:
      headerBytes = Int(frame[0] & 15) * 4
      guard headerBytes >= 20, headerBytes <= frame.count, Int(frame.big(2, as: UInt16.self)) == frame.count
      else {
        return nil
      }
      proto = frame[9]
      source = IPAddress(v4: frame.big(12, as: UInt32.self))
      destination = IPAddress(v4: frame.big(16, as: UInt32.self))
    case 6:
      headerBytes = 40
      guard frame.count >= 40, Int(frame.big(4, as: UInt16.self)) + 40 == frame.count else { return nil }
      proto = frame[6]
      source = IPAddress(high: frame.big(8, as: UInt64.self), low: frame.big(16, as: UInt64.self))
      destination = IPAddress(high: frame.big(24, as: UInt64.self), low: frame.big(32, as: UInt64.self))
    default:
      return nil
    }
  }

  /// Whether the packet concerns its own link only and is never passed on: IGMP, multicast listener
  /// discovery, and neighbour discovery, by which a member could make itself the router of the others.
  /// - Parameter frame: the packet.
  func isLinkLocalControl(_ frame: Frame) -> Bool {
    if source.isV4 { return proto == 2 }
    var (next, offset) = (proto, headerBytes)
    // The router alert of listener discovery stands in a hop-by-hop header (RFC 3810, section 5).
    if next == 0, frame.count >= offset + 8 {
      next = frame[offset]
      offset += (Int(frame[offset + 1]) + 1) * 8
    }
    guard next == 58, offset < frame.count else { return false }
    return (130...137).contains(frame[offset]) || frame[offset] == 143
  }
}
