// Messages of a ring, on whichever ring: that of all nodes has its own types of messages and routes what is
// for others (`Router`). On the ring of the members each is wrapped in a message of its type, and goes from
// member to member: no other node sees it, learns who is a member, or answers.
//
// What is routed there are searches for places, questions about groups and their answers, a few a minute. So
// a hop needs no confirmation and no look ahead: whoever asked asks again.

import Base
import Session

/// The second byte of a message between members, behind the slot of the community on which the receiver takes
/// data.
public enum MemberMessageType: UInt8, Sendable, BitwiseCopyable {
  case stabilise = 1
  case leave = 2
  case unify = 3
  /// A header as for routed messages, and a message of the ring, about groups, or an answer to a roll call.
  case routed = 4
  /// A broadcast has been taken over: its ticket.
  case acknowledge = 5
  /// Who receives a multicast group at the sender and behind it.
  case report = 6
  /// "Who has this IPv4 address?", and the answer.
  case whoHas = 7
  case has = 8
  /// A message about a task on the subring (`TaskMessage`).
  case task = 9
}

extension Links {
  /// The place of the community in the session table: a node is a member of one.
  public static let community = 0

  /// The slot on which a peer takes data of our community; nil when the link is down or it has not proved
  /// that it is a member.
  public func memberSlot(_ slot: Int) -> UInt8? {
    guard peers.isUsed(slot), peers[slot].isUp, let session = peers[slot].session else { return nil }
    return sessions.slots(session, community: Self.community)?.send
  }

  /// A linked peer has proved that it is a member, or that it is none (any more).
  /// - Returns: whether that is news.
  public mutating func setMember(_ slot: Int, _ isMember: Bool) -> Bool {
    if !isMember { peers[slot].roles.subtract([.nearMember, .farMember]) }
    guard members.contains(slot) != isMember else { return false }
    if isMember {
      members.insert(slot, peers[slot].id, around: id)
    } else {
      members.remove(slot, peers[slot].id, around: id)
    }
    return true
  }

  /// Sends a message of a ring to a linked peer.
  mutating func send(
    _ type: LinkMessageType, on ring: RingKind, to slot: Int, _ context: inout Context,
    _ write: (inout WireWriter) -> Void
  ) {
    switch (ring, type) {
    case (.main, _): send(type, to: slot, &context, write)
    case (.members, .stabilise): sendToMember(.stabilise, slot, &context, write)
    case (.members, .leave): sendToMember(.leave, slot, &context, write)
    case (.members, .unify): sendToMember(.unify, slot, &context, write)
    case (.members, _): preconditionFailure("no message of a ring")
    }
  }

  /// Sends a message of the community to a member.
  public mutating func sendToMember(
    _ type: MemberMessageType, _ slot: Int, _ context: inout Context, _ write: (inout WireWriter) -> Void
  ) {
    guard let community = memberSlot(slot) else {
      counters.noWay &+= 1
      return
    }
    send(.member, to: slot, &context) { writer in
      writer.byte(community)
      writer.byte(type.rawValue)
      write(&writer)
    }
  }

  // MARK: - To a place

  /// Sends a message towards a place on a ring.
  mutating func route(
    _ message: RingMessage, on ring: RingKind, mode: RoutingMode, to place: OverlayID, via: OverlayID? = nil,
    wantsNotice: Bool = false, _ context: inout Context
  ) {
    if ring == .main {
      return routeMessage(.ring, mode: mode, to: place, via: via, wantsNotice: wantsNotice, &context) {
        message.encode(to: &$0)
      }
    }
    routeAmongMembers(.ring, mode: mode, to: place, via: via, &context) { message.encode(to: &$0) }
  }

  /// Sends a message towards a place on the ring of the members, unless this is the nearest itself.
  public mutating func routeAmongMembers(
    _ payload: RoutedPayload, mode: RoutingMode, to place: OverlayID, via: OverlayID? = nil,
    _ context: inout Context, _ write: (inout WireWriter) -> Void
  ) {
    var header = memberHeader(mode, payload, to: place, via: via)
    guard case .forward(let next) = decideAmongMembers(header, from: nil) else { return }
    header.sourceVia = peers[next].id
    hand(header, to: next, &context, write)
  }

