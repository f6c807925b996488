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

  /// A node through which a newcomer comes in, and which lives until that is done: whoever loses its only
  /// bootstrap before it is linked with anybody else waits for it for ever, and so would the ring.
  private static func bootstrap(
    for slot: Int, _ at: Double, _ ends: [[Double]], _ random: inout Random
  ) -> Int {
    var via = slot
    for _ in 0..<16 {
      via = Int(random.below(UInt64(ends.count)))
      if via != slot, !ends[via].contains(where: { $0 >= at - 5 && $0 <= at + 5 }) { break }
    }
    return via == slot ? (slot + 1) % ends.count : via
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let begin = plan.raise(settings, &random) + 20
    let end = settings.until ?? begin + 200
    let quiet = max(end - 20, begin)
    var ends: [[Double]] = []
    for _ in 0..<settings.nodes {
      // At the beginning everybody is somewhere within a session.
      var at = begin + session(settings, &random) * random.unit()
      if settings.sessionLengths == .exponential { at = begin + session(settings, &random) }
      ends.append([])
      while at < quiet {
        ends[ends.count - 1].append(at)
        at += max(session(settings, &random), 0.5)
      }
    }
    for slot in ends.indices {
      for at in ends[slot] {
        let via = bootstrap(for: slot, at, ends, &random)
        plan.add(at, .replace(slot, isGraceful: random.happens(settings.graceful), via: via))
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
