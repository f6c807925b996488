// The directory: this node's part of the DHT, and its questions to the parts of others.
//
// A key belongs to the first node at or behind it on the ring. The owner judges what may be stored (create if
// absent; an owner may renew), writes it to the store, has the next two nodes keep copies, and answers only
// when its own write is committed and a copy is kept. A newcomer takes its range over from its successor
// before it speaks for it; a node whose predecessor dies already holds the copies.
//
// Leases are kept by time, not for ever: what nobody renews goes.

import Base
import Overlay
import Session

/// What a request to the directory came to. A lease's packet belongs to whoever takes the event.
public enum DirectoryEvent: BitwiseCopyable, Sendable {
  case answered(tag: UInt32, DirectoryStatus, remaining: UInt32, PacketRef?)
  /// Nobody answered in time.
  case failed(tag: UInt32)
}

/// Where an answer goes.
struct Asker: BitwiseCopyable {
  let id: OverlayID
  let via: OverlayID?
  let ticket: UInt64
}

/// What waits for the store, or for copies.
enum Pending: BitwiseCopyable {
  /// A stored lease is being read, to be sent as the answer with this status.
  case answer(Asker, DirectoryStatus, key: OverlayID)
  /// A lease is being stored, and copied to the next nodes.
  case put(Put)
  /// A copy is being stored.
  case copy(Asker, key: OverlayID)
  /// A stored lease is being read, to be sent as a copy.
  case push(to: OverlayID, ticket: UInt64, key: OverlayID)
  /// A stored lease is being read, to be sent to whoever owns its key now.
  case forward(key: OverlayID)
  /// All copies of a hand-over were read: the store answers in order.
  case handedOver(Asker, count: UInt8, through: OverlayID)
}

/// What waits, and since when: an answer of the store may never come (a full disk).
struct Waiting: BitwiseCopyable {
  var what: Pending
  let since: Instant
}

/// A put on its way.
struct Put: BitwiseCopyable {
  let asker: Asker
  let key: OverlayID
  let lease: PacketRef
  var isCommitted = false
  var isCopied = false
  var tries: UInt8 = 0
  var nextAt: Instant
}

/// This node's share of the directory.
public struct Directory: ~Copyable {
  static let copies = 2
  static let retry = Interval.milliseconds(300)
  static let sweep = Interval.seconds(10)

  private let anchor = Anchor()
  public var events = Outbox<DirectoryEvent>(capacity: 128)
  public internal(set) var counters = DirectoryCounters()
  var index = LeaseIndex()
  var pending = SlotTable<Waiting>(capacity: 500)
  var requests = SlotTable<Request>(capacity: 128)
  /// When the first of the requests, and of the puts, is due: kept, because the deadline is read after every
  /// input.
  var requestsAt: Instant = .never
  var putsAt: Instant = .never
  var puts = TokenBucket(rate: 200, burst: 400, at: .start)
  var gets = TokenBucket(rate: 1_000, burst: 2_000, at: .start)
  var copiesTaken = TokenBucket(rate: 400, burst: 800, at: .start)
  var takeOvers = TokenBucket(rate: 50, burst: 100, at: .start)
  /// Unix time at `Instant.start`: leases in the store outlive the process.
  let unixAtStart: UInt64
  var takingOver: TakeOver?
  /// Whether all leases of the own range are here.
  public internal(set) var isReady = false
  /// What is stored between here and this node is all here; nil when that is the whole ring.
  var completeFrom: OverlayID?
  /// The successor that was asked last for this node's range; nil after having been alone.
  var pulledFrom: OverlayID?
  /// Until then, leases of the own range may still be on their way here from whoever owned it before.
  var incompleteUntil: Instant = .start
  var replicateAt: Instant = .never
  var replicated: OverlayID?
  var sweepAt: Instant

  /// - Parameter isFounder: a ring of one owns everything from the start.
  public init(unixAtStart: UInt64, isFounder: Bool, at now: Instant) {
    self.unixAtStart = unixAtStart
    isReady = isFounder
    sweepAt = now + Self.sweep
  }

  /// Unix time by this node's clock, in seconds.
  public func unixSeconds(at now: Instant) -> UInt64 { unixAtStart + now.ns / 1_000_000_000 }

  /// Leases kept here.
  public var count: Int { index.count }

  public var deadline: Instant {
    let next = min(min(sweepAt, replicateAt), min(requestsAt, putsAt))
    if let takingOver { return min(next, takingOver.nextAt) }
    return next
  }

