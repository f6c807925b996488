// Greedy recursive routing: a message goes to the linked node that is nearest to its destination, until
// nobody is nearer.
//
// The distance is the shorter way round the ring. Each hop but the last brings the message strictly nearer,
// so it cannot circle; the hop count bounds what a broken ring could still do. Only links that work take
// part: those with a proven direct path, and ring neighbours that are reached over the ring themselves.

import Base
import Session

/// What to do with a routed message.
enum RoutingDecision: Equatable {
  case deliver
  case forward(Int)
  case undeliverable
}

/// How much data of others a node forwards.
public struct RelayLimit: Sendable, BitwiseCopyable {
  private var bucket: TokenBucket
  /// Nothing but the ring's own messages is forwarded.
  public let isOff: Bool
  /// Bytes a second of data records.
  public let rate: UInt64

  /// - Parameter bytesPerSecond: 0 forwards no data at all.
  public init(bytesPerSecond: UInt64, at now: Instant) {
    rate = min(bytesPerSecond, 1 << 31)
    isOff = rate == 0
    // A quarter of a second may pass at once, and never less than 64 KB (a TCP burst).
    bucket = TokenBucket(rate: rate, burst: max(rate / 4, 65_536), at: now)
  }

  mutating func allows(_ bytes: Int, at now: Instant) -> Bool {
    !isOff && bucket.take(UInt64(bytes), at: now)
  }
}

extension Links {
  /// Twice the depth of a ring of a million nodes and some (`RoutedHeader.hops` at the start).
  static let hopsMax: UInt8 = 56
  /// Datagrams of at least this size are data; smaller ones are handshakes, hellos and pings, which always
  /// pass.
  private static let dataBytes = 600
  /// Messages of ring and directory below this size count by number too; the largest lease has less.
  private static let messageBytes = 800

  /// Where a message goes from here.
  /// - Parameter hop: the peer that handed it on; nil at its source.
  mutating func decide(_ header: inout RoutedHeader, from hop: Int?) -> RoutingDecision {
    switch header.mode {
    case .exact: decideExact(&header, from: hop)
    case .nearest: decideNearest(header)
    case .owner: decideOwner(header)
    }
  }

  private func decideExact(_ header: inout RoutedHeader, from hop: Int?) -> RoutingDecision {
    if header.destination == id { return .deliver }
    let directOnly = header.payload == .datagram
    if let slot = peer(header.destination), isRoutable(slot, directOnly: directOnly) { return .forward(slot) }
    // The named via delivers or nobody does: handing it to another via could go round for ever.
    if header.destinationVia == id { return .undeliverable }
    if header.destinationVia == nil, let slot = peer(header.destination), peers[slot].isUp,
      !peers[slot].vias.isEmpty,
      peers[slot].vias[0] != id
    {
      header.destinationVia = peers[slot].vias[0]
    }
    let target = header.destinationVia ?? header.destination
    let from = hop.map { peers[$0].id } ?? header.source
    guard let next = nextHop(toward: target, excluding: from, directOnly: directOnly) else {
      return .undeliverable
    }
    // At the source one step away from the target is allowed: the nearest node may be one we cannot reach.
    if hop == nil || peers[next].id.distance(to: target) < id.distance(to: target) { return .forward(next) }
    return .undeliverable
  }

  private func decideNearest(_ header: RoutedHeader) -> RoutingDecision {
    guard let next = nextHop(toward: header.destination, excluding: header.source, directOnly: false) else {
      return header.source == id ? .undeliverable : .deliver
    }
    let isNearer = peers[next].id.distance(to: header.destination) < id.distance(to: header.destination)
    return isNearer || header.source == id ? .forward(next) : .deliver
  }

  private func decideOwner(_ header: RoutedHeader) -> RoutingDecision {
    let key = header.destination
    guard let predecessor = neighbourhood.predecessor, let successor = neighbourhood.successor else {
      return .deliver
    }
    if key.isIn(after: peers[predecessor].id, through: id) { return .deliver }
    if key.isIn(after: id, through: peers[successor].id) { return .forward(successor) }
    guard let next = nextHop(toward: key, excluding: header.source, directOnly: false),
      peers[next].id.distance(to: key) < id.distance(to: key)
    else { return .undeliverable }
    return .forward(next)
  }

