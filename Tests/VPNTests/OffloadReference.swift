// The same as Sources/VPN/Offload, written a second time: with arrays, byte by byte, from the RFCs.
//
// What the tests compare the real one with. It shares no code with it.

import Base
import Testing

@testable import VPN

/// Packets and trains as arrays.
enum Reference {
  /// One flow's headers, from which packets are made.
  struct Flow {
    var isV4 = true
    var isTCP = true
    var from: [UInt8] = []
    var to: [UInt8] = []
    var ports: [UInt8] = [1, 2, 3, 4]
    var trafficClass: UInt8 = 0
    var flowLabel = 0
    var hops: UInt8 = 64
    var mayFragment = false
    var id = 0
    var ipOptions: [UInt8] = []
    var sequence: UInt32 = 0
    var acknowledgement: UInt32 = 0
    var flags: UInt8 = 0x10
    var window = 0
    var urgent = 0
    var tcpOptions: [UInt8] = []

    var headerBytes: Int {
      (isV4 ? 20 + ipOptions.count : 40) + (isTCP ? 20 + tcpOptions.count : 8)
    }

    /// A packet with a partial sum.
    func packet(_ payload: [UInt8]) -> [UInt8] {
      var transport = ports
      if isTCP {
        transport += big(Int(sequence), 4) + big(Int(acknowledgement), 4)
        transport +=
          [UInt8((20 + tcpOptions.count) / 4) << 4, flags] + big(window, 2) + [0, 0] + big(urgent, 2)
        transport += tcpOptions
      } else {
        transport += big(8 + payload.count, 2) + [0, 0]
      }
      transport += payload
      var header: [UInt8]
      if isV4 {
        let bytes = 20 + ipOptions.count
        header = [0x40 | UInt8(bytes / 4), trafficClass] + big(bytes + transport.count, 2) + big(id, 2)
        header += [mayFragment ? 0 : 0x40, 0, hops, isTCP ? 6 : 17, 0, 0] + from + to + ipOptions
        let sum = 0xFFFF - Packets.sum(header)
        header.replaceSubrange(10..<12, with: big(sum, 2))
      } else {
        header = big(0x6000_0000 | Int(trafficClass) << 20 | flowLabel, 4) + big(transport.count, 2)
        header += [isTCP ? 6 : 17, hops] + from + to
      }
      return Reference.withPartialSum(header + transport)
    }
  }

