// One node at a time asks all others something, while sessions end, others begin, and one datagram of a
// hundred is lost; then the same on a ring that is left alone.

import Base

/// Tasks over the main ring under churn.
public enum Inquiries: Scenario {
  public static let name = "inquiries"
  public static let abstract = "what one node asks all others: who answers, how soon, at what cost, how truly"
  public static let extras: [ExtraOption] = [.session]
  public static let canBeLaidOut = true

  public static func prepare(_ settings: inout Settings) {
    settings.members = 0
    settings.lossPerMille = 10
  }

  public static func conditions(_ settings: Settings) -> Conditions {
    var conditions = Conditions(settings)
    conditions.tasks = 60
    return conditions
  }

  /// Churn for as long as it takes to ask that often, and thrice as long a quiet as usual.
  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var settings = settings
    let crowd = Double(settings.nodes) / 100 + Plan.crowdSeconds(settings.nodes)
    if settings.until == nil { settings.until = crowd + 170 }
    var plan = Churn.plan(settings, &random)
    plan.end += 20_000
    return plan
  }

  public static func overlapMax(_ settings: Settings) -> Double { Churn.overlapMax(settings) }

  public static func checks(_ record: Record) -> [Check] {
    let answered = record.tasks.filter { $0.seconds != nil }
    let disturbed = answered.filter { !$0.isQuiet }
    var seconds = Sample(answered.compactMap(\.seconds))
    let quiet = answered.filter(\.isQuiet)
    return [
      Check(
        "unanswered", "tasks that brought their asker no answer",
        Double(record.tasks.count { $0.seconds == nil && !$0.isVoid }), .atMost, 0),
      Check("slowest_s", "seconds until the answer, most", seconds.greatest, .atMost, 3),
      Check("p99_s", "seconds until the answer, 99th percentile", seconds.quantile(0.99), .atMost, 3),
      Check(
        "missing", "of the nodes that were there and stayed are missing, at most, mean",
        Sample(disturbed.map(\.missingShare.upperBound)).mean, .atMost, 0.01),
      Check(
        "quiet_missing", "nodes missing on a ring that is left alone",
        quiet.isEmpty
          ? nil : Double(quiet.reduce(0) { $0 + abs($1.meant - $1.counted) + ($1.isComplete ? 0 : 1) }),
        .atMost, 0),
      Check(
        "quiet_unlike", "answers there whose figures of consistency are not those of the simulator",
        quiet.isEmpty ? nil : Double(quiet.count { $0.wrong != [] || $0.final != 1 }), .atMost, 0),
      Check(
        "unlike", "the same while nodes come and go, where the ring happened to stay as it was",
        Double(disturbed.count { $0.wrong?.isEmpty == false }), .atMost, 0),
    ]
  }

  public static func figures(_ record: Record) -> [Figure] {
    let answered = record.tasks.filter { $0.seconds != nil && !$0.isQuiet }
    var seconds = Sample(answered.compactMap(\.seconds))
    let totals = record.taskTotals
    let meant = Double(record.tasks.reduce(0) { $0 + $1.meant })
    func each(_ sum: UInt64) -> Double? { meant > 0 ? Double(sum) / meant : nil }
    func share(_ count: (AskedTask) -> Int) -> Double? {
      let meant = answered.reduce(0) { $0 + $1.meant }
      return meant > 0 ? Double(answered.reduce(0) { $0 + count($1) }) / Double(meant) : nil
    }
    return [
      Figure("tasks", "tasks asked", Double(record.tasks.count)),
      Figure("task_s", "seconds until the answer, median", seconds.median(), "s"),
      Figure(
        "missing_least", "of the nodes that were there and stayed are missing, at least, mean",
        Sample(answered.map(\.missingShare.lowerBound)).mean),
      Figure(
        "missing_worst", "the same, at most, in the worst answer",
        answered.map(\.missingShare.upperBound).max()),
      Figure("complete", "answers in which nothing is missing", Double(answered.count(where: \.isComplete))),
      Figure(
        "compared", "of them were held against the simulator", Double(answered.count { $0.wrong != nil })),
      Figure(
        "compared_damaged", "and the ring was not consistent then",
        Double(answered.count { $0.wrong != nil && $0.final != 1 })),
      Figure("reported", "nodes reported as missing, of those meant", share(\.missing)),
      Figure("silent", "nodes reported as silent, of those meant", share(\.silent)),
      Figure("task_messages", "messages sent for a task, by nodes", each(totals.messages)),
      Figure("task_bytes", "bytes sent for a task, within records, by nodes", each(totals.bytes), "B"),
      Figure("handed_on", "parts of dead nodes that others saw to", Double(totals.handedOn)),
      Figure("abandoned", "parts that nobody saw to", Double(totals.abandoned)),
      Figure("late", "answers that came too late", Double(totals.late)),
    ]
  }
}
