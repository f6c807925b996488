// A rate with a burst.

/// Lets `rate` units a second pass on average, and `burst` at once.
public struct TokenBucket: Sendable, BitwiseCopyable {
  private let rate: UInt64
  private let burst: UInt64
  /// Units in the bucket, in billionths.
  private var level: UInt64
  private var filledAt: Instant

  /// - Parameters:
  ///   - rate: units a second, at most 2^32.
  ///   - burst: units, at most 2^32.
  public init(rate: UInt64, burst: UInt64, at now: Instant) {
    precondition(rate <= 1 << 32 && burst <= 1 << 32)
    self.rate = rate
    self.burst = burst
    level = burst * 1_000_000_000
    filledAt = now
  }

  /// Takes `units` when they are there.
  public mutating func take(_ units: UInt64 = 1, at now: Instant) -> Bool {
    let (gained, overflow) = (now - filledAt).ns.multipliedReportingOverflow(by: rate)
    let room = burst * 1_000_000_000 - level
    filledAt = now
    level += overflow ? room : min(gained, room)
    guard level >= units * 1_000_000_000 else { return false }
    level -= units * 1_000_000_000
    return true
  }
}