  static func big(_ value: Int, _ bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * (bytes - 1 - $0))) }
  }

  static func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> Int {
    bytes[at..<at + count].reduce(0) { $0 << 8 | Int($1) }
  }

  static func ipBytes(_ packet: [UInt8]) -> Int { packet[0] >> 4 == 4 ? Int(packet[0] & 15) * 4 : 40 }
  static func isV4(_ packet: [UInt8]) -> Bool { packet[0] >> 4 == 4 }
  static func isTCP(_ packet: [UInt8]) -> Bool { (isV4(packet) ? packet[9] : packet[6]) == 6 }
  static func headerBytes(_ packet: [UInt8]) -> Int {
    let ip = ipBytes(packet)
    return ip + (isTCP(packet) ? Int(packet[ip + 12] >> 4) * 4 : 8)
  }
  static func sumAt(_ packet: [UInt8]) -> Int { ipBytes(packet) + (isTCP(packet) ? 16 : 6) }

  static func pseudoHeader(_ packet: [UInt8]) -> [UInt8] {
    let addresses = isV4(packet) ? packet[12..<20] : packet[8..<40]
    let proto = isV4(packet) ? packet[9] : packet[6]
    return addresses + big(packet.count - ipBytes(packet), 4) + [0, 0, 0, proto]
  }

  static func withPartialSum(_ packet: [UInt8]) -> [UInt8] {
    var packet = packet
    let at = sumAt(packet)
    packet.replaceSubrange(at..<at + 2, with: big(Packets.sum(pseudoHeader(packet)), 2))
    return packet
  }

  static func withFullSum(_ packet: [UInt8]) -> [UInt8] {
    var packet = packet
    let at = sumAt(packet)
    packet.replaceSubrange(at..<at + 2, with: [0, 0])
    let sum = 0xFFFF - Packets.sum(pseudoHeader(packet) + packet[ipBytes(packet)...])
    packet.replaceSubrange(at..<at + 2, with: big(sum == 0 ? 0xFFFF : sum, 2))
    return packet
  }

  /// Whether all checksums of a complete packet are right.
  static func isRight(_ packet: [UInt8]) -> Bool {
    let ip = ipBytes(packet)
    if isV4(packet), Packets.sum(Array(packet[..<ip])) != 0xFFFF { return false }
    return Packets.sum(pseudoHeader(packet) + packet[ip...]) == 0xFFFF
  }

  /// What a kernel makes of a superpacket: its segments, with partial sums.
  static func cut(_ packet: [UInt8], _ segmentBytes: Int) -> [[UInt8]] {
    let (ip, headers) = (ipBytes(packet), headerBytes(packet))
    let payload = Array(packet[headers...])
    return stride(from: 0, to: max(payload.count, 1), by: segmentBytes).map { at in
      let part = Array(payload[at..<min(at + segmentBytes, payload.count)])
      let isLast = at + segmentBytes >= payload.count
      var segment = Array(packet[..<headers]) + part
      if isV4(packet) {
        segment.replaceSubrange(2..<4, with: big(segment.count, 2))
        segment.replaceSubrange(4..<6, with: big(number(packet, 4, 2) + at / segmentBytes, 2))
        segment.replaceSubrange(10..<12, with: [0, 0])
        segment.replaceSubrange(10..<12, with: big(0xFFFF - Packets.sum(Array(segment[..<ip])), 2))
      } else {
        segment.replaceSubrange(4..<6, with: big(segment.count - 40, 2))
      }
      if isTCP(packet) {
        segment.replaceSubrange(ip + 4..<ip + 8, with: big(number(packet, ip + 4, 4) + at, 4))
        if at > 0 { segment[ip + 13] &= 0x7F }
        if !isLast { segment[ip + 13] &= 0xF6 }
      } else {
        segment.replaceSubrange(ip + 4..<ip + 6, with: big(segment.count - ip, 2))
      }
      return withPartialSum(segment)
    }
  }

  /// What a kernel makes of what the coalescer hands out: packets with full sums.
  /// - Returns: nil when the virtio header does not agree with the packet in everything.
  static func delivered(_ whole: [UInt8], mtu: Int) -> [[UInt8]]? {
    let virtio = Array(whole[..<10])
    let packet = Array(whole[10...])
    let little = { (at: Int) in Int(virtio[at]) | Int(virtio[at + 1]) << 8 }
    let (segmentBytes, start, offset) = (little(4), little(6), little(8))
    let length = number(packet, isV4(packet) ? 2 : 4, 2) + (isV4(packet) ? 0 : 40)
    guard packet.count <= 65_535, length == packet.count else { return nil }
    if virtio[0] == 0 { return virtio == [UInt8](repeating: 0, count: 10) ? [packet] : nil }
    guard virtio[0] == 1, start == ipBytes(packet), start + offset == sumAt(packet),
      little(2) == headerBytes(packet), [6, 17].contains(isV4(packet) ? packet[9] : packet[6]),
      number(packet, sumAt(packet), 2) == Packets.sum(pseudoHeader(packet)),
      !isV4(packet) || number(packet, 6, 2) & 0x3FFF == 0
    else { return nil }
    if virtio[1] == 0 { return segmentBytes == 0 ? [withFullSum(packet)] : nil }
    guard Int(virtio[1]) == (isTCP(packet) ? (isV4(packet) ? 1 : 4) : 5),
      segmentBytes >= 1, segmentBytes <= mtu - headerBytes(packet),
      isTCP(packet) || number(packet, ipBytes(packet) + 4, 2) == packet.count - ipBytes(packet)
    else { return nil }
    let segments = cut(packet, segmentBytes)
    return segments.count >= 2 && segments.count <= 64 ? segments.map(withFullSum) : nil
  }
}

/// Seeded randomness and random flows.
struct OffloadDice {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
      let word = next()
      for i in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * i))) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  mutating func flow(plain: Bool = false) -> Reference.Flow {
    var flow = Reference.Flow()
    flow.isV4 = chance(50)
    flow.isTCP = chance(60)
    flow.from = bytes(flow.isV4 ? 4 : 16)
    flow.to = bytes(flow.isV4 ? 4 : 16)
    flow.ports = [4, UInt8(below(256)), 5, UInt8(below(256))]
    flow.trafficClass = UInt8(below(256))
    flow.flowLabel = below(1 << 20)
    flow.mayFragment = chance(30)
    flow.id = chance(20) ? 65_530 : below(65_536)
    flow.sequence = chance(20) ? UInt32.max - 3_000 : UInt32(truncatingIfNeeded: next())
    flow.acknowledgement = UInt32(truncatingIfNeeded: next())
    flow.window = below(65_536)
    flow.tcpOptions = flow.isTCP ? bytes(4 * [0, 3, 3, 10, below(11)][below(5)]) : []
    if plain { return flow }
    flow.ipOptions = flow.isV4 && chance(30) ? bytes(4 * below(11)) : []
    // Any flags but SYN.
    flow.flags = UInt8(below(256)) & ~0x02
    flow.urgent = chance(20) ? below(65_536) : 0
    return flow
  }
}
