// The virtual network of one community: packets of the device out to members, packets of members in.
//
// Addresses are resolved to overlay IDs, and a link carries the packets. A packet comes in only from the
// member that owns its source address, and goes to the device only if it is for this node. The first packets
// to an unknown address wait while its owner is found; none is dropped for being early.

import Base
import DHT
import Overlay
import Session

/// What a member is told at its start.
public struct TunnelConfiguration: Sendable {
  public var community: Community
  /// The IPv4 address the user insists on, with its prefix.
  public var address: IPPrefix?
  /// The pool the user insists on.
  public var pool: IPPrefix?
  /// The IPv4 address of the last run.
  public var remembered: IPAddress?
  /// What the other members are told that this one is called.
  public var name: MemberName?
  /// Whether broadcasts, and multicasts, are sent and taken. What others send to each other is passed on in
  /// any case.
  public var broadcasts: Bool
  public var multicasts: Bool

  public init(
    community: Community, address: IPPrefix? = nil, pool: IPPrefix? = nil, remembered: IPAddress? = nil,
    name: MemberName? = nil, broadcasts: Bool = true, multicasts: Bool = true
  ) {
    self.community = community
    self.address = address
    self.pool = pool
    self.remembered = remembered
    self.name = name
    self.broadcasts = broadcasts
    self.multicasts = multicasts
  }
}

/// Membership of one community.
public struct Tunnel: ~Copyable {
  /// The device's MTU in bytes: a record around it fits every path over a 1,500-byte underlay, also through
  /// relays.
  public static let mtu = 1_400
  static let endpointsTimeToLive: UInt32 = 300
  /// After this long without another member, the user is told.
  static let lonely = Interval.seconds(8)
  /// A claim that the directory does not know this many times, this far apart, is none.
  static let doubtsMax: UInt8 = 3
  static let verifyRetry = Interval.seconds(10)
  /// A lost question to the ring, or its answer.
  static let findRetry = Interval.milliseconds(500)

  private let anchor = Anchor()
  public let community: Community
  public let ula: IPAddress
  /// By which leases are judged.
  let suite: Suite
  public internal(set) var counters = TunnelCounters()
  /// What became of multicasts.
  public var multicastCounters: MulticastCounters { multicast.counters }
  /// Whether no other member was found although there was time for it.
  public private(set) var isAlone = false
  var claim: AddressClaim
  var resolver = Resolver()
  var reassembly = Reassembly()
  var members = FlatMap<UInt32, Member>(limit: 1_024)
  /// What this member is called.
  let name: MemberName?
  /// Members that were met, for people, and how those are asked that are not linked.
  var roster = Roster()
  var rollCall = RollCall()
  /// Claims that prove whose an address is, for members that ask.
  var known = KnownLeases()
  /// Who has which virtual address. Only signed claims, and IDs themselves, ever change it.
  var routes = FlatMap<IPAddress, UInt32>(limit: 4_096)
  var leaseBytes: [UInt8] = []
  var sequence: UInt32 = 0
  var secure: SecureRandom
  var endpointsAt: Instant = .never
  var planAt: Instant = .never
  /// When a member is shown our claim again.
  var showAt: Instant = .never
  /// When the directory is asked again about a claim.
  var verifyAt: Instant = .never
  var lookups = SlotTable<Lookup>(capacity: 64)
  /// The ring of the members, and where they find each other.
  var subring: Ring
  var rendezvous: Rendezvous
  /// What is for all members.
  var broadcasting: Broadcasting
  /// Multicast groups.
  var multicast: Multicast
  /// What the user wants.
  let takesBroadcasts: Bool
  let takesMulticasts: Bool
  /// Who has said something from an IPv4 address: the word of the directory, or else of the first.
  var speakers = FlatMap<IPAddress, Speaker>(limit: 4_096)
  var newSpeakers = TokenBucket(rate: newSpeakersRate, burst: newSpeakersBurst, at: .start)
  /// When the directory is asked about one of them next.
  var speakersAt: Instant = .never
  private var aloneAt: Instant = .never
  private var hasMet = false
  private var wasReady = false

