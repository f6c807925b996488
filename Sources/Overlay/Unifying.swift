// Two rings become one.
//
// Whoever meets a node that does not find him where he stands has met another ring. Both then look up each
// other's place in the own ring; the nodes there link with the stranger, each tells the other its neighbour,
// and these are looked up in turn, so that the merge runs along both rings like a zip. A zip alone takes as
// long as the ring; so each look-up is also handed to a random far link, which begins at another place. Three
// such starts a look-up make the time logarithmic and cost a node some twenty messages (Shafaat, Ghodsi and
// Haridi, "Handling network partitions and mergers in structured overlay networks", 2007).

import Base
import Session

/// Strangers whose place in the own ring is to be found.
struct Unifier {
  /// Look-ups that follow from one.
  static let fanOut: UInt8 = 3
  static let queueMax = 32
  /// Between two look-ups of one node.
  static let pace = Interval.milliseconds(20)
  /// A stranger that was looked up is not looked up again for this long.
  static let repetition = Interval.seconds(5)

  struct Stranger: BitwiseCopyable {
    let node: NamedNode
    let fanOut: UInt8
    let via: OverlayID
  }

  private(set) var queue: [Stranger] = []
  private var recent: [(key: PublicKey, at: Instant)] = []
  var nextAt: Instant = .never
  /// The look from outside that is under way.
  var outsideNonce: UInt64 = 0

  mutating func push(_ node: NamedNode, fanOut: UInt8, via: OverlayID, at now: Instant) {
    recent.removeAll { now - $0.at > Self.repetition }
    guard queue.count < Self.queueMax, recent.count < Self.queueMax,
      !recent.contains(where: { $0.key == node.key })
    else { return }
    recent.append((node.key, now))
    queue.append(Stranger(node: node, fanOut: min(fanOut, Self.fanOut), via: via))
    nextAt = min(nextAt, now + Self.pace)
  }

  mutating func pop(at now: Instant) -> Stranger? {
    guard nextAt <= now, !queue.isEmpty else { return nil }
    let stranger = queue.removeFirst()
    nextAt = queue.isEmpty ? .never : now + Self.pace
    return stranger
  }
}

extension Ring {
  /// Asks a node that is no neighbour who is nearest to us there: in the same ring it is one of our own
  /// neighbours.
  public mutating func lookOutside(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    unifier.outsideNonce = context.random.next()
    let message = RingMessage.find(nonce: unifier.outsideNonce, names: Self.placeNames)
    links.routeMessage(through: slot, to: links.id, &context) { message.encode(to: &$0) }
  }

  /// What the look from outside saw.
  mutating func compare(
    _ nodes: BoundedArray<9, PlacedNode>, via: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    unifier.outsideNonce = 0
    let near = links.neighbourhood
    let ends = [near.predecessor, near.successor].compactMap { $0.map { links.peers[$0].key } }
    let own = links.identity.publicKey
    let isKnown = nodes.contains { $0.node.key == own || ends.contains($0.node.key) }
    for i in 0..<nodes.count { consider(nodes[i].node, via: via, &links, &context) }
    guard !isKnown, links.upCount > 1 else { return }
    context.notify(.foreignRing(nodes[0].node.key.id))
    unifier.push(nodes[0].node, fanOut: Unifier.fanOut, via: via, at: context.now)
  }

  public mutating func receive(
    _ message: Unify, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    for i in 0..<message.nodes.count {
      unifier.push(message.nodes[i], fanOut: message.fanOut, via: links.peers[slot].id, at: context.now)
    }
  }

  mutating func expireUnifier(_ links: inout Links, _ context: inout Context) {
    while let stranger = unifier.pop(at: context.now) {
      merge(stranger.node, fanOut: stranger.fanOut, via: stranger.via, &links, &context)
    }
  }

  /// Looks for the place of a stranger in the own ring: here, or by a message that goes there.
  mutating func merge(
    _ node: NamedNode, fanOut: UInt8, via: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    let id = node.key.id
    guard id != links.id, links.identity.suite.admits(node.key) else { return }
    let near = links.neighbourhood
    if let slot = links.peer(id), slot == near.predecessor || slot == near.successor { return }
    let rest = max(fanOut, 1) - 1
    if rest > 0, let far = links.randomShortcut(&context) {
      let message = Unify(fanOut: rest, node)
      links.send(.unify, to: far, &context) { message.encode(to: &$0) }
    }
    if links.isBetweenNearest(id) {
      meet(node, via: via, &links, &context)
    } else {
      let message = RingMessage.merge(fanOut: max(rest, 1), node)
      links.routeMessage(.ring, mode: .owner, to: id, &context) { message.encode(to: &$0) }
    }
  }

  /// Links with a stranger that belongs next to us.
  private mutating func meet(
    _ node: NamedNode, via: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    let id = node.key.id
    if let slot = links.peer(id), links.peers[slot].isUp {
      return exchangeNeighbours(slot, &links, &context)
    }
    links.approach(node, role: .near, via: via == id ? nil : via, &context)
    if let slot = links.peer(id) { links.peers[slot].isForeign = true }
  }

  /// Tells a stranger next to us who we are and who stands on its other side, for it to look up.
  mutating func exchangeNeighbours(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    links.peers[slot].isForeign = false
    var message = Unify(fanOut: Unifier.fanOut, links.own)
    let near = links.neighbourhood
    let isAhead =
      links.id.clockwise(to: links.peers[slot].id) < links.peers[slot].id.clockwise(to: links.id)
    if let other = isAhead ? near.successor : near.predecessor, other != slot {
      message.nodes.append(links.named(other))
    }
    links.send(.unify, to: slot, &context) { message.encode(to: &$0) }
  }
}

extension Links {
  /// Whether the ID lies between predecessor and successor.
  func isBetweenNearest(_ id: OverlayID) -> Bool {
    guard let predecessor = neighbourhood.predecessor, let successor = neighbourhood.successor else {
      return true
    }
    return id.isIn(after: peers[predecessor].id, through: peers[successor].id)
  }

  func randomShortcut(_ context: inout Context) -> Int? {
    var chosen: Int?
    var count: UInt64 = 0
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp && peers[slot].hasDirectPath
    {
      guard peers[slot].isLasting, !neighbourhood.contains(slot) else { continue }
      count += 1
      if context.random.below(count) == 0 { chosen = slot }
    }
    return chosen
  }
}
