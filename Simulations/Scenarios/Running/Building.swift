// How rings come up, for plans: what most scenarios begin with, and how long that may take.

import Base

extension Plan {
  /// Nodes through which the others come in.
  public static let bootstrapsMax = 10

  /// Seconds in which a ring of so many nodes that start at once must be perfect: 10 for 256, 20 for a
  /// thousand, 40 for ten thousand. Between these, the logarithm decides.
  public static func crowdSeconds(_ nodes: Int) -> Double {
    let decades = Elementary.logarithm(Double(max(nodes, 1))) / Elementary.logarithm(10)
    if decades <= 2.408 { return 10 }
    if decades <= 3 { return 10 + (decades - 2.408) / (3 - 2.408) * 10 }
    return 20 + (decades - 3) * 20
  }

  /// Starts slots 0 to `nodes` − 1 over `seconds`, each through some of the first ten; slot 0 begins the
  /// ring. A ring that the simulator lays out starts in an instant.
  /// - Parameter bootstraps: through how many. Where a node may be unable to reach another, one is too few:
  ///   nobody could ever tell it of the ring.
  /// - Returns: when the ring must be whole, in seconds.
  @discardableResult
  public mutating func raise(
    _ settings: Settings, over seconds: Double? = nil, bootstraps: Int = 1, _ random: inout Random
  ) -> Double {
    let nodes = settings.nodes
    let length = settings.start == .settled ? 0 : seconds ?? Double(nodes) / 100
    add(0, .start(0, via: []))
    for slot in 1..<max(nodes, 1) {
      let via = random.sample(bootstraps, below: min(slot, Self.bootstrapsMax))
      add(0.1 + length * Double(slot) / Double(nodes), .start(slot, via: via))
    }
    let whole = settings.start == .settled ? 5 : 0.1 + length + Self.crowdSeconds(nodes)
    excuse(0, whole)
    return whole
  }
}
