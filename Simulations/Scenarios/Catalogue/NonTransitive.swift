// A hears B and B hears C, but A and C never hear each other: some pairs of nodes are cut off from each other
// for good (Freedman and others, "Non-transitive connectivity and DHTs", WORLDS 2005, saw 2.3 % of such
// pairs).

import Base

/// Pairs without a direct way.
public enum NonTransitive: Scenario {
  public static let name = "nonTransitive"
  public static let abstract = "a share of the pairs can never talk directly: relays keep the ring whole"
  public static let extras: [ExtraOption] = [.fraction]

  public static func prepare(_ settings: inout Settings) { settings.fraction = 0.05 }

  public static func conditions(_ settings: Settings) -> Conditions {
    var conditions = Conditions(settings)
    conditions.brokenPairsPerMille = UInt32((settings.fraction * 1_000).rounded())
    return conditions
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let whole = plan.raise(settings, bootstraps: 3, &random)
    plan.phases(measureFrom: whole + 10, quietFrom: whole, end: settings.until ?? whole + 60)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [
      Demands.consistency(record, atLeast: 0.999), Demands.routability(record),
      Demands.lookups(record, atLeast: 0.9999),
    ]
  }
}
