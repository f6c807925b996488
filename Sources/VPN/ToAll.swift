// Packets for everybody: broadcasts and multicasts of the device to all members, and those of members to the
// device.
//
// A packet is believed to be of its source when the member that said it owns the source's address: an IPv6
// address follows from its ID; an IPv4 address is its own if the directory says so. Nobody waits for that: an
// address of which nothing is known belongs to the first who speaks from it, and the directory is asked.

import Base
import DHT
import Overlay
import Session

/// Who speaks from an IPv4 address.
struct Speaker: BitwiseCopyable {
  var id: OverlayID
  /// When the directory is asked whether that is right; `.never` when it was.
  var verifyAt: Instant
}

extension Tunnel {
  /// The directory is asked about a new speaker by all members; not by all at once.
  static let verifySpread = Interval.milliseconds(5)
  /// New speakers in a second, and at once: each is a question to the directory.
  static let newSpeakersRate: UInt64 = 20
  static let newSpeakersBurst: UInt64 = 200
  /// A question about a speaker that was not answered is asked again.
  static let speakerRetry = Interval.seconds(60)
  /// When two speak from one address, it is asked about no more often than about every this long.
  static let disputeSpread = Interval.seconds(10)

  /// Takes a packet of the device that is for no single member, and its slot.
  mutating func sendToAll(
    _ packet: PacketRef, _ header: IPPacket, _ network: inout Network, _ context: inout Context
  ) {
    let scope = GroupScope(header.destination)
    if header.isLinkLocalControl(context.pool.frame(packet)) {
      if !snoop(packet, header, &context) { counters.notUnicast &+= 1 }
      return context.pool.release(packet)
    }
    guard scope != nil ? scope != .machine : isBroadcast(header.destination) else {
      counters.notUnicast &+= 1
      return context.pool.release(packet)
    }
    guard scope != nil ? takesMulticasts : takesBroadcasts else {
      counters.switchedOff &+= 1
      return context.pool.release(packet)
    }
    if scope == .receivers { return send(packet, toGroup: header.destination, &network, &context) }
    if broadcasting.say(.packet, packet, &network.links, &context) { counters.sent &+= 1 }
    context.pool.release(packet)
  }

  /// This node goes on with a greater incarnation: what it says to all is newer than what its later life
  /// said.
  public mutating func raiseSequences(to incarnation: UInt64) {
    broadcasting.raiseSequence(to: incarnation)
    multicast.raiseSequence(to: incarnation)
  }

  private func isBroadcast(_ address: IPAddress) -> Bool {
    address == .broadcast || address == claim.plan?.pool.broadcast
  }

  /// Whether what a member has sent to all is for the programs of this machine; counted when not.
  private mutating func isForHere(_ header: IPPacket, _ frame: Frame) -> Bool {
    guard !header.isLinkLocalControl(frame) else {
      counters.malformed &+= 1
      return false
    }
    switch GroupScope(header.destination) {
    case .everybody where takesMulticasts: return true
    case .receivers where takesMulticasts:
      if !isReceived(header, frame) { multicast.counters.unwanted &+= 1 }
      return isReceived(header, frame)
    case .everybody, .receivers: counters.switchedOff &+= 1
    case nil where isBroadcast(header.destination):
      if !takesBroadcasts { counters.switchedOff &+= 1 }
      return takesBroadcasts
    case .machine, nil: counters.malformed &+= 1
    }
    return false
  }

  /// Takes what a member passes on that is no IP packet, and its slot.
  mutating func receiveBroadcast(
    _ packet: PacketRef, from slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    let kind = packet.length > 0 ? context.pool.frame(packet)[0] : 0
    guard kind == Broadcasting.kind else {
      if kind == TreeFrame.kind {
        receiveFromTree(packet, from: slot, &network, &context)
      } else {
        counters.malformed &+= 1
      }
      return context.pool.release(packet)
    }
    let arrival = broadcasting.receive(packet, from: slot, &network.links, &context)
    context.pool.release(packet)
    guard let arrival else { return }
    let payload = context.pool.frame(arrival.payload)
    if arrival.content == .rollCall {
      hearRollCall(payload, from: arrival.origin, network.links, &context)
      return context.pool.release(arrival.payload)
    }
    guard let header = IPPacket(payload) else {
      counters.malformed &+= 1
      return context.pool.release(arrival.payload)
    }
    guard isForHere(header, payload) else { return context.pool.release(arrival.payload) }
    guard isSpeaker(arrival.origin, from: header.source, &network, &context) else {
      counters.spoofed &+= 1
      return context.pool.release(arrival.payload)
    }
    counters.received &+= 1
    context.emit(.deliver(arrival.payload), owning: arrival.payload)
  }

  mutating func isSpeaker(
    _ key: PublicKey, from source: IPAddress, _ network: inout Network, _ context: inout Context
  ) -> Bool {
    let id = key.id
    guard source.isV4 else { return source == community.ula(of: id) }
    guard isVirtual(source), !isOwn(source) else { return false }
    if let slot = routes[source].map(Int.init) {
      // So far it was believed that the address is its own.
      if members[UInt32(slot)]?.unverified == source { verifyShown(slot, &network, &context) }
      return network.links.peers[slot].id == id
    }
    guard let known = speakers[source] else {
      guard newSpeakers.take(at: context.now) else { return false }
      let size = UInt64(subring.sizeEstimate(network.links))
      let spread = Self.verifySpread * max(size, 1)
      let wait = Interval(ns: context.random.below(spread.ns + 1))
      remember(source, Speaker(id: id, verifyAt: context.now + wait))
      return true
    }
    if known.id != id, known.verifyAt == .never {
      // Either it is forged, or the address has a new owner.
      let wait = context.random.jittered(Self.disputeSpread)
      remember(source, Speaker(id: known.id, verifyAt: context.now + wait))
    }
    return known.id == id
  }

  /// The directory has said whose the address is: that counts also when his link is gone.
  mutating func remember(_ source: IPAddress, ownedBy id: OverlayID) {
    remember(source, Speaker(id: id, verifyAt: .never))
  }

  private mutating func remember(_ source: IPAddress, _ speaker: Speaker) {
    if speakers.count == speakers.limit, speakers[source] == nil {
      var one: IPAddress?
      speakers.visit { address, _ in one = one ?? address }
      one.map { _ = speakers.remove($0) }
    }
    speakers.set(source, speaker)
    speakersAt = min(speakersAt, speaker.verifyAt)
  }

  /// Asks the directory about those who have spoken for the first time.
  mutating func verifySpeakers(_ network: inout Network, _ context: inout Context) {
    guard speakersAt <= context.now else { return }
    speakersAt = .never
    let now = context.now
    var due: [(address: IPAddress, speaker: Speaker)] = []
    speakers.visit { address, speaker in
      if speaker.verifyAt <= now {
        due.append((address, speaker))
      } else {
        speakersAt = min(speakersAt, speaker.verifyAt)
      }
    }
    for (address, speaker) in due {
      // Unless it has answered by then.
      let again = now + Self.speakerRetry
      speakers.set(address, Speaker(id: speaker.id, verifyAt: again))
      speakersAt = min(speakersAt, again)
      network.get(claimKey(address), tag: DirectoryTag.speaker, &context)
    }
  }

  /// The directory has said whose an address is.
  mutating func onSpeaker(_ claim: LeaseBody) {
    guard let address = Self.decode(IPAddress.self, claim.content), let known = speakers[address] else {
      return
    }
    let owner = claim.identity.id
    if known.id != owner { counters.spoofed &+= 1 }
    speakers.set(address, Speaker(id: owner, verifyAt: .never))
  }
}
