// One run of a schedule from its beginning to its end.
//
// Time goes from step to step: steps of the plan, their endings, questions of the workload and looks at the
// ring, in this order when they fall on the same moment. What the machine says (wall time, memory) is only
// written down; it decides nothing, except that a run is given up when its time is over.

import Base
import Node
import Simulator

/// What a run asks of the machine it runs on.
public struct Machine {
  /// Seconds since some moment.
  public var wallSeconds: () -> Double
  /// Bytes of memory that the program has had at most.
  public var peakBytes: () -> UInt64
  /// Told after each look at the ring.
  public var onProgress: (Progress) -> Void = { _ in }
  /// Wall time at which a run is given up.
  public var deadline = Double.infinity
  /// Whether the program ends after the run: then the system takes its memory back at once, and not we node
  /// by node.
  public var endsAfterwards = false

  public init(wallSeconds: @escaping () -> Double, peakBytes: @escaping () -> UInt64) {
    self.wallSeconds = wallSeconds
    self.peakBytes = peakBytes
  }
}

/// How far a run is.
public struct Progress: Sendable {
  public let virtualSeconds: Double
  public let endSeconds: Double
  public let wallSeconds: Double
  public let events: UInt64
  public let found: Inspection
}

/// Plays a schedule and watches.
public final class Run {
  private let schedule: Schedule
  private let machine: Machine
  private let stage: Stage
  private let probes: Probes
  private let conversations: Conversations
  private let shouts: Shouts
  private let askers: Askers
  private let inspector = Inspector()
  private var record: Record
  private var witnesses: [Witness] = []
  private var measures: [Measure] = []
  private var isMeasuring = false
  /// Bytes are no longer counted.
  private var isAuditing = false
  private var wallAtStart = 0.0
  private var wallAtMeasure = 0.0
  private var datagrams: UInt64 = 0
  private var bytes: UInt64 = 0
  private var lastSample = 0.0
  private var worstShare = 1.0
  /// Messages that ran out of hops while a ring that was laid out had no far links yet.
  private var hopsExceededBefore: UInt64 = 0

  /// Where the counting of a node's bytes began.
  private struct Measure {
    var since: Instant
    var bytes: UInt64
  }

  private init(_ schedule: Schedule, _ scenario: any Scenario.Type, _ machine: Machine) {
    self.schedule = schedule
    self.machine = machine
    record = Record(schedule)
    let conditions = scenario.conditions(schedule.settings)
    stage = Stage(schedule.settings, conditions, slots: schedule.plan.slots)
    conversations = Conversations(stage, schedule.plan, most: conditions.conversations)
    shouts = Shouts(stage, schedule.plan, most: conditions.shouts)
    askers = Askers(stage, schedule.plan, most: conditions.tasks)
    probes = Probes(stage, schedule.plan)
  }

  /// Plays the schedule.
  public static func execute(
    _ schedule: Schedule, _ scenario: any Scenario.Type, _ machine: Machine
  ) -> Verdict {
    let run = Run(schedule, scenario, machine)
    if machine.endsAfterwards { _ = Unmanaged.passRetained(run) }
    return Verdict(run.execute(), scenario)
  }

  private func execute() -> Record {
    wallAtStart = machine.wallSeconds()
    stage.onDeath = { [unowned self] in
      finishMeasure($0)
      countShouts($0)
      askers.onDeath($0)
    }
    stage.world.onEvent = { [unowned self] in onEvent($0, $1) }
    if shouts.nextAt != .never { stage.world.onDelivery = { [unowned self] in shouts.onDelivery($0, $1) } }
    let end = Instant.start + .milliseconds(schedule.plan.end)
    let measureFrom = Instant.start + .milliseconds(schedule.plan.measureFrom)
    let auditFrom = Instant.start + .milliseconds(schedule.plan.auditFrom)
    let interval = Interval(ns: UInt64(schedule.settings.sampleSeconds * 1e9))
    var sampleAt = Instant.start + interval
    var next = 0
    let steps = schedule.plan.steps
    while stage.world.now < end {
      let stepAt = next < steps.count ? Instant.start + .milliseconds(steps[next].at) : .never
      let at = min(
        stepAt, stage.nextEnding, probes.nextAt, conversations.nextAt, shouts.nextAt, askers.nextAt, sampleAt,
        end)
      stage.world.run(until: at)
      if !isMeasuring, at >= measureFrom { beginMeasures() }
      if isMeasuring, !isAuditing, at >= auditFrom { endMeasures() }
      if stepAt <= at {
        stage.play(steps[next].action)
        next += 1
      } else if stage.nextEnding <= at {
        stage.endDue()
      } else if probes.nextAt <= at {
        probes.onTime(at)
      } else if conversations.nextAt <= at {
        conversations.onTime(at)
      } else if shouts.nextAt <= at {
        shouts.onTime(at)
      } else if askers.nextAt <= at {
        askers.onTime(at)
      } else if sampleAt <= at {
        look(at)
        sampleAt = sampleAt + interval
        if machine.wallSeconds() > machine.deadline {
          record.isCutShort = true
          break
        }
      }
    }
    return finish()
  }

