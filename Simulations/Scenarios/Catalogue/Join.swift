// Nodes come one by one to a ring that is whole, and then nothing happens: how long joining takes, how many
// hops and bytes a ring costs at rest.

import Base

/// One node after the other.
public enum Join: Scenario {
  public static let name = "join"
  public static let abstract = "nodes join one by one: time to join, then hops and idle traffic"
  public static let canBeLaidOut = true

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let length = min(max(0.5 * Double(settings.nodes), 10), 120)
    plan.raise(settings, over: length, &random)
    // Here the ring has to hold while it grows; only its first moments are excused.
    if settings.start == .joined {
      plan.excused = []
      plan.excuse(0, 5)
    }
    // The neighbours of a ring that was laid out are all young, and have news for a minute.
    let quiet = settings.start == .settled ? 40 : length + 0.1
    plan.phases(measureFrom: quiet + 30, quietFrom: quiet, end: settings.until ?? quiet + 90)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    var checks =
      [
        Demands.consistency(record, atLeast: 1), Demands.lookups(record, atLeast: 0.9999),
        Demands.routability(record), Demands.bytes(record, atMost: 350),
      ] + Demands.hops(record) + Demands.joining(record)
    // Nodes of a ring that was laid out chose their far links before they could know who is near.
    if record.settings.start == .joined { checks.append(Demands.stretch(record)) }
    return checks
  }
}
