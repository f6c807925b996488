// What neighbours tell each other, and what follows from it.
//
// Predecessor and successor are asked every few seconds, the others in turn. A question says in two
// fingerprints what the sender has and what it knows of the receiver; whole lists travel only to those to
// whom they are news. A question without an answer is also how the death of a neighbour is noticed, and a
// list in which somebody is missing is how it gets about.

import Base
import Session

extension Ring {
  public mutating func receive(
    _ message: Stabilise, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    let peer = links.peers[slot].id
    links.peers[slot].wantedAt = context.now
    links.peers[slot].toldAt = context.now
    links.peers[slot].bearings = message.bearings
    if let lists = message.lists { learn(lists, view: message.view, from: slot, &links, &context) }
    // The peer may have gone while its lists were read.
    guard let slot = links.peer(peer), links.peers[slot].isUp else { return }
    links.introduce(slot, &context)
    let isBehind = message.seen != fingerprint(lists(for: slot, links))
    if isBehind { links.peers[slot].viewSent = 0 }
    if message.wantsAnswer || isBehind { sendStabilise(to: slot, wantsAnswer: false, &links, &context) }
  }

  private mutating func learn(
    _ lists: NeighbourLists, view: UInt32, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    let peer = links.peers[slot].id
    let me = links.identity.publicKey
    links.peers[slot].viewSeen = view
    links.peers[slot].namesUsSuccessor = !lists.right.isEmpty && lists.right[0].key == me
    links.peers[slot].namesUsPredecessor = !lists.left.isEmpty && lists.left[0].key == me
    links.peers[slot].namedRight = lists.right.isEmpty ? 0 : lists.right[0].key.flatHash
    links.peers[slot].namedLeft = lists.left.isEmpty ? 0 : lists.left[0].key.flatHash
    doubtMissing(in: lists, of: slot, &links, context.now)
    for list in [lists.left, lists.right, lists.nearReceiver] {
      for i in 0..<list.count { consider(list[i], via: peer, &links, &context) }
    }
    reassess(&links, &context)
  }

  /// Neighbours of ours that ought to be in the peer's lists and are not: it may know that they are gone.
  private func doubtMissing(
    in lists: NeighbourLists, of slot: Int, _ links: inout Links, _ now: Instant
  ) {
    // A peer with few neighbours sees the whole ring.
    let isWhole = !lists.left.isFull || !lists.right.isFull
    let from = isWhole ? links.id : lists.left[3].key.id
    let to = isWhole ? links.id : lists.right[3].key.id
    let near = links.neighbourhood.all
    for i in 0..<near.count where Int(near[i]) != slot {
      let other = Int(near[i])
      let key = links.peers[other].key
      guard links.peers[other].id.isIn(after: from, through: to),
        now - links.peers[other].heardAt > .seconds(1), !lists.left.contains(where: { $0.key == key }),
        !lists.right.contains(where: { $0.key == key })
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
    if let slot = links.peer(peer) { links.forget(slot) }
  }

  // MARK: - Rounds

  /// All neighbours hear of a change; the nearest two shall answer.
  mutating func announce(_ links: inout Links, _ context: inout Context) {
    announceAt = .never
    announcedAt = context.now
    let near = links.neighbourhood
    let all = near.all
    for i in 0..<all.count {
      let slot = Int(all[i])
      let isNearest = slot == near.predecessor || slot == near.successor
      sendStabilise(to: slot, wantsAnswer: isNearest || !isSettled, &links, &context)
    }
  }

  mutating func stabiliseRound(_ links: inout Links, _ context: inout Context) {
    let now = context.now
    let isQuiet = now - changedAt > Timing.unquiet && isSettled
    let period = isQuiet ? Timing.stabilise : Timing.stabiliseSoon
    stabiliseAt = now + context.random.jittered(period)
    let near = links.neighbourhood
    let all = near.all
    guard !all.isEmpty else { return }
    turn &+= 1
    let third = Int(all[turn % all.count])
    for slot in [near.predecessor, near.successor] {
      // One question serves both sides.
      guard let slot, slot != third || all.count < 3, now - links.peers[slot].toldAt > period / 2 else {
        continue
      }
      sendStabilise(to: slot, wantsAnswer: true, &links, &context)
    }
    if all.count > 2 { sendStabilise(to: third, wantsAnswer: true, &links, &context) }
  }

  mutating func sendStabilise(
    to slot: Int, wantsAnswer: Bool, _ links: inout Links, _ context: inout Context
  ) {
    let lists = lists(for: slot, links)
    let view = fingerprint(lists)
    let isNews = links.peers[slot].viewSent != view
    let message = Stabilise(
      wantsAnswer: wantsAnswer, settled: isSettled, view: view, seen: links.peers[slot].viewSeen,
      bearings: links.bearings, lists: isNews ? lists : nil)
    links.peers[slot].viewSent = view
    links.send(.stabilise, to: slot, &context) { message.encode(to: &$0) }
    if wantsAnswer { links.expectAnswer(slot, context.now) }
  }

  // MARK: - Views

  func lists(for receiver: Int?, _ links: borrowing Links) -> NeighbourLists {
    var lists = NeighbourLists()
    let near = links.neighbourhood
    for i in 0..<near.left.count { lists.left.append(links.named(Int(near.left[i]))) }
    for i in 0..<near.right.count { lists.right.append(links.named(Int(near.right[i]))) }
    if let receiver { lists.nearReceiver = nearest(to: receiver, links) }
    return lists
  }

  /// 32 bits that differ between different lists; never 0.
  func fingerprint(_ lists: NeighbourLists) -> UInt32 {
    var mix: UInt64 = 0
    for list in [lists.left, lists.right, lists.nearReceiver] {
      mix = mixed(mix &+ 1)
      for i in 0..<list.count { mix = mixed(mix ^ list[i].key.flatHash) }
    }
    return UInt32(truncatingIfNeeded: mix) | 1
  }

  /// The two nearest on each side of a peer, among those that we are linked to.
  private func nearest(to receiver: Int, _ links: borrowing Links) -> BoundedArray<4, NamedNode> {
    let target = links.peers[receiver].id.high
    // Leading words do: of two that agree in 64 bits either may be named.
    var forth = BoundedArray<2, Int32>()
    var back = BoundedArray<2, Int32>()
    for slot in 0..<links.peers.highWater
    where links.peers.isUsed(slot) && links.peers[slot].isUp && slot != receiver {
      let distance = links.peers[slot].id.high &- target
      forth.insert(
        Int32(slot),
        at: forth.firstIndex { distance < links.peers[Int($0)].id.high &- target } ?? forth.count)
      back.insert(
        Int32(slot), at: back.firstIndex { links.peers[Int($0)].id.high &- target < distance } ?? back.count)
    }
    var nodes = BoundedArray<4, NamedNode>()
    for list in [forth, back] {
      for i in 0..<list.count {
        let node = links.named(Int(list[i]))
        if !nodes.contains(where: { $0.key == node.key }) { nodes.append(node) }
      }
    }
    return nodes
  }
}
