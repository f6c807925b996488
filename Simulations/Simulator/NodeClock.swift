// A node's own clock, when it does not run as the world's does.
//
// It runs faster or slower by some parts per million from an anchor on, where both clocks are known, so it
// never goes back when the rate changes.

import Base

/// Maps the world's time to a node's and back.
struct NodeClock {
  private(set) var partsPerMillion: Int64 = 0
  private var worldAnchor: UInt64 = 0
  private var nodeAnchor: UInt64 = 0
  private static let million: UInt64 = 1_000_000
  /// A clock that runs more than twice or less than half as fast is no clock.
  static let partsPerMillionMax: Int64 = 500_000

  /// A clock that has run as the world's does until now.
  init(startingWith now: Instant = .start) {
    worldAnchor = now.ns
    nodeAnchor = now.ns
  }

  /// Changes the rate from `now` (of the world) on.
  mutating func run(partsPerMillion rate: Int64, from now: Instant) {
    nodeAnchor = local(now).ns
    worldAnchor = now.ns
    partsPerMillion = min(max(rate, -Self.partsPerMillionMax), Self.partsPerMillionMax)
  }

  /// Goes on by so much at once.
  mutating func jump(by interval: Interval) { nodeAnchor &+= interval.ns }

  /// The node's time at a moment of the world's.
  func local(_ now: Instant) -> Instant {
    let passed = now.ns &- worldAnchor
    let product = passed.multipliedFullWidth(by: rate)
    return Instant(ns: nodeAnchor &+ Self.million.dividingFullWidth(product).quotient)
  }

  /// The first moment of the world at which the node's clock has reached `instant`.
  func world(_ instant: Instant) -> Instant {
    guard instant != .never else { return .never }
    let wanted = instant.ns > nodeAnchor ? instant.ns - nodeAnchor : 0
    let product = wanted.multipliedFullWidth(by: Self.million)
    let (quotient, remainder) = rate.dividingFullWidth(product)
    return Instant(ns: worldAnchor &+ quotient &+ (remainder > 0 ? 1 : 0))
  }

  private var rate: UInt64 { UInt64(Int64(Self.million) + partsPerMillion) }
}
