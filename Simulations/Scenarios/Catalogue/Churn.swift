// Sessions end all the time, and each node that goes is replaced by a new one: the number of nodes stays.
// Lengths of sessions are exponential or lognormal (sigma 1); a share of the departures is announced. What a
// departure costs in consistency is the time to notice it by the mean length of a session.

import Base

/// Constant coming and going.
public enum Churn: Scenario {
  public static let name = "churn"
  public static let abstract = "nodes come and go: consistency, look-ups and traffic by session length"
  public static let extras: [ExtraOption] = [.session]
  public static let canBeLaidOut = true

  /// Nodes through which each newcomer comes in. With a single one, one newcomer in a thousand would lose it
  /// before it is linked with anybody else, and wait for it for ever.
  private static let bootstraps = 2

  /// Mean length of a session in seconds.
  static func meanSession(_ settings: Settings) -> Double {
    switch settings.sessionLengths {
    case .exponential: settings.session / Elementary.ln2
    case .lognormal: settings.session * Elementary.exponential(0.5)
    }
  }

  private static func session(_ settings: Settings, _ random: inout Random) -> Double {
    switch settings.sessionLengths {
    case .exponential: random.exponential(median: settings.session)
    case .lognormal: random.lognormal(median: settings.session, sigma: 1)
    }
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let begin = plan.raise(settings, &random) + 20
    let end = settings.until ?? begin + 200
    let quiet = max(end - 20, begin)
    for slot in 0..<settings.nodes {
      // At the beginning everybody is somewhere within a session.
      var at = begin + session(settings, &random) * random.unit()
      if settings.sessionLengths == .exponential { at = begin + session(settings, &random) }
      while at < quiet {
        let via = random.sample(min(bootstraps + 1, settings.nodes), below: settings.nodes)
          .filter { $0 != slot }.prefix(bootstraps)
        plan.add(at, .replace(slot, isGraceful: random.happens(settings.graceful), via: Array(via)))
        at += max(session(settings, &random), 0.5)
      }
    }
    plan.phases(measureFrom: begin, quietFrom: quiet, end: end)
    return plan
  }

  /// 0.998 and 0.99 for crashes at 60 and 10 minutes, 0.9995 and 0.997 when all departures are announced.
  static func consistencyMin(_ settings: Settings) -> Double {
    let mean = meanSession(settings)
    let crashed = settings.session >= 3_600 ? 10.4 : 8.66
    return 1 - (settings.graceful * 2.6 + (1 - settings.graceful) * crashed) / mean
  }

  static func lookupsMin(_ settings: Settings) -> Double {
    switch settings.session {
    case 3_600...: 0.9999
    case 600...: 0.999
    default: 0.99
    }
  }

  public static func overlapMax(_ settings: Settings) -> Double {
    1e-6 * max(1, 3_600 / Elementary.ln2 / meanSession(settings))
  }

  public static func checks(_ record: Record) -> [Check] {
    let settings = record.settings
    return [
      Demands.consistency(record, atLeast: consistencyMin(settings), to: record.quietFrom),
      Demands.lookups(record, atLeast: lookupsMin(settings), to: record.quietFrom),
      Demands.bytes(record, atMost: settings.session >= 600 ? 600 : 900),
    ]
  }

  public static func figures(_ record: Record) -> [Figure] {
    let departures = record.plan.steps.count { if case .replace = $0.action { true } else { false } }
    return [Figure("departures", "sessions that ended", Double(departures))]
  }
}
