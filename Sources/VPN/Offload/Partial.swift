// Completing a checksum that a kernel left partial.
//
// A partial checksum field holds the folded sum of the pseudo-header, not complemented. The sum over all
// from the transport header to the end, that field included, is the full one. A result of zero is written as
// 0xFFFF, which is the same number and, for UDP, not "no checksum" (RFC 768).

import Base

/// Partial transport checksums.
public enum Partial {
  /// Makes the partial sum of a packet a full one, in place. The sum of the pseudo-header is made anew: what
  /// stands in the field is not believed.
  /// - Returns: false, and nothing is changed, if the packet is not well-formed or may have no partial sum.
  public static func complete(_ packet: Frame) -> Bool {
    guard let header = InnerHeader(packet), header.canBePartial else { return false }
    complete(packet, header)
    return true
  }

  /// *Precondition:* `header` was read from the frame and has a transport header.
  static func complete(_ frame: Frame, _ header: InnerHeader) {
    let length = header.packetBytes &- header.ipBytes
    let pseudo = Checksum.folded(header.pseudoSum(frame) &+ UInt64(length))
    frame.setBig(header.transportAt &+ header.checksumOffset, pseudo)
    complete(frame, start: header.transportAt, offset: header.checksumOffset)
  }

  /// Sums from `start` to the end and writes the checksum at `start + offset`.
  /// *Precondition:* the field lies inside the frame.
  static func complete(_ frame: Frame, start: Int, offset: Int) {
    let sum = Checksum.fold(Checksum.sum(frame.dropping(start)))
    frame.setBig(start &+ offset, sum == 0 ? 0xFFFF : sum)
  }
}
