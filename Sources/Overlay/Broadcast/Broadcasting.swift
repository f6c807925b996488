// Broadcast over the links of a subring: what one member says comes to each of the others once.
//
// The origin shares the ring out among its links (`Arc`), each of them does the same with its part, and so
// on: a tree of as many sends as there are members, with a depth that grows with the logarithm. Each child
// acknowledges to its parent that it has taken its part over. A child that does not, after two more tries,
// may be dead: its part goes to the member that stands next to it. What the origin says is signed, so nobody
// on the way can say anything in its name; a child that has it from the origin itself needs no signature to
// believe it.
//
// Sent at most once and acknowledged, a broadcast may still miss a member of whom none of those around it
// knows yet. It is data, not a ledger.

import Base
import Session

/// A broadcast for this member.
public struct BroadcastArrival: BitwiseCopyable, Sendable {
  public let origin: PublicKey
  public let content: BroadcastContent
  /// A slot of its own.
  public let payload: PacketRef
  /// How many members passed it on.
  public let steps: UInt8
}

/// What was broadcast, and what was dropped and why.
public struct BroadcastCounters: Sendable, BitwiseCopyable {
  /// Said by this member itself, and delivered to it.
  public var originated: UInt64 = 0
  public var delivered: UInt64 = 0
  /// Copies sent to children: first ones, more of the same, and those with the part of a child that is gone.
  public var sent: UInt64 = 0
  public var resent: UInt64 = 0
  public var handedOn: UInt64 = 0
  /// Parts for which nobody was left.
  public var abandoned: UInt64 = 0
  public var repeated: UInt64 = 0
  /// The most children of one broadcast, and the most steps that one had gone.
  public var widest: UInt64 = 0
  public var deepest: UInt64 = 0
  public var forged: UInt64 = 0
  /// Beyond what a member, or all of them, may send.
  public var limited: UInt64 = 0
  public var malformed: UInt64 = 0
  /// There was no room for one more.
  public var noRoom: UInt64 = 0
}

/// A broadcast whose children have not all acknowledged.
struct Held: BitwiseCopyable {
  let packet: PacketRef
  let origin: OverlayID
  let steps: UInt8
  var waiting: Int
}

/// A child that has not acknowledged.
struct Wait: BitwiseCopyable {
  let held: Int
  let child: OverlayID
  let arc: Arc
  let ticket: UInt32
  /// How long it may take each time: what the child's silence does to its paths does not lengthen it.
  let patience: Interval
  var tries: UInt8
  /// How often this part has gone to another child.
  let turns: UInt8
  var dueAt: Instant
}

/// The broadcasts of one community.
public struct Broadcasting: ~Copyable {
  /// The first byte of a frame.
  public static let kind = BroadcastFrame.kind
  /// Broadcasts, and children, that are waited for.
  static let heldMax = 128
  static let waitsMax = 2_048
  /// Links that a part is shared out among at most.
  static let childrenMax = 32
  /// Tries of one child in all, and children that a part is given to one after the other.
  static let triesMax: UInt8 = 3
  static let turnsMax: UInt8 = 3
  /// The wait for an acknowledgement, at least and at most.
  static let patienceMin = Interval.milliseconds(150)
  static let patienceMax = Interval.seconds(1)
  /// No tree is deeper.
  static let stepsMax: UInt8 = 64
  /// Payload, in bytes: a packet of the device.
  public static let payloadMax = 1_500

  private let anchor = Anchor()
  private let community: Community
  public private(set) var counters = BroadcastCounters()
  private var heard = HeardBroadcasts()
  private var held = SlotTable<Held>(capacity: heldMax)
  private var waits = SlotTable<Wait>(capacity: waitsMax)
  private var ticket: UInt32 = 0
  private var sequence: UInt64
  public private(set) var deadline: Instant = .never

  /// - Parameter incarnation: of this node: sequences rise over its restarts.
  public init(_ community: Community, incarnation: UInt64) {
    self.community = community
    sequence = incarnation << 24
  }

  /// This node goes on with a greater incarnation: what it says now is newer than what its later life said.
  public mutating func raiseSequence(to incarnation: UInt64) { sequence = max(sequence, incarnation << 24) }

  // MARK: - Saying

