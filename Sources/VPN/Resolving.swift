// From a virtual address to a linked member: claims, ULAs, showing one's own claim.

import Base
import DHT
import Overlay
import Session

extension Tunnel {
  /// Lets the packet wait, and finds out who has the address.
  mutating func resolve(
    _ address: IPAddress, _ packet: PacketRef?, _ network: inout Network, _ context: inout Context
  ) {
    switch resolver.enqueue(packet, for: address, &context) {
    case .waiting:
      break
    case .ask(let slot):
      ask(slot, address, &network, &context)
    case .absent:
      if let packet { refuse(packet, &context) }
    case .refused:
      counters.unresolved &+= 1
      if let packet { context.pool.release(packet) }
    }
  }

  private mutating func ask(
    _ slot: Int, _ address: IPAddress, _ network: inout Network, _ context: inout Context
  ) {
    if address.isV4 {
      let isAsked = askMembers(slot, address, &network, &context)
      if !isAsked || memberEstimate(network.links) > Self.membersFirstMax {
        askDirectory(slot, address, &network, &context)
      }
    } else {
      network.find(Self.start(of: address), nonce: resolver.questions[slot].nonce, &context)
      resolver.askAgain(slot, at: context.now + Self.findRetry)
    }
  }

  /// Asks the ring again, or the directory where members have not answered.
  mutating func askAgain(_ network: inout Network, _ context: inout Context) {
    for slot in resolver.due(at: context.now) {
      ask(slot, resolver.questions[slot].address, &network, &context)
    }
  }

  func claimKey(_ address: IPAddress) -> OverlayID {
    community.recordKey(kind: LeaseKind.claim.rawValue, name: Self.bytes(address), suite: suite).publicKey.id
  }

  /// The overlay ID that begins with the 80 bits in a ULA, the other bits zero.
  static func start(of ula: IPAddress) -> OverlayID {
    OverlayID(high: ula.high << 48 | ula.low >> 16, middle: ula.low << 48, low: 0)
  }

  /// The directory has answered for a question about an IPv4 address.
  mutating func onResolved(
    _ slot: Int, _ body: LeaseBody?, _ network: inout Network, _ context: inout Context
  ) {
    guard resolver.questions.isUsed(slot) else { return }
    let address = resolver.questions[slot].address
    guard let body, body.content == Self.bytes(address) else { return fail(slot, &context) }
    link(slot, to: body.identity, &network, &context)
  }

  /// The node nearest to an ID has said its key.
  mutating func onFound(
    _ nonce: UInt64, _ key: PublicKey, _ network: inout Network, _ context: inout Context
  ) {
    guard let slot = resolver.question(nonce: nonce) else { return onLookupFound(nonce, key, &context) }
    guard community.ula(of: key.id) == resolver.questions[slot].address else { return fail(slot, &context) }
    link(slot, to: key, &network, &context)
  }

  /// The owner of the address is known: a link to it, and then the packets.
  mutating func link(
    _ question: Int, to key: PublicKey, _ network: inout Network, _ context: inout Context
  ) {
    resolver.found(question, key)
    guard let slot = network.links.connect(key, role: .onDemand, firstHand: true, &context) else {
      return onUnreachable(question, &network, &context)
    }
    if isMember(slot), network.links.memberSlot(slot) != nil { flush(question, to: slot, &network, &context) }
  }

  private mutating func flush(
    _ question: Int, to slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    let resolved = resolver.resolve(question)
    routes.set(resolved.address, UInt32(slot))
    // The word of a member holds as what the owner itself shows: until the directory says otherwise.
    if resolved.stage == .named {
      grant(resolved.address, to: slot, network.links)
      verify(resolved.address, of: slot, &network, &context)
    }
    let packets = resolved.packets
    for i in 0..<packets.count {
      guard let content = network.links.memberSlot(slot) else {
        context.pool.release(packets[i])
        continue
      }
      counters.sent &+= 1
      network.links.sendData(packets[i], content: content, to: slot, &context)
    }
  }

  /// Nobody has the address, or its owner cannot be reached: the senders are told.
  mutating func fail(_ question: Int, _ context: inout Context) {
    let ended = resolver.fail(question, at: context.now)
    for i in 0..<ended.packets.count { refuse(ended.packets[i], &context) }
  }

  /// Answers a packet with "host unreachable". Takes the slot.
  private mutating func refuse(_ packet: PacketRef, _ context: inout Context) {
    counters.unresolved &+= 1
    let frame = context.pool.frame(packet)
    defer { context.pool.release(packet) }
    guard let source = IPPacket(frame)?.source, isOwn(source), let answer = context.pool.take(length: 0)
    else { return }
    guard let length = Unreachable.write(answering: frame, from: source, into: context.pool.room(answer))
    else { return context.pool.release(answer) }
    let whole = PacketRef(slot: answer.slot, offset: answer.offset, length: UInt16(length))
    context.emit(.deliver(whole), owning: whole)
  }

