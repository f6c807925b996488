// Everybody starts in the same tenth of a second and knows only the first node: the hardest way to come into
// being.

import Base

/// All nodes at once, from one bootstrap.
public enum FlashCrowd: Scenario {
  public static let name = "flashCrowd"
  public static let abstract = "all nodes start at once from one bootstrap: time to a perfect ring"

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    plan.add(0, .start(0, via: []))
    for slot in 1..<max(settings.nodes, 1) {
      plan.add(1 + 0.001 * Double(random.below(100)), .start(slot, via: [0]))
    }
    let bound = 1.1 + Plan.crowdSeconds(settings.nodes)
    plan.excuse(0, bound)
    plan.phases(measureFrom: bound, quietFrom: bound, end: settings.until ?? bound + 40)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [
      Demands.perfect(record, since: 1.1, atMost: Plan.crowdSeconds(record.settings.nodes)),
      Demands.lookups(record, atLeast: 0.9999, from: record.measureFrom + 10),
    ]
  }
}