  public init(
    _ configuration: TunnelConfiguration, identity: Identity, incarnation: UInt64, seed: [UInt8],
    at now: Instant
  ) {
    community = configuration.community
    ula = configuration.community.ula(of: identity.id)
    name = configuration.name
    suite = identity.suite
    secure = SecureRandom(seed: seed, suite: identity.suite)
    claim = AddressClaim(
      id: identity.id, community: configuration.community, requested: configuration.address,
      pool: configuration.pool, remembered: configuration.remembered)
    subring = Ring(.members, isFounder: true, at: now)
    rendezvous = Rendezvous(owner: configuration.community.ownerKey(of: identity).publicKey)
    broadcasting = Broadcasting(configuration.community, incarnation: incarnation)
    multicast = Multicast(identity.id, incarnation: incarnation)
    takesBroadcasts = configuration.broadcasts
    takesMulticasts = configuration.multicasts
  }

  /// The granted IPv4 address with its prefix length.
  public var address: IPPrefix? { claim.address }
  /// The members' pool, once known.
  public var pool: IPPrefix? { claim.plan?.pool }
  /// Why there will be no address.
  public var failure: ClaimFailure? { claim.failure }

  public var deadline: Instant {
    // At most three at a time: a `min` of four makes an array, and this is read after each packet.
    var next = min(claim.nextAt, resolver.deadline, endpointsAt)
    next = min(next, planAt, aloneAt)
    next = min(next, showAt, verifyAt)
    if wasReady {
      next = min(
        min(next, min(broadcasting.deadline, speakersAt)), min(subring.deadline, rendezvous.deadline),
        multicast.deadline)
      next = min(next, rollCall.deadline)
    }
    if lookups.isEmpty { return next }
    for slot in 0..<lookups.highWater where lookups.isUsed(slot) { next = min(next, lookups[slot].giveUpAt) }
    return next
  }

  /// The address a member has shown.
  public func address(ofPeer slot: Int) -> IPAddress? { members[UInt32(slot)]?.address }

  public func isMember(_ slot: Int) -> Bool { members[UInt32(slot)] != nil }

  /// The peer that has this address, as far as this node knows.
  public func peer(with address: IPAddress) -> Int? { routes[address].map(Int.init) }

  /// Finds out who has the address and makes a link, without a packet to send.
  public mutating func seek(_ address: IPAddress, _ network: inout Network, _ context: inout Context) {
    resolve(address, nil, &network, &context)
  }

  /// Whether it was found out, not long ago, that nobody has the address.
  public func isKnownAbsent(_ address: IPAddress, at now: Instant) -> Bool {
    resolver.isAbsent(address, at: now)
  }

  // MARK: - Packets

  /// Takes a packet of the device and its slot.
  public mutating func send(_ packet: PacketRef, _ network: inout Network, _ context: inout Context) {
    let frame = context.pool.frame(packet)
    guard let header = IPPacket(frame) else {
      counters.malformed &+= 1
      return context.pool.release(packet)
    }
    guard isOwn(header.source) else {
      // Reports about groups come from link-local addresses, and from none.
      if !snoop(packet, header, &context) { counters.foreignSource &+= 1 }
      return context.pool.release(packet)
    }
    if let slot = routes[header.destination].map(Int.init), let content = network.links.memberSlot(slot) {
      counters.sent &+= 1
      if network.links.peers[slot].sentBytes == 0 { verifyShown(slot, &network, &context) }
      return network.links.sendData(packet, content: content, to: slot, &context)
    }
    guard isVirtual(header.destination) else { return sendToAll(packet, header, &network, &context) }
    resolve(header.destination, packet, &network, &context)
  }

