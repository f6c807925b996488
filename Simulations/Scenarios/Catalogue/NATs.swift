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
    conditions.conversations = 200
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
    ] + talking(record)
  }

  /// Members that talk find the direct way where there is one, and talk meanwhile.
  private static func talking(_ record: Record) -> [Check] {
    let feasible = record.talks.filter(\.isFeasible)
    var easy = times(record) { !$0.isHard }
    var hard = times(record) { $0.isHard }
    var checks: [Check] = []
    if !feasible.isEmpty {
      checks.append(
        Demands.share(
          "direct", "pairs of members with a direct path, of those that can have one",
          feasible.count { $0.isDirect }, of: feasible.count, 0.98))
      checks.append(
        Demands.share(
          "reached", "pairs of members that hear each other", record.talks.count { $0.answers > 0 },
          of: record.talks.count, 1))
    }
    if easy.count >= 20 {
      checks.append(
        Check(
          "direct_easy_p95_s", "seconds from the first packet to a direct path, no hard side, p95",
          easy.quantile(0.95), .atMost, 3))
    }
    if hard.count >= 20 {
      checks.append(
        Check(
          "direct_hard_p95_s", "seconds from the first packet to a direct path, one hard side, p95",
          hard.quantile(0.95), .atMost, 15))
    }
    return checks
  }

  private static func times(_ record: Record, _ isMeant: (Talk) -> Bool) -> Sample {
    Sample(record.talks.filter { $0.isFeasible && isMeant($0) }.compactMap(\.seconds))
  }

  public static func figures(_ record: Record) -> [Figure] {
    let talks = record.talks
    let feasible = talks.filter(\.isFeasible)
    let hard = feasible.filter(\.isHard)
    var easyTimes = times(record) { !$0.isHard }
    var hardTimes = times(record) { $0.isHard }
    let cost = record.punching
    func ratio(_ a: Double, _ b: Double) -> Double? { b > 0 ? a / b : nil }
    return [
      Figure("talks", "pairs of members that talk", Double(talks.count)),
      Figure("feasible", "of these can have a direct path", Double(feasible.count)),
      Figure(
        "direct_hard", "pairs with one hard side that have one",
        ratio(Double(hard.count { $0.isDirect }), Double(hard.count))),
      Figure(
        "direct_all", "of all pairs have one",
        ratio(Double(talks.count { $0.isDirect }), Double(talks.count))),
      Figure(
        "pings_answered", "pings of members answered",
        ratio(Double(talks.reduce(0) { $0 + $1.answers }), Double(talks.reduce(0) { $0 + $1.pings }))),
      Figure("direct_easy_p50_s", "time to a direct path, no hard side, median", easyTimes.median(), "s"),
      Figure("direct_easy_p95", "the same, 95th percentile", easyTimes.quantile(0.95), "s"),
      Figure("direct_hard_p50_s", "time to a direct path, one hard side, median", hardTimes.median(), "s"),
      Figure("direct_hard_p95", "the same, 95th percentile", hardTimes.quantile(0.95), "s"),
      Figure("punches", "times that a peer's candidates were tried", Double(cost.punches)),
      Figure(
        "punch_pings", "pings each time, without those to many ports",
        ratio(Double(cost.pings - cost.birthdayPings), Double(cost.punches))),
      Figure("birthdays", "sides of attempts with many ports", Double(cost.birthdays)),
      Figure(
        "birthdays_met", "of these led to a path",
        ratio(Double(cost.birthdaysMet), Double(cost.birthdays))),
      Figure(
        "birthday_pings", "pings of one side", ratio(Double(cost.birthdayPings), Double(cost.birthdays))),
    ] + Relays.figures(record)
  }
}
