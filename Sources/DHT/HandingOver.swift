// Ranges that change hands: a newcomer fetches its range from its successor; copies follow the ring.

import Base
import Overlay
import Session

/// A newcomer's fetching of its range, piece by piece.
struct TakeOver: BitwiseCopyable {
  let ticket: UInt64
  /// Where the range begins.
  let start: OverlayID
  /// What lies up to here is fetched.
  var after: OverlayID
  var received: UInt8 = 0
  var tries: UInt8 = 0
  /// How often those who were asked said that they do not have the range: the successor first, then the nodes
  /// behind it.
  var refusals: UInt8 = 0
  /// Whether the question of this turn was refused: one refusal a question counts.
  var isRefused = false
  var nextAt: Instant
}

extension Directory {
  /// Leases in one piece of a hand-over or one round of copying.
  private static let piece = 64
  private static let takeOverRetry = Interval.milliseconds(200)
  /// How long leases may take to come from an owner that is no neighbour.
  private static let strayTime = Interval.seconds(2)
  /// A successor that stays silent or empty-handed this many times has nothing: the copies of others must do.
  private static let triesMax: UInt8 = 10
  private static let refusalsMax: UInt8 = 3

  /// The neighbours changed, or settledness did.
  public mutating func onRingChanged(_ links: inout Links, _ ring: borrowing Ring, _ context: inout Context) {
    guard ring.isSettled else { return }
    replicateAt = min(replicateAt, context.now + .milliseconds(200))
    replicated = nil
    guard let predecessor = links.neighbourhood.predecessor.map({ links.peers[$0].id }) else {
      isReady = true
      completeFrom = nil
      pulledFrom = nil
      return
    }
    let successor = links.neighbourhood.successor.map { links.peers[$0].id }
    if isReady, let begin = completeFrom, begin.isIn(after: predecessor, through: links.id) {
      // Nodes before this one are gone: their copies are here.
      completeFrom = predecessor
    }
    // Asked again of every new successor: while this node was away, or alone, others may have answered for
    // its range. What is here already goes on being answered for.
    if takingOver != nil || (isReady && pulledFrom == successor) { return }
    pulledFrom = successor
    takingOver = TakeOver(
      ticket: context.random.next(), start: predecessor, after: predecessor, nextAt: context.now)
    retryTakeOver(&links, ring, &context)
  }

  mutating func retryTakeOver(_ links: inout Links, _ ring: borrowing Ring, _ context: inout Context) {
    guard var current = takingOver, current.nextAt <= context.now else { return }
    let right = links.neighbourhood.right
    let turn = Int(current.refusals / Self.refusalsMax)
    guard turn < right.count, current.tries < Self.triesMax else {
      // Nobody near has the range. In a ring that ends where our view does, nobody has it at all; in a larger
      // one its last owner is farther away, and sends what it has as soon as it sees that the range moved.
      if !isReady, ring.sizeEstimate(links) > right.count + 1 {
        incompleteUntil = context.now + Self.strayTime
      }
      return finishTakeOver(isComplete: false)
    }
    let holder = links.peers[Int(right[turn])].id
    // As long as the neighbours do not agree, nobody is asked, and silence means nothing.
    if ring.isSettled { current.tries += 1 }
    current.received = 0
    current.isRefused = false
    current.nextAt = context.now + Self.takeOverRetry
    takingOver = current
    if ring.isSettled {
      send(
        .takeOver(ticket: current.ticket, after: current.after), to: holder, via: nil,
        &links,
        &context)
    }
  }

  /// A copy that belongs to the hand-over in progress.
  mutating func noteHandedOver(_ asker: Asker) {
    if takingOver?.ticket == asker.ticket { takingOver!.received &+= 1 }
  }

