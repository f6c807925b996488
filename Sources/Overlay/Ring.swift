// The ring: finding one's place in it, and keeping the neighbours right.
//
// A newcomer has a link to one node (a bootstrap). It asks, by a message routed to its own ID, who is nearest
// there, links to those nodes, and tells them what it sees; they answer with what they see, and everybody
// links to whoever turns out to be nearer than a neighbour it has. Only nodes with a proved session count as
// neighbours (verify before adopt). A node is *settled* when the nodes on both sides name it as their own
// neighbour: only then may it speak for the keys between its predecessor and itself.
//
// After Zave, "How to make Chord correct" (2015), with gossip of whole neighbour lists instead of successor
// pointers.

import Base
import Session

/// How far this node is.
public enum RingPhase: Sendable, BitwiseCopyable {
  /// No link, and others may exist: bootstraps are configured and none has answered.
  case searching
  /// Linked to somebody; the neighbours do not agree yet.
  case joining
  /// Both neighbours name us, or we are the founder of a ring of one.
  case settled
}

/// What changed, for the layers above.
public enum RingEvent: BitwiseCopyable, Sendable {
  /// The nearest neighbours are others than before, or settledness changed.
  case changed
  /// The node that a search came to, its key, and the hops on the way there.
  case found(nonce: UInt64, PublicKey, hops: UInt8)
}

/// Membership of the ring.
public struct Ring: ~Copyable {
  public private(set) var phase: RingPhase = .searching
  public var events = Outbox<RingEvent>(capacity: 64)
  /// The neighbour that last named us as its successor, and the one that named us as its predecessor.
  private var predecessorNames: OverlayID?
  private var successorNames: OverlayID?
  private var isFounder: Bool
  private var predecessor: OverlayID?
  private var successor: OverlayID?
  private var changedAt: Instant
  private var stabiliseAt: Instant
  private var announceAt: Instant = .never
  private var findAt: Instant
  private var findNonce: UInt64 = 0
  /// Answers to searches, each of which is larger than its question.
  private var finds = TokenBucket(rate: 50, burst: 100, at: .start)
  /// Which neighbour besides the nearest two is asked next.
  private var turn = 0
  private var hasJoinedOnce = false

  /// - Parameter isFounder: whether to be a ring of one until others come (no bootstrap is configured).
  public init(isFounder: Bool, at now: Instant) {
    self.isFounder = isFounder
    changedAt = now
    stabiliseAt = now
    findAt = now
    if isFounder { phase = .settled }
  }

  public var isSettled: Bool { phase == .settled }

  public var deadline: Instant { min(stabiliseAt, announceAt, findAt) }

  /// Whether this node speaks for `key`.
  public func owns(_ key: OverlayID, _ links: borrowing Links) -> Bool {
    guard isSettled else { return false }
    guard let predecessor else { return true }
    return key.isIn(after: predecessor, through: links.id)
  }

  /// Nodes on the whole ring, from the distances between the nearest known ones.
  public func sizeEstimate(_ links: borrowing Links) -> Int {
    let near = links.neighbourhood
    let total = links.upCount + 1
    guard total > Neighbourhood.side, !near.left.isEmpty, !near.right.isEmpty else { return total }
    let first = links.peers[Int(near.left[near.left.count - 1])].id
    let last = links.peers[Int(near.right[near.right.count - 1])].id
    let span = Double(first.clockwise(to: last).high) / 18_446_744_073_709_551_616.0
    guard span > 0, first.isIn(after: last, through: links.id) else { return total }
    return max(total, Int(Double(near.left.count + near.right.count) / span))
  }

  // MARK: - Stimuli

  public mutating func onUp(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    reassess(&links, &context)
    if links.neighbourhood.contains(slot) || links.peers[slot].roles.contains(.bootstrap) {
      links.introduce(slot, &context)
      sendStabilise(to: slot, wantsAnswer: true, &links, &context)
    }
    announceAt = min(announceAt, context.now + Timing.coalesce)
    if phase != .settled { findAt = context.now }
  }

  public mutating func onDown(_ links: inout Links, _ context: inout Context) {
    reassess(&links, &context)
    announceAt = min(announceAt, context.now + Timing.coalesce)
  }

  public mutating func receive(
    _ message: Stabilise, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    let peer = links.peers[slot].id
    let me = links.identity.publicKey
    links.noteWanted(slot, at: context.now)
    Self.note(&predecessorNames, peer, names: !message.right.isEmpty && message.right[0] == me)
    Self.note(&successorNames, peer, names: !message.left.isEmpty && message.left[0] == me)
    if message.wantsAnswer { sendStabilise(to: slot, wantsAnswer: false, &links, &context) }
    for list in [message.left, message.right, message.nearReceiver] {
      for i in 0..<list.count { consider(list[i], via: peer, &links, &context) }
    }
    if let slot = links.peer(peer) { links.introduce(slot, &context) }
    reassess(&links, &context)
  }

