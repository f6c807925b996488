// "Host unreachable", told to the program that sent the packet, so that it need not wait for a time-out.
//
// ICMP (RFC 792, code 1) and ICMPv6 (RFC 4443 §3.1, code 3), never in answer to an ICMP error, to a later
// fragment or to a multicast (RFC 1122 §3.2.2).

import Base

enum Unreachable {
  /// How much of the packet in question is quoted: fits RFC 792 and stays far below the MTU.
  private static let quoteMax = 128

  /// Writes the message that answers `packet` to `room`.
  /// - Parameter host: the address it comes from, this node's own.
  /// - Returns: its length; nil when the packet deserves no answer.
  static func write(answering frame: Frame, from host: IPAddress, into room: Frame) -> Int? {
    guard let packet = IPPacket(frame), packet.source.isV4 == host.isV4, !packet.destination.isMulticast,
      !isError(frame, packet)
    else { return nil }
    let quote = frame.prefix(min(frame.count, quoteMax))
    return host.isV4 ? writeV4(packet, quote, host, room) : writeV6(packet, quote, host, room)
  }

  private static func isError(_ frame: Frame, _ packet: IPPacket) -> Bool {
    // A fragment that is not the first shows no type (RFC 1122 §3.2.2).
    if packet.source.isV4, frame.big(6, as: UInt16.self) & 0x1FFF != 0 { return true }
    guard frame.count > packet.headerBytes else { return false }
    let type = frame[packet.headerBytes]
    if packet.source.isV4 { return packet.proto == 1 && type != 8 && type != 0 }
    return packet.proto == 58 && type < 128
  }

  private static func writeV4(_ packet: IPPacket, _ quote: Frame, _ host: IPAddress, _ room: Frame) -> Int {
    let length = 28 + quote.count
    let out = room.prefix(length)
    out.clear()
    out[0] = 0x45
    out.setBig(2, UInt16(length))
    out[8] = 64
    out[9] = 1
    out.setBig(12, host.v4)
    out.setBig(16, packet.source.v4)
    out.setBig(10, Checksum.fold(Checksum.sum(out.prefix(20))))
    out[20] = 3
    out[21] = 1
    out.dropping(28).copy(quote)
    out.setBig(22, Checksum.fold(Checksum.sum(out.dropping(20))))
    return length
  }

  private static func writeV6(_ packet: IPPacket, _ quote: Frame, _ host: IPAddress, _ room: Frame) -> Int {
    let length = 48 + quote.count
    let out = room.prefix(length)
    out.clear()
    out[0] = 0x60
    out.setBig(4, UInt16(length - 40))
    out[6] = 58
    out[7] = 64
    for (offset, address) in [(8, host), (24, packet.source)] {
      out.setBig(offset, address.high)
      out.setBig(offset + 8, address.low)
    }
    out[40] = 1
    out[41] = 3
    out.dropping(48).copy(quote)
    let pseudo = Checksum.sum(out.slice(8, 32), UInt64(length - 40) + 58)
    out.setBig(42, Checksum.fold(Checksum.sum(out.dropping(40), pseudo)))
    return length
  }
}