  mutating func receiveTakeOver(
    _ after: OverlayID, from asker: Asker, _ links: inout Links, _ context: inout Context
  ) {
    guard links.isNeighbour(asker.id, at: context.now), takeOvers.take(at: context.now) else {
      counters.limited &+= 1
      return
    }
    guard isReady, hasAll(from: after, links) else {
      let refusal = DirectoryMessage.handedOver(
        ticket: asker.ticket, isReady: false, count: 0, through: after)
      return send(refusal, to: asker.id, via: asker.via, &links, &context)
    }
    let now = context.now
    var keys = index.keys(limit: LeaseIndex.limit) {
      $1.expires > now && $0.isIn(after: after, through: asker.id)
    }
    keys.sort { after.clockwise(to: $0) < after.clockwise(to: $1) }
    let piece = keys.prefix(Self.piece)
    let through = keys.count > piece.count ? piece.last! : asker.id
    for key in piece { load(key, for: .push(to: asker.id, ticket: asker.ticket, key: key), &context) }
    load(.zero, for: .handedOver(asker, count: UInt8(piece.count), through: through), &context)
  }

  mutating func receiveHandedOver(
    _ ticket: UInt64, _ isReady: Bool, _ count: UInt8, _ through: OverlayID, _ links: inout Links,
    _ ring: borrowing Ring, _ context: inout Context
  ) {
    guard var current = takingOver, current.ticket == ticket else { return }
    if !isReady {
      guard !current.isRefused else { return }
      current.isRefused = true
      current.refusals += 1
      current.tries = 0
      current.nextAt = context.now + Self.takeOverRetry / 2
      takingOver = current
      return
    }
    // A copy was lost: this piece is asked for again by the timer.
    guard current.received >= count else { return }
    if through == links.id { return finishTakeOver(isComplete: true) }
    current.after = through
    current.tries = 0
    current.nextAt = context.now
    takingOver = current
    retryTakeOver(&links, ring, &context)
  }

  /// - Parameter isComplete: false when nobody had the range: then it begins here, unless this node answered
  ///   for it before.
  private mutating func finishTakeOver(isComplete: Bool) {
    if isComplete || !isReady { completeFrom = takingOver?.start }
    isReady = true
    takingOver = nil
  }

  /// Whether this node has whatever is stored between `start` and itself. A node that came in behind another
  /// newcomer never had that one's range.
  private func hasAll(from start: OverlayID, _ links: borrowing Links) -> Bool {
    guard let completeFrom else { return true }
    return start == completeFrom || start.isIn(after: completeFrom, through: links.id)
  }

  /// Sends leases on that lie outside what this node owns or keeps copies of: the ring grew while they
  /// stayed.
  private mutating func forwardStrays(_ links: borrowing Links, _ context: inout Context) {
    let left = links.neighbourhood.left
    guard left.count > Self.copies else { return }
    let first = links.peers[Int(left[Self.copies])].id
    let (me, now) = (links.id, context.now)
    for key in index.keys(
      limit: Self.piece / 2,
      where: { $1.expires > now && !$1.isForwarded && !$0.isIn(after: first, through: me) })
    {
      index.forwarded(key)
      load(key, for: .forward(key: key), &context)
    }
  }

  /// Has the next nodes keep copies of what is owned here, a piece at a time.
  mutating func replicate(_ links: inout Links, _ ring: borrowing Ring, _ context: inout Context) {
    replicateAt = .never
    forwardStrays(links, &context)
    guard ring.isSettled, isReady, let predecessor = links.neighbourhood.predecessor else { return }
    let start = replicated ?? links.peers[predecessor].id
    let (me, now) = (links.id, context.now)
    guard start != me else { return }
    var keys = index.keys(limit: LeaseIndex.limit) { $1.expires > now && $0.isIn(after: start, through: me) }
    keys.sort { start.clockwise(to: $0) < start.clockwise(to: $1) }
    let keepers = keepers(links)
    for key in keys.prefix(Self.piece / 2) {
      for i in 0..<keepers.count { load(key, for: .push(to: keepers[i], ticket: 0, key: key), &context) }
    }
    if keys.count > Self.piece / 2 {
      replicated = keys[Self.piece / 2 - 1]
      replicateAt = now + .milliseconds(200)
    }
  }
}
