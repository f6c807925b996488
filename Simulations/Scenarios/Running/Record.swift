// What was observed of a run: from this come the checks, the figures and the page.

import Base

/// One look at the ring, and what had happened until then.
public struct Moment: Sendable {
  /// Virtual seconds.
  public let at: Double
  /// S2 to S7 were not demanded.
  public let isExcused: Bool
  public let found: Inspection
  public let subrings: Subrings
  /// Since the start, of all nodes.
  public let datagrams: UInt64
  public let bytes: UInt64
}

/// Look-ups asked in one second.
public struct LookupTally: Sendable {
  public var asked = 0
  public var rightAtFirst = 0
  public var right = 0
  public var wrong = 0

  public init() {}
}

/// Everything that was observed.
public struct Record: Sendable {
  public let schedule: Schedule
  public var moments: [Moment] = []
  /// Seconds from the start of a node to its own word that it has joined; to its address.
  public var joinSeconds = Sample()
  public var addressSeconds = Sample()
  /// Hops of right answers.
  public var hops = Sample()
  /// Time of a look-up by the time of a round trip straight to who answered.
  public var stretch = Sample()
  /// Time of look-ups that were right at the first try.
  public var lookupSeconds = Sample()
  /// Look-ups of owners by the second in which they were asked.
  public var lookups: [LookupTally] = []
  /// Questions for a given living node.
  public var pairsAsked = 0
  public var pairsReached = 0
  /// Members that talked to each other; what punching has cost all nodes.
  public var talks: [Talk] = []
  public var punching = PunchTotals()
  /// What members said to all others, and what that took.
  public var shouts: [Shout] = []
  public var shoutTotals = ShoutTotals()
  /// What nodes asked all others, and what that took.
  public var tasks: [AskedTask] = []
  public var taskTotals = AskedTotals()
  /// How those of them fared that can have no direct path.
  public var relays = Relays()
  /// Leases that each node holds at the end.
  public var leases = Sample()
  /// Bytes a second that each node sent while it was measured.
  public var bytesPerSecond = Sample()
  /// Routed messages that ran out of hops.
  public var hopsExceeded: UInt64 = 0
  /// Share of key space with two owners, integrated over the time that was not excused; and that time.
  public var overlapSeconds = 0.0
  public var judgedSeconds = 0.0
  /// The ring when fewest nodes were perfect while it was measured; nil when all always were. And at the end.
  public var worst: Picture?
  public var final: Picture?
  /// Links of a few nodes to others than their neighbours: pairs of places.
  public var shortcuts: [(Double, Double)] = []
  /// The last look at the ring.
  public var last = Inspection()
  public var digest: UInt64 = 0
  public var events: UInt64 = 0
  public var virtualSeconds = 0.0
  public var wallSeconds = 0.0
  /// Wall seconds from the moment on from which figures count.
  public var measuredWallSeconds = 0.0
  public var measuredEvents: UInt64 = 0
  public var peakBytes: UInt64 = 0
  /// The run was given up before its end.
  public var isCutShort = false

  public init(_ schedule: Schedule) { self.schedule = schedule }

  public var settings: Settings { schedule.settings }
  public var plan: Plan { schedule.plan }
  public var measureFrom: Double { Double(plan.measureFrom) / 1_000 }
  public var quietFrom: Double { Double(plan.quietFrom) / 1_000 }

  /// The look-ups asked in a stretch of time.
  public func tally(from: Double, to: Double = .infinity) -> LookupTally {
    var sum = LookupTally()
    for (second, tally) in lookups.enumerated() where Double(second) >= from && Double(second) < to {
      sum.asked += tally.asked
      sum.rightAtFirst += tally.rightAtFirst
      sum.right += tally.right
      sum.wrong += tally.wrong
    }
    return sum
  }

  /// Seconds from the last planned start until every node had its true neighbours; nil when that never was
  /// so.
  public var perfectAfterStarts: Double? {
    moments.first { $0.at > lastStart && $0.found.isPerfect }.map { $0.at - lastStart }
  }

  private var lastStart: Double {
    let starts = plan.steps.filter { if case .start = $0.action { true } else { false } }
    return Double(starts.last?.at ?? 0) / 1_000
  }

  /// Seconds from `since` until the ring was whole for the first time after it; nil when it never was.
  public func whole(since: Double) -> Double? {
    moments.first { $0.at >= since && $0.found.isWhole }.map { $0.at - since }
  }

  /// Seconds from `since` until the ring was whole and stayed so to the end; nil when it was not whole at the
  /// end.
  public func wholeForGood(since: Double) -> Double? {
    var begin: Double?
    for moment in moments where moment.at >= since {
      if moment.found.isWhole {
        begin = begin ?? moment.at
      } else {
        begin = nil
      }
    }
    return begin.map { $0 - since }
  }

  /// Seconds from `since` until all members had their true neighbours on their subrings and kept them; nil
  /// when that was not so at the end, or there were no members.
  public func subringsWhole(since: Double) -> Double? {
    var begin: Double?
    for moment in moments where moment.at >= since && moment.subrings.members > 0 {
      begin = moment.subrings.isWhole ? begin ?? moment.at : nil
    }
    return begin.map { $0 - since }
  }

  /// Seconds from the last planned start until all members had their true neighbours on their subrings for
  /// the first time.
  public var subringsAfterStarts: Double? {
    moments.first { $0.at > lastStart && $0.subrings.members > 0 && $0.subrings.isWhole }.map {
      $0.at - lastStart
    }
  }

  /// Looks at the ring in a stretch of time.
  public func moments(from: Double, to: Double = .infinity) -> ArraySlice<Moment> {
    let first = moments.firstIndex { $0.at >= from } ?? moments.endIndex
    let end = moments[first...].firstIndex { $0.at > to } ?? moments.endIndex
    return moments[first..<end]
  }

  /// Mean and least of the consistency of the final formula in a stretch of time.
  public func consistency(from: Double, to: Double = .infinity) -> (mean: Double?, least: Double?) {
    let sample = Sample(moments(from: from, to: to).map(\.found.consistency.final))
    return (sample.mean, sample.least)
  }

  /// Datagrams sent in a stretch of time, for each node that lives at its end.
  public func messagesPerNode(from: Double, to: Double) -> Double? {
    let stretch = moments(from: from, to: to)
    guard let first = stretch.first, let last = stretch.last, last.found.nodes > 0 else { return nil }
    return Double(last.datagrams - first.datagrams) / Double(last.found.nodes)
  }
}
