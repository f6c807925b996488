// Nodes that are alive but late: suspended for seconds, with clocks that run 3 % fast or slow, or behind
// links that take half a second longer. Whoever is slow must be found again, and nobody else may suffer.

import Base

/// Pauses, clock skew and slow links.
public enum SlowNodes: Scenario {
  public static let name = "slowNodes"
  public static let abstract =
    "suspended nodes, wrong clocks and slow links: the slow come back, others do not suffer"
  public static let extras: [ExtraOption] = [.fraction]
  public static let canBeLaidOut = true

  public static func prepare(_ settings: inout Settings) { settings.fraction = 0.1 }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let begin = plan.raise(settings, &random) + 20
    let end = settings.until ?? begin + 90
    let quiet = max(end - 30, begin)
    let span = max(quiet - begin - 20, 1)
    let count = Int((settings.fraction * Double(settings.nodes)).rounded())
    for slot in random.sample(count, below: settings.nodes).sorted() {
      plan.add(begin + span * random.unit(), .pause(slot, milliseconds: 1_000 + random.below(19_000)))
    }
    for slot in random.sample(count, below: settings.nodes).sorted() {
      plan.add(
        begin + span * random.unit(), .clock(slot, partsPerMillion: random.happens(0.5) ? 30_000 : -30_000))
    }
    for slot in random.sample(count, below: settings.nodes).sorted() {
      plan.add(
        begin + span * random.unit(),
        .slow(slot, byMilliseconds: 250 + random.below(500), milliseconds: 15_000))
    }
    plan.phases(measureFrom: begin, quietFrom: quiet, end: end)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    [Demands.lookups(record, atLeast: 0.99, to: record.quietFrom)]
  }
}
