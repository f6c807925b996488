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
public struct Cutter: Sendable {
  /// Bytes that are free before each packet: the record's content, offload and zero bytes.
  public static let room = 4
  /// IPv4 with options 60 and TCP with options 60; before them Ethernet.
  static let headerBytesMax = 120 + Train.ipAtMax

  public let train: Train
  private let buffer: Frame
  private let packetAt: Int
  /// The next segment.
  private var index = 0
  /// The headers of the whole, eight bytes a word, and once more their last eight bytes.
  private var words = InlineArray<18, UInt64>(repeating: 0)
  private var lastWord: UInt64 = 0
  /// The IPv4 header without length, identification and checksum.
  private var ipSum: UInt64 = 0
  /// The pseudo-header without the length.
  private var pseudoSum: UInt64 = 0
  private var identification: UInt16 = 0
  private var sequence: UInt32 = 0
  private var flags: UInt8 = 0

  /// Begins to cut.
  /// - Parameters:
  ///   - buffer: holds the packet.
  ///   - packetAt: where the packet of `train` begins in it. *Precondition:* at least `room`, and the packet ends
  ///     inside the buffer.
  public init(_ train: Train, buffer: Frame, packetAt: Int) {
    precondition(packetAt >= Self.room && packetAt &+ train.packetBytes <= buffer.count)
    self.train = train
    self.buffer = buffer
    self.packetAt = packetAt
    if train.kind == .single { return }
    let header = train.header
    let frame = buffer.slice(packetAt, header.headerBytes)
    var (word, at) = (0, 0)
    while at &+ 8 <= frame.count {
      words[word] = frame.little(at, as: UInt64.self)
      word &+= 1
      at &+= 8
    }
    lastWord = frame.little(frame.count &- 8, as: UInt64.self)
    pseudoSum = header.pseudoSum(frame)
    if header.isV4 {
      identification = frame.big(header.ipAt &+ 4, as: UInt16.self)
      ipSum = Self.constantSum(frame.slice(header.ipAt, header.ipBytes))
    }
    if train.kind == .tcp {
      sequence = frame.big(header.transportAt &+ 4, as: UInt32.self)
      flags = frame[header.transportAt &+ 13]
    }
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
    let headers = train.headerBytes
    let payloadAt = packetAt &+ headers &+ i &* train.segmentBytes
    packet.dropping(headers).copy(buffer.slice(payloadAt, bytes &- headers))
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
    Partial.complete(packet, start: train.header.transportAt, offset: train.header.checksumOffset)
  }

  /// Writes the headers of segment `i` to the beginning of `packet`, whose payload is in place.
  private func writeHeaders(_ i: Int, _ packet: Frame) {
    let header = train.header
    let headers = header.headerBytes
    var (word, at) = (0, 0)
    while at &+ 8 <= headers {
      packet.setLittle(at, words[word])
      word &+= 1
      at &+= 8
    }
    packet.setLittle(headers &- 8, lastWord)

    let ip = header.ipAt
    let length = packet.count &- ip
    if header.isV4 {
      let id = identification &+ UInt16(truncatingIfNeeded: i)
      packet.setBig(ip &+ 2, UInt16(truncatingIfNeeded: length))
      packet.setBig(ip &+ 4, id)
      packet.setBig(ip &+ 10, Checksum.fold(ipSum &+ UInt64(length) &+ UInt64(id)))
    } else {
      packet.setBig(ip &+ 4, UInt16(truncatingIfNeeded: length &- 40))
    }

    let transport = header.transportAt
    let transportLength = length &- header.ipBytes
    if train.kind == .tcp {
      packet.setBig(transport &+ 4, sequence &+ UInt32(truncatingIfNeeded: i &* train.segmentBytes))
      packet[transport &+ 13] = flags(of: i)
    } else {
      packet.setBig(transport &+ 4, UInt16(truncatingIfNeeded: transportLength))
    }
    let sum = Checksum.folded(pseudoSum &+ UInt64(transportLength))
    packet.setBig(transport &+ header.checksumOffset, sum)
  }

  private func flags(of i: Int) -> UInt8 {
    var flags = flags
    if i > 0 { flags &= ~0x80 }
    if i < train.count &- 1 { flags &= ~0x09 }
    return flags
  }
}
