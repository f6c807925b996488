// The two clocks of a node: one for what it does, one for what it signs.
//
// Timers run on CLOCK_BOOTTIME, which no one sets and which goes on while the machine is suspended: after a
// laptop wakes up, leases and sessions are as old as the rest of the world thinks they are.
import Base
import Glibc

public enum Clock {
  private static let origin = read(CLOCK_BOOTTIME)

  /// The time since the process first asked for it.
  public static func now() -> Instant {
    let start = origin
    return Instant(ns: read(CLOCK_BOOTTIME) - start)
  }

  /// Seconds since 1970 by the wall clock, which may jump.
  public static func unixSeconds() -> UInt64 { read(CLOCK_REALTIME) / 1_000_000_000 }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    let result = clock_gettime(clock, &time)
    precondition(result == 0, "clock_gettime failed")
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
