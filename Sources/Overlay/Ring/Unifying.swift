// Two rings become one.
//
// Whoever meets a node through which nobody knows him has met another ring. The answer to his question names
// the nodes between which he stands there: he links with them like with any node that is nearer than a
// neighbour, and `stabilise` does the rest, a few places further with each round, to both sides: the rings
// close like a zip. A zip alone takes as long as the ring. So he also asks, through the stranger, who stands
// at the places of some of his far links, and tells each of them. Whoever is told of a stranger next to it,
// and links with it, does the same through that stranger. The zips that begin so multiply by three until
// there is no place left where the stranger is news: the time is logarithmic, and who is told needs no link
// but those that it keeps.
//
// After Shafaat, Ghodsi and Haridi, "Handling network partitions and mergers in structured overlay networks"
// (2007), from which it has the fan-out; there each look-up is a message to a node without a session.

import Base
import Session

/// Questions to other rings.
struct Unifier {
  /// Far links whose places are asked for at a time: fewer take long, more cost more than they gain.
  static let fanOut = 3
  /// Nobody asks for others more often than this.
  static let pause = Interval.seconds(5)
  /// An answer that takes longer than this is not waited for.
  static let patience = Interval.seconds(3)

  /// Who is nearest to a place, as another ring sees it?
  struct Look: BitwiseCopyable, Equatable {
    let nonce: UInt64
    /// Our own place, or that of a far link.
    let place: OverlayID
    /// The node through which the question went.
    let contact: OverlayID
    let askedAt: Instant
  }

  /// Under way.
  private var looks = BoundedArray<4, Look>()
  private var mayAskAt: Instant = .start

  /// A look at a place; nil when there are too many already, or one at this place.
  mutating func begin(
    at place: OverlayID, through contact: OverlayID, _ context: inout Context
  ) -> Look? {
    while let old = looks.firstIndex(where: { context.now - $0.askedAt > Self.patience }) {
      looks.remove(at: old)
    }
    guard !looks.contains(where: { $0.place == place }) else { return nil }
    let look = Look(
      nonce: context.random.next(), place: place, contact: contact, askedAt: context.now)
    return looks.append(look) ? look : nil
  }

  /// The look that is answered under this nonce: once.
  mutating func end(_ nonce: UInt64) -> Look? {
    looks.firstIndex { $0.nonce == nonce }.map { looks.remove(at: $0) }
  }

  /// Whether it is time to ask for others.
  mutating func mayAsk(at now: Instant) -> Bool {
    guard mayAskAt <= now else { return false }
    mayAskAt = now + Self.pause
    return true
  }
}

extension Ring {
  /// Asks a node that is no neighbour who is nearest to us there: in the same ring it is one of our own
  /// neighbours.
  public mutating func lookOutside(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    look(at: links.id, through: slot, &links, &context)
  }

  private mutating func look(
    at place: OverlayID, through slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    guard let look = unifier.begin(at: place, through: links.peers[slot].id, &context) else { return }
    let message = RingMessage.find(nonce: look.nonce, names: Self.placeNames)
    links.route(message, on: kind, through: slot, to: place, &context)
  }

  /// What a look from outside saw.
  mutating func learn(
    _ nodes: BoundedArray<9, PlacedNode>, from look: Unifier.Look, via: OverlayID, _ links: inout Links,
    _ context: inout Context
  ) {
    guard look.place == links.id else { return tell(nodes, of: look.place, &links, &context) }
    let near = links[kind].neighbourhood
    let ends = [near.predecessor, near.successor].compactMap { $0.map { links.peers[$0].key } }
    let own = links.identity.publicKey
    let isKnown = nodes.contains { $0.node.key == own || ends.contains($0.node.key) }
    for i in 0..<nodes.count { meet(nodes[i].node, via: via, &links, &context) }
    guard !isKnown, links[kind].count > 1 else { return }
    metForeignAt = context.now
    if kind == .main { context.notify(.foreignRing(nodes[0].node.key.id)) }
    if let contact = links.peer(look.contact), links.peers[contact].isUp {
      askForOthers(through: contact, &links, &context)
    }
  }

  /// Tells a far link between whom it stands in the other ring.
  private func tell(
    _ nodes: BoundedArray<9, PlacedNode>, of place: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    guard let slot = links.peer(place), links.peers[slot].isUp,
      !nodes.contains(where: { $0.node.key == links.peers[slot].key })
    else { return }
    var ahead = nodes[0].node
    var behind = ahead
    for i in 1..<nodes.count {
      let node = nodes[i].node
      if place.clockwise(to: node.key.id) < place.clockwise(to: ahead.key.id) { ahead = node }
      if node.key.id.clockwise(to: place) < behind.key.id.clockwise(to: place) { behind = node }
    }
    var message = Unify(ahead)
    if behind.key != ahead.key { message.nodes.append(behind) }
    links.send(.unify, on: kind, to: slot, &context) { message.encode(to: &$0) }
  }

  public mutating func receive(
    _ message: Unify, from slot: Int, _ links: inout Links, _ context: inout Context
  ) {
    let teller = links.peers[slot].id
    for i in 0..<message.nodes.count { meet(message.nodes[i], via: teller, &links, &context) }
  }

  /// A node of another ring may belong next to us.
  private mutating func meet(
    _ node: NamedNode, via: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    consider(node, via: via, &links, &context)
    guard let slot = links.peer(node.key.id), links.peers[slot].attempt != nil else { return }
    links[kind][slot].isForeign = true
  }

  /// Asks a node of another ring who stands there at the places of some far links.
  mutating func askForOthers(through contact: Int, _ links: inout Links, _ context: inout Context) {
    guard unifier.mayAsk(at: context.now) else { return }
    let others = links.randomFarLinks(on: kind, other: contact, &context)
    for i in 0..<others.count {
      look(at: links.peers[Int(others[i])].id, through: contact, &links, &context)
    }
  }
}

extension Links {
  /// Some lasting links beyond the neighbourhood that are reached directly.
  func randomFarLinks(on ring: RingKind, other: Int, _ context: inout Context) -> BoundedArray<3, Int32> {
    var chosen = BoundedArray<3, Int32>()
    var count: UInt64 = 0
    let near = self[ring].neighbourhood
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp && peers[slot].hasDirectPath
    {
      guard slot != other, peers[slot].isLasting, self[ring].contains(slot), !near.contains(slot) else {
        continue
      }
      count += 1
      if chosen.append(Int32(slot)) { continue }
      let place = Int(context.random.below(count))
      guard place < chosen.count else { continue }
      chosen.remove(at: place)
      chosen.append(Int32(slot))
    }
    return chosen
  }
}
