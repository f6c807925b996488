// The subring: the ring of a community's members, by the same rules as that of all nodes (`Ring`).
//
// It carries what is for all members. Members find each other at the rendezvous; from then on they tell each
// other who stands next to whom. Their links are sessions like any other, at first over the ring of all
// nodes.

import Base
import DHT
import Overlay
import Session

extension Tunnel {
  /// Members of the community, as far as this one can tell; 1 when it has met nobody.
  public func memberEstimate(_ links: borrowing Links) -> Int { subring.sizeEstimate(links) }

  /// Whether both neighbours on the subring name this member, or nobody else is known.
  public var isSubringSettled: Bool { subring.isSettled }

  /// Asks a member what it sees of its place on the subring. *Precondition:* it is not this one.
  public mutating func look(
    at id: OverlayID, nonce: UInt64, _ network: inout Network, _ context: inout Context
  ) {
    subring.look(at: id, nonce: nonce, &network.links, &context)
  }

  /// What this member sees of its own place.
  public func testify(_ links: borrowing Links, at now: Instant) -> Testimony {
    subring.testify(isReady: isSubringSettled, links, at: now)
  }

  /// When a look from outside last came to members who do not know this one.
  public var metForeignAt: Instant { subring.metForeignAt }

  /// What was said to all members.
  public var broadcasts: BroadcastCounters { broadcasting.counters }

  /// The directory can be asked from now on.
  mutating func startSubring(_ context: inout Context) { rendezvous.start(&context) }

  mutating func expireSubring(_ network: inout Network, _ context: inout Context) {
    if subring.deadline <= context.now { subring.expire(&network.links, &context) }
    let size = subringSize(network.links)
    if let place = rendezvous.takeWrite(size: size, &context) {
      let lease = makeLease(
        .rendezvous, name: [place], content: [], Rendezvous.timeToLive, network.links)
      network.put(lease, tag: DirectoryTag.writePlace, &context)
    }
    let places = rendezvous.takeReads(size: size, &context)
    for i in 0..<places.count { read(place: places[i], &network, &context) }
    broadcasting.expire(&network.links, &context)
    pumpSubring(&network, &context)
  }

  /// Members as the rendezvous reckons them: 1 when nobody is met.
  private func subringSize(_ links: borrowing Links) -> Int {
    links.members.count == 0 ? 1 : subring.sizeEstimate(links)
  }

  private mutating func read(place: UInt8, _ network: inout Network, _ context: inout Context) {
    let key = community.recordKey(kind: LeaseKind.rendezvous.rawValue, name: [place], suite: suite)
    network.get(key.publicKey.id, tag: DirectoryTag.readPlace | UInt32(place), &context)
  }

  /// The directory has said who has a place; nil: nobody, or it did not answer.
  mutating func onPlace(
    _ tag: UInt32, _ status: DirectoryStatus?, _ body: LeaseBody?, _ network: inout Network,
    _ context: inout Context
  ) {
    if tag == DirectoryTag.writePlace {
      // The answer to a write that was granted repeats no lease.
      if status == .granted { return rendezvous.onWritten() }
      if status == nil || status == .later { rendezvous.onFailed(&context) }
    }
    guard let key = body?.identity else { return }
    let place = UInt8(truncatingIfNeeded: tag)
    let isRead = DirectoryTag.kind(tag) == DirectoryTag.readPlace
    // The own place is read on: another part may have it by now.
    if key == network.links.identity.publicKey { return }
    if isLinked(key, network.links) {
      return isRead ? rendezvous.onLinked(place, key.id, at: context.now) : rendezvous.onTaken(&context)
    }
    let size = subringSize(network.links)
    if !isRead { rendezvous.onTakenByStranger(size: size, &context) }
    guard network.links.members.count > 0 else { return contact(key, &network, &context) }
    guard let nonce = rendezvous.question(key, &context) else { return }
    if isRead { rendezvous.onStranger(place, size: size, &context) }
    subring.find(key.id, nonce: nonce, &network.links, &context)
  }

  private func isLinked(_ key: PublicKey, _ links: borrowing Links) -> Bool {
    links.peer(key.id).map { links.members.contains($0) } ?? false
  }

  /// Asks a member for a link that may stand on another part of the subring.
  private mutating func contact(_ key: PublicKey, _ network: inout Network, _ context: inout Context) {
    rendezvous.note(contact: key)
    network.links.connect(key, role: [], &context)
  }

