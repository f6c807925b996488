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

  /// Seconds over which the nodes of a ring that was laid out are switched on: less than a handshake is tried
  /// for, so that those who are on wait for those who are not.
  static func switchOnSeconds(_ nodes: Int) -> Double { min(Double(nodes) / 500, 8) }

  /// Seconds from then on in which it must be whole, and its far links found.
  static let layOutSeconds = 15.0

  /// Brings up a ring in slots 0 to `nodes` − 1.
  /// - Parameters:
  ///   - seconds: over which the nodes start, when they join one after the other.
  ///   - bootstraps: through how many of the first ten each of them comes in. Where a node may be unable to
  ///     reach another, one is too few: nobody could ever tell it of the ring.
  /// - Returns: when the ring must be whole, in seconds.
  @discardableResult
  public mutating func raise(
    _ settings: Settings, over seconds: Double? = nil, bootstraps: Int = 1, _ random: inout Random
  ) -> Double {
    let whole: Double
    switch settings.start {
    case .joined: whole = raise(settings.nodes, over: seconds, bootstraps: bootstraps, &random)
    case .settled: whole = layOut(settings.nodes)
    }
    excuse(0, whole)
    return whole
  }

  /// Slot 0 begins the ring, the others join it one after the other.
  private mutating func raise(
    _ nodes: Int, over seconds: Double?, bootstraps: Int, _ random: inout Random
  ) -> Double {
    let length = seconds ?? Double(nodes) / 100
    add(0, .start(0, via: []))
    for slot in 1..<max(nodes, 1) {
      let via = random.sample(bootstraps, below: min(slot, Self.bootstrapsMax))
      add(0.1 + length * Double(slot) / Double(nodes), .start(slot, via: via))
    }
    return 0.1 + length + Self.crowdSeconds(nodes)
  }

  /// The simulator lays out a ring and switches it on.
  private mutating func layOut(_ nodes: Int) -> Double {
    add(0, .layOut(nodes))
    return Self.switchOnSeconds(nodes) + Self.layOutSeconds
  }
}
