// Members of one community say something to all others, while sessions end, others begin, and one datagram of
// a hundred is lost.

import Base

/// Broadcasts over a subring under churn.
public enum Broadcasts: Scenario {
  public static let name = "broadcast"
  public static let abstract = "what one member says to all: who hears it, how often, when, at what cost"
  public static let extras: [ExtraOption] = [.session]
  public static let canBeLaidOut = true

  public static func prepare(_ settings: inout Settings) {
    settings.members = 1
    settings.community = 1_000_000
    settings.lossPerMille = 10
  }

  public static func conditions(_ settings: Settings) -> Conditions {
    var conditions = Conditions(settings)
    conditions.shouts = 100
    return conditions
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var settings = settings
    let crowd = Double(settings.nodes) / 100 + Plan.crowdSeconds(settings.nodes)
    if settings.until == nil { settings.until = crowd + 120 }
    return Churn.plan(settings, &random)
  }

  public static func overlapMax(_ settings: Settings) -> Double { Churn.overlapMax(settings) }

  public static func checks(_ record: Record) -> [Check] {
    let shouts = record.shouts
    let meant = shouts.reduce(0) { $0 + $1.meant }
    return [
      Check(
        "coverage", "members that were there and stayed, and heard it",
        meant > 0 ? Double(shouts.reduce(0) { $0 + $1.heard + $1.twice }) / Double(meant) : nil, .atLeast,
        0.9999),
      Check(
        "twice", "of them heard it more than once", Double(shouts.reduce(0) { $0 + $1.twice }), .atMost, 0),
      Check("messages_per_member", "copies sent, by members that heard", copies(record), .atMost, 1.1),
      Check(
        "slowest_s", "seconds until the last member heard it, of all broadcasts",
        shouts.map(\.seconds).max(), .atMost, 3),
    ]
  }

  private static func copies(_ record: Record) -> Double? {
    let meant = record.shouts.reduce(0) { $0 + $1.meant }
    return meant > 0 ? Double(record.shoutTotals.copies) / Double(meant) : nil
  }

  public static func figures(_ record: Record) -> [Figure] {
    var times = Sample(record.shouts.map(\.seconds))
    let totals = record.shoutTotals
    return [
      Figure("broadcasts", "broadcasts", Double(record.shouts.count)),
      Figure("heard_s", "seconds until the last member heard it, median", times.median(), "s"),
      Figure("widest", "children of one member, most", Double(totals.widest)),
      Figure("deepest", "steps of a broadcast, most", Double(totals.deepest)),
      Figure("handed_on", "parts of dead members that others saw to", Double(totals.handedOn)),
      Figure("abandoned", "parts that nobody saw to", Double(totals.abandoned)),
    ]
  }
}
