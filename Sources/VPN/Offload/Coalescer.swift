// Packets of opened records become superpackets for the device, without a copy of their payload.
//
// The next record is opened so that its payload begins where the payload before ends, if its headers are as
// long as those of the packet that grows. Its headers then lie over the end of that payload; the few bytes
// are saved before:
//
//     | virtio | header | payload 0 | payload 1 |
//                             [ room | header | payload 2 ]        the bytes of room and header are saved
//
// If the packet continues the superpacket, the saved bytes are put back over its headers, and the superpacket
// has grown. If it does not, the superpacket is complete: the bytes that lie over it are parked, the saved
// ones put back, and it goes to the device; with the next call the parked bytes return and the new packet is
// the one that grows. When the buffer nears its end, it is moved to the front then. A record that fails to
// open leaves nothing behind: `abandon` puts back what it overwrote.
//
// The order is that of the records: only the newest packet grows. *Invariant:* at most one record is open
// between `room` and its verdict.

import Base

/// Builds the packets for one device.
public struct Coalescer: ~Copyable {
  /// What became of a record's text.
  public enum Offer {
    /// It continues the superpacket: nothing more to check, its addresses are the same.
    case merged
    /// A packet that begins anew: call `begin` or `abandon`.
    case fresh(InnerHeader)
    /// Nothing of it is left: count it.
    case refused(Refusal)
  }

  public enum Refusal: UInt8, Sendable {
    /// It is not one well-formed IP packet.
    case malformed
    /// The hint has spare bits, or does not fit the packet.
    case hint
    /// A partial sum where none is legal.
    case partial
  }

  /// The least size of the buffer: a superpacket grows to 64 KiB while the next one begins behind it.
  public static let bufferBytesMin = 131_072
  /// The content, offload and zero bytes before each packet.
  static let room = Cutter.room
  /// Bytes before a packet that begins anew: its virtio header, and some for alignment.
  private static let front = 16
  /// What is kept aside at most: room, 60 bytes of IPv4 header, 60 of TCP.
  private static let asideBytes = 128
  /// A packet that begins behind this place is moved to the front: behind it, a superpacket can become as
  /// long as they get, and records of usual size still find a place.
  private let packetAtMax: Int

  private let buffer: Frame
  private let mtu: Int
  private let canPartial: Bool
  private let canTCP: Bool
  private let canUDP: Bool
  private let aside = Scratch(capacity: 3 * Coalescer.asideBytes)
  /// The headers of the first packet of the superpacket.
  private var first: Frame { aside.frame.slice(0, Self.asideBytes) }
  /// What the open record overwrote.
  private var saved: Frame { aside.frame.slice(Self.asideBytes, Self.asideBytes) }
  /// What belongs over the end of the superpacket that was just handed out.
  private var parked: Frame { aside.frame.slice(2 * Self.asideBytes, Self.asideBytes) }

  private var current: Superpacket?
  /// Where the next record's text belongs, and how many bytes of `current` it will overwrite.
  private var nextAt = Coalescer.front - Coalescer.room
  private var nextOverlap = 0
  /// Whether a superpacket was handed out since, see `settle`.
  private var wasHandedOut = false
  /// Where the open record's text begins; -1: none is open.
  private var textAt = -1
  private var textBytes = 0
  /// Bytes of the superpacket that the open record overwrote.
  private var savedBytes = 0
  private var parkedBytes = 0
  /// What was offered and found fresh.
  private var fresh: InnerHeader?
  private var freshHint: UInt16 = 0
  private var freshKey: UInt64 = 0

  /// - Parameters:
  ///   - buffer: at least `bufferBytesMin`, used by nobody else.
  ///   - mtu: of the device, in bytes: longer packets do not grow.
  ///   - canPartial: whether the device completes checksums; otherwise it is done here, and nothing is
  ///     merged.
  ///   - canTCP: whether it takes trains of TCP.
  ///   - canUDP: whether it takes trains of UDP.
  public init(buffer: Frame, mtu: Int, canPartial: Bool, canTCP: Bool, canUDP: Bool) {
    precondition(buffer.count >= Self.bufferBytesMin)
    self.buffer = buffer
    self.mtu = mtu
    self.canPartial = canPartial
    self.canTCP = canTCP && canPartial
    self.canUDP = canUDP && canPartial
    packetAtMax = buffer.count &- Superpacket.packetBytesMax &- 4_096
  }

  /// Whether nothing waits for `finish`.
  public var isEmpty: Bool { current == nil }