  // MARK: - Members

  /// A peer's proofs are known: if it is a member, it is shown our claim, and gets what waits for it.
  mutating func onProved(_ slot: Int, _ network: inout Network, _ context: inout Context) {
    let isMember = network.links.memberSlot(slot) != nil
    setMember(slot, isMember, &network, &context)
    guard isMember else { return forget(UInt32(slot)) }
    let key = network.links.peers[slot].key
    if members[UInt32(slot)] == nil {
      context.notify(.memberFound(key.id))
      met(&context)
    }
    // What is to be found out about its address stays so, however often it proves itself.
    var member = members[UInt32(slot)] ?? Member(nextAt: context.now)
    member.tries = 0
    members.set(UInt32(slot), member)
    routes.set(community.ula(of: key.id), UInt32(slot))
    network.links.introduce(slot, &context)
    show(slot, wantsAnswer: true, &network, &context)
    for question in resolver.waiting(for: key) { flush(question, to: slot, &network, &context) }
  }

  /// Shows the claims again to members that have not seen them.
  mutating func showAgain(_ network: inout Network, _ context: inout Context) {
    guard showAt <= context.now else { return }
    showAt = .never
    var due: [UInt32] = []
    let now = context.now
    members.visit { slot, member in if !member.knowsOurs && member.nextAt <= now { due.append(slot) } }
    for slot in due {
      if network.links.memberSlot(Int(slot)) == nil { forget(slot) }
      show(Int(slot), wantsAnswer: true, &network, &context)
    }
    members.visit { _, member in if !member.knowsOurs { showAt = min(showAt, member.nextAt) } }
  }

  /// Our claim is another one now.
  mutating func forgetShown() {
    showAt = .start
    var slots: [UInt32] = []
    members.visit { slot, _ in slots.append(slot) }
    for slot in slots {
      guard var member = members[slot] else { continue }
      member.knowsOurs = false
      member.tries = 0
      member.nextAt = .start
      members.set(slot, member)
    }
  }

  private mutating func show(
    _ slot: Int, wantsAnswer: Bool, _ network: inout Network, _ context: inout Context
  ) {
    guard let content = network.links.memberSlot(slot) else { return }
    if wantsAnswer, var member = members[UInt32(slot)] {
      member.tries = min(member.tries + 1, 9)
      // After some tries without an answer the data itself will say when something is wrong.
      member.nextAt =
        member.tries > 8 ? .never : context.now + .milliseconds(150) * (1 << UInt64(min(member.tries, 6)))
      members.set(UInt32(slot), member)
      showAt = min(showAt, member.nextAt)
    }
    let lease = Scratch(capacity: Lease.bytesMax)
    let bytes = claim.address == nil ? [] : leaseBytes
    lease.frame.write(bytes)
    let message = ClaimMessage(
      wantsAnswer: wantsAnswer, slot: content, name: name, lease: lease.frame.prefix(bytes.count))
    network.links.send(.claim, to: slot, &context) { message.encode(to: &$0) }
  }

  /// A member uses an address whose claim we do not have: it was lost, or the directory did not know it.
  /// Asked for once a second at most.
  mutating func askForClaim(_ slot: Int, _ network: inout Network, _ context: inout Context) {
    guard var member = members[UInt32(slot)], context.now - member.askedAt >= .seconds(1) else { return }
    member.askedAt = context.now
    members.set(UInt32(slot), member)
    show(slot, wantsAnswer: true, &network, &context)
  }

  /// Takes the claim that a peer shows, and its slot.
  public mutating func receiveClaim(
    _ packet: PacketRef, from slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    defer { context.pool.release(packet) }
    guard let message = try? ClaimMessage(decoding: context.pool.frame(packet)),
      let session = network.links.peers[slot].session,
      network.links.sessions.community(session, receiveSlot: message.slot) == Links.community
    else {
      counters.badClaims &+= 1
      return
    }
    if message.saysAnything { roster.name(network.links.peers[slot].id, message.name) }
    if !message.lease.isEmpty { learn(message.lease, of: slot, &network, &context) }
    if message.wantsAnswer { answerClaim(slot, &network, &context) }
    if !message.wantsAnswer, var member = members[UInt32(slot)] {
      member.knowsOurs = true
      members.set(UInt32(slot), member)
    }
  }

  /// Shows a member our claim in return, unless that is on its way and waits for an answer itself: then it
  /// hears only that its own one has come.
  private mutating func answerClaim(_ slot: Int, _ network: inout Network, _ context: inout Context) {
    guard let member = members[UInt32(slot)], !member.knowsOurs, member.tries == 1
    else { return show(slot, wantsAnswer: false, &network, &context) }
    guard let content = network.links.memberSlot(slot) else { return }
    let nothing = Scratch(capacity: 1)
    let message = ClaimMessage(
      wantsAnswer: false, slot: content, name: nil, lease: nothing.frame.prefix(0))
    network.links.send(.claim, to: slot, &context) { message.encode(to: &$0) }
  }

