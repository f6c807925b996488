// What all nodes of a run have spent on punching.

import Overlay

/// Sums of the counters of living nodes.
public struct PunchTotals: Sendable {
  public var punches: UInt64 = 0
  public var pings: UInt64 = 0
  public var birthdays: UInt64 = 0
  public var birthdaysMet: UInt64 = 0
  public var birthdayPings: UInt64 = 0

  mutating func add(_ counters: LinkCounters) {
    punches += counters.punches
    pings += counters.punchPings
    birthdays += counters.birthdays
    birthdaysMet += counters.birthdaysMet
    birthdayPings += counters.birthdayPings
  }
}