  /// The linked member that is nearer to a place than this one, and nearest of all; nil when this is the
  /// nearest itself. Links that come and go with their traffic do not count: what is built on the answer
  /// shall last.
  public func memberTowards(_ place: OverlayID) -> Int? {
    var best: (slot: Int, distance: OverlayID)?
    let own = id.distance(to: place)
    members.visit { slot in
      let distance = peers[slot].id.distance(to: place)
      if distance < best?.distance ?? own, isCarrier(slot) { best = (slot, distance) }
    }
    return best?.slot
  }

  /// Asks who is nearest to a place as the given peer's part of the ring sees it.
  mutating func route(
    _ message: RingMessage, on ring: RingKind, through slot: Int, to place: OverlayID,
    _ context: inout Context
  ) {
    if ring == .main { return routeMessage(through: slot, to: place, &context) { message.encode(to: &$0) } }
    var header = memberHeader(.nearest, .ring, to: place, via: nil)
    header.sourceVia = peers[slot].id
    hand(header, to: slot, &context) { message.encode(to: &$0) }
  }

  private func memberHeader(
    _ mode: RoutingMode, _ payload: RoutedPayload, to place: OverlayID, via: OverlayID?
  ) -> RoutedHeader {
    RoutedHeader(
      mode: mode, hops: Self.hopsMax, payload: payload, destination: place, source: id, destinationVia: via)
  }

  private mutating func hand(
    _ header: RoutedHeader, to slot: Int, _ context: inout Context, _ write: (inout WireWriter) -> Void
  ) {
    sendToMember(.routed, slot, &context) { writer in
      header.encode(to: &writer)
      write(&writer)
    }
  }

  /// Takes a message for a place on the ring of the members from one of them.
  /// - Returns: header and payload when it is for this node.
  public mutating func forwardAmongMembers(
    _ frame: Frame, from slot: Int, _ context: inout Context
  ) -> (header: RoutedHeader, payload: Frame)? {
    var reader = WireReader(frame)
    guard var header = try? RoutedHeader(from: &reader), header.source != id,
      header.payload != .datagram, header.payload != .directory, header.hops <= Self.hopsMax
    else {
      counters.malformed &+= 1
      return nil
    }
    let payload = frame.dropping(reader.offset)
    // This was to be the last hop before the destination: whoever comes next need not come back.
    if header.destinationVia == id { header.destinationVia = nil }
    switch decideAmongMembers(header, from: slot) {
    case .deliver:
      return (header, payload)
    case .forward(let next):
      guard header.hops > 0, peers[slot].messages.take(at: context.now) else {
        counters.relayLimited &+= 1
        return nil
      }
      header.hops -= 1
      counters.forwarded &+= 1
      hand(header, to: next, &context) { $0.bytes(payload) }
    case .undeliverable:
      counters.undeliverable &+= 1
    }
    return nil
  }

  /// Greedy: to the member that is nearest to the place, as long as each hop is nearer than the one before.
  private func decideAmongMembers(_ header: RoutedHeader, from hop: Int?) -> RoutingDecision {
    var target = header.destination
    if header.mode == .exact {
      if target == id { return .deliver }
      if let slot = peer(target), members.contains(slot) { return .forward(slot) }
      if let via = header.destinationVia, via != id {
        if let slot = peer(via), members.contains(slot) { return .forward(slot) }
        target = via
      }
    }
    let source = peer(header.source)
    var best: (slot: Int, distance: OverlayID)?
    members.visit { slot in
      if slot == hop || slot == source { return }
      let distance = peers[slot].id.distance(to: target)
      if best == nil || distance < best!.distance { best = (slot, distance) }
    }
    if let best, header.source == id || best.distance < id.distance(to: target) { return .forward(best.slot) }
    return header.mode == .exact ? .undeliverable : .deliver
  }
}