  // MARK: - Members

  /// A peer has proved that it is a member, or has not.
  mutating func setMember(
    _ slot: Int, _ isMember: Bool, _ network: inout Network, _ context: inout Context
  ) {
    let key = network.links.peers[slot].key
    guard network.links.setMember(slot, isMember) else {
      if !isMember { subring.onStranger(key) }
      return
    }
    multicast.tree.review(at: context.now)
    if isMember {
      roster.onLinked(key.id, at: context.now)
      subring.onUp(slot, &network.links, &context)
      let isContact = rendezvous.takeContact(key)
      if isContact, !network.links.members.neighbourhood.contains(slot) {
        subring.lookOutside(slot, &network.links, &context)
      }
    } else {
      loseMember(key, &network, &context)
    }
    pumpSubring(&network, &context)
  }

  mutating func loseMember(_ key: PublicKey, _ network: inout Network, _ context: inout Context) {
    subring.onDown(key, &network.links, &context)
    roster.onLost(key.id, at: context.now)
    known.forget(shownBy: key.id)
    broadcasting.onDown(key.id, context.now)
    multicast.tree.onDown(key.id, at: context.now)
    multicast.plans.onDown(key.id, at: context.now)
    rendezvous.onLost(key.id, isAlone: network.links.members.count == 0, &context)
  }

  /// Takes a message from a member, and its slot.
  public mutating func receiveFromMember(
    _ packet: PacketRef, from slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    defer { context.pool.release(packet) }
    let frame = context.pool.frame(packet)
    guard frame.count >= 2, let session = network.links.peers[slot].session,
      network.links.sessions.community(session, receiveSlot: frame[0]) == Links.community,
      network.links.members.contains(slot), let type = MemberMessageType(rawValue: frame[1])
    else {
      counters.noMember &+= 1
      return
    }
    receive(type, frame.dropping(2), from: slot, &network, &context)
    pumpSubring(&network, &context)
  }

  private mutating func receive(
    _ type: MemberMessageType, _ body: Frame, from slot: Int, _ network: inout Network,
    _ context: inout Context
  ) {
    do throws(WireError) {
      switch type {
      case .stabilise:
        subring.receive(try Stabilise(decoding: body), from: slot, &network.links, &context)
      case .leave:
        roster.onLeave(network.links.peers[slot].id, at: context.now)
        subring.receive(try Leave(decoding: body), from: slot, &network.links, &context)
      case .unify: subring.receive(try Unify(decoding: body), from: slot, &network.links, &context)
      case .routed:
        guard let (header, payload) = network.links.forwardAmongMembers(body, from: slot, &context) else {
          return
        }
        try receive(payload, with: header, &network, &context)
      case .acknowledge:
        try broadcasting.receiveAcknowledgement(body, from: slot, network.links, &context)
      case .report:
        receive(try GroupReport(decoding: body), from: slot, network.links, context.now)
      case .whoHas:
        answer(try AddressQuestion(decoding: body), to: slot, &network, &context)
      case .has:
        receive(try AddressAnswer(decoding: body), from: slot, &network, &context)
      case .task: network.receiveTask(body, from: slot, of: community, &context)
      }
    } catch {
      counters.malformed &+= 1
    }
  }

  /// Takes a message that was routed among members.
  private mutating func receive(
    _ payload: Frame, with header: RoutedHeader, _ network: inout Network, _ context: inout Context
  ) throws(WireError) {
    switch header.payload {
    case .group:
      let message = try GroupMessage(decoding: payload)
      receive(message, from: header.source, via: header.sourceVia, &network, &context)
      pumpGroups(&network, &context)
    case .roll:
      receive(try RollAnswer(decoding: payload), from: header.source, network.links, at: context.now)
    case .ring, .datagram, .directory:
      subring.receive(
        try RingMessage(decoding: payload), header: header, isReady: isSubringSettled, &network.links,
        &context)
    }
  }

  /// What the subring has to tell.
  mutating func pumpSubring(_ network: inout Network, _ context: inout Context) {
    var i = 0
    while i < subring.events.count {
      if case .found(let nonce, let key, _) = subring.events[i],
        let missing = rendezvous.onNearest(nonce, key)
      {
        contact(missing, &network, &context)
      }
      i += 1
    }
    subring.events.removeAll()
  }
}