  /// The peer may use the address if the lease is the claim of that address in the peer's own name. The claim
  /// holds at once, unless the address is known to be another's; the directory is asked in any case, and has
  /// the last word.
  private mutating func learn(
    _ bytes: Frame, of slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    guard let claim = readClaim(bytes), claim.owner == network.links.peers[slot].key, !isOwn(claim.address)
    else {
      counters.badClaims &+= 1
      return
    }
    let address = claim.address
    let isFree = routes[address] == nil || routes[address] == UInt32(slot)
    if isFree { known.show(bytes, of: address, by: network.links.peers[slot].id) }
    if members[UInt32(slot)]?.address == address, routes[address] == UInt32(slot) { return }
    if isFree { grant(address, to: slot, network.links) }
    // Most links between members carry no packets of theirs: the directory is asked with the first one.
    if isFree, !network.links.peers[slot].isForTraffic {
      members[UInt32(slot)].map { shown in
        var member = shown
        member.unverified = address
        members.set(UInt32(slot), member)
      }
    } else {
      verify(address, of: slot, &network, &context)
    }
  }

  /// The first packet to a member or from it: is the address that it has shown its own?
  mutating func verifyShown(_ slot: Int, _ network: inout Network, _ context: inout Context) {
    guard let address = members[UInt32(slot)]?.unverified else { return }
    verify(address, of: slot, &network, &context)
  }

  /// From now on the address is the member's.
  private mutating func grant(_ address: IPAddress, to slot: Int, _ links: borrowing Links) {
    guard var member = members[UInt32(slot)] else { return }
    if let old = member.address, old != address, routes[old] == UInt32(slot) {
      routes.remove(old)
      known.forget(old)
    }
    member.address = address
    members.set(UInt32(slot), member)
    routes.set(address, UInt32(slot))
    roster.address(links.peers[slot].id, address)
  }

  /// The directory has said whose the address is that a member has shown.
  /// - Parameter status: nil when nobody answered.
  mutating func onVerified(
    _ slot: Int, _ status: DirectoryStatus?, _ body: LeaseBody?, _ links: borrowing Links, _ now: Instant
  ) {
    guard var member = members[UInt32(slot)], let asked = member.asked else { return }
    guard let body, body.content == Self.bytes(asked) else {
      // Not there, or no answer: it may be on its way. Asked again a few times before it is believed.
      member.doubts += status == .absent ? 1 : 0
      member.verifyAt = member.doubts < Self.doubtsMax ? now + Self.verifyRetry : .never
      members.set(UInt32(slot), member)
      verifyAt = min(verifyAt, member.verifyAt)
      if member.doubts >= Self.doubtsMax { withdraw(asked, from: slot, links, now) }
      return
    }
    member.doubts = 0
    members.set(UInt32(slot), member)
    remember(asked, ownedBy: body.identity.id)
    if body.identity == links.peers[slot].key { return grant(asked, to: slot, links) }
    counters.badClaims &+= 1
    withdraw(asked, from: slot, links, now)
    if let owner = links.peer(body.identity.id), isMember(owner) { grant(asked, to: owner, links) }
  }

  /// Asks the directory again about claims that it did not know.
  mutating func verifyAgain(_ network: inout Network, _ context: inout Context) {
    guard verifyAt <= context.now else { return }
    verifyAt = .never
    var due: [UInt32] = []
    let now = context.now
    members.visit { slot, member in
      if member.verifyAt <= now { due.append(slot) } else { verifyAt = min(verifyAt, member.verifyAt) }
    }
    for slot in due {
      guard let address = members[slot]?.asked else { continue }
      verify(address, of: Int(slot), &network, &context)
    }
  }

  private mutating func verify(
    _ address: IPAddress, of slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    guard var member = members[UInt32(slot)] else { return }
    member.asked = address
    member.unverified = nil
    member.verifyAt = .never
    members.set(UInt32(slot), member)
    let tag = DirectoryTag.make(DirectoryTag.verify, slot, in: network.links.peers)
    network.get(claimKey(address), tag: tag, &context)
  }

  /// The address is not the member's, or no longer.
  private mutating func withdraw(
    _ address: IPAddress, from slot: Int, _ links: borrowing Links, _ now: Instant
  ) {
    known.forget(address)
    resolver.distrust(address, at: now)
    if routes[address] == UInt32(slot) { routes.remove(address) }
    guard var member = members[UInt32(slot)], member.address == address else { return }
    member.address = nil
    members.set(UInt32(slot), member)
    roster.address(links.peers[slot].id, nil)
  }
}