  /// A neighbour goes and leaves us its own neighbours.
  public mutating func receive(
    _ message: Leave, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    let peer = links.peers[slot].id
    for list in [message.left, message.right] {
      for i in 0..<list.count { consider(list[i], via: peer, &links, &context) }
    }
    // Those it named may have taken its place in a full table already.
    if let slot = links.peer(peer) { links.forget(slot) }
  }

  public mutating func receive(
    _ message: RingMessage, header: RoutedHeader, _ links: inout Links, _ context: inout Context
  ) {
    switch message {
    case .find(let nonce):
      guard finds.take(at: context.now) else { return }
      var keys = BoundedArray<9, PublicKey>()
      keys.append(links.identity.publicKey)
      for list in [links.neighbourhood.left, links.neighbourhood.right] {
        for i in 0..<list.count { keys.append(links.peers[Int(list[i])].key) }
      }
      let hops = Links.hopsMax &- header.hops &+ 1
      let answer = RingMessage.welcome(nonce: nonce, hops: hops, keys: keys)
      links.routeMessage(.ring, mode: .exact, to: header.source, via: header.sourceVia, &context) {
        answer.encode(to: &$0)
      }
    case .welcome(let nonce, let hops, let keys):
      guard !keys.isEmpty else { return }
      if nonce == findNonce {
        for i in 0..<keys.count { consider(keys[i], via: header.sourceVia, &links, &context) }
      } else {
        events.append(.found(nonce: nonce, keys[0], hops: hops))
      }
    case .undeliverable:
      break
    }
  }

  /// Asks which other node `target` leads to; the answer comes as an event with the nonce.
  public mutating func find(
    _ target: OverlayID, mode: RoutingMode = .nearest, nonce: UInt64, _ links: inout Links,
    _ context: inout Context
  ) {
    let message = RingMessage.find(nonce: nonce)
    links.routeMessage(.ring, mode: mode, to: target, &context) { message.encode(to: &$0) }
  }

  /// Goes, and tells the neighbours about each other.
  public mutating func leave(_ links: inout Links, _ context: inout Context) {
    let view = stabilise(for: nil, wantsAnswer: false, links)
    let message = Leave(left: view.left, right: view.right)
    let near = links.neighbourhood
    links.forEachUpSlot { slot, links in
      if near.contains(slot) { links.send(.leave, to: slot, &context) { message.encode(to: &$0) } }
    }
  }

  // MARK: - Timers

  public mutating func expire(_ links: inout Links, _ context: inout Context) {
    let now = context.now
    if announceAt <= now {
      announceAt = .never
      for slot in near(links) { sendStabilise(to: slot, wantsAnswer: true, &links, &context) }
    }
    if stabiliseAt <= now {
      let isQuiet = now - changedAt > Timing.unquiet && isSettled
      stabiliseAt = now + context.random.jittered(isQuiet ? Timing.stabilise : Timing.stabiliseSoon)
      stabiliseRound(&links, &context)
    }
    if findAt <= now {
      // While unsettled soon again; later as a look from outside, now and then.
      findAt = now + context.random.jittered(isSettled ? .minutes(5) : Timing.find)
      if links.upCount > 0 {
        findNonce = context.random.next()
        find(links.id, nonce: findNonce, &links, &context)
      }
    }
  }

  private mutating func stabiliseRound(_ links: inout Links, _ context: inout Context) {
    let all = near(links)
    guard !all.isEmpty else { return }
    turn += 1
    let chosen = [links.neighbourhood.predecessor, links.neighbourhood.successor, all[turn % all.count]]
    var sent: [Int] = []
    for case let slot? in chosen where !sent.contains(slot) && links.peers.isUsed(slot) {
      sent.append(slot)
      sendStabilise(to: slot, wantsAnswer: true, &links, &context)
    }
  }

  // MARK: - Views

  private func near(_ links: borrowing Links) -> [Int] {
    var slots: [Int] = []
    for list in [links.neighbourhood.left, links.neighbourhood.right] {
      for i in 0..<list.count where !slots.contains(Int(list[i])) { slots.append(Int(list[i])) }
    }
    return slots
  }

