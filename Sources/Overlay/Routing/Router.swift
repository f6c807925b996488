// Greedy recursive routing: a message goes to the linked node that leads nearest to its destination, or to a
// quicker one that leads about as near, until nobody is nearer.
//
// The distance is the shorter way round the ring. Each hop brings the message strictly nearer, so it cannot
// circle; the hop count bounds what a broken ring could still do. Where a hop failed, or the destination
// would be a neighbour and is none, a few steps may lead away from it (annealing:
// Ganguly et al., "Improving peer connectivity in wide-area overlays of virtual workstations", 2009). Only
// links that work take part: those with a proven direct path or circuit, and ring neighbours that are reached
// over the ring themselves.

import Base
import Session

/// What to do with a routed message.
enum RoutingDecision: Equatable {
  case deliver
  case forward(Int)
  case undeliverable
}

extension Links {
  /// Twice the depth of a ring of a million nodes and some (`RoutedHeader.hops` at the start).
  static let hopsMax: UInt8 = 56
  /// Steps away from the destination that a message may take in all.
  static let detoursMax: UInt8 = 3

  /// Where a message goes from here.
  /// - Parameters:
  ///   - hop: the peer that handed it on; nil at its source.
  ///   - tried: peers that did not take it.
  mutating func decide(
    _ header: inout RoutedHeader, from hop: Int?, tried: BoundedArray<3, Int32> = BoundedArray()
  ) -> RoutingDecision {
    refreshRoutes()
    var excluded = Excluded()
    if let hop { excluded.append(Int32(hop)) }
    // Who sent it does not take it back.
    if let source = peer(header.source) { excluded.append(Int32(source)) }
    for i in 0..<tried.count { excluded.append(tried[i]) }
    switch header.mode {
    case .exact: return decideExact(&header, from: hop, hasFailed: !tried.isEmpty, excluded)
    case .nearest: return decideNearest(header, excluded)
    case .owner: return decideOwner(&header, hasFailed: !tried.isEmpty, excluded)
    }
  }

  private func decideExact(
    _ header: inout RoutedHeader, from hop: Int?, hasFailed: Bool, _ excluded: Excluded
  ) -> RoutingDecision {
    if header.destination == id { return .deliver }
    let directOnly = header.payload == .datagram
    if let slot = peer(header.destination), !excluded.contains(where: { $0 == slot }),
      let kind = routeKind(slot), kind == .direct || !directOnly
    {
      return .forward(slot)
    }
    // A message goes to a neighbour of the destination that is linked with it in whatever way. A datagram
    // needs somebody with a path to it that is not the ring itself.
    if directOnly, header.destinationVia == nil, header.detours < Self.detoursMax {
      header.destinationVia = knownVia(of: header.destination, excluded)
    }
    while true {
      let target = header.destinationVia ?? header.destination
      if target != id {
        if let next = routes.next(
          toward: target, from: id, excluding: excluded, ignoring: nil, directOnly: directOnly)
        {
          return .forward(next)
        }
        // At the source one step away from the target is allowed: the nearest may be one we cannot reach.
        let decision = detour(
          &header, toward: target, excluded, isFree: hop == nil, hasFailed: hasFailed, directOnly: directOnly)
        if decision != .undeliverable { return decision }
      }
      guard header.destinationVia != nil else { return .undeliverable }
      dropVia(&header)
    }
  }

  /// The named via has no direct path to the destination, or is not to be found: the message goes on without
  /// it. It counts as a detour: vias that name each other could hand a message round for ever.
  func dropVia(_ header: inout RoutedHeader) {
    header.destinationVia = nil
    header.detours = min(header.detours + 1, Self.detoursMax)
  }

  /// Who is said to have a direct path to the peer with this ID.
  private func knownVia(of destination: OverlayID, _ excluded: Excluded) -> OverlayID? {
    guard let slot = peer(destination), peers[slot].isUp else { return nil }
    let vias = peers[slot].vias
    for i in 0..<vias.count where vias[i] != id {
      guard let via = peer(vias[i]) else { return vias[i] }
      if !excluded.contains(where: { $0 == via }) { return vias[i] }
    }
    return nil
  }

  private func decideNearest(_ header: RoutedHeader, _ excluded: Excluded) -> RoutingDecision {
    if let next = routes.next(
      toward: header.destination, from: id, excluding: excluded, ignoring: header.source, directOnly: false)
    {
      return .forward(next)
    }
    if header.source != id { return .deliver }
    let next = routes.nearest(to: header.destination, excluding: excluded, directOnly: false)
    return next.map { .forward($0) } ?? .undeliverable
  }

