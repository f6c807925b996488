// A packet for the device that may grow: what must be equal for the next one to continue it, and how it ends.
//
// Merging must be undone by every kernel without a trace: cutting the superpacket again gives the packets
// that were merged. So a packet continues only if its headers are what a cutter would make of the first
// one's: all fields equal but those that a cutter counts up, and these counted up. The IPv4 header checksum
// must be right, because the device makes a new one. The partial sum in the transport header is not looked
// at: it is made anew from the addresses.

import Base

/// One packet for the device, whole or growing.
struct Superpacket: BitwiseCopyable {
  /// The most segments: what kernels take (UDP_MAX_SEGMENTS was 64 before Linux 6.9).
  static let segmentsMax = 64
  /// What the length fields can say.
  static let packetBytesMax = 65_535

  /// Where the packet begins in the buffer.
  private(set) var packetAt: Int
  /// Where it ends.
  private(set) var end: Int
  let header: InnerHeader
  let hint: UInt16
  let key: UInt64
  private(set) var count = 1
  /// Whether more may follow.
  private(set) var isOpen: Bool
  /// Payload of the first packet: what every packet but the last has.
  private let segmentBytes: Int
  private let identification: UInt16
  private var sequence: UInt32 = 0
  private var pushes = false
  /// The IPv4 header without length, identification and checksum.
  private let ipSum: UInt64

  /// Begins with one packet.
  /// - Parameters:
  ///   - packet: the packet, at `packetAt` of the buffer.
  ///   - mayGrow: whether the device takes trains of its kind.
  init(
    _ packet: Frame, _ header: InnerHeader, packetAt: Int, hint: UInt16, key: UInt64, mayGrow: Bool, mtu: Int
  ) {
    self.header = header
    self.packetAt = packetAt
    self.hint = hint
    self.key = key
    end = packetAt &+ packet.count
    segmentBytes = packet.count &- header.headerBytes
    var isOpen =
      mayGrow && hint & (OffloadHint.tcpTrain | OffloadHint.udpTrain) != 0 && segmentBytes > 0
      && packet.count <= mtu
    if header.isV4 {
      identification = packet.big(4, as: UInt16.self)
      ipSum = Cutter.constantSum(packet.prefix(header.ipBytes))
      isOpen = isOpen && header.ipBytes == 20 && Self.hasRightSum(packet, ipSum)
    } else {
      identification = 0
      ipSum = 0
    }
    if header.isTCP {
      sequence = packet.big(header.ipBytes &+ 4, as: UInt32.self) &+ UInt32(truncatingIfNeeded: segmentBytes)
      // Reserved bits and flags: ACK and nothing else; with PSH it is the last already.
      isOpen = isOpen && packet.big(header.ipBytes &+ 12, as: UInt16.self) & 0x0FFF == 0x0010
    }
    self.isOpen = isOpen
  }

  /// Whether `packet` is the next of the train.
  /// - Parameters:
  ///   - first: the headers of the first packet, unchanged.
  @inline(__always) func continues(_ packet: Frame, _ hint: UInt16, _ key: UInt64, _ first: Frame) -> Bool {
    let payload = packet.count &- header.headerBytes
    guard isOpen, hint == self.hint, key == self.key, payload > 0, payload <= segmentBytes,
      end &- packetAt &+ payload <= Self.packetBytesMax
    else { return false }
    guard header.isV4 ? continuesV4(packet, first) : continuesV6(packet, first) else { return false }
    return header.isTCP ? continuesTCP(packet, first) : continuesUDP(packet, first)
  }

  /// Takes the packet whose payload lies at `end`. *Precondition:* it `continues`.
  @inline(__always) mutating func append(_ packet: Frame) {
    let payload = packet.count &- header.headerBytes
    count &+= 1
    end &+= payload
    sequence &+= UInt32(truncatingIfNeeded: payload)
    pushes = header.isTCP && packet[header.ipBytes &+ 13] & 0x08 != 0
    isOpen = payload == segmentBytes && count < Self.segmentsMax && !pushes
  }

  /// The packet was moved.
  mutating func move(to packetAt: Int) {
    end = packetAt &+ (end &- self.packetAt)
    self.packetAt = packetAt
  }

