// The nodes through which everybody came in vanish for good. The ring must not need them; who crashes
// afterwards has to come back through the peers that it remembers.

import Base

/// Life without bootstraps.
public enum BootstrapGone: Scenario {
  public static let name = "bootstrapGone"
  public static let abstract = "the bootstraps vanish for good: the ring lives, restarted nodes come back"
  /// Seconds from a restart until the ring must be whole again.
  static let repairSeconds = 20.0

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let gone = plan.raise(settings, &random) + 30
    let bootstraps = min(10, max(settings.nodes / 10, 1))
    for slot in 0..<bootstraps { plan.add(gone, .crash(slot, back: nil)) }
    let quiet = gone + 30
    let others = max(settings.nodes - bootstraps, 1)
    for other in random.sample(max(settings.nodes / 10, 1), below: others).sorted() {
      plan.add(gone + 10 + 10 * random.unit(), .crash(bootstraps + other, back: 5_000))
    }
    plan.excuse(gone, gone + repairSeconds)
    plan.phases(measureFrom: gone - 5, quietFrom: quiet, end: settings.until ?? quiet + 50)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [
      Demands.lookups(record, atLeast: 0.9999, from: record.quietFrom + 10),
      Demands.routability(record, atLeast: 0.999),
    ]
  }
}