  /// Says something to all other members. The payload stays the caller's.
  /// - Returns: whether it was sent; false beyond the limits.
  @discardableResult
  public mutating func say(
    _ content: BroadcastContent, _ payload: PacketRef, _ links: inout Links, _ context: inout Context
  ) -> Bool {
    guard Int(payload.length) <= Self.payloadMax else {
      counters.malformed &+= 1
      return false
    }
    sequence &+= 1
    guard heard.mayOriginate(links.id, sequence, at: context.now) else {
      counters.limited &+= 1
      return false
    }
    guard let packet = context.pool.take(length: Int(payload.length) + BroadcastFrame.overhead) else {
      counters.noRoom &+= 1
      return false
    }
    BroadcastFrame.write(
      content, context.pool.frame(payload), sequence: sequence, by: links.identity, in: community,
      to: context.pool.frame(packet))
    counters.originated &+= 1
    share(.all(but: links.id.high), of: packet, steps: 0, source: nil, &links, &context)
    return true
  }

  // MARK: - Hearing

  /// Takes a frame of a member. The slot stays the caller's.
  public mutating func receive(
    _ packet: PacketRef, from slot: Int, _ links: inout Links, _ context: inout Context
  ) -> BroadcastArrival? {
    let frame = context.pool.frame(packet)
    guard let broadcast = BroadcastFrame(frame), broadcast.steps < Self.stepsMax else {
      counters.malformed &+= 1
      return nil
    }
    let saying = broadcast.saying
    let origin = saying.origin.id
    let source = (parent: links.peers[slot].id, origin: origin)
    // A copy of what is known need prove nothing: it is only acknowledged.
    if origin == links.id || heard.knows(origin, saying.sequence, broadcast.arc) {
      counters.repeated &+= 1
      acknowledge(broadcast.ticket, to: slot, &links, &context)
      return nil
    }
    // The origin's own copy is believed by whoever has nobody to pass it on to.
    let isBelieved = saying.origin == links.peers[slot].key && links.isLeaf(of: broadcast.arc, but: source)
    guard isBelieved || saying.isAuthentic(in: community, under: links.identity.suite) else {
      counters.forged &+= 1
      return nil
    }
    acknowledge(broadcast.ticket, to: slot, &links, &context)
    let news = heard.hear(origin, saying.sequence, broadcast.arc, at: context.now)
    switch news {
    case .tooMuch:
      counters.limited &+= 1
      return nil
    case .old:
      counters.repeated &+= 1
      return nil
    case .new, .newArc:
      if let copy = context.pool.take(copying: frame) {
        share(broadcast.arc, of: copy, steps: broadcast.steps + 1, source: source, &links, &context)
      } else {
        counters.noRoom &+= 1
      }
      return news == .new ? arrival(broadcast, &context) : nil
    }
  }

  private mutating func arrival(_ broadcast: BroadcastFrame, _ context: inout Context) -> BroadcastArrival? {
    guard let copy = context.pool.take(copying: broadcast.saying.payload) else {
      counters.noRoom &+= 1
      return nil
    }
    counters.delivered &+= 1
    counters.deepest = max(counters.deepest, UInt64(broadcast.steps) + 1)
    return BroadcastArrival(
      origin: broadcast.saying.origin, content: broadcast.content, payload: copy, steps: broadcast.steps)
  }

  private func acknowledge(_ ticket: UInt32, to slot: Int, _ links: inout Links, _ context: inout Context) {
    links.sendToMember(.acknowledge, slot, &context) { $0.integer(ticket) }
  }

  /// A child has taken its part over.
  public mutating func receiveAcknowledgement(
    _ body: Frame, from slot: Int, _ links: borrowing Links, _ context: inout Context
  ) throws(WireError) {
    var reader = WireReader(body)
    let ticket: UInt32 = try reader.integer()
    try reader.finish()
    let child = links.peers[slot].id
    for i in 0..<waits.highWater
    where waits.isUsed(i) && waits[i].ticket == ticket && waits[i].child == child {
      end(i, &context)
    }
  }

  // MARK: - Sharing out

  /// Sends a broadcast to the links within an arc. Takes the slot.
  /// - Parameter source: who sent it and who said it: they have it.
  private mutating func share(
    _ arc: Arc, of packet: PacketRef, steps: UInt8, source: (parent: OverlayID, origin: OverlayID)?,
    _ links: inout Links, _ context: inout Context
  ) {
    let children = links.children(in: arc, but: source)
    let guide = children.isEmpty ? links.memberNearer(to: arc, but: source) : nil
    guard !children.isEmpty || guide != nil else { return context.pool.release(packet) }
    let origin = source?.origin ?? links.id
    guard let slot = held.insert(Held(packet: packet, origin: origin, steps: steps, waiting: 0)) else {
      counters.noRoom &+= 1
      return context.pool.release(packet)
    }
    defer { if held[slot].waiting == 0 { drop(slot, &context) } }
    if let guide {
      counters.handedOn &+= 1
      return entrust(arc, of: slot, to: guide, &links, &context)
    }
    counters.widest = max(counters.widest, UInt64(children.count))
    var places = BoundedArray<32, UInt64>()
    for i in 0..<children.count { places.append(links.peers[Int(children[i])].id.high) }
    let shares = arc.shares(of: places, around: links.id.high)
    for i in 0..<children.count {
      counters.sent &+= 1
      entrust(shares[i], of: slot, to: Int(children[i]), &links, &context)
    }
  }

