// The usable links in the shape that a hop needs: the leading 64 bits of their IDs, 32 of the IDs that they
// are linked with themselves, and how long they take.
//
// Choosing a hop reads all of it, so it is flat and small: a scan over some dozen words finds the nearest
// link, a scan over some hundred more the link that leads to the nearest place in two hops
// (neighbour-of-neighbour routing: Manku, Naor and Wieder, "Know thy neighbor's neighbor", STOC 2004).
// What links say of their own links may be stale. It only ranks: the hop itself is always strictly nearer to
// the destination than we are.
//
// Of two links that lead about equally near the quicker one is better (proximity routing). The weight of time
// is small: with 400 ms for a halving of the way look-ups take some 5 % less time and 3 % more hops than by
// distance alone; with 80 ms they would take 10 % less time, and in rings of a hundred nodes too many hops.
//
// Two IDs with the same leading 64 bits count as equally near here; who must know compares whole IDs.

import Base

/// What may carry a message.
enum RouteKind: BitwiseCopyable {
  /// A proven path that is not the ring itself: an endpoint or a circuit.
  case direct
  /// A ring neighbour that is reached over the ring: good for messages, not for datagrams in datagrams.
  case indirect
}

/// Slots of links that shall not be used for a message: who handed it on, its source, who failed already.
typealias Excluded = BoundedArray<5, Int32>

/// The usable links of a node.
struct RouteTable {
  /// Links of a link that are remembered: enough for the near and far links of a node on a ring of millions.
  static let aheadMax = Acquaintances.limit

  /// A link that takes so much longer, there and back, must lead to half of the distance.
  static let halving = Interval.milliseconds(400)
  /// What is assumed before the first measurement.
  static let usualRoundTrip = Interval.milliseconds(100)
  /// Costs are counted in these parts of a halving.
  private static let parts: UInt64 = 16

  /// Between two nodes of the ring, in the leading 32 bits: what is much nearer than that is there.
  var gap: UInt64 = 0
  private var prefixes: [UInt64] = []
  private var slots: [Int32] = []
  private var kinds: [RouteKind] = []
  /// What the time of each link costs.
  private var delays: [UInt32] = []
  /// `aheadMax` words a peer slot, and how many of them are set.
  private var ahead: [UInt32] = []
  private var aheadCounts: [UInt8] = []

  var count: Int { slots.count }

  mutating func removeAll() {
    prefixes.removeAll(keepingCapacity: true)
    slots.removeAll(keepingCapacity: true)
    kinds.removeAll(keepingCapacity: true)
    delays.removeAll(keepingCapacity: true)
  }

  mutating func append(
    _ slot: Int, _ id: OverlayID, _ kind: RouteKind, roundTrip: Interval = usualRoundTrip
  ) {
    prefixes.append(id.high)
    delays.append(UInt32(clamping: roundTrip.ns / (Self.halving.ns / Self.parts)))
    slots.append(Int32(slot))
    kinds.append(kind)
  }

  // MARK: - What lies behind links

  /// Remembers what the peer is linked with; the list replaces an older one.
  mutating func learn(_ slot: Int, _ prefixes: BoundedArray<28, UInt32>) {
    if aheadCounts.count <= slot {
      let missing = slot + 1 - aheadCounts.count
      aheadCounts.append(contentsOf: repeatElement(0, count: missing))
      // No more than that: an array would take twice as much, for the next slot.
      ahead.reserveCapacity((slot + 1) * Self.aheadMax)
      ahead.append(contentsOf: repeatElement(0, count: missing * Self.aheadMax))
    }
    for i in 0..<prefixes.count { ahead[slot * Self.aheadMax + i] = prefixes[i] }
    aheadCounts[slot] = UInt8(prefixes.count)
  }

  /// Whether the peer has said that it is linked with a node of this prefix.
  func leads(_ slot: Int, to prefix: UInt32) -> Bool {
    guard slot < aheadCounts.count else { return false }
    let base = slot * Self.aheadMax
    return (base..<(base + Int(aheadCounts[slot]))).contains { ahead[$0] == prefix }
  }