  private func stabilise(for receiver: Int?, wantsAnswer: Bool, _ links: borrowing Links) -> Stabilise {
    var message = Stabilise(
      wantsAnswer: wantsAnswer, settled: isSettled, left: BoundedArray(), right: BoundedArray(),
      nearReceiver: BoundedArray())
    let near = links.neighbourhood
    for i in 0..<near.left.count { message.left.append(links.peers[Int(near.left[i])].key) }
    for i in 0..<near.right.count { message.right.append(links.peers[Int(near.right[i])].key) }
    if let receiver { message.nearReceiver = nearest(to: receiver, links) }
    return message
  }

  /// The two nearest on each side of a peer, among those that we are linked to.
  private func nearest(to receiver: Int, _ links: borrowing Links) -> BoundedArray<4, PublicKey> {
    let target = links.peers[receiver].id
    var forth = BoundedArray<2, Int32>()
    var back = BoundedArray<2, Int32>()
    for slot in 0..<links.peers.highWater
    where links.peers.isUsed(slot) && links.peers[slot].isUp && slot != receiver {
      let distance = target.clockwise(to: links.peers[slot].id)
      forth.insert(
        Int32(slot),
        at: forth.firstIndex { distance < target.clockwise(to: links.peers[Int($0)].id) } ?? forth.count)
      back.insert(
        Int32(slot),
        at: back.firstIndex { target.clockwise(to: links.peers[Int($0)].id) < distance } ?? back.count)
    }
    var keys = BoundedArray<4, PublicKey>()
    for list in [forth, back] {
      for i in 0..<list.count {
        let key = links.peers[Int(list[i])].key
        if !keys.contains(where: { $0 == key }) { keys.append(key) }
      }
    }
    return keys
  }

  private mutating func sendStabilise(
    to slot: Int, wantsAnswer: Bool, _ links: inout Links, _ context: inout Context
  ) {
    let message = stabilise(for: slot, wantsAnswer: wantsAnswer, links)
    links.send(.stabilise, to: slot, &context) { message.encode(to: &$0) }
  }

  /// A node that somebody names: if it would be a neighbour, it is asked itself.
  private mutating func consider(
    _ key: PublicKey, via: OverlayID?, _ links: inout Links, _ context: inout Context
  ) {
    let candidate = key.id
    // Hearsay may be anything: only keys that may stand on a ring, and only so many at a time.
    guard candidate != links.id, links.identity.suite.admits(key),
      links.linkingCount < Links.linkingMax
    else { return }
    if let slot = links.peer(candidate), links.peers[slot].isUp { return }
    guard links.neighbourhood.wants(candidate, around: links.id, links.peers) else { return }
    links.connect(key, role: .near, via: via == candidate ? nil : via, &context)
  }

  private static func note(_ names: inout OverlayID?, _ peer: OverlayID, names isNamed: Bool) {
    if isNamed {
      names = peer
    } else if names == peer {
      names = nil
    }
  }

  /// Brings roles and phase in line with the links as they are.
  private mutating func reassess(_ links: inout Links, _ context: inout Context) {
    links.assignNear(at: context.now)
    let oldPhase = phase
    let oldEnds = (predecessor, successor)
    let near = links.neighbourhood
    predecessor = near.predecessor.map { links.peers[$0].id }
    successor = near.successor.map { links.peers[$0].id }
    if let predecessor, let successor {
      phase = predecessorNames == predecessor && successorNames == successor ? .settled : .joining
    } else {
      phase = isFounder || hasJoinedOnce ? .settled : .searching
    }
    links.isWellConnected =
      isSettled
      && [near.predecessor, near.successor].allSatisfy { $0 == nil || links.peers[$0!].hasDirectPath }
    if phase == .settled, !hasJoinedOnce {
      hasJoinedOnce = true
      context.notify(.joined(neighbours: links.upCount))
    }
    let isChanged = oldPhase != phase || oldEnds.0 != predecessor || oldEnds.1 != successor
    if isChanged {
      changedAt = context.now
      stabiliseAt = min(stabiliseAt, context.now + Timing.stabiliseSoon)
      announceAt = min(announceAt, context.now + Timing.coalesce)
      events.append(.changed)
    }
  }
}

extension Links {
  /// Gives the role `near` to the nearest, and takes it from others after a while.
  mutating func assignNear(at now: Instant) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      if neighbourhood.contains(slot) {
        peers[slot].roles.insert(.near)
        peers[slot].trimAt = .never
      } else if peers[slot].roles.contains(.near), peers[slot].trimAt == .never {
        peers[slot].trimAt = now + Timing.trim
        wake(slot, at: now + Timing.trim)
      }
    }
  }

  mutating func noteWanted(_ slot: Int, at now: Instant) { peers[slot].wantedAt = now }

  /// Visits all peers that are up, with the links at hand.
  mutating func forEachUpSlot(_ body: (Int, inout Links) -> Void) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp { body(slot, &self) }
  }
}
