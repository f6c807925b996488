// What a kernel says about the multicast groups that its programs have joined.
//
//  IGMP (RFC 1112, RFC 2236, RFC 3376), IP protocol 2:
//  offset  size  field
//       0     1  0x12 report (v1), 0x16 report (v2), 0x17 leave (v2), 0x22 report (v3); others: nothing new
//       1     1  0
//       2     2  checksum
//       4     4  group (v1, v2); in v3 two zero bytes and the number of records
//       8     n  records (v3): type 1, length of auxiliary data in words 1, number of sources 2, group 4,
//                sources of 4 each, auxiliary data
//
//  MLD (RFC 2710, RFC 3810), ICMPv6 behind a hop-by-hop header with a router alert:
//       0     1  131 report (v1), 132 done (v1), 143 report (v2); others: nothing new
//       1     1  0
//       2     2  checksum with the pseudo header
//       4     4  delay and zero (v1); two zero bytes and the number of records (v2)
//       8    16  group (v1), or records (v2) as above with addresses of 16 bytes
//
// Sources are not looked at: whoever wants a group from some sources gets it from all, and its kernel
// filters.

import Base

/// The reports in a packet.
enum ListenerReport {
  /// What a packet is.
  enum Outcome: Equatable {
    /// No report.
    case other
    /// It begins like one, and is none.
    case malformed
    case read
  }

  /// Reads a packet.
  /// - Parameters:
  ///   - packet: what `IPPacket` has read of the frame.
  ///   - visit: called for each group, with whether the machine receives it.
  static func read(_ frame: Frame, _ packet: IPPacket, _ visit: (IPAddress, Bool) -> Void) -> Outcome {
    packet.source.isV4 ? readIGMP(frame, packet, visit) : readMLD(frame, packet, visit)
  }

  private static func readIGMP(
    _ frame: Frame, _ packet: IPPacket, _ visit: (IPAddress, Bool) -> Void
  ) -> Outcome {
    guard packet.proto == 2 else { return .other }
    let body = frame.dropping(packet.headerBytes)
    // No part of a fragmented packet: neither more fragments nor an offset.
    guard frame.big(6, as: UInt16.self) & 0x3FFF == 0, body.count >= 8,
      Checksum.fold(Checksum.sum(frame.prefix(packet.headerBytes))) == 0,
      Checksum.fold(Checksum.sum(body)) == 0
    else { return .malformed }
    switch body[0] {
    case 0x12, 0x16, 0x17:
      let group = IPAddress(v4: body.big(4, as: UInt32.self))
      guard body.count == 8, group.isMulticast else { return .malformed }
      visit(group, body[0] != 0x17)
    case 0x22:
      guard walk(body, wordsOfAddress: 1, { _, _ in }) else { return .malformed }
      _ = walk(body, wordsOfAddress: 1, visit)
    default: return .other
    }
    return .read
  }

  private static func readMLD(
    _ frame: Frame, _ packet: IPPacket, _ visit: (IPAddress, Bool) -> Void
  ) -> Outcome {
    var (next, offset) = (packet.proto, packet.headerBytes)
    if next == 0 {
      guard frame.count >= offset + 8 else { return .malformed }
      next = frame[offset]
      offset += (Int(frame[offset + 1]) + 1) * 8
    }
    guard next == 58 else { return .other }
    guard offset < frame.count else { return .malformed }
    let body = frame.dropping(offset)
    guard [131, 132, 143].contains(body[0]) else { return .other }
    let pseudo = Checksum.sum(frame.slice(8, 32), UInt64(body.count) + 58)
    guard body.count >= 8, frame[7] == 1, body[1] == 0, Checksum.fold(Checksum.sum(body, pseudo)) == 0 else {
      return .malformed
    }
    if body[0] == 143 {
      guard walk(body, wordsOfAddress: 4, { _, _ in }) else { return .malformed }
      _ = walk(body, wordsOfAddress: 4, visit)
      return .read
    }
    guard body.count == 24, let group = address(body, 8, words: 4) else { return .malformed }
    visit(group, body[0] == 131)
    return .read
  }

  /// Walks through the records of an IGMPv3 or MLDv2 report.
  /// - Returns: false when they do not fill the message.
  private static func walk(
    _ body: Frame, wordsOfAddress: Int, _ visit: (IPAddress, Bool) -> Void
  ) -> Bool {
    var offset = 8
    for _ in 0..<body.big(6, as: UInt16.self) {
      guard offset + 4 + 4 * wordsOfAddress <= body.count,
        let group = address(body, offset + 4, words: wordsOfAddress)
      else { return false }
      let sources = Int(body.big(offset + 2, as: UInt16.self))
      // 1 and 3: only these sources; 2 and 4: all but these; 5: these as well. 6, no longer these, says
      // nothing of the others: what is not reported again ends.
      switch body[offset] {
      case 1, 3: visit(group, sources > 0)
      case 2, 4, 5: visit(group, true)
      default: break
      }
      offset += 4 + 4 * (wordsOfAddress * (sources + 1) + Int(body[offset + 1]))
    }
    return offset == body.count
  }

  /// The multicast address at an offset; nil when it is none.
  private static func address(_ body: Frame, _ offset: Int, words: Int) -> IPAddress? {
    let address =
      words == 1
      ? IPAddress(v4: body.big(offset, as: UInt32.self))
      : IPAddress(high: body.big(offset, as: UInt64.self), low: body.big(offset + 8, as: UInt64.self))
    return address.isMulticast && address.isV4 == (words == 1) ? address : nil
  }
}