  private func onEvent(_ node: Int, _ event: Event) {
    switch event {
    case .located(let nonce, let id, let hops): probes.onLocated(node, nonce: nonce, id, hops: hops)
    case .joined:
      if !stage.hasJoined[node] {
        record.joinSeconds.add((stage.world.now - stage.startedAt[node]).seconds)
        stage.hasJoined[node] = true
      }
    case .pathChanged(let id, let kind, _): conversations.onPath(node, id, kind)
    case .pingAnswered(let ticket, _, _): conversations.onAnswer(node, ticket: ticket)
    case .taskAnswered(let ticket): askers.onAnswer(node, ticket: ticket)
    case .addressGranted(let prefix) where prefix.address.isV4:
      record.addressSeconds.add((stage.world.now - stage.startedAt[node]).seconds)
    default: break
    }
  }

  // MARK: - Looking

  private func look(_ now: Instant) {
    stage.witnesses(&witnesses)
    let found = inspector.inspect(witnesses, at: now) { stage.census.fate(of: $0) }
    let isExcused = schedule.plan.isExcused(now.ns / 1_000_000)
    let at = now.ns == 0 ? 0 : Double(now.ns / 1_000_000) / 1_000
    if !isExcused {
      record.judgedSeconds += at - lastSample
      record.overlapSeconds += found.overlap * (at - lastSample)
    }
    lastSample = at
    sumTraffic()
    record.moments.append(
      Moment(
        at: at, isExcused: isExcused, found: found, subrings: .inspect(stage), datagrams: datagrams,
        bytes: bytes))
    if isMeasuring, found.perfectShare < worstShare {
      worstShare = found.perfectShare
      record.worst = Picture(at: at, stage.picture(witnesses))
    }
    let wall = machine.wallSeconds() - wallAtStart
    machine.onProgress(
      Progress(
        virtualSeconds: at, endSeconds: Double(schedule.plan.end) / 1_000, wallSeconds: wall,
        events: stage.world.events, found: found))
  }

  private func sumTraffic() {
    datagrams = 0
    bytes = 0
    for node in 0..<stage.world.nodeCount {
      let sent = stage.world.sent(node)
      datagrams += sent.datagrams
      bytes += sent.bytes
    }
  }

  // MARK: - Bytes of each node

  private func beginMeasures() {
    isMeasuring = true
    wallAtMeasure = machine.wallSeconds()
    record.measuredEvents = stage.world.events
    if schedule.settings.start == .settled { hopsExceededBefore = stage.hopsExceeded }
    measures = (0..<stage.world.nodeCount).map {
      Measure(since: stage.world.now, bytes: stage.world.sent($0).bytes)
    }
  }

  private func endMeasures() {
    for entry in stage.census.living { finishMeasure(entry.node) }
    isAuditing = true
  }

  private func countShouts(_ node: Int) {
    if let counters = stage.world.hosts[node].core.broadcasts { record.shoutTotals.add(counters) }
  }

  private func finishMeasure(_ node: Int) {
    guard isMeasuring, !isAuditing else { return }
    let begin = node < measures.count ? measures[node] : Measure(since: stage.startedAt[node], bytes: 0)
    let length = (stage.world.now - begin.since).seconds
    guard length >= 5 else { return }
    record.bytesPerSecond.add(Double(stage.world.sent(node).bytes - begin.bytes) / length)
  }

  // MARK: - The end

  private func finish() -> Record {
    endMeasures()
    stage.witnesses(&witnesses)
    record.last = inspector.inspect(witnesses, at: stage.world.now) { stage.census.fate(of: $0) }
    record.final = Picture(at: Double(stage.world.now.ns / 1_000_000) / 1_000, stage.picture(witnesses))
    record.shortcuts = stage.shortcuts(of: 24)
    record.hops = probes.hops
    record.stretch = probes.stretch
    record.lookupSeconds = probes.seconds
    record.lookups = probes.tallies
    record.pairsAsked = probes.pairsAsked
    record.pairsReached = probes.pairsReached
    record.talks = conversations.talks
    shouts.close(before: .never)
    record.shouts = shouts.shouts
    for entry in stage.census.living {
      countShouts(entry.node)
      askers.count(entry.node)
      record.leases.add(Double(stage.world.hosts[entry.node].core.network.directory.count))
    }
    record.tasks = askers.tasks
    record.taskTotals = askers.totals
    record.relays = Relays.judge(conversations.talks, stage)
    for entry in stage.census.living { record.punching.add(stage.world.hosts[entry.node].snapshot.links) }
    record.hopsExceeded = stage.hopsExceeded - hopsExceededBefore
    record.digest = stage.world.digest
    record.events = stage.world.events
    record.virtualSeconds = stage.world.now.ns == 0 ? 0 : Double(stage.world.now.ns) / 1e9
    record.wallSeconds = machine.wallSeconds() - wallAtStart
    record.measuredWallSeconds = isMeasuring ? machine.wallSeconds() - wallAtMeasure : 0
    record.measuredEvents = stage.world.events - record.measuredEvents
    record.peakBytes = machine.peakBytes()
    stage.world.onEvent = nil
    stage.world.onDelivery = nil
    return record
  }
}
