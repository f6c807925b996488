// What becomes of datagrams on the way, other than arriving once and in order.
//
// Losses on access links come in bursts: Gilbert's model with two states a direction (E. N. Gilbert,
// "Capacity of a burst-noise channel", 1960; E. O. Elliott, 1963). A datagram that passes a link first moves
// the link's state, then is lost at the rate of the state. Rates are whole parts per million.

import Base

/// Loss, duplication and reordering.
public struct LossModel: Sendable {
  /// Lost anywhere, independent of everything, parts per million.
  public var uniform: UInt32 = 0
  /// Losses in bursts on each access link, for each direction on its own.
  public var access: GilbertElliott?
  /// Arrives twice, parts per million.
  public var duplicated: UInt32 = 0
  /// Held back by up to `reorderDelay`, parts per million.
  public var reordered: UInt32 = 0
  public var reorderDelay = Interval.milliseconds(50)
  /// Pairs of nodes between which nothing ever passes, parts per million: connectivity is not transitive.
  public var brokenPairs: UInt32 = 0

  public init() {}

  /// Losses independent of each other.
  public static func uniform(perMille: UInt32) -> LossModel {
    var model = LossModel()
    model.uniform = perMille * 1_000
    return model
  }

  /// Whether anything but latency happens to datagrams.
  var isPerfect: Bool { uniform == 0 && access == nil && duplicated == 0 && reordered == 0 }
}

/// A link that is good most of the time and bad for a while; parts per million, for each datagram.
public struct GilbertElliott: Sendable {
  /// From good to bad.
  public var worsens: UInt32
  /// From bad to good.
  public var recovers: UInt32
  public var lossWhenGood: UInt32
  public var lossWhenBad: UInt32

  /// By default 0.5 % of all datagrams in bursts of about five: 0.2 % of them begin a bad time of five
  /// datagrams, in which half are lost.
  public init(
    worsens: UInt32 = 2_000, recovers: UInt32 = 200_000, lossWhenGood: UInt32 = 100,
    lossWhenBad: UInt32 = 500_000
  ) {
    self.worsens = worsens
    self.recovers = recovers
    self.lossWhenGood = lossWhenGood
    self.lossWhenBad = lossWhenBad
  }

  /// Moves the state and says whether this datagram is lost.
  @inline(__always) func loses(_ isBad: inout Bool, _ random: inout Random) -> Bool {
    let draw = random.next()
    let move = ((draw &>> 32) &* 1_000_000) &>> 32
    if isBad ? move < UInt64(recovers) : move < UInt64(worsens) { isBad.toggle() }
    return ((draw & 0xFFFF_FFFF) &* 1_000_000) &>> 32 < UInt64(isBad ? lossWhenBad : lossWhenGood)
  }
}

extension Random {
  /// True in so many cases of a million.
  @inline(__always) mutating func happens(_ partsPerMillion: UInt32) -> Bool {
    ((next() &>> 32) &* 1_000_000) &>> 32 < UInt64(partsPerMillion)
  }
}