  /// Takes data of a peer and its slot.
  public mutating func receive(
    _ packet: PacketRef, from slot: Int, content: UInt8, offload: UInt16, counter: UInt64,
    _ network: inout Network, _ context: inout Context
  ) {
    guard isMember(slot, content, network) else {
      counters.noMember &+= 1
      return context.pool.release(packet)
    }
    guard content & ~Content.classMask != 0 else {
      guard complete(context.pool.frame(packet), offload) else {
        counters.malformed &+= 1
        return context.pool.release(packet)
      }
      return accept(packet, from: slot, &network, &context)
    }
    // Who cuts a packet in two sums it.
    guard offload == 0 else {
      counters.malformed &+= 1
      return context.pool.release(packet)
    }
    let isFirst = content & Content.firstPart != 0
    let whole = reassembly.add(peer: slot, counter: counter, isFirst: isFirst, packet, &context)
    context.pool.release(packet)
    if let whole { accept(whole, from: slot, &network, &context) }
  }

  /// Whether the content byte is that of our community, of which the peer is a member.
  func isMember(_ slot: Int, _ content: UInt8, _ network: borrowing Network) -> Bool {
    guard let session = network.links.peers[slot].session else { return false }
    return network.links.sessions.community(session, receiveSlot: content & Content.classMask)
      == Links.community
  }

  /// Delivers a packet whose source belongs to the peer and whose destination is this node.
  mutating func accept(
    _ packet: PacketRef, from slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    let frame = context.pool.frame(packet)
    guard let header = IPPacket(frame) else {
      return receiveBroadcast(packet, from: slot, &network, &context)
    }
    if network.links.peers[slot].receivedBytes == 0 { verifyShown(slot, &network, &context) }
    network.links.noteReceived(Int(packet.length), from: slot, context.now)
    guard routes[header.source] == UInt32(slot) else {
      counters.spoofed &+= 1
      askForClaim(slot, &network, &context)
      return context.pool.release(packet)
    }
    guard isOwn(header.destination) || isReceived(header, frame) else {
      counters.foreignDestination &+= 1
      return context.pool.release(packet)
    }
    counters.received &+= 1
    context.emit(.deliver(packet), owning: packet)
  }

  func isOwn(_ address: IPAddress) -> Bool { address == ula || address == claim.address?.address }

  /// Whether the address is one that a member may have.
  func isVirtual(_ address: IPAddress) -> Bool {
    address.isV4 ? claim.plan?.admits(address) ?? false : community.ulaPrefix.contains(address)
  }

  // MARK: - Events

  public mutating func on(_ event: NetworkEvent, _ network: inout Network, _ context: inout Context) {
    switch event {
    case .linkUp(let slot):
      // Whoever had this slot before is gone.
      forget(UInt32(slot))
      setMember(slot, false, &network, &context)
    case .measured, .unreached:
      break
    case .proved(let slot):
      onProved(slot, &network, &context)
    case .linkDown(let key):
      forgetDown(key, network.links)
      if roster[key.id]?.isLinked == true { loseMember(key, &network, &context) }
    case .woke:
      subring.wakeUp(&network.links, &context)
    case .unreachable(let key):
      subring.onUnreachable(key, &network.links, &context)
      for question in resolver.waiting(for: key) { onUnreachable(question, &network, &context) }
    case .ringChanged:
      startIfReady(&network, &context)
    case .found(let nonce, let key, _):
      onFound(nonce, key, &network, &context)
    case .directory(.answered(let tag, let status, let remaining, let packet)):
      onAnswer(tag, status, remaining, packet, &network, &context)
      if let packet { context.pool.release(packet) }
    case .directory(.failed(let tag)):
      onAnswer(tag, nil, 0, nil, &network, &context)
    }
  }