  /// Whether messages can be handed to the peer.
  private func isRoutable(_ slot: Int, directOnly: Bool) -> Bool {
    guard peers[slot].isUp, let best = peers[slot].best else { return false }
    if best > 0 || peers[slot].hasDirectPath { return best > 0 || !directOnly }
    return !directOnly && peers[slot].roles.contains(.near)
  }

  /// The usable peer nearest to `target`, without the node `excluded`.
  func nextHop(toward target: OverlayID, excluding excluded: OverlayID, directOnly: Bool) -> Int? {
    var best: Int?
    var distance = OverlayID.zero
    for slot in 0..<peers.highWater where peers.isUsed(slot) && isRoutable(slot, directOnly: directOnly) {
      if peers[slot].id == excluded { continue }
      let d = peers[slot].id.distance(to: target)
      if best == nil || d < distance {
        best = slot
        distance = d
      }
    }
    return best
  }

  // MARK: - Forwarding

  /// Takes a routed message that came from `hop` and takes its slot, unless it is for this node.
  /// - Returns: the header and the payload when the message is for this node; the slot stays the caller's
  ///   then.
  public mutating func forward(
    _ message: PacketRef, from hop: Int, _ context: inout Context
  ) -> (header: RoutedHeader, payload: PacketRef)? {
    let frame = context.pool.frame(message)
    var reader = WireReader(frame)
    guard var header = try? RoutedHeader(from: &reader), header.source != id else {
      counters.malformed &+= 1
      context.pool.release(message)
      return nil
    }
    let length = UInt16(reader.offset)
    let payload = PacketRef(
      slot: message.slot, offset: message.offset + length, length: message.length - length)
    let decision = decide(&header, from: hop)
    if decision == .deliver { return (header, payload) }
    pass(header, payload, from: hop, decision, &context)
    return nil
  }

  private mutating func pass(
    _ header: RoutedHeader, _ payload: PacketRef, from hop: Int, _ decision: RoutingDecision,
    _ context: inout Context
  ) {
    guard case .forward(let next) = decision, header.hops > 0 else {
      if header.hops == 0 { counters.hopsExceeded &+= 1 }
      counters.undeliverable &+= 1
      refuse(header, context.pool.frame(payload), &context)
      return context.pool.release(payload)
    }
    guard mayPass(header, payload, from: hop, &context) else {
      counters.relayLimited &+= 1
      return context.pool.release(payload)
    }
    var header = header
    header.hops -= 1
    counters.forwarded &+= 1
    send(routed: prepend(header, to: payload, &context), to: next, &context)
  }

  /// Whether the limits on what others have us forward allow this message.
  private mutating func mayPass(
    _ header: RoutedHeader, _ payload: PacketRef, from hop: Int, _ context: inout Context
  ) -> Bool {
    let isInit = header.payload == .datagram && payload.length > 0 && context.pool.frame(payload)[0] == 1
    if isInit { return peers[hop].inits.take(at: context.now) }
    let limit = header.payload == .datagram ? Self.dataBytes : Self.messageBytes
    if Int(payload.length) >= limit { return relay.allows(Int(payload.length), at: context.now) }
    return peers[hop].messages.take(at: context.now)
  }

  /// Tells the source that nobody is there; never about an answer or another notice.
  private mutating func refuse(_ header: RoutedHeader, _ payload: Frame, _ context: inout Context) {
    guard header.payload == .datagram, payload.count > 0, payload[0] == 1, notices.take(at: context.now)
    else { return }
    let notice = RingMessage.undeliverable(destination: header.destination, payload: header.payload)
    routeMessage(.ring, mode: .exact, to: header.source, via: header.sourceVia, &context) {
      notice.encode(to: &$0)
    }
  }
}

extension Links {
  /// Whether the node with this ID is linked as one of the nearest on the ring, for it or for us.
  public func isNeighbour(_ id: OverlayID, at now: Instant) -> Bool {
    guard let slot = peer(id), peers[slot].isUp else { return false }
    return peers[slot].roles.contains(.near)
      || (peers[slot].wantedAt != .start && now - peers[slot].wantedAt < Timing.wanted)
  }

  /// Whether the key lies between the predecessor and this node, as far as this node can see.
  public func ownsByPlace(_ key: OverlayID) -> Bool {
    guard let predecessor = neighbourhood.predecessor else { return true }
    return key.isIn(after: peers[predecessor].id, through: id)
  }
}
