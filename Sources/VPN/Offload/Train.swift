// What the device has handed over: one packet, or a train of them behind one header.
//
// A kernel that may leave segmentation to the device hands over one header and up to 64 KB of payload: a
// superpacket. Here everything it says in the virtio header is compared with the packet's own headers, and
// what contradicts is refused. What is left is a description that can be trusted: how many packets, how
// long, and what a member may be told of them (`OffloadHint`).
//
// Partial sums are legal between members for plain TCP and UDP only. What else the kernel leaves partial
// (tunnels, fragments, DHCP) has `sumsInFull`: whoever cuts it sums it first.

import Base

/// A packet of the device and how it is to be cut.
public struct Train: Sendable, BitwiseCopyable {
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    case single, tcp, udp
  }

  /// Bytes before the IP header at most: Ethernet with one VLAN tag.
  static let ipAtMax = 18

  public let kind: Kind
  /// The headers of the whole.
  public let header: InnerHeader
  /// Payload of each packet but the last, which may have less. Of a single packet: all its bytes.
  public let segmentBytes: Int
  /// How many packets it makes, at least 1, at most 65,535.
  public let count: Int
  /// What a record of one of its packets says, see `OffloadHint`.
  public let offload: UInt16
  /// Whether the sums are to be completed before anything is sent. `Cutter` does it.
  public let sumsInFull: Bool
  /// Where summing begins and, from there, where the sum belongs, both from the frame's beginning. Only with
  /// `sumsInFull`.
  let checksumStart: Int
  let checksumOffset: Int

  /// Describes what was read from the device; nil when it is not one well-formed packet, or the virtio header
  /// contradicts it, or it cannot be cut.
  /// - Parameters:
  ///   - packet: all bytes behind the virtio header.
  ///   - ipOffset: where the IP header begins: 0, or 14 or 18 behind Ethernet; an even number.
  public init?(_ packet: Frame, _ virtio: VirtioHeader, ipOffset: Int = 0) {
    guard ipOffset <= Self.ipAtMax, ipOffset & 1 == 0, packet.count <= 65_535 + ipOffset,
      let header = InnerHeader(packet, at: ipOffset)
    else { return nil }
    self.header = header
    checksumStart = Int(virtio.checksumStart)
    checksumOffset = Int(virtio.checksumOffset)
    let isPartial = virtio.flags & VirtioHeader.needsChecksum != 0
    let pointsAtTransport =
      header.transportBytes > 0 && checksumStart == header.transportAt
      && checksumOffset == header.checksumOffset
    if isPartial {
      guard checksumStart >= header.transportAt, checksumStart &+ checksumOffset &+ 2 <= packet.count else {
        return nil
      }
    }
    let mayStayPartial = header.canBePartial && pointsAtTransport
    sumsInFull = isPartial && !mayStayPartial
    let hint = isPartial && mayStayPartial ? OffloadHint.partial : 0

    if virtio.gsoType == VirtioHeader.single {
      kind = .single
      segmentBytes = packet.count
      count = 1
      offload = hint
      return
    }
    guard isPartial, pointsAtTransport, let kind = Self.kind(virtio.gsoType, header) else { return nil }
    let payload = packet.count &- header.headerBytes
    segmentBytes = Int(virtio.gsoSize)
    guard payload > 0, segmentBytes > 0 else { return nil }
    count = (payload &+ segmentBytes &- 1) / segmentBytes
    // A SYN takes a sequence number: the segments behind it would be one off.
    if kind == .tcp, count > 1, packet[header.transportAt &+ 13] & 0x02 != 0 { return nil }
    // No checksum at all cannot be partial.
    if kind == .udp, packet.big(header.transportAt &+ 6, as: UInt16.self) == 0 { return nil }
    self.kind = kind
    let bit = kind == .tcp ? OffloadHint.tcpTrain : OffloadHint.udpTrain
    offload = hint == 0 ? 0 : hint | bit
  }

  private init(_ train: Train, segmentBytes: Int) {
    kind = train.kind
    header = train.header
    self.segmentBytes = segmentBytes
    count = (train.payloadBytes &+ segmentBytes &- 1) / segmentBytes
    offload = train.offload
    sumsInFull = train.sumsInFull
    checksumStart = train.checksumStart
    checksumOffset = train.checksumOffset
  }

  /// The same train in smaller segments, for a path with less room. Only TCP may be cut so, because its
  /// receivers know no borders; every other packet comes back as it is.
  /// - Parameter segmentBytes: payload of a segment, at least 1.
  public func limited(to segmentBytes: Int) -> Train {
    guard kind == .tcp, segmentBytes > 0, segmentBytes < self.segmentBytes else { return self }
    if count == 1, payloadBytes <= segmentBytes { return self }
    return Train(self, segmentBytes: segmentBytes)
  }

  public var source: IPAddress { header.source }
  public var destination: IPAddress { header.destination }
  /// DSCP and ECN of all its packets.
  public var trafficClass: UInt8 { header.trafficClass }
  /// Bytes of the whole, as read from the device.
  public var packetBytes: Int { header.ipAt &+ header.packetBytes }

  /// Bytes of all headers of each packet; 0 for a single packet.
  var headerBytes: Int { kind == .single ? 0 : header.headerBytes }
  /// Bytes of all segments.
  var payloadBytes: Int { packetBytes &- headerBytes }

  /// Bytes of packet `i`, headers and payload; the first is the longest.
  /// *Precondition:* 0 ≤ i < `count`.
  public func packetBytes(of i: Int) -> Int {
    precondition(i >= 0 && i < count)
    let rest = payloadBytes &- i &* segmentBytes
    return headerBytes &+ (rest < segmentBytes ? rest : segmentBytes)
  }

  private static func kind(_ gsoType: UInt8, _ header: InnerHeader) -> Kind? {
    switch gsoType & ~VirtioHeader.ecn {
    case VirtioHeader.tcp4 where header.isTCP && header.isV4: .tcp
    case VirtioHeader.tcp6 where header.isTCP && !header.isV4: .tcp
    case VirtioHeader.udp where header.isUDP: .udp
    default: nil
    }
  }
}
