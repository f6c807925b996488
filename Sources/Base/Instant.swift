// Points in time and lengths of time, as the core knows them.
//
// The core never reads a clock: a driver (the daemon, a simulation, a test) hands it the moment with each
// input. Both types are one 64-bit integer of nanoseconds, so that they cost nothing in tables and
// comparisons (the standard library's `Duration` is 128 bits wide).

/// Monotonic nanoseconds since the driver started.
public struct Instant: Comparable, Hashable, Sendable, BitwiseCopyable {
  public var ns: UInt64

  @inlinable public init(ns: UInt64) { self.ns = ns }

  @inlinable public static var start: Instant { Instant(ns: 0) }
  /// Later than everything: the deadline of a machine that waits for nothing.
  @inlinable public static var never: Instant { Instant(ns: .max) }

  @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.ns < b.ns }

  /// Saturates at `.never`.
  @inlinable public static func + (instant: Instant, interval: Interval) -> Instant {
    let (sum, overflow) = instant.ns.addingReportingOverflow(interval.ns)
    return Instant(ns: overflow ? .max : sum)
  }

  /// The time from `b` to `a`; zero when `a` is the earlier one.
  @inlinable public static func - (a: Instant, b: Instant) -> Interval {
    Interval(ns: a.ns > b.ns ? a.ns - b.ns : 0)
  }
}

/// A length of time in nanoseconds, never negative.
public struct Interval: Comparable, Hashable, Sendable, BitwiseCopyable {
  public var ns: UInt64

  @inlinable public init(ns: UInt64) { self.ns = ns }

  @inlinable public static var zero: Interval { Interval(ns: 0) }

  @inlinable public static func microseconds(_ n: UInt64) -> Interval { Interval(ns: n * 1_000) }
  @inlinable public static func milliseconds(_ n: UInt64) -> Interval { Interval(ns: n * 1_000_000) }
  @inlinable public static func seconds(_ n: UInt64) -> Interval { Interval(ns: n * 1_000_000_000) }
  @inlinable public static func minutes(_ n: UInt64) -> Interval { .seconds(n * 60) }

  @inlinable public var milliseconds: Double { Double(ns) / 1e6 }
  @inlinable public var seconds: Double { Double(ns) / 1e9 }

  @inlinable public static func < (a: Interval, b: Interval) -> Bool { a.ns < b.ns }
  @inlinable public static func + (a: Interval, b: Interval) -> Interval { Interval(ns: a.ns &+ b.ns) }
  @inlinable public static func * (a: Interval, factor: UInt64) -> Interval { Interval(ns: a.ns &* factor) }
  @inlinable public static func / (a: Interval, divisor: UInt64) -> Interval { Interval(ns: a.ns / divisor) }
}
