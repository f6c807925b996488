// The ring: finding one's place in it, and keeping the neighbours right.
//
// A newcomer has a link to one node (a bootstrap). It asks, by a message routed to its own ID, who is nearest
// there, links to those nodes, and tells them what it sees; they answer with what they see, and everybody
// links to whoever turns out to be nearer than a neighbour it has. Only nodes with a proved session count as
// neighbours (verify before adopt). A node is *settled* when the nodes on both sides name it as their own
// neighbour: only then may it speak for the keys between its predecessor and itself.
//
// After Zave, "How to make Chord correct" (2015), with gossip of whole neighbour lists instead of successor
// pointers. The extensions hold one concern each: `Stabilising` (what neighbours tell each other), `Joining`
// (who is nearest, and who is asked for a link), `Shortcuts`, `Unifying` (two rings become one).

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

/// Membership of a ring.
public struct Ring: ~Copyable {
  private let anchor = Anchor()
  /// That of all nodes, or of a community's members: the rules are the same.
  let kind: RingKind
  public private(set) var phase: RingPhase = .searching
  public var events = Outbox<RingEvent>(capacity: 64)
  var known = KnownNodes()
  var shortcuts: Shortcuts
  var unifier = Unifier()
  /// When a look from outside last came to nodes who do not know this one; `.never`: none did.
  public internal(set) var metForeignAt: Instant = .never
  /// When links are told of each other next.
  var acquaintancesAt: Instant
  let startedAt: Instant
  private var isFounder: Bool
  private var predecessor: OverlayID?
  private var successor: OverlayID?
  var changedAt: Instant
  var stabiliseAt: Instant
  var announceAt: Instant = .never
  var announcedAt: Instant = .start
  /// The lists that were announced last, or will be.
  private var announcedView: UInt32 = 0
  var findAt: Instant
  var findNonce: UInt64 = 0
  /// From when on nodes are asked for a link because others named them. A newcomer first waits for the answer
  /// to its search: whom its bootstrap knows is not near its place.
  var placedAt: Instant = .never
  /// Answers to searches, each of which is larger than its question.
  var finds = TokenBucket(rate: 50, burst: 100, at: .start)
  /// Until then what neighbours say may have waited since before the machine slept, and is not heard.
  var isDeafUntil: Instant = .start
  /// Which neighbour besides the nearest two is asked next.
  var turn = 0
  private var hasJoinedOnce = false

  /// - Parameter isFounder: whether to be a ring of one until others come (no bootstrap is configured).
  public init(_ kind: RingKind = .main, isFounder: Bool, at now: Instant) {
    self.kind = kind
    self.isFounder = isFounder
    startedAt = now
    shortcuts = Shortcuts(at: now)
    acquaintancesAt = kind == .main ? now + Timing.newsSoon : .never
    changedAt = now
    stabiliseAt = now
    findAt = now
    if isFounder {
      phase = .settled
      // Whom the first member knows is not near this one's place.
      if kind == .main { placedAt = .start }
    }
  }

  public var isSettled: Bool { phase == .settled }

  public var deadline: Instant {
    min(min(stabiliseAt, announceAt), min(min(findAt, shortcuts.nextAt), acquaintancesAt))
  }

  /// Whether this node speaks for `key`.
  public func owns(_ key: OverlayID, _ links: borrowing Links) -> Bool {
    guard isSettled else { return false }
    guard let predecessor else { return true }
    return key.isIn(after: predecessor, through: links.id)
  }

  // MARK: - Stimuli

  public mutating func onUp(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    known.remove(links.peers[slot].key)
    reassess(&links, &context)
    if links.peers[slot].roles.contains(kind.far) {
      shortcuts.fruitless = 0
      links.introduce(slot, &context)
    }
    if links[kind][slot].isForeign {
      links[kind][slot].isForeign = false
      let near = links[kind].neighbourhood
      if slot == near.predecessor || slot == near.successor { askForOthers(through: slot, &links, &context) }
    }
    if links[kind].neighbourhood.contains(slot) || links.peers[slot].roles.contains(.bootstrap) {
      links.introduce(slot, &context)
      // Who asked for the link asks first; what the other has to say goes with its answer, or soon after.
      if case .sent = links.peers[slot].hello {
        sendStabilise(to: slot, wantsAnswer: true, &links, &context)
      } else {
        announceSoon(context.now)
      }
    }
    let isContact = links.peers[slot].isRevived || links.peers[slot].roles.contains(.bootstrap)
    links.peers[slot].isRevived = false
    if isContact, isSettled, !links[kind].neighbourhood.contains(slot) { lookOutside(slot, &links, &context) }
    if phase != .settled { findAt = min(findAt, context.now + Timing.findSoon) }
  }

  public mutating func onDown(_ key: PublicKey, _ links: inout Links, _ context: inout Context) {
    known.remove(key)
    reassess(&links, &context)
  }

  /// A node that somebody named as a member is none.
  public mutating func onStranger(_ key: PublicKey) { known.remove(key) }

  /// A node that somebody named did not answer: the next one is asked.
  public mutating func onUnreachable(_ key: PublicKey, _ links: inout Links, _ context: inout Context) {
    known.postpone(key, until: context.now + Timing.deadFor)
    fillSides(&links, &context)
  }

