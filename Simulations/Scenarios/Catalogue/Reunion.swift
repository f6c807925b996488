// Two rings that never heard of each other become one, and each has members of the same community: the ring
// of all nodes is whole within seconds, and nothing in it tells the members that their subring is in two
// parts.
//
// Nobody remembers dead members of the other part, as after a partition. What is left is the rendezvous, and
// that two members of different parts may happen to be neighbours on the ring of all nodes. The fewer members
// there are among many nodes, the less that helps.

import Base

/// Two parts of a community find each other.
public enum Reunion: Scenario {
  public static let name = "reunion"
  public static let abstract =
    "one ring, two subrings that never heard of each other: time until they are one"
  static let subringSeconds = 60.0

  public static var nodesUsual: Int { 60 }

  public static func prepare(_ settings: inout Settings) { settings.community = 1_000_000 }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Merge.plan(settings, &random)
    if settings.until == nil { plan.end = plan.quietFrom + 120_000 }
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    let before = record.moments(from: 0, to: record.quietFrom).last?.subrings
    return [
      Check(
        "halves_whole", "members with their true neighbours of their half, when the halves met",
        before.flatMap { $0.members > 0 ? Double($0.right) / Double($0.members) : nil }, .atLeast, 1),
      Demands.subrings(record, within: subringSeconds),
    ]
  }
}
