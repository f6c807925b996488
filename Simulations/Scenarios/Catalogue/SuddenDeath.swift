// A share of all nodes vanishes in the same instant, as when a provider fails.

import Base

/// Many nodes crash at once.
public enum SuddenDeath: Scenario {
  public static let name = "suddenDeath"
  public static let abstract = "a share of the nodes vanishes at once: repair of ring and look-ups"
  public static let extras: [ExtraOption] = [.fraction]
  public static let canBeLaidOut = true
  /// Seconds in which the ring must be perfect again, and after which look-ups must be right.
  static let repairSeconds = 20.0
  static let lookupSeconds = 5.0

  static func prepareDeath(_ plan: Plan) -> Double { Double(plan.quietFrom) / 1_000 }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let death = plan.raise(settings, &random) + 20
    let dying = Int((settings.fraction * Double(settings.nodes)).rounded())
    for slot in random.sample(dying, below: settings.nodes).sorted() {
      plan.add(death, .crash(slot, back: nil))
    }
    plan.excuse(death, death + repairSeconds)
    plan.phases(measureFrom: death - 5, quietFrom: death, end: settings.until ?? death + 60)
    return plan
  }

  public static func convergenceSeconds(_ settings: Settings) -> Double { repairSeconds }

  public static func checks(_ record: Record) -> [Check] {
    let death = prepareDeath(record.plan)
    return [
      Demands.perfect(record, since: death + 0.001, atMost: repairSeconds),
      Demands.lookups(record, atLeast: 0.999, from: (death + lookupSeconds).rounded(.up)),
    ]
  }

  public static func figures(_ record: Record) -> [Figure] {
    let death = prepareDeath(record.plan)
    /// Seconds after the crash from which on all seconds have this share of right look-ups.
    func recovered(_ share: Double) -> Double? {
      var since: Double?
      for (second, tally) in record.lookups.enumerated() where Double(second) >= death {
        if tally.asked == 0 || Double(tally.right) >= share * Double(tally.asked) {
          since = since ?? Double(second) - death
        } else {
          since = nil
        }
      }
      return since
    }
    return [
      Figure(
        "lookups_back_s", "from the crash until 99.9 % of look-ups are right for good", recovered(0.999), "s")
    ]
  }
}
