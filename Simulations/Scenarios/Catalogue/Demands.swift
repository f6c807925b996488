// Demands that several scenarios make, with the bounds of the design's table.

import Base

/// Checks that scenarios choose from.
enum Demands {
  /// Mean and 99th percentile of the hops: 3.6 and 6 for a thousand nodes, 1.1 and 2 more for each power of
  /// ten.
  static func hops(_ record: Record) -> [Check] {
    let decades = Elementary.logarithm(Double(max(record.settings.nodes, 10))) / Elementary.logarithm(10)
    var hops = record.hops
    let mean = 3.6 + 1.1 * (decades - 3)
    let tail = decades <= 4 ? 2 * decades : 4 + decades
    return [
      Check("hops_mean", "hops of a look-up, mean", hops.mean, .atMost, max(mean, 2)),
      Check(
        "hops_p99", "hops of a look-up, 99th percentile", hops.quantile(0.99), .atMost,
        max(tail.rounded(.up), 4)),
    ]
  }

  static func stretch(_ record: Record) -> Check {
    var stretch = record.stretch
    return Check(
      "stretch", "time of a look-up by that of the straight way, median", stretch.median(), .atMost, 2.5)
  }

  static func lookups(_ record: Record, atLeast bound: Double, from: Double? = nil, to: Double = .infinity)
    -> Check
  {
    let tally = record.tally(from: from ?? record.measureFrom, to: to)
    return share(
      "lookups_right", "look-ups answered right, with one retry", tally.right, of: tally.asked, bound)
  }

  static func routability(_ record: Record, atLeast bound: Double = 0.9999) -> Check {
    share(
      "routable", "pairs of living nodes that reach each other", record.pairsReached, of: record.pairsAsked,
      bound)
  }

  /// So many must be good at least. Of too few to tell one may be bad: 1 of 100 says nothing against 99.9 %.
  static func share(_ name: String, _ meaning: String, _ good: Int, of all: Int, _ bound: Double)
    -> Check
  {
    let least = all > 0 ? min(bound, Double(all - 1) / Double(all)) : bound
    return Check(name, meaning, all > 0 ? Double(good) / Double(all) : nil, .atLeast, least)
  }

  static func consistency(
    _ record: Record, atLeast bound: Double, from: Double? = nil, to: Double = .infinity
  ) -> Check {
    Check(
      "consistency", "ring consistency, mean over time",
      record.consistency(from: from ?? record.measureFrom, to: to).mean, .atLeast, bound)
  }

  static func bytes(_ record: Record, atMost bound: Double) -> Check {
    Check("bytes_per_s", "bytes a second that a node sends, mean", record.bytesPerSecond.mean, .atMost, bound)
  }

  /// A place on the ring, and for members an address, in time.
  static func joining(_ record: Record) -> [Check] {
    var join = record.joinSeconds
    var address = record.addressSeconds
    var checks = [
      Check("join_p50_s", "seconds from start to a place on the ring, median", join.median(), .atMost, 1),
      Check(
        "join_p99_s", "seconds from start to a place on the ring, 99th percentile", join.quantile(0.99),
        .atMost, 5),
    ]
    if !address.isEmpty {
      checks.append(
        Check(
          "address_p99_s", "seconds from start to an address, 99th percentile", address.quantile(0.99),
          .atMost, 8))
    }
    return checks
  }

  /// Each community stands on one ring of its own so soon after the last fault.
  static func subrings(_ record: Record, within bound: Double) -> Check {
    Check(
      "subrings_s", "seconds until all members have their true neighbours on their subrings",
      record.subringsWhole(since: record.quietFrom), .atMost, bound)
  }

  /// The ring is perfect so soon after a moment.
  static func perfect(_ record: Record, since: Double, atMost bound: Double) -> Check {
    Check(
      "perfect_s", "seconds until every node has its true neighbours",
      record.moments.first { $0.at >= since && $0.found.isPerfect }.map { $0.at - since }, .atMost, bound)
  }
}