  /// Sends a part to a child, and waits for its word.
  private mutating func entrust(
    _ arc: Arc, of slot: Int, to child: Int, turns: UInt8 = 0, _ links: inout Links, _ context: inout Context
  ) {
    ticket &+= 1
    let patience = patience(child, links)
    let wait = Wait(
      held: slot, child: links.peers[child].id, arc: arc, ticket: ticket, patience: patience, tries: 1,
      turns: turns, dueAt: context.now + patience)
    transmit(wait, to: child, &links, &context)
    guard waits.insert(wait) != nil else {
      counters.noRoom &+= 1
      return
    }
    held[slot].waiting += 1
    deadline = min(deadline, wait.dueAt)
  }

  private func patience(_ child: Int, _ links: borrowing Links) -> Interval {
    let timeout = links.peers[child].bestPath?.roundTrip.timeout ?? Self.patienceMax
    return min(max(timeout, Self.patienceMin), Self.patienceMax)
  }

  private mutating func transmit(
    _ wait: Wait, to child: Int, _ links: inout Links, _ context: inout Context
  ) {
    guard let content = links.memberSlot(child),
      let copy = context.pool.take(copying: context.pool.frame(held[wait.held].packet))
    else { return }
    BroadcastFrame.address(
      context.pool.frame(copy), steps: held[wait.held].steps, ticket: wait.ticket, wait.arc)
    links.sendData(copy, content: content, to: child, isTraffic: false, &context)
  }

  // MARK: - Time

  /// Sends again what was not acknowledged, or gives the part to another member.
  public mutating func expire(_ links: inout Links, _ context: inout Context) {
    guard deadline <= context.now else { return }
    for i in 0..<waits.highWater where waits.isUsed(i) && waits[i].dueAt <= context.now {
      let child = links.peer(waits[i].child)
      if let child, links.members.contains(child), waits[i].tries < Self.triesMax {
        counters.resent &+= 1
        waits[i].tries += 1
        waits[i].dueAt = context.now + waits[i].patience
        // It may be dead: it is asked, and gets nothing else until it has answered.
        links.doubt(child, context.now)
        transmit(waits[i], to: child, &links, &context)
      } else {
        handOn(i, &links, &context)
      }
    }
    readDeadline()
  }

  /// The child is gone, or as good as gone: what is left and right of it in its part goes to whoever stands
  /// next to it there. So nobody gets a part in which it stands: those next to it may not miss it yet.
  private mutating func handOn(_ index: Int, _ links: inout Links, _ context: inout Context) {
    let wait = waits[index]
    let origin = held[wait.held].origin
    let parts = wait.arc.parts(around: wait.child.high)
    for i in 0..<parts.count {
      guard wait.turns < Self.turnsMax, let heir = links.heir(of: parts[i], after: wait.child, but: origin)
      else {
        counters.abandoned &+= 1
        continue
      }
      counters.handedOn &+= 1
      entrust(parts[i], of: wait.held, to: heir, turns: wait.turns + 1, &links, &context)
    }
    end(index, &context)
  }

  /// A link is lost: whoever waits for it waits no more.
  public mutating func onDown(_ child: OverlayID, _ now: Instant) {
    for i in 0..<waits.highWater where waits.isUsed(i) && waits[i].child == child {
      waits[i].dueAt = now
      deadline = min(deadline, now)
    }
  }

  private mutating func end(_ index: Int, _ context: inout Context) {
    let slot = waits[index].held
    waits.remove(index)
    held[slot].waiting -= 1
    if held[slot].waiting == 0 { drop(slot, &context) }
  }

  private mutating func drop(_ slot: Int, _ context: inout Context) {
    context.pool.release(held[slot].packet)
    held.remove(slot)
  }

  private mutating func readDeadline() {
    deadline = .never
    for i in 0..<waits.highWater where waits.isUsed(i) { deadline = min(deadline, waits[i].dueAt) }
  }

  /// Gives back every packet that is held.
  public mutating func releasePackets(_ context: inout Context) {
    for slot in 0..<held.highWater where held.isUsed(slot) { drop(slot, &context) }
    waits = SlotTable(capacity: Self.waitsMax)
  }
}
