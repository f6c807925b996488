// Far links, so that a message needs few hops.
//
// Each node keeps ⌈½·log2 N⌉ of them and is kept by about as many others. How far one reaches is drawn
// from the harmonic law (each factor of two is as likely as any other), which makes greedy routing quick on a
// ring of any size without any plan (Manku, Bawa and Raghavan, "Symphony", 2003). It begins where the
// neighbours of neighbours end: a link to one of those, and one far link in four would be one, makes no way
// shorter, as hops are chosen two ahead. The node at the drawn place and its neighbours serve equally well,
// so the one among ⌈log2 N⌉ of them is linked that seems to be the quickest to reach (proximity selection: it
// halves the time of a look-up).

import Base
import Session

/// The far links of a node.
struct Shortcuts {
  /// When there are enough, this often it is looked whether there still are.
  static let calm = Interval.seconds(10)
  /// When some are missing, this often one is looked for.
  static let hurry = Interval.milliseconds(500)
  /// At most this long between searches that find nobody.
  static let rest = Interval.minutes(1)
  /// More than wanted are kept when the ring shrinks, so that a wavering estimate costs no links.
  static let surplus = 2

  var nextAt: Instant
  /// The search under way.
  var nonce: UInt64 = 0
  /// Searches in a row that found nobody new: on a small ring everybody is linked already.
  var fruitless: UInt64 = 0

  init(at now: Instant) { nextAt = now }

  /// Far links that a node of a ring of `size` nodes keeps; a small ring is a full mesh.
  static func count(size: Int) -> Int {
    guard size > 2 * Neighbourhood.side + 1 else { return 0 }
    return Int((Mathematics.log2(Double(size)) / 2).rounded(.up))
  }

  /// Nodes of whom the nearest is chosen.
  static func candidates(size: Int) -> Int {
    size < 2 ? 1 : Int(Mathematics.log2(Double(size)).rounded(.up))
  }
}

extension Ring {
  mutating func expireShortcuts(_ links: inout Links, _ context: inout Context) {
    guard shortcuts.nextAt <= context.now else { return }
    let size = sizeEstimate(links)
    let wanted = Shortcuts.count(size: size)
    let have = links.shortcutCount(on: kind)
    let isLacking = isSettled && have < wanted
    let hurry = min(Shortcuts.hurry * (1 << min(shortcuts.fruitless, 10)), Shortcuts.rest)
    shortcuts.nextAt = context.now + context.random.jittered(isLacking ? hurry : Shortcuts.calm)
    if isLacking {
      shortcuts.fruitless += 1
      shortcuts.nonce = context.random.next()
      let names = UInt8(clamping: Shortcuts.candidates(size: size))
      let target = target(size: size, links, &context)
      find(target, names: names, nonce: shortcuts.nonce, &links, &context)
    } else if have > wanted + Shortcuts.surplus {
      links.releaseSlowestShortcut(on: kind)
    }
  }

  /// A place to either side, at a distance by the harmonic law between that of the neighbours' neighbours and
  /// half of the ring.
  private func target(size: Int, _ links: borrowing Links, _ context: inout Context) -> OverlayID {
    let nearest = Double(2 * Neighbourhood.side) / Double(size)
    let share = context.random.harmonic(low: min(2 * nearest, 1)) / 2
    let distance = OverlayID(exp2: 160 + Mathematics.log2(share))
    return context.random.next() & 1 == 0 ? links.id &+ distance : links.id &- distance
  }

  /// Somebody stands at the wanted place, and these are the neighbours there.
  mutating func chooseShortcut(
    _ nodes: BoundedArray<9, PlacedNode>, via: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    shortcuts.nonce = 0
    let own = links.bearings.coordinate
    let limit = Shortcuts.candidates(size: sizeEstimate(links))
    var best: (node: NamedNode, time: Interval)?
    for i in 0..<min(nodes.count, limit) {
      let node = nodes[i].node
      guard node.key != links.identity.publicKey, links.mayBecomeShortcut(node.key, on: kind),
        links.identity.suite.admits(node.key)
      else { continue }
      let time = own.predictedRoundTrip(to: nodes[i].coordinate)
      if best == nil || time < best!.time { best = (node, time) }
    }
    guard let node = best?.node else { return }
    if let slot = links.peer(node.key.id), links[kind].contains(slot) {
      links.peers[slot].roles.insert(kind.far)
      shortcuts.fruitless = 0
      return links.introduce(slot, &context)
    }
    links.approach(node, role: kind.far, via: via == node.key.id ? nil : via, &context)
  }
}

extension Links {
  /// Far links that this node keeps itself.
  func shortcutCount(on ring: RingKind) -> Int {
    var count = 0
    for slot in 0..<peers.highWater
    where peers.isUsed(slot) && peers[slot].roles.contains(ring.far)
      && (peers[slot].isUp || peers[slot].attempt != nil)
    {
      count += 1
    }
    return count
  }

  /// Far links that others keep with this node.
  func guestCount(at now: Instant) -> Int {
    var count = 0
    for slot in 0..<peers.highWater
    where peers.isUsed(slot) && peers[slot].isGuest && peers[slot].wantedAt + Timing.wanted > now {
      count += 1
    }
    return count
  }

  /// Whether the node is neither a far link already, nor a neighbour, nor being asked for a link.
  func mayBecomeShortcut(_ key: PublicKey, on ring: RingKind) -> Bool {
    guard let slot = peer(key.id) else { return true }
    return peers[slot].attempt == nil && peers[slot].roles.isDisjoint(with: [ring.near, ring.far])
  }

  /// Gives up the far link that takes longest.
  mutating func releaseSlowestShortcut(on ring: RingKind) {
    var slowest: Int?
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].roles.contains(ring.far) {
      let time = peers[slot].bestPath?.roundTrip.smoothed ?? .zero
      if slowest == nil || time > peers[slowest!].bestPath?.roundTrip.smoothed ?? .zero { slowest = slot }
    }
    if let slowest { peers[slowest].roles.remove(ring.far) }
  }

  /// Twice as many as a node keeps itself, for each of its rings.
  private var guestsMax: Int {
    let ofMain = 2 * max(Shortcuts.count(size: Int(bearings.size)), 4)
    return members.count == 0 ? ofMain : ofMain + 2 * max(Shortcuts.count(size: Int(members.size)), 4)
  }

  /// A peer keeps this node as its far link. There may be too many of them already.
  mutating func receiveGuest(_ slot: Int, _ context: inout Context) {
    if peers[slot].isGuest {
      peers[slot].wantedAt = context.now
      return
    }
    if guestCount(at: context.now) < guestsMax || !peers[slot].roles.isDisjoint(with: [.near, .nearMember]) {
      peers[slot].isGuest = true
      peers[slot].wantedAt = context.now
      introduce(slot, &context)
    } else {
      send(.refuse, to: slot, &context) { _ in }
    }
  }

  /// The peer has too many guests.
  mutating func receiveRefusal(from slot: Int) { peers[slot].roles.subtract(.farLinks) }
}