  public mutating func expire(_ links: inout Links, _ ring: borrowing Ring, _ context: inout Context) {
    retryRequests(&links, ring, &context)
    retryPuts(&links, &context)
    retryTakeOver(&links, ring, &context)
    if replicateAt <= context.now { replicate(&links, ring, &context) }
    if sweepAt <= context.now { sweepExpired(&context) }
  }

  /// Takes a message that was routed here. The frame stays the caller's.
  /// - Parameter isFirstHand: whether the source itself handed it on, in its own session. Neighbours always
  ///   do, and only they may hand over and copy; anybody could write a neighbour's ID into a header.
  public mutating func receive(
    _ frame: Frame, from header: RoutedHeader, isFirstHand: Bool, _ links: inout Links,
    _ ring: borrowing Ring,
    _ context: inout Context
  ) {
    guard let message = try? DirectoryMessage(decoding: frame) else {
      counters.malformed &+= 1
      return
    }
    func asker(_ ticket: UInt64) -> Asker { Asker(id: header.source, via: header.sourceVia, ticket: ticket) }
    switch message {
    case .get(let ticket):
      receiveGet(header.destination, from: asker(ticket), &links, ring, &context)
    case .put(let ticket, let lease):
      receivePut(lease, from: asker(ticket), &links, ring, &context)
    case .answer(let ticket, let status, let remaining, let lease):
      receiveAnswer(ticket, status, remaining, lease, under: links.identity.suite, &context)
    case .copy(let ticket, let remaining, let lease) where !isFirstHand:
      receiveStray(lease, remaining, from: asker(ticket), &links, ring, &context)
    case .copied where !isFirstHand, .takeOver where !isFirstHand, .handedOver where !isFirstHand:
      counters.invalid &+= 1
    case .copy(let ticket, let remaining, let lease):
      receiveCopy(lease, remaining, from: asker(ticket), &links, ring, &context)
    case .copied(let ticket):
      receiveCopied(ticket, from: header.source, &links, &context)
    case .takeOver(let ticket, let after):
      receiveTakeOver(after, from: asker(ticket), &links, &context)
    case .handedOver(let ticket, let isReady, let count, let through):
      receiveHandedOver(ticket, isReady, count, through, &links, ring, &context)
    }
  }

  /// Sends a message to one node; an answer to this node itself needs no way.
  mutating func send(
    _ message: DirectoryMessage, to id: OverlayID, via: OverlayID?, _ links: inout Links,
    _ context: inout Context
  ) {
    if id == links.id {
      guard case .answer(let ticket, let status, let remaining, let lease) = message else { return }
      return receiveAnswer(ticket, status, remaining, lease, under: links.identity.suite, &context)
    }
    links.routeMessage(.directory, mode: .exact, to: id, via: via, &context) { message.encode(to: &$0) }
  }

  // MARK: - The store

  /// A ticket that names the slot and its tenant.
  func ticket(_ slot: Int) -> UInt32 { pending.serial(slot) << 10 | UInt32(slot + 1) }

  func slot(_ ticket: UInt32) -> Int? {
    let slot = Int(ticket & 1_023) - 1
    return pending.isUsed(slot) && pending.serial(slot) << 10 == ticket & ~1_023 ? slot : nil
  }

  /// The store has committed.
  public mutating func stored(_ ticket: UInt32, _ links: inout Links, _ context: inout Context) {
    guard let slot = slot(ticket) else { return }
    switch pending[slot].what {
    case .put(var put):
      put.isCommitted = true
      pending[slot].what = .put(put)
      finishPut(slot, &links, &context)
    case .copy(let asker, let key):
      pending.remove(slot)
      index.keep(key)
      send(.copied(ticket: asker.ticket), to: asker.id, via: asker.via, &links, &context)
    default:
      break
    }
  }

  /// The store has read a value, or has none. The packet stays the caller's.
  public mutating func loaded(
    _ ticket: UInt32, _ value: Frame?, _ links: inout Links, _ context: inout Context
  ) {
    guard let slot = slot(ticket) else { return }
    let what = pending[slot].what
    pending.remove(slot)
    let lease = value.flatMap { $0.count > 8 ? try? Lease(decoding: $0.dropping(8)) : nil }
    switch what {
    case .answer(let asker, let status, let key):
      let found = lease == nil ? DirectoryStatus.absent : status
      answer(asker, found, remaining: index.remaining(key, at: context.now), lease: lease, &links, &context)
    case .push(let target, let ticket, let key):
      guard let lease else { return }
      let remaining = index.remaining(key, at: context.now)
      send(.copy(ticket: ticket, remaining: remaining, lease), to: target, via: nil, &links, &context)
    case .forward(let key):
      guard let lease else { return }
      let stray = DirectoryMessage.copy(ticket: 0, remaining: index.remaining(key, at: context.now), lease)
      links.routeMessage(.directory, mode: .owner, to: key, &context) { stray.encode(to: &$0) }
    case .handedOver(let asker, let count, let through):
      send(
        .handedOver(ticket: asker.ticket, isReady: true, count: count, through: through), to: asker.id,
        via: asker.via, &links, &context)
    case .put, .copy:
      break
    }
  }

