// The header of a message that travels over the ring, inside the record of each hop.
//
//  offset  size  field
//       0     1  mode (bits 0–1), destination via present (bit 4), source via present (bit 5), others zero
//       1     1  hops that remain, decremented in place
//       2     1  payload kind
//       3     1  detours taken (bits 0–1), notice wanted (bit 2), final step (bit 3)
//       4    20  destination: an overlay ID, or the key of a record
//      24    20  source
//      44    20  destination via, when present
//       …    20  source via, when present
//       …        payload
//
// A *via* names a node that has a direct path to the destination (or back to the source): a newcomer, or a
// node behind a strict NAT, is reached through it without any state in the nodes between.

import Base

/// Which node a routed message is for.
public enum RoutingMode: UInt8, Sendable, BitwiseCopyable {
  /// The node with this very ID, or nobody.
  case exact = 0
  /// The owner of a key: the first node at or behind it, clockwise.
  case owner = 1
  /// The node nearest to the ID, other than the source.
  case nearest = 2
}

/// What a routed message carries.
public enum RoutedPayload: UInt8, Sendable, BitwiseCopyable {
  /// A whole datagram (handshake, record, reset) of a session between source and destination.
  case datagram = 0
  /// A message of the ring itself.
  case ring = 1
  /// A message of the directory.
  case directory = 2
  /// A message about multicast groups, between the members of a community only.
  case group = 3
  /// An answer to a roll call, between the members of a community only.
  case roll = 4
}

/// The header's fields.
public struct RoutedHeader: Equatable, Sendable, BitwiseCopyable {
  public static let bytesMax = 84

  public var mode: RoutingMode
  public var hops: UInt8
  public var payload: RoutedPayload
  public var destination: OverlayID
  public var source: OverlayID
  public var destinationVia: OverlayID?
  public var sourceVia: OverlayID?
  /// Steps that led away from the destination so far.
  public var detours: UInt8 = 0
  /// Whether the source wants to hear when the message cannot be delivered.
  public var wantsNotice = false
  /// In owner mode: the key's predecessor has handed it on. From here it only walks back towards the key.
  public var isFinal = false

  public init(
    mode: RoutingMode, hops: UInt8, payload: RoutedPayload, destination: OverlayID, source: OverlayID,
    destinationVia: OverlayID? = nil, sourceVia: OverlayID? = nil
  ) {
    self.mode = mode
    self.hops = hops
    self.payload = payload
    self.destination = destination
    self.source = source
    self.destinationVia = destinationVia
    self.sourceVia = sourceVia
  }

  /// Length on the wire in bytes: 44, 64 or 84.
  public var byteCount: Int { 44 + (destinationVia == nil ? 0 : 20) + (sourceVia == nil ? 0 : 20) }
}

extension RoutedHeader: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    let first = try reader.byte()
    guard let mode = RoutingMode(rawValue: first & 3) else { throw .invalid(offset: reader.offset) }
    try reader.require(first & 0xCC == 0)
    let hops = try reader.byte()
    guard let payload = RoutedPayload(rawValue: try reader.byte()) else {
      throw .invalid(offset: reader.offset)
    }
    let flags = try reader.byte()
    try reader.require(flags <= 15)
    self.init(
      mode: mode, hops: hops, payload: payload, destination: try OverlayID(from: &reader),
      source: try OverlayID(from: &reader))
    detours = flags & 3
    wantsNotice = flags & 4 != 0
    isFinal = flags & 8 != 0
    if first & 0x10 != 0 { destinationVia = try OverlayID(from: &reader) }
    if first & 0x20 != 0 { sourceVia = try OverlayID(from: &reader) }
  }

  public func encode(to writer: inout WireWriter) {
    writer.byte(mode.rawValue | (destinationVia == nil ? 0 : 0x10) | (sourceVia == nil ? 0 : 0x20))
    writer.byte(hops)
    writer.byte(payload.rawValue)
    writer.byte(detours | (wantsNotice ? 4 : 0) | (isFinal ? 8 : 0))
    destination.encode(to: &writer)
    source.encode(to: &writer)
    destinationVia?.encode(to: &writer)
    sourceVia?.encode(to: &writer)
  }
}