  mutating func forget(_ slot: Int) {
    if slot < aheadCounts.count { aheadCounts[slot] = 0 }
  }

  // MARK: - Choosing

  /// The link that leads nearest to `target`: of those strictly nearer to it than `me`, the one whose own
  /// links come nearest, unless a quicker one comes about as near.
  /// - Parameters:
  ///   - aim: what reach is ranked by, when that is not the target: the owner of a key lies behind it.
  ///   - source: a node that is no destination, however near; its own links know it.
  func next(
    toward target: OverlayID, aim: UInt64? = nil, from me: OverlayID, excluding excluded: Excluded,
    ignoring source: OverlayID?, directOnly: Bool
  ) -> Int? {
    let own = Self.distance(me.high, target.high)
    let aim = aim ?? target.high
    let leading = UInt32(truncatingIfNeeded: aim &>> 32)
    var best: Int?
    var bestRank = (cost: UInt64.max, reach: UInt64.max, distance: UInt64.max)
    for i in 0..<slots.count {
      guard Self.distance(prefixes[i], target.high) < own, isUsable(i, excluded, directOnly) else { continue }
      let distance = Self.distance(prefixes[i], aim)
      // In the same 32 bits, or who is told of a node would seem nearer to it than the node itself.
      let reach = min(distance &>> 32, self.reach(slots[i], leading, ignoring: source?.leading))
      let rank = (cost: UInt64(delays[i]) + Self.halvings(reach + gap / 4), reach: reach, distance: distance)
      if best == nil || rank < bestRank { (best, bestRank) = (i, rank) }
    }
    return best.map { Int(slots[$0]) }
  }

  /// The link nearest to `target`, nearer than we are or not.
  func nearest(to target: OverlayID, excluding excluded: Excluded, directOnly: Bool) -> Int? {
    var best: Int?
    var bestDistance = UInt64.max
    for i in 0..<slots.count where isUsable(i, excluded, directOnly) {
      let distance = Self.distance(prefixes[i], target.high)
      if best == nil || distance < bestDistance { (best, bestDistance) = (i, distance) }
    }
    return best.map { Int(slots[$0]) }
  }

  /// The first link at or behind `key`, clockwise, if it comes before `me`.
  func behind(_ key: OverlayID, before me: OverlayID, excluding excluded: Excluded) -> Int? {
    var best: Int?
    var bestDistance = me.high &- key.high
    for i in 0..<slots.count where isUsable(i, excluded, false) {
      let distance = prefixes[i] &- key.high
      if distance < bestDistance { (best, bestDistance) = (i, distance) }
    }
    return best.map { Int(slots[$0]) }
  }

  /// The logarithm to the base 2, in `parts`; between powers of two it follows straight lines.
  static func halvings(_ distance: UInt64) -> UInt64 {
    let value = max(distance, 1)
    let exponent = UInt64(63 - value.leadingZeroBitCount)
    let fraction = ((value - (1 << exponent)) * parts) >> exponent
    return exponent * parts + fraction
  }

  private func isUsable(_ i: Int, _ excluded: Excluded, _ directOnly: Bool) -> Bool {
    if directOnly && kinds[i] != .direct { return false }
    for j in 0..<excluded.count where excluded[j] == slots[i] { return false }
    return true
  }

  /// How near to the target the peer's own links come, in the leading 32 bits.
  private func reach(_ slot: Int32, _ target: UInt32, ignoring source: UInt32?) -> UInt64 {
    guard slot < aheadCounts.count else { return .max }
    let base = Int(slot) * Self.aheadMax
    var best = UInt32.max
    for i in base..<(base + Int(aheadCounts[Int(slot)])) where ahead[i] != source {
      best = min(best, min(ahead[i] &- target, target &- ahead[i]))
    }
    return UInt64(best)
  }

  /// The shorter way round between two prefixes.
  static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 { min(a &- b, b &- a) }
}
