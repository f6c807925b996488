// The packets of a train, one after the other, in place.
//
// The payload of all segments lies in one piece behind one header. Segment i needs a header directly before
// its payload, and there lies the end of segment i - 1, which has been sealed elsewhere by then and is not
// needed any more:
//
//     | room | header | payload 0 | payload 1 | payload 2 |
//     [ text 0 ----------------- ]
//                 [ room | header | payload 1 ]
//                             [ room | header | payload 2 ]
//
// So nothing is moved. With tiny segments a header reaches over the headers of segments before it too; all
// are written from a template of the first, kept aside. *Invariant:* writing segment i touches nothing behind
// the beginning of its payload.
//
// Per segment change: the IPv4 length, identification and checksum, the IPv6 length; the TCP sequence number
// and flags (FIN and PSH on the last only, CWR on the first only, RFC 3168); the UDP length; the transport
// checksum, partial unless the train says `sumsInFull`. Sums of what does not change are made once.

import Base

/// Cuts a train. The segments must be consumed in order, each before the next is asked for.
public struct Cutter: ~Copyable {
  /// Bytes that are free before each packet: the record's content, offload and zero bytes.
  public static let room = 4

  public let train: Train
  private let buffer: Frame
  private let packetAt: Int
  /// The next segment.
  private var index = 0
  private var template: HeaderTemplate
  // What follows is of the train's headers, once more: it is wanted for each segment.
  private let headerBytes: Int
  private let ipAt: Int
  private let transportAt: Int
  private let isV4: Bool
  private let isTCP: Bool
  /// The IPv4 header without length, identification and checksum.
  private let ipSum: UInt64
  /// The pseudo-header without the length.
  private let pseudoSum: UInt64
  private let identification: UInt16
  private let sequence: UInt32
  private let flags: UInt8

  /// Begins to cut.
  /// - Parameters:
  ///   - buffer: holds the packet.
  ///   - packetAt: where the packet of `train` begins in it. *Precondition:* at least `room`, and the packet
  ///     ends inside the buffer.
  public init(_ train: Train, buffer: Frame, packetAt: Int) {
    precondition(packetAt >= Self.room && packetAt &+ train.packetBytes <= buffer.count)
    self.train = train
    self.buffer = buffer
    self.packetAt = packetAt
    let header = train.header
    headerBytes = train.headerBytes
    ipAt = header.ipAt
    transportAt = header.transportAt
    isV4 = header.isV4
    isTCP = train.kind == .tcp
    let frame = buffer.slice(packetAt, header.headerBytes)
    template = HeaderTemplate(frame.prefix(train.headerBytes))
    let isTrain = train.kind != .single
    pseudoSum = isTrain ? header.pseudoSum(frame) : 0
    identification = isTrain && isV4 ? frame.big(ipAt &+ 4, as: UInt16.self) : 0
    ipSum = isTrain && isV4 ? Self.constantSum(frame.slice(ipAt, header.ipBytes)) : 0
    sequence = isTCP ? frame.big(transportAt &+ 4, as: UInt32.self) : 0
    flags = isTCP ? frame[transportAt &+ 13] : 0
  }

  /// The text of the next packet: 4 bytes that are the caller's to fill, then the packet; nil after the last.
  public mutating func next() -> Frame? {
    guard index < train.count else { return nil }
    let i = index
    index &+= 1
    let bytes = train.packetBytes(of: i)
    guard train.kind != .single else {
      let packet = buffer.slice(packetAt, bytes)
      if train.sumsInFull {
        Partial.complete(packet, start: train.checksumStart, offset: train.checksumOffset)
      }
      return buffer.slice(packetAt &- Self.room, Self.room &+ bytes)
    }
    let at = packetAt &+ i &* train.segmentBytes
    let packet = buffer.slice(at, bytes)
    writeHeaders(i, packet)
    if train.sumsInFull { complete(packet) }
    return buffer.slice(at &- Self.room, Self.room &+ bytes)
  }

  /// Copies the next packet to `slot` with its checksums complete, for every way that knows no offloads. The
  /// buffer stays as it is.
  /// - Returns: the bytes of the packet; nil after the last one, and when it is longer than the slot.
  public mutating func nextPlain(into slot: Frame) -> Int? {
    guard index < train.count else { return nil }
    let i = index
    let bytes = train.packetBytes(of: i)
    guard bytes <= slot.count else { return nil }
    index &+= 1
    let packet = slot.prefix(bytes)
    guard train.kind != .single else {
      packet.copy(buffer.slice(packetAt, bytes))
      if train.sumsInFull {
        Partial.complete(packet, start: train.checksumStart, offset: train.checksumOffset)
      } else if train.offload & OffloadHint.partial != 0 {
        Partial.complete(packet, train.header)
      }
      return bytes
    }
    let payloadAt = packetAt &+ headerBytes &+ i &* train.segmentBytes
    packet.dropping(headerBytes).copy(buffer.slice(payloadAt, bytes &- headerBytes))
    writeHeaders(i, packet)
    complete(packet)
    return bytes
  }

  /// How many packets are still to come.
  public var remaining: Int { train.count &- index }

  /// The sum of an IPv4 header without what differs from segment to segment.
  static func constantSum(_ header: Frame) -> UInt64 {
    // Bytes 2 ... 5 are length and identification, 10 and 11 the checksum.
    let first = UInt64(header.big(0, as: UInt16.self)) &+ UInt64(header.big(6, as: UInt16.self))
    return Checksum.sum(header.dropping(12), first &+ UInt64(header.big(8, as: UInt16.self)))
  }

  private func complete(_ packet: Frame) {
    Partial.complete(packet, start: transportAt, offset: isTCP ? 16 : 6)
  }

  /// Writes the headers of segment `i` to the beginning of `packet`, whose payload is in place.
  @inline(__always) private mutating func writeHeaders(_ i: Int, _ packet: Frame) {
    template.write(to: packet.prefix(headerBytes))
    let length = packet.count &- ipAt
    if isV4 {
      let id = identification &+ UInt16(truncatingIfNeeded: i)
      packet.setBig(ipAt &+ 2, UInt16(truncatingIfNeeded: length))
      packet.setBig(ipAt &+ 4, id)
      packet.setBig(ipAt &+ 10, Checksum.fold(ipSum &+ UInt64(length) &+ UInt64(id)))
    } else {
      packet.setBig(ipAt &+ 4, UInt16(truncatingIfNeeded: length &- 40))
    }
    let transportBytes = packet.count &- transportAt
    let sum = Checksum.folded(pseudoSum &+ UInt64(transportBytes))
    if isTCP {
      packet.setBig(transportAt &+ 4, sequence &+ UInt32(truncatingIfNeeded: i &* train.segmentBytes))
      packet[transportAt &+ 13] = flags(of: i)
      packet.setBig(transportAt &+ 16, sum)
    } else {
      packet.setBig(transportAt &+ 4, UInt16(truncatingIfNeeded: transportBytes))
      packet.setBig(transportAt &+ 6, sum)
    }
  }

  @inline(__always) private func flags(of i: Int) -> UInt8 {
    var flags = flags
    if i > 0 { flags &= ~0x80 }
    if i < train.count &- 1 { flags &= ~0x09 }
    return flags
  }
}