  /// Does what is due.
  public mutating func expire(_ network: inout Network, _ context: inout Context) {
    startIfReady(&network, &context)
    if wasReady, let request = claim.expire(at: context.now) { carryOut(request, &network, &context) }
    for slot in resolver.overdue(at: context.now) {
      let question = resolver.questions[slot]
      if question.stage == .named { resolver.distrust(question.address, at: context.now) }
      fail(slot, &context)
    }
    askAgain(&network, &context)
    showAgain(&network, &context)
    verifyAgain(&network, &context)
    if wasReady {
      expireSubring(&network, &context)
      expireGroups(&network, &context)
      expireRollCall(&network, &context)
    }
    verifySpeakers(&network, &context)
    if endpointsAt <= context.now { publishEndpoints(&network, &context) }
    if planAt <= context.now { renewPlan(&network, &context) }
    expireLookups(&context)
    if aloneAt <= context.now {
      aloneAt = .never
      isAlone = true
      context.notify(.aloneInCommunity)
    }
  }

  private mutating func startIfReady(_ network: inout Network, _ context: inout Context) {
    guard network.isReady, !wasReady else { return }
    wasReady = true
    if !hasMet { aloneAt = context.now + Self.lonely }
    endpointsAt = context.now + .seconds(1)
    planAt = context.now + .seconds(UInt64(AddressClaim.planTimeToLive) / 3)
    carryOut(claim.start(), &network, &context)
    startSubring(&context)
    startGroups(at: context.now)
  }

  /// Goes, tells its neighbours on the subring about each other, and other members good-bye.
  public mutating func leave(_ network: inout Network, _ context: inout Context) {
    subring.leave(&network.links, &context)
    let near = network.links.members.neighbourhood
    var far: [Int] = []
    network.links.members.visit { if !near.contains($0) { far.append($0) } }
    for slot in far { network.links.sendToMember(.leave, slot, &context) { Leave().encode(to: &$0) } }
  }

  /// Another member exists.
  mutating func met(_ context: inout Context) {
    aloneAt = .never
    hasMet = true
    guard isAlone else { return }
    isAlone = false
    context.notify(.noLongerAlone)
  }

  /// A link is lost, maybe one of several: where there is none any more, no member is.
  private mutating func forgetDown(_ key: PublicKey, _ links: borrowing Links) {
    var gone: [UInt32] = []
    members.visit { slot, _ in
      let slot = Int(slot)
      if !links.peers.isUsed(slot) || !links.peers[slot].isUp || links.peers[slot].key == key {
        gone.append(UInt32(slot))
      }
    }
    for slot in gone { forget(slot) }
  }

  /// Gives back every packet that waits here: the node is no more.
  public mutating func releasePackets(_ context: inout Context) {
    resolver.releasePackets(&context)
    broadcasting.releasePackets(&context)
    multicast.plans.releasePackets(&context)
    reassembly.releasePackets(&context)
  }

  mutating func forget(_ slot: UInt32) {
    members.remove(slot)
    var addresses: [IPAddress] = []
    routes.visit { address, owner in if owner == slot { addresses.append(address) } }
    for address in addresses { routes.remove(address) }
  }
}

/// What the tunnel carried, and what it dropped and why.
public struct TunnelCounters: Sendable, BitwiseCopyable {
  public var sent: UInt64 = 0
  public var received: UInt64 = 0
  public var malformed: UInt64 = 0
  public var foreignSource: UInt64 = 0
  public var notUnicast: UInt64 = 0
  /// Broadcasts and multicasts, where the user wants none.
  public var switchedOff: UInt64 = 0
  public var noMember: UInt64 = 0
  public var spoofed: UInt64 = 0
  public var foreignDestination: UInt64 = 0
  /// Marked as having met congestion, for ends that do not know what that means.
  public var congested: UInt64 = 0
  public var unresolved: UInt64 = 0
  public var badClaims: UInt64 = 0
  /// Addresses that linked members were asked for, and that one of them knew.
  public var askedMembers: UInt64 = 0
  public var membersKnew: UInt64 = 0
  /// Questions of members for an address, more than they may ask.
  public var askedTooMuch: UInt64 = 0
}