  /// Writes the lengths and sums of the whole, and the virtio header before it.
  /// - Parameters:
  ///   - isPartial: whether its checksum is left to the device.
  /// - Returns: the virtio header and the packet.
  func finished(in buffer: Frame, isPartial: Bool) -> Frame {
    let packet = buffer.slice(packetAt, end &- packetAt)
    let whole = buffer.slice(packetAt &- VirtioHeader.bytes, VirtioHeader.bytes &+ packet.count)
    var virtio = VirtioHeader()
    if count > 1 { writeLengths(packet) }
    if isPartial {
      let offset = header.checksumOffset
      let length = UInt64(packet.count &- header.ipBytes)
      packet.setBig(header.ipBytes &+ offset, Checksum.folded(header.pseudoSum(packet) &+ length))
      virtio.flags = VirtioHeader.needsChecksum
      virtio.headerBytes = UInt16(truncatingIfNeeded: header.headerBytes)
      virtio.checksumStart = UInt16(truncatingIfNeeded: header.ipBytes)
      virtio.checksumOffset = UInt16(truncatingIfNeeded: offset)
      if count > 1 {
        virtio.gsoType = header.isUDP ? VirtioHeader.udp : header.isV4 ? VirtioHeader.tcp4 : VirtioHeader.tcp6
        virtio.gsoSize = UInt16(truncatingIfNeeded: segmentBytes)
      }
    }
    virtio.write(to: whole)
    return whole
  }

  private func writeLengths(_ packet: Frame) {
    if header.isV4 {
      packet.setBig(2, UInt16(truncatingIfNeeded: packet.count))
      packet.setBig(10, Checksum.fold(ipSum &+ UInt64(packet.count) &+ UInt64(identification)))
    } else {
      packet.setBig(4, UInt16(truncatingIfNeeded: packet.count &- 40))
    }
    if header.isUDP {
      packet.setBig(header.ipBytes &+ 4, UInt16(truncatingIfNeeded: packet.count &- header.ipBytes))
    } else if pushes {
      packet[header.ipBytes &+ 13] |= 0x08
    }
  }

  @inline(__always) private func continuesV4(_ packet: Frame, _ first: Frame) -> Bool {
    // Version, header length and type of service; length; identification; flags, offset, time to live and
    // protocol; addresses.
    packet.big(0, as: UInt16.self) == first.big(0, as: UInt16.self)
      && Int(packet.big(2, as: UInt16.self)) == packet.count
      && packet.big(4, as: UInt16.self) == identification &+ UInt16(truncatingIfNeeded: count)
      && packet.big(6, as: UInt32.self) == first.big(6, as: UInt32.self)
      && packet.big(12, as: UInt64.self) == first.big(12, as: UInt64.self)
      && Self.hasRightSum(packet, ipSum)
  }

  @inline(__always) private func continuesV6(_ packet: Frame, _ first: Frame) -> Bool {
    // Version, class and flow label; length; next header and hop limit; addresses.
    packet.big(0, as: UInt32.self) == first.big(0, as: UInt32.self)
      && Int(packet.big(4, as: UInt16.self)) &+ 40 == packet.count
      && packet.big(6, as: UInt16.self) == first.big(6, as: UInt16.self)
      && packet.big(8, as: UInt64.self) == first.big(8, as: UInt64.self)
      && packet.big(16, as: UInt64.self) == first.big(16, as: UInt64.self)
      && packet.big(24, as: UInt64.self) == first.big(24, as: UInt64.self)
      && packet.big(32, as: UInt64.self) == first.big(32, as: UInt64.self)
  }

  @inline(__always) private func continuesTCP(_ packet: Frame, _ first: Frame) -> Bool {
    let at = header.ipBytes
    // Ports; sequence; acknowledgement; data offset and flags but PSH; window; urgent pointer.
    guard packet.big(at, as: UInt32.self) == first.big(at, as: UInt32.self),
      packet.big(at &+ 4, as: UInt32.self) == sequence,
      packet.big(at &+ 8, as: UInt32.self) == first.big(at &+ 8, as: UInt32.self),
      packet.big(at &+ 12, as: UInt16.self) & ~0x0008 == first.big(at &+ 12, as: UInt16.self),
      packet.big(at &+ 14, as: UInt16.self) == first.big(at &+ 14, as: UInt16.self),
      packet.big(at &+ 18, as: UInt16.self) == first.big(at &+ 18, as: UInt16.self)
    else { return false }
    var option = at &+ 20
    while option < header.headerBytes {
      guard packet.big(option, as: UInt32.self) == first.big(option, as: UInt32.self) else { return false }
      option &+= 4
    }
    return true
  }

  @inline(__always) private func continuesUDP(_ packet: Frame, _ first: Frame) -> Bool {
    let at = header.ipBytes
    return packet.big(at, as: UInt32.self) == first.big(at, as: UInt32.self)
      && Int(packet.big(at &+ 4, as: UInt16.self)) == packet.count &- at
      && packet.big(at &+ 6, as: UInt16.self) != 0
  }

  /// Whether the checksum of an IPv4 header is right.
  @inline(__always) private static func hasRightSum(_ packet: Frame, _ ipSum: UInt64) -> Bool {
    let sum =
      ipSum &+ UInt64(packet.big(2, as: UInt16.self)) &+ UInt64(packet.big(4, as: UInt16.self))
      &+ UInt64(packet.big(10, as: UInt16.self))
    return Checksum.folded(sum) == 0xFFFF
  }
}
