// What neighbours tell each other, and what follows from it.
//
// Predecessor and successor are asked every few seconds, the others in turn. A question says in two
// fingerprints what the sender has and what it knows of the receiver; lists travel only to those to whom they
// are news, and names (six times as long) only of those that are new to the sender itself. If a receiver
// has not heard of others, it says so, and is told all. A question without an answer is also how the death of
// a neighbour is noticed, and a list in which somebody is missing is how it gets about.

import Base
import Session

extension Ring {
  public mutating func receive(
    _ message: Stabilise, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    guard context.now >= isDeafUntil else { return }
    let peer = links.peers[slot].id
    links.peers[slot].wantedAt = context.now
    links[kind][slot].toldAt = context.now
    links.peers[slot].bearings.coordinate = message.bearings.coordinate
    links[kind][slot].size = message.bearings.size
    let isComplete = learn(message, from: slot, &links, &context)
    // The peer may have gone while its lists were read.
    guard let slot = links.peer(peer), links.peers[slot].isUp else { return }
    links.introduce(slot, &context)
    let lists = lists(for: slot, links)
    let isBehind = isBehind(message, fingerprint(lists), slot, &links, context.now)
    if message.wantsAnswer || isBehind || !isComplete {
      sendStabilise(lists, to: slot, wantsAnswer: false, lacksNames: !isComplete, &links, &context)
    }
  }

  /// Whether the peer shall have our lists (again): what it has seen is not what they are, and they are not
  /// on their way to it already.
  private func isBehind(
    _ message: Stabilise, _ view: UInt32, _ slot: Int, _ links: inout Links, _ now: Instant
  ) -> Bool {
    if !message.lacksNames {
      if message.seen == view { return false }
      if links[kind][slot].viewSent != view { return true }
      let patience = links.peers[slot].bestPath?.roundTrip.timeout ?? RoundTrip.timeoutInitial
      if now - links[kind][slot].viewSentAt < patience { return false }
    }
    guard links.peers[slot].answers.take(at: now) else { return false }
    // They were lost, or names in them: it is told all.
    links[kind][slot].viewSent = 0
    links[kind][slot].viewSentAt = .start
    return true
  }

  /// - Returns: false when somebody who matters stands in the lists without a name.
  private mutating func learn(
    _ message: Stabilise, from slot: Int, _ links: inout Links, _ context: inout Context
  ) -> Bool {
    guard let lists = message.lists else { return true }
    let peer = links.peers[slot].id
    let me = links.id.high
    links[kind][slot].viewSeen = message.view
    links[kind][slot].namesUsSuccessor = !lists.right.isEmpty && lists.right[0] == me
    links[kind][slot].namesUsPredecessor = !lists.left.isEmpty && lists.left[0] == me
    links[kind][slot].namedRight = lists.right.isEmpty ? 0 : lists.right[0]
    links[kind][slot].namedLeft = lists.left.isEmpty ? 0 : lists.left[0]
    doubtMissing(in: lists, of: slot, &links, context.now)
    for i in 0..<message.names.count { consider(message.names[i], via: peer, &links, &context) }
    reassess(&links, &context)
    let listed = lists.all
    for i in 0..<listed.count where listed[i] != me {
      let isHeardOf =
        links.peer(leading: listed[i]) != nil || known.contains(leading: listed[i])
        || message.names.contains { $0.key.id.high == listed[i] }
      let id = OverlayID(high: listed[i], middle: 0, low: 0)
      if !isHeardOf && known.wants(id, voucher: peer, around: links.id) { return false }
    }
    return true
  }

  /// Neighbours of ours that ought to be in the peer's lists and are not: it may know that they are gone.
  private func doubtMissing(
    in lists: NeighbourLists, of slot: Int, _ links: inout Links, _ now: Instant
  ) {
    // A peer with few neighbours sees the whole ring.
    let isWhole = !lists.left.isFull || !lists.right.isFull
    let from = isWhole ? links.id : OverlayID(high: lists.left[3], middle: 0, low: 0)
    let to = isWhole ? links.id : OverlayID(high: lists.right[3], middle: 0, low: 0)
    let near = links[kind].neighbourhood.all
    for i in 0..<near.count where Int(near[i]) != slot {
      let other = Int(near[i])
      let id = links.peers[other].id
      guard id.isIn(after: from, through: to), now - links.peers[other].heardAt > .seconds(1),
        !lists.left.contains(where: { $0 == id.high }), !lists.right.contains(where: { $0 == id.high })
      else { continue }
      links.doubt(other, now)
    }
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
    guard let slot = links.peer(peer) else { return }
    switch kind {
    case .main: links.forget(slot, &context)
    case .members:
      let key = links.peers[slot].key
      if links.setMember(slot, false) { onDown(key, &links, &context) }
    }
  }

  // MARK: - Rounds

