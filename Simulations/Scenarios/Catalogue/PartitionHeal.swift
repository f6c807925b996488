// The network falls into two halves that do not hear each other, and later into one again. Each half has to
// become a ring of its own; then both have to find each other by themselves, by the dead whom they remember
// and ask again.

import Base

/// A partition and its end.
public enum PartitionHeal: Scenario {
  public static let name = "partitionHeal"
  public static let abstract = "two halves lose each other for a minute: two rings, then one again"
  public static let canBeLaidOut = true
  static let splitSeconds = 60.0
  static let repairSeconds = 20.0

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let split = plan.raise(settings, &random) + 20
    let heal = split + splitSeconds
    if settings.nodes >= 2 {
      plan.add(split, .partition([0...(settings.nodes / 2 - 1)], milliseconds: UInt64(splitSeconds * 1_000)))
    }
    plan.excuse(split, split + repairSeconds)
    plan.excuse(heal, heal + repairSeconds)
    plan.phases(measureFrom: split - 5, quietFrom: heal, end: settings.until ?? heal + 60)
    return plan
  }

  /// Ten seconds until the dead are asked again, and ten for the merge.
  public static func convergenceSeconds(_ settings: Settings) -> Double { repairSeconds }

  public static func checks(_ record: Record) -> [Check] {
    let split = record.quietFrom - splitSeconds
    return [
      Check(
        "halves_whole_s", "seconds until both halves are rings of their own",
        record.moments(from: split + 0.001, to: record.quietFrom - 0.001).first { $0.found.isWhole }
          .map { $0.at - split }, .atMost, repairSeconds),
      Demands.subrings(record, within: 60),
      Demands.lookups(record, atLeast: 0.9999, from: record.quietFrom + repairSeconds),
    ]
  }

  public static func figures(_ record: Record) -> [Figure] {
    let whole = record.whole(since: record.quietFrom + 0.001)
    return [
      Figure("merged_s", "from the end of the partition until there is one ring", whole, "s"),
      Figure(
        "messages_merge", "sent by a node until there was one ring",
        whole.flatMap { record.messagesPerNode(from: record.quietFrom, to: record.quietFrom + $0) },
        "datagrams"),
    ]
  }
}