  private func decideOwner(
    _ header: inout RoutedHeader, hasFailed: Bool, _ excluded: Excluded
  ) -> RoutingDecision {
    let key = header.destination
    guard let predecessor = neighbourhood.predecessor else { return .deliver }
    if key.isIn(after: peers[predecessor].id, through: id) { return .deliver }
    // Behind the key: only backwards, each step nearer to it, or two nodes that disagree about who lies
    // between them could hand it to and fro.
    if header.isFinal {
      return routes.behind(key, before: id, excluding: excluded).map { .forward($0) } ?? .undeliverable
    }
    if let owner = main.owner(of: key, around: id, peers), routeKind(owner) != nil,
      !excluded.contains(where: { $0 == owner })
    {
      header.isFinal = true
      return .forward(owner)
    }
    if let next = routes.next(
      toward: key, aim: aim(key), from: id, excluding: excluded, ignoring: nil, directOnly: false)
    {
      return .forward(next)
    }
    return detour(&header, toward: key, excluded, isFree: false, hasFailed: hasFailed, directOnly: false)
  }

  /// Where the owner of a key is to be expected: not at the key, but a good half of the mean distance between
  /// nodes behind it. Without this every other look-up ends at the predecessor and takes one hop more.
  private func aim(_ key: OverlayID) -> UInt64 {
    let size = UInt64(max(bearings.size, 1))
    return key.high &+ UInt64.max / size / 10 * 7
  }

  /// A step that leads away: when a better hop failed, when the destination ought to be linked here and is
  /// not, and (`isFree`) from the source.
  private func detour(
    _ header: inout RoutedHeader, toward target: OverlayID, _ excluded: Excluded, isFree: Bool,
    hasFailed: Bool, directOnly: Bool
  ) -> RoutingDecision {
    let isLost = hasFailed || neighbourhood.covers(target, around: id, peers)
    guard isFree || (isLost && header.detours < Self.detoursMax),
      let next = routes.nearest(to: target, excluding: excluded, directOnly: directOnly)
    else { return .undeliverable }
    if !isFree { header.detours += 1 }
    return .forward(next)
  }

  // MARK: - The table of routes

  /// How messages can be handed to the peer; nil when they cannot.
  private func routeKind(_ slot: Int) -> RouteKind? {
    guard peers[slot].isUp, let best = peers[slot].best else { return nil }
    if peers[slot].paths[best]?.way != .overlay { return .direct }
    return peers[slot].hasDirectPath || peers[slot].roles.contains(.near) ? .indirect : nil
  }

  /// The usable peer that leads nearest to `target`, or is nearest to it without leading nearer.
  mutating func nextHop(toward target: OverlayID, excluding excluded: OverlayID, directOnly: Bool) -> Int? {
    refreshRoutes()
    var slots = Excluded()
    if let slot = peer(excluded) { slots.append(Int32(slot)) }
    return routes.next(toward: target, from: id, excluding: slots, ignoring: nil, directOnly: directOnly)
      ?? routes.nearest(to: target, excluding: slots, directOnly: directOnly)
  }

  /// Links or their paths changed since the table was made.
  mutating func refreshRoutes() {
    guard routesAreStale else { return }
    routesAreStale = false
    routes.removeAll()
    routes.gap = (1 << 32) / UInt64(max(bearings.size, 1))
    for slot in 0..<peers.highWater where peers.isUsed(slot) {
      guard let kind = routeKind(slot), let time = peers[slot].bestPath?.roundTrip else { continue }
      let roundTrip = time.samples > 0 ? time.smoothed : RouteTable.usualRoundTrip
      routes.append(slot, peers[slot].id, kind, roundTrip: roundTrip)
    }
  }
}

extension Links {
  /// Whether the node with this ID is linked as one of the nearest on the ring, for it or for us.
  public func isNeighbour(_ id: OverlayID, at now: Instant) -> Bool {
    guard let slot = peer(id), peers[slot].isUp else { return false }
    return peers[slot].roles.contains(.near)
      || (peers[slot].wantedAt != .start && now - peers[slot].wantedAt < Timing.wanted)
  }

  /// Whether the key lies between the predecessor and this node, as far as this node can see.
  public func ownsByPlace(_ key: OverlayID) -> Bool {
    guard let predecessor = neighbourhood.predecessor else { return true }
    return key.isIn(after: peers[predecessor].id, through: id)
  }
}
