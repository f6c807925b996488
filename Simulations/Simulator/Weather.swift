// What faults do to a node's access link for a while: losses, clogging, delay.

import Base

/// The state of an access link beside its usual losses.
struct Weather {
  var lossPerMille: UInt32 = 0
  var lossUntil = Instant.start
  /// Nothing passes until then; it waits.
  var clogUntil = Instant.start
  var slowBy = Interval.zero
  var slowUntil = Instant.start

  func isOver(at now: Instant) -> Bool { lossUntil <= now && clogUntil <= now && slowUntil <= now }

  /// Whether a datagram is lost on the link.
  func loses(at now: Instant, _ random: inout Random) -> Bool {
    lossUntil > now && random.happens(lossPerMille * 1_000)
  }

  /// How much longer a datagram takes, in nanoseconds.
  func delay(at now: Instant) -> UInt64 {
    (clogUntil - now).ns + (slowUntil > now ? slowBy.ns : 0)
  }
}