  /// A pair of the store, read at the start: the expiry in Unix seconds, then the lease.
  public mutating func recovered(_ value: Frame, at now: Instant) {
    guard value.count > 8, let lease = try? Lease(decoding: value.dropping(8)) else { return }
    let expires = value.big(0, as: UInt64.self)
    let unix = unixSeconds(at: now)
    // One that ended while the node was down is swept with the others, so that it goes from the store too.
    let remaining = expires > unix ? min(expires - unix, UInt64(lease.timeToLive)) : 0
    _ = index.put(lease, remaining: UInt32(remaining), at: now)
    index.keep(lease.key)
  }

  /// Reads a stored lease for `purpose`.
  mutating func load(_ key: OverlayID, for purpose: Pending, _ context: inout Context) {
    guard let slot = pending.insert(Waiting(what: purpose, since: context.now)) else {
      counters.busy &+= 1
      return
    }
    guard let packet = context.pool.take(length: OverlayID.byteCount) else {
      pending.remove(slot)
      return
    }
    key.write(to: context.pool.frame(packet))
    context.emit(.load(.records, ticket: ticket(slot), packet), owning: packet)
  }

  /// Writes a lease; its ticket is answered after the commit.
  func store(_ lease: Lease, remaining: UInt32, ticket: UInt32, _ context: inout Context) {
    guard let packet = context.pool.take(length: 0) else { return }
    var writer = WireWriter(context.pool.room(packet))
    writer.byte(UInt8(OverlayID.byteCount))
    lease.key.encode(to: &writer)
    writer.integer(unixSeconds(at: context.now) + UInt64(remaining))
    lease.encode(to: &writer)
    let whole = PacketRef(slot: packet.slot, offset: packet.offset, length: UInt16(writer.count))
    context.emit(.store(.records, ticket: ticket, whole), owning: whole)
  }

  /// Gives back every packet that waits here, and forgets what it was for: the node is no more.
  public mutating func releasePackets(_ context: inout Context) {
    for i in 0..<events.count {
      if case .answered(_, _, _, let packet?) = events[i] { context.pool.release(packet) }
    }
    events.removeAll()
    for slot in 0..<requests.highWater where requests.isUsed(slot) {
      if let lease = requests[slot].lease { context.pool.release(lease) }
      requests.remove(slot)
    }
    for slot in 0..<pending.highWater where pending.isUsed(slot) {
      if case .put(let put) = pending[slot].what { context.pool.release(put.lease) }
      pending.remove(slot)
    }
  }

  private mutating func sweepExpired(_ context: inout Context) {
    sweepAt = context.now + Self.sweep
    let now = context.now
    let expired = index.keys(limit: 64, where: { $1.expires <= now })
    // A full round: the rest soon, or dead leases would keep new ones out.
    if expired.count == 64 { sweepAt = now + .milliseconds(100) }
    for slot in 0..<pending.highWater where pending.isUsed(slot) && pending[slot].since + Self.sweep < now {
      if case .put = pending[slot].what { continue }
      pending.remove(slot)
      counters.abandoned &+= 1
    }
    for key in expired {
      guard let packet = context.pool.take(length: 1 + OverlayID.byteCount) else { return }
      index.entries.remove(key)
      var writer = WireWriter(context.pool.frame(packet))
      writer.byte(UInt8(OverlayID.byteCount))
      key.encode(to: &writer)
      context.emit(.store(.records, ticket: 0, packet), owning: packet)
    }
  }
}

/// What the directory did not do, and why.
public struct DirectoryCounters: Sendable, BitwiseCopyable {
  public var malformed: UInt64 = 0
  public var invalid: UInt64 = 0
  public var busy: UInt64 = 0
  public var limited: UInt64 = 0
  public var full: UInt64 = 0
  /// Questions to the store that it never answered.
  public var abandoned: UInt64 = 0
}