  /// All neighbours to whom it is news hear of a change. While this node is not settled the nearest two shall
  /// answer.
  mutating func announce(_ links: inout Links, _ context: inout Context) {
    announceAt = .never
    announcedAt = context.now
    let near = links[kind].neighbourhood
    let all = near.all
    for i in 0..<all.count {
      let slot = Int(all[i])
      let lists = lists(for: slot, links)
      guard links[kind][slot].viewSent != fingerprint(lists) else { continue }
      let isNearest = slot == near.predecessor || slot == near.successor
      sendStabilise(lists, to: slot, wantsAnswer: isNearest && !isSettled, &links, &context)
    }
  }

  mutating func stabiliseRound(_ links: inout Links, _ context: inout Context) {
    let now = context.now
    let isQuiet = now - changedAt > Timing.unquiet && isSettled
    let period = isQuiet ? kind.calm : kind.unquiet
    stabiliseAt = now + context.random.jittered(period)
    let near = links[kind].neighbourhood
    let all = near.all
    guard !all.isEmpty else { return }
    turn &+= 1
    let third = Int(all[turn % all.count])
    for slot in [near.predecessor, near.successor] {
      // One question serves both sides.
      guard let slot, slot != third || all.count < 3, now - links[kind][slot].toldAt > period / 2 else {
        continue
      }
      sendStabilise(to: slot, wantsAnswer: true, &links, &context)
    }
    if all.count > 2 { sendStabilise(to: third, wantsAnswer: true, &links, &context) }
  }

  mutating func sendStabilise(
    to slot: Int, wantsAnswer: Bool, _ links: inout Links, _ context: inout Context
  ) {
    sendStabilise(lists(for: slot, links), to: slot, wantsAnswer: wantsAnswer, &links, &context)
  }

  /// Sends the lists that were made for the peer now.
  private mutating func sendStabilise(
    _ lists: NeighbourLists, to slot: Int, wantsAnswer: Bool, lacksNames: Bool = false, _ links: inout Links,
    _ context: inout Context
  ) {
    let view = fingerprint(lists)
    let isNews = links[kind][slot].viewSent != view
    var message = Stabilise(
      wantsAnswer: wantsAnswer, settled: isSettled, view: view, seen: links[kind][slot].viewSeen,
      bearings: bearings(links), lists: isNews ? lists : nil)
    message.lacksNames = lacksNames
    if isNews {
      message.names = names(in: lists, since: links[kind][slot].viewSentAt, links)
      links[kind][slot].viewSent = view
      links[kind][slot].viewSentAt = context.now
    }
    links.send(.stabilise, on: kind, to: slot, &context) { message.encode(to: &$0) }
    if wantsAnswer { links.expectAnswer(slot, context.now) }
  }

  /// Where this node believes to be, on this ring.
  private func bearings(_ links: borrowing Links) -> Bearings {
    kind == .main
      ? links.bearings
      : Bearings(size: links.members.size, coordinate: links.bearings.coordinate)
  }

  // MARK: - Views

  func lists(for receiver: Int?, _ links: borrowing Links) -> NeighbourLists {
    var lists = NeighbourLists()
    let near = links[kind].neighbourhood
    for i in 0..<near.left.count { lists.left.append(links.peers[Int(near.left[i])].id.high) }
    for i in 0..<near.right.count { lists.right.append(links.peers[Int(near.right[i])].id.high) }
    if let receiver { lists.nearReceiver = nearest(to: receiver, links) }
    return lists
  }

  /// The names of those in the lists with whom we are linked only since `moment`.
  private func names(
    in lists: NeighbourLists, since moment: Instant, _ links: borrowing Links
  ) -> BoundedArray<12, NamedNode> {
    var names = BoundedArray<12, NamedNode>()
    let listed = lists.all
    for i in 0..<listed.count {
      if let slot = links.peer(leading: listed[i]), links.peers[slot].upAt > moment {
        names.append(links.named(slot))
      }
    }
    return names
  }

  /// 32 bits that differ between different lists; never 0.
  func fingerprint(_ lists: NeighbourLists) -> UInt32 {
    var mix: UInt64 = 0
    for list in [lists.left, lists.right, lists.nearReceiver] {
      mix = mixed(mix &+ 1)
      for i in 0..<list.count { mix = mixed(mix ^ list[i]) }
    }
    return UInt32(truncatingIfNeeded: mix) | 1
  }

  /// The two nearest on each side of a peer, among those that we are linked to.
  private func nearest(to receiver: Int, _ links: borrowing Links) -> BoundedArray<4, UInt64> {
    let place = links.peers[receiver].id
    let forth: BoundedArray<2, Int32> = links[kind].order.nearest(to: place, isClockwise: true)
    let back: BoundedArray<2, Int32> = links[kind].order.nearest(to: place, isClockwise: false)
    var nodes = BoundedArray<4, UInt64>()
    for list in [forth, back] {
      for i in 0..<list.count {
        let word = links.peers[Int(list[i])].id.high
        if !nodes.contains(where: { $0 == word }) { nodes.append(word) }
      }
    }
    return nodes
  }
}

extension Links {
  /// The peer whose ID begins with these 64 bits.
  func peer(leading word: UInt64) -> Int? {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].id.high == word { return slot }
    return nil
  }
}
