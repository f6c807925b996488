// Laptops and telephones: nodes get another address while they run, some behind a NAT that forgot them.

import Base

/// Nodes whose address changes.
public enum Roaming: Scenario {
  public static let name = "roaming"
  public static let abstract = "a share of the nodes changes its address each minute: sessions follow"
  public static let extras: [ExtraOption] = [.fraction]
  public static let canBeLaidOut = true

  public static func prepare(_ settings: inout Settings) { settings.fraction = 0.2 }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let begin = plan.raise(settings, &random) + 20
    let end = settings.until ?? begin + 80
    let quiet = max(end - 20, begin)
    let moves = Int((settings.fraction * Double(settings.nodes) * (quiet - begin) / 60).rounded())
    for _ in 0..<moves {
      let slot = Int(random.below(UInt64(settings.nodes)))
      plan.add(begin + (quiet - begin) * random.unit(), .roam(slot))
    }
    plan.phases(measureFrom: begin, quietFrom: quiet, end: end)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [Demands.consistency(record, atLeast: 0.999), Demands.lookups(record, atLeast: 0.999)]
  }
}
