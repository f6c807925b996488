// Rings made by hand, for the checks: whole ones, and then one thing is broken.
import Base

@testable import Scenarios

/// What nodes believe, as a test wants it.
struct HandmadeRing {
  var witnesses: [Witness] = []

  /// Places spread evenly; node i has ID (i + 1) · 2^64 / (count + 1) in the first word.
  static func places(_ count: Int) -> [OverlayID] {
    (0..<count).map { place($0, of: count) }
  }

  static func place(_ i: Int, of count: Int) -> OverlayID {
    OverlayID(high: UInt64(i + 1) * (UInt64.max / UInt64(count + 1)), middle: 0, low: UInt32(i))
  }

  /// A ring in which everybody is right. `component(i)` says which one node i belongs to.
  init(_ count: Int, component: (Int) -> Int = { _ in 0 }) {
    let ids = Self.places(count)
    witnesses = (0..<count).map { i in
      Witness(
        number: i, component: component(i), hasJoined: true,
        belief: Belief(id: ids[i], isSettled: true, left: .init(), right: .init()))
    }
    for c in 0...((0..<count).map(component).max() ?? 0) {
      connect((0..<count).filter { component($0) == c })
    }
  }

  func id(_ i: Int) -> OverlayID { witnesses[i].belief.id }

  /// Lets these nodes list one another, in this order clockwise, as if there were no others.
  mutating func connect(_ cycle: [Int]) {
    let n = cycle.count
    for (k, i) in cycle.enumerated() {
      setRight(i, (1...4).filter { $0 < n }.map { cycle[(k + $0) % n] })
      setLeft(i, (1...4).filter { $0 < n }.map { cycle[(k + n - $0) % n] })
    }
  }

  mutating func setRight(_ i: Int, _ list: [Int]) { setRight(i, ids: list.map(id)) }
  mutating func setLeft(_ i: Int, _ list: [Int]) { setLeft(i, ids: list.map(id)) }

  mutating func setRight(_ i: Int, ids: [OverlayID]) { witnesses[i].belief.right = Self.bounded(ids) }
  mutating func setLeft(_ i: Int, ids: [OverlayID]) { witnesses[i].belief.left = Self.bounded(ids) }

  private static func bounded(_ ids: [OverlayID]) -> BoundedArray<4, OverlayID> {
    var list = BoundedArray<4, OverlayID>()
    for id in ids { list.append(id) }
    return list
  }

  func inspect(
    at now: Instant = .start, fate: (OverlayID) -> Fate = { _ in .ghost }
  ) -> Inspection {
    Inspector().inspect(witnesses, at: now, fate: fate)
  }
}
