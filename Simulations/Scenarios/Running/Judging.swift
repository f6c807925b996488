// The checks and figures of every run. Bounds come from the design's table of target figures, not from what
// the program happens to reach.

import Base

/// The verdict about a run.
public struct Verdict: Sendable {
  public let record: Record
  public let checks: [Check]
  public let figures: [Figure]

  public var isMet: Bool { checks.allSatisfy(\.isMet) }
  public var failed: [Check] { checks.filter { !$0.isMet } }

  public init(_ record: Record, checks: [Check], figures: [Figure]) {
    self.record = record
    self.checks = checks
    self.figures = figures
  }

  public init(_ record: Record, _ scenario: any Scenario.Type) {
    self.record = record
    let judged = record.plan.judged
    checks = (Judging.invariants(record, scenario) + scenario.checks(record)).filter {
      judged.isEmpty || judged.contains($0.name)
    }
    figures = scenario.figures(record) + Judging.figures(record)
  }
}

/// What all runs have in common.
public enum Judging {
  static func invariants(_ record: Record, _ scenario: any Scenario.Type) -> [Check] {
    let judged = record.moments.filter { !$0.isExcused }
    /// Moments in which something was wrong.
    func count(_ moments: [Moment], _ isWrong: (Inspection) -> Bool) -> Double {
      Double(moments.count { isWrong($0.found) })
    }
    let overlap = record.judgedSeconds > 0 ? record.overlapSeconds / record.judgedSeconds : 0
    return [
      Check(
        "s1_ordered", "S1: looks with lists out of order, naming oneself or somebody twice",
        count(record.moments) { $0.disordered > 0 }, .atMost, 0),
      Check(
        "s2_living_neighbour", "S2: looks with a joined node that has no living neighbour on a side",
        count(judged) { $0.lonely > 0 }, .atMost, 0),
      Check(
        "s3_one_cycle", "S3: looks with a component that has not exactly one cycle",
        count(judged) { $0.bereaved == 0 && $0.brokenComponents > 0 }, .atMost, 0),
      Check(
        "s4_winding", "S4: the largest winding number of a cycle",
        Double(judged.map(\.found.windingMax).max() ?? 0), .atMost, 1),
      Check(
        "s5_on_the_way", "S5: looks with joined nodes that do not lead to the cycle",
        count(judged) { $0.bereaved == 0 && $0.strayed > 0 }, .atMost, 0),
      Check(
        "s6_principals", "S6: principals missing of min(r + 1, nodes), r = 8",
        Double(judged.map(\.found.principalsMissing).max() ?? 0), .atMost, 0),
      Check(
        "s7_one_owner", "S7: share of the keys with two settled owners, mean over time", overlap, .atMost,
        scenario.overlapMax(record.settings)),
      Check(
        "s8_hops", "S8: routed messages that ran out of hops", Double(record.hopsExceeded), .atMost, 0),
      Check(
        "s9_verified", "S9: looks with listed neighbours that never were",
        count(record.moments) { $0.ghosts > 0 }, .atMost, 0),
      Check(
        "whole_s", "seconds of quiet until the ring is whole for good",
        record.wholeForGood(since: record.quietFrom), .atMost,
        scenario.convergenceSeconds(record.settings)),
    ]
  }

  static func figures(_ record: Record) -> [Figure] {
    var hops = record.hops
    var stretch = record.stretch
    var bytes = record.bytesPerSecond
    var join = record.joinSeconds
    var address = record.addressSeconds
    let from = record.measureFrom
    let consistency = record.consistency(from: from)
    let disturbed = record.consistency(from: from, to: record.quietFrom)
    let tally = record.tally(from: from)
    let asked = Double(tally.asked)
    let measured = record.virtualSeconds - from
    return [
      Figure(
        "formed_s", "from the last start of a node until the ring is perfect", record.perfectAfterStarts, "s"
      ),
      Figure(
        "subrings_formed_s",
        "from the last start of a node until all members have their true neighbours on their subrings",
        record.subringsAfterStarts, "s"),
      Figure(
        "subrings_s", "seconds of quiet until all members have their true neighbours on their subrings",
        record.subringsWhole(since: record.quietFrom), "s"),
      Figure("consistency_mean", "ring consistency, mean", consistency.mean),
      Figure("consistency_min", "ring consistency, least", consistency.least),
      Figure("consistency_disturbed", "ring consistency while faults are on, mean", disturbed.mean),
      Figure("lookups", "look-ups of owners", asked),
      Figure(
        "lookup_first", "answered right at the first try",
        asked > 0 ? Double(tally.rightAtFirst) / asked : nil),
      Figure("lookup_right", "answered right, with one retry", asked > 0 ? Double(tally.right) / asked : nil),
      Figure("lookup_wrong", "answered wrongly", asked > 0 ? Double(tally.wrong) / asked : nil),
      Figure(
        "routable", "pairs of living nodes that reach each other",
        record.pairsAsked > 0 ? Double(record.pairsReached) / Double(record.pairsAsked) : nil),
      Figure("hops_mean", "hops, mean", hops.mean),
      Figure("hops_p50", "hops, median", hops.median()),
      Figure("hops_p99", "hops, 99th percentile", hops.quantile(0.99)),
      Figure("stretch_median", "latency stretch of look-ups, median", stretch.median()),
      Figure("bytes_mean", "sent by a node, mean", bytes.mean, "B/s"),
      Figure("bytes_p99", "sent by a node, 99th percentile", bytes.quantile(0.99), "B/s"),
      Figure(
        "messages", "sent by a node from measuring on", record.messagesPerNode(from: from, to: .infinity),
        "datagrams"),
      Figure("join_p50_s", "from start to a place on the ring, median", join.median(), "s"),
      Figure("join_p99_s", "from start to a place on the ring, 99th percentile", join.quantile(0.99), "s"),
      Figure("address_p50_s", "from start to an address in use, median", address.median(), "s"),
      Figure(
        "address_p99_s", "from start to an address in use, 99th percentile", address.quantile(0.99), "s"),
      Figure(
        "unowned_mean", "keys without a settled owner, mean",
        Sample(record.moments(from: from).map(\.found.unowned)).mean),
      Figure(
        "events_per_s", "events a second of wall time",
        record.wallSeconds > 0 ? Double(record.events) / record.wallSeconds : nil, "1/s"),
      Figure(
        "real_time_factor", "virtual by wall time, from measuring on",
        record.measuredWallSeconds > 0 ? measured / record.measuredWallSeconds : nil, "×"),
      Figure(
        "bytes_per_node", "memory of the program by the number of nodes",
        Double(record.peakBytes) / Double(max(record.settings.nodes, 1)), "B"),
    ]
  }
}
