// Nodes behind the boxes that people have, and one datagram of a hundred is lost. Nobody leaves: every
// imperfection comes from nodes that cannot reach each other directly.

import Base

/// Static members behind NATs.
public enum NATs: Scenario {
  public static let name = "natMix"
  public static let abstract =
    "nodes behind home, mobile or enterprise NATs, 1 % loss: everybody reaches everybody"
  public static let extras: [ExtraOption] = [.mix]

  public static func prepare(_ settings: inout Settings) {
    settings.mix = .home
    settings.lossPerMille = 10
  }

  public static func conditions(_ settings: Settings) -> Conditions {
    var conditions = Conditions(settings)
    conditions.mix = settings.mix
    return conditions
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let whole = plan.raise(settings, bootstraps: 3, &random)
    plan.phases(measureFrom: whole + 10, quietFrom: whole, end: settings.until ?? whole + 90)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [
      Demands.consistency(record, atLeast: 0.999), Demands.routability(record),
      Demands.lookups(record, atLeast: 0.9999),
      Check("consistency_end", "ring consistency at the end", record.last.consistency.final, .atLeast, 1),
    ]
  }
}
