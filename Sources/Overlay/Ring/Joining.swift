// Finding the place on the ring: who is nearest to this node, and who of them is asked for a link.

import Base
import Session

extension Ring {
  /// A node and all its neighbours.
  static let placeNames: UInt8 = 9

  /// Asks which other node `target` leads to, and for the names of so many nodes there; the answer comes as
  /// an event with the nonce.
  public mutating func find(
    _ target: OverlayID, mode: RoutingMode = .nearest, names: UInt8 = 1, nonce: UInt64, _ links: inout Links,
    _ context: inout Context
  ) {
    let message = RingMessage.find(nonce: nonce, names: names)
    links.route(message, on: kind, mode: mode, to: target, wantsNotice: true, &context)
  }

  /// Asks for its own place: soon again while unsettled, later as a look from outside now and then.
  mutating func findPlace(_ links: inout Links, _ context: inout Context) {
    findAt = context.now + context.random.jittered(isSettled ? .minutes(5) : Timing.find)
    guard links[kind].count > 0 else { return }
    placedAt = min(placedAt, context.now + Timing.find)
    findNonce = context.random.next()
    find(links.id, names: Self.placeNames, nonce: findNonce, &links, &context)
  }

  /// A search did not arrive: while unsettled the next begins soon.
  public mutating func onUndeliverable(nonce: UInt64, _ context: inout Context) {
    if nonce == findNonce, !isSettled { findAt = min(findAt, context.now + Timing.findSoon) }
  }

  /// - Parameter isReady: whether this node is settled and has the leases of its range.
  public mutating func receive(
    _ message: RingMessage, header: RoutedHeader, isReady: Bool, _ links: inout Links,
    _ context: inout Context
  ) {
    switch message {
    case .find(let nonce, let names):
      answerFind(nonce, names, header, &links, &context)
    case .welcome(let nonce, let hops, let nodes):
      // Zero stands for no search.
      guard !nodes.isEmpty, nonce != 0 else { return }
      let voucher = header.sourceVia ?? header.source
      if nonce == findNonce {
        findNonce = 0
        placedAt = .start
        for i in 0..<nodes.count { consider(nodes[i].node, via: voucher, &links, &context) }
        fillSides(&links, &context)
      } else if let look = unifier.end(nonce) {
        learn(nodes, from: look, via: voucher, &links, &context)
      } else if nonce == shortcuts.nonce {
        chooseShortcut(nodes, via: voucher, &links, &context)
      } else {
        events.append(.found(nonce: nonce, nodes[0].node.key, hops: hops))
      }
    case .look(let nonce):
      answerLook(nonce, header, isReady: isReady, &links, &context)
    case .testimony(let nonce, let word):
      let hops = Links.hopsMax &- header.hops &+ 1
      links.hear(Looked(nonce: nonce, id: header.source, ring: kind, testimony: word, hops: hops))
    case .undeliverable:
      break
    }
  }

  private mutating func answerFind(
    _ nonce: UInt64, _ names: UInt8, _ header: RoutedHeader, _ links: inout Links, _ context: inout Context
  ) {
    guard finds.take(at: context.now) else { return }
    var nodes = BoundedArray<9, PlacedNode>()
    nodes.append(PlacedNode(node: links.own, coordinate: links.bearings.coordinate))
    let near = links[kind].neighbourhood.all
    for i in 0..<near.count where nodes.count < Int(names) {
      let peer = Int(near[i])
      nodes.append(PlacedNode(node: links.named(peer), coordinate: links.peers[peer].bearings.coordinate))
    }
    let hops = Links.hopsMax &- header.hops &+ 1
    let answer = RingMessage.welcome(nonce: nonce, hops: hops, nodes: nodes)
    links.route(answer, on: kind, mode: .exact, to: header.source, via: header.sourceVia, &context)
  }

  // MARK: - Candidates

  /// A node that somebody names: remembered when it is one of the nearest, and asked for a link when it would
  /// be a neighbour.
  mutating func consider(
    _ node: NamedNode, via: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    if node.key == links.identity.publicKey || known.contains(node.key) { return }
    // Most that are named are linked already: their keys are known, and need not be hashed to find them.
    if links.isUp(node.key) { return }
    let candidate = node.key.id
    // Hearsay may be anything: only keys that may stand on a ring.
    guard candidate != links.id, links.identity.suite.admits(node.key) else { return }
    if let slot = links.peer(candidate) {
      // Up, being asked, or dead a moment ago.
      let isSettled = links.peers[slot].isUp || links.peers[slot].attempt != nil
      if isSettled || links.peers[slot].deadUntil > context.now { return }
    }
    let known = KnownNode(node: node, id: candidate, voucher: via)
    if self.known.insert(known, around: links.id) { approach(known, &links, &context) }
  }

  /// Asks a node for a link when it would be among the nearest, also of those that are being asked.
  private mutating func approach(_ known: KnownNode, _ links: inout Links, _ context: inout Context) {
    guard placedAt <= context.now, links.linkingCount < Links.linkingMax,
      links.wantsNeighbour(known.id, on: kind)
    else { return }
    let via = known.voucher == known.id ? nil : known.voucher
    links.approach(known.node, role: kind.near, via: via, &context)
  }

  /// Whoever is known and would be a neighbour is asked, sides with too few neighbours first of all.
  mutating func fillSides(_ links: inout Links, _ context: inout Context) {
    known.forEachOpen(at: context.now) { approach($0, &links, &context) }
  }
}

extension Links {
  /// Asks a node that somebody named for a link: where it was last reached, when it may be asked there, and
  /// else over the ring. So much hearsay a second and no more makes this node send where it was told to.
  mutating func approach(
    _ node: NamedNode, role: Roles, via: OverlayID?, _ context: inout Context
  ) {
    let isTried = underlay.mayProbe(node.endpoint) && approaches.take(at: context.now)
    connect(node.key, role: role, hint: isTried ? node.endpoint : nil, via: via, &context)
  }

  /// Whether a node with this ID would be among the nearest of one side, reckoned with those that were just
  /// asked for a link.
  func wantsNeighbour(_ candidate: OverlayID, on ring: RingKind) -> Bool {
    guard self[ring].neighbourhood.wants(candidate, around: id, peers) else { return false }
    let forth = id.clockwise(to: candidate)
    let back = candidate.clockwise(to: id)
    var nearerRight = 0
    var nearerLeft = 0
    for slot in 0..<peers.highWater where peers.isUsed(slot) {
      let isPromising =
        peers[slot].attempt.map { $0.tries <= 2 && peers[slot].roles.contains(ring.near) } ?? false
      guard self[ring].contains(slot) || isPromising else { continue }
      if peers[slot].id == candidate { return false }
      if id.clockwise(to: peers[slot].id) < forth { nearerRight += 1 }
      if peers[slot].id.clockwise(to: id) < back { nearerLeft += 1 }
    }
    return nearerRight < Neighbourhood.side || nearerLeft < Neighbourhood.side
  }
}
