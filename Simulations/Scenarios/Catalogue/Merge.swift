// Two rings that never heard of each other, and one node of the one is told of one node of the other.

import Base

/// Two rings become one through one link.
public enum Merge: Scenario {
  public static let name = "merge"
  public static let abstract = "two rings become one from a single link: time and messages for each node"
  static let mergeSeconds = 10.0

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    let half = max(settings.nodes / 2, 1)
    let length = Double(settings.nodes) / 100
    for slot in 0..<settings.nodes {
      let first = slot < half ? 0 : half
      let via = first + Int(random.below(UInt64(min(max(slot - first, 1), 10))))
      plan.add(
        0.1 + length * Double(slot - first) / Double(half), .start(slot, via: slot == first ? [] : [via]))
    }
    let meet = 0.1 + length + Plan.crowdSeconds(half) + 20
    plan.add(0, .partition([0...(half - 1)], milliseconds: UInt64(meet * 1_000)))
    if settings.nodes > half {
      plan.add(meet + 0.001, .introduce(half / 2, to: half + (settings.nodes - half) / 2))
    }
    plan.excuse(0, meet - 20)
    plan.excuse(meet, meet + mergeSeconds)
    plan.phases(measureFrom: meet - 10, quietFrom: meet, end: settings.until ?? meet + 50)
    return plan
  }

  public static func checks(_ record: Record) -> [Check] {
    let whole = record.whole(since: record.quietFrom + 0.001)
    return [
      Check("merged_s", "seconds until there is one ring", whole, .atMost, mergeSeconds),
      Check(
        "messages_merge", "datagrams that a node sends until there is one ring, because of the merge",
        whole.flatMap { messages(record, seconds: $0) }, .atMost, 60),
    ]
  }

  /// What a node sends from the meeting on, less what it sent in as much time before: the ten seconds before
  /// the meeting are the measure of what the two rings cost by themselves.
  private static func messages(_ record: Record, seconds: Double) -> Double? {
    let meet = record.quietFrom
    guard let all = record.messagesPerNode(from: meet, to: meet + seconds),
      let before = record.messagesPerNode(from: record.measureFrom, to: meet), meet > record.measureFrom
    else { return nil }
    return all - before / (meet - record.measureFrom) * seconds
  }
}