  /// Where the next record's text is to be opened: 4 bytes and the packet. A record that was open is
  /// abandoned.
  /// - Parameter textBytes: exact size of the text.
  /// - Returns: nil when there is no place behind the superpacket: then `finish`, and ask again. With nothing
  ///   to finish, nil means that the text is longer than any packet.
  public mutating func room(_ textBytes: Int) -> Frame? {
    if textAt >= 0 { abandon() }
    if wasHandedOut { settle() }
    guard textBytes >= 0, textBytes <= buffer.count &- nextAt else { return nil }
    if nextOverlap > 0 { saved.copy(buffer.slice(nextAt, nextOverlap)) }
    savedBytes = nextOverlap
    textAt = nextAt
    self.textBytes = textBytes
    return buffer.slice(nextAt, textBytes)
  }

  /// Takes back the room: the record was forged or its packet is not wanted.
  public mutating func abandon() {
    guard textAt >= 0 else { return }
    if savedBytes > 0 { buffer.dropping(textAt).copy(saved.prefix(savedBytes)) }
    textAt = -1
    fresh = nil
  }

  /// Judges the text that was opened into the room.
  /// - Parameters:
  ///   - hint: the record's offload bytes.
  ///   - key: of session and slot: only packets of one key are merged.
  public mutating func offer(_ textBytes: Int, hint: UInt16, key: UInt64) -> Offer {
    precondition(textAt >= 0 && textBytes <= self.textBytes)
    guard textBytes > Self.room else { return refuse(.malformed) }
    self.textBytes = textBytes
    let packet = buffer.slice(textAt &+ Self.room, textBytes &- Self.room)
    if savedBytes > 0, current?.continues(packet, hint, key, first) == true {
      current?.append(packet)
      buffer.dropping(textAt).copy(saved.prefix(savedBytes))
      textAt = -1
      aim()
      return .merged
    }
    guard OffloadHint.isSound(hint) else { return refuse(.hint) }
    guard let header = InnerHeader(packet) else { return refuse(.malformed) }
    guard hint & OffloadHint.partial == 0 || header.canBePartial else { return refuse(.partial) }
    guard OffloadHint.fits(hint, header) else { return refuse(.hint) }
    fresh = header
    freshHint = hint
    freshKey = key
    return .fresh(header)
  }

  /// The packet that was found fresh is the one that grows now.
  /// *Precondition:* the last call was an `offer` that found it fresh.
  /// - Returns: the superpacket before, virtio header in front. It must be written to the device before any
  ///   further call. Nil when there was none.
  public mutating func begin() -> Frame? {
    guard textAt >= 0, let header = fresh else { preconditionFailure("no fresh packet was offered") }
    let packetAt = textAt &+ Self.room
    let packet = buffer.slice(packetAt, textBytes &- Self.room)
    if freshHint & OffloadHint.partial != 0, !canPartial { Partial.complete(packet, header) }
    let new = Superpacket(
      packet, header, packetAt: packetAt, hint: freshHint, key: freshKey,
      mayGrow: header.isTCP ? canTCP : canUDP,
      mtu: mtu)
    if new.isOpen { first.copy(packet.prefix(header.headerBytes)) }
    let previous = current
    if savedBytes > 0 {
      let overlap = buffer.slice(textAt, savedBytes)
      parked.copy(overlap)
      overlap.copy(saved.prefix(savedBytes))
      parkedBytes = savedBytes
    }
    current = new
    textAt = -1
    fresh = nil
    wasHandedOut = true
    return previous.map { $0.finished(in: buffer, isPartial: isPartial($0)) }
  }

  /// Ends what is being built, at the end of a batch. A record that was open is abandoned.
  /// - Returns: the packet, virtio header in front. It must be written to the device before any further call.
  ///   Nil when there is nothing.
  public mutating func finish() -> Frame? {
    if textAt >= 0 { abandon() }
    if wasHandedOut { settle() }
    guard let last = current else { return nil }
    current = nil
    aim()
    return last.finished(in: buffer, isPartial: isPartial(last))
  }

  private func isPartial(_ packet: Superpacket) -> Bool {
    canPartial && packet.hint & OffloadHint.partial != 0
  }

  private mutating func refuse(_ reason: Refusal) -> Offer {
    abandon()
    return .refused(reason)
  }

  /// The superpacket before is written: the newest packet gets its beginning back, and a better place if it
  /// lies too far behind.
  private mutating func settle() {
    wasHandedOut = false
    guard let packetAt = current?.packetAt else { return }
    if parkedBytes > 0 {
      buffer.dropping(packetAt &- Self.room).copy(parked.prefix(parkedBytes))
      parkedBytes = 0
    }
    if packetAt > packetAtMax, let end = current?.end {
      buffer.dropping(Self.front).copy(buffer.slice(packetAt, end &- packetAt))
      current?.move(to: Self.front)
    }
    aim()
  }

  /// Finds the place of the next record.
  private mutating func aim() {
    nextOverlap = 0
    guard let current else {
      nextAt = Self.front &- Self.room
      return
    }
    if current.isOpen {
      nextOverlap = Self.room &+ current.header.headerBytes
      nextAt = current.end &- nextOverlap
    } else {
      nextAt = current.end &+ Self.front &- Self.room
    }
  }
}