  // MARK: - Timers

  public mutating func expire(_ links: inout Links, _ context: inout Context) {
    let now = context.now
    if stabiliseAt <= now { fillSides(&links, &context) }
    if announceAt <= now { announce(&links, &context) }
    if stabiliseAt <= now { stabiliseRound(&links, &context) }
    if findAt <= now { findPlace(&links, &context) }
    expireShortcuts(&links, &context)
    if kind == .main { expireAcquaintances(&links, &context) }
  }

  /// Whether the machine slept before `now`: something is overdue, and nothing was done since `lastAt`, for
  /// longer than neighbours wait before they give a silent node up.
  public static func hasSlept(since lastAt: Instant, due: Instant, at now: Instant) -> Bool {
    due < now && now - due > Timing.overdue && now - lastAt > Timing.sleep
  }

  /// The machine slept: others may have taken this node for dead, and its range over. It speaks for nothing
  /// before its neighbours name it again, in words that are newer than what waited in the socket's buffer.
  public mutating func wakeUp(_ links: inout Links, _ context: inout Context) {
    isDeafUntil = context.now + Timing.coalesce
    announceAt = isDeafUntil
    let near = links[kind].neighbourhood.all
    for i in 0..<near.count {
      links[kind][Int(near[i])].namesUsSuccessor = false
      links[kind][Int(near[i])].namesUsPredecessor = false
      links[kind][Int(near[i])].viewSeen = 0
    }
    links.doubtAll(context.now)
    reassess(&links, &context)
  }

  // MARK: - Phase

  /// Brings roles and phase in line with the links as they are.
  mutating func reassess(_ links: inout Links, _ context: inout Context) {
    links.assignNear(on: kind, at: context.now)
    let oldPhase = phase
    let oldEnds = (predecessor, successor)
    let near = links[kind].neighbourhood
    predecessor = near.predecessor.map { links.peers[$0].id }
    successor = near.successor.map { links.peers[$0].id }
    if let left = near.predecessor, let right = near.successor {
      let isNamed = links[kind][left].namesUsSuccessor && links[kind][right].namesUsPredecessor
      phase = isNamed ? .settled : .joining
    } else {
      phase = isFounder || hasJoinedOnce ? .settled : .searching
    }
    links[kind].size = UInt32(clamping: ownSizeEstimate(links))
    if kind == .main { tellLinks(&links) }
    if phase == .settled, !hasJoinedOnce {
      hasJoinedOnce = true
      if kind == .main { context.notify(.joined(neighbours: links.upCount)) }
    }
    if oldPhase != phase || oldEnds.0 != predecessor || oldEnds.1 != successor {
      changedAt = context.now
      stabiliseAt = min(stabiliseAt, context.now + Timing.stabiliseSoon)
      events.append(.changed)
    }
    let view = fingerprint(lists(for: nil, links))
    if view != announcedView {
      announcedView = view
      announceSoon(context.now)
      fillSides(&links, &context)
    }
  }

  /// What links make of this node's place among all nodes.
  private func tellLinks(_ links: inout Links) {
    let near = links.neighbourhood
    links.bearings.size = links.main.size
    links.isComfortable =
      isSettled && near.left.isFull && near.right.isFull && links.hasDirectLinks(Timing.directLinksMin)
    links.isWellConnected =
      isSettled
      && [near.predecessor, near.successor].allSatisfy { $0 == nil || links.peers[$0!].hasDirectPath }
  }

  /// A change is told at once, a series of changes a few times a second.
  private mutating func announceSoon(_ now: Instant) {
    announceAt = min(announceAt, max(now + Timing.coalesce, announcedAt + Timing.announceRing))
  }

  /// Goes, and tells the neighbours about each other.
  public mutating func leave(_ links: inout Links, _ context: inout Context) {
    let near = links[kind].neighbourhood
    var message = Leave()
    for i in 0..<near.left.count { message.left.append(links.named(Int(near.left[i]))) }
    for i in 0..<near.right.count { message.right.append(links.named(Int(near.right[i]))) }
    let all = near.all
    for i in 0..<all.count {
      links.send(.leave, on: kind, to: Int(all[i]), &context) { message.encode(to: &$0) }
    }
  }
}

extension Links {
  /// Whether so many lasting links have a direct path: others can be reached through them.
  func hasDirectLinks(_ wanted: Int) -> Bool {
    var count = 0
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp && peers[slot].isLasting {
      if peers[slot].hasDirectPath { count += 1 }
    }
    return count >= wanted
  }

  /// Gives the role `near` to the nearest, and takes it from others after a while.
  mutating func assignNear(on ring: RingKind, at now: Instant) {
    let near = self[ring].neighbourhood
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      if near.contains(slot) {
        if !peers[slot].roles.contains(ring.near) {
          routesAreStale = true
          // A quiet far link that takes the place of somebody who died may have died as well.
          if now - peers[slot].heardAt > Timing.quietLink { doubt(slot, now) }
        }
        peers[slot].roles.insert(ring.near)
        self[ring][slot].trimAt = .never
      } else if peers[slot].roles.contains(ring.near), self[ring][slot].trimAt == .never {
        self[ring][slot].trimAt = now + Timing.trim
        wake(slot, at: now + Timing.trim)
      }
    }
  }
}
