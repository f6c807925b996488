// Many small communities on one ring: each of them has a subring of its own, and all share the directory in
// which their members find each other. `--community 1000000` makes one community of all, `--members 0` leaves
// the ring alone: the same nodes, to compare.

import Base

/// As many communities as there is room for.
public enum Communities: Scenario {
  public static let name = "communities"
  public static let abstract =
    "all nodes are members of small communities: are all subrings true, at what cost"
  public static let canBeLaidOut = true

  public static var nodesUsual: Int { 1_000 }

  public static func prepare(_ settings: inout Settings) {
    settings.members = 1
    settings.start = .settled
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    Join.plan(settings, &random)
  }

  public static func checks(_ record: Record) -> [Check] {
    var checks = [Demands.consistency(record, atLeast: 1), Demands.routability(record)]
    if record.settings.members > 0 {
      checks.append(Demands.subrings(record, within: 30))
      let always = record.moments(from: record.measureFrom)
      checks.append(
        Check(
          "subrings_true", "looks at which a member had not its true neighbours on its subring",
          Double(always.count { !$0.subrings.isWhole }), .atMost, 0))
    }
    return checks
  }

  public static func figures(_ record: Record) -> [Figure] {
    var leases = record.leases
    return [
      Figure("leases_mean", "leases that a node holds for others, mean", leases.mean),
      Figure("leases_p99", "leases that a node holds for others, 99th percentile", leases.quantile(0.99)),
      Figure("leases_most", "leases that a node holds for others, most", leases.greatest),
    ]
  }
}
