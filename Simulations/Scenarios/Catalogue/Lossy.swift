// A bad network: five of a hundred datagrams are lost, some more in bursts, some arrive twice and some late.
// Probing must not take a loss for a death.

import Base

/// Loss, duplicates and reordering.
public enum Lossy: Scenario {
  public static let name = "lossy"
  public static let abstract = "5 % loss, bursts, duplicates and reordering: nobody is taken for dead"
  public static let canBeLaidOut = true

  public static func prepare(_ settings: inout Settings) { settings.lossPerMille = 50 }

  public static func conditions(_ settings: Settings) -> Conditions {
    var conditions = Conditions(settings)
    conditions.hasBursts = true
    conditions.duplicatedPerMille = 10
    conditions.reorderedPerMille = 20
    return conditions
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let whole = plan.raise(settings, &random)
    let begin = whole + 10
    let end = settings.until ?? begin + 90
    // A minute in which it is worse still.
    plan.add(begin + 20, .loss(perMille: 200, milliseconds: 10_000))
    plan.phases(measureFrom: begin, quietFrom: max(end - 30, begin), end: end)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [
      Demands.consistency(record, atLeast: 0.999), Demands.lookups(record, atLeast: 0.999),
      Demands.routability(record, atLeast: 0.99),
    ]
  }
}
