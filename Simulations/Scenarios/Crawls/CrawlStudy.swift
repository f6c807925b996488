// How long it takes to ask a whole ring whether it is consistent, and what that costs, for rings of several
// sizes: by walking it, by walking it with many questions at a time, and by tasks over the tree of
// broadcasts, of both kinds.
//
// Each ring is laid out and left alone until it stands; then the ways are taken one after the other. Tasks
// count their messages. Those of crawls are reckoned: a question takes as many hops as its answer took.

import Base
import Node
import Overlay
import Simulator

/// A way to ask everybody.
public enum CrawlWay: CaseIterable, Sendable {
  case linear, wide, lists, calls

  static let widthOfWide = 16

  var name: String {
    switch self {
    case .linear: "crawl, 1 at a time"
    case .wide: "crawl, \(Self.widthOfWide) at a time"
    case .lists: "task, lists"
    case .calls: "task, calls"
    }
  }

  /// As JSON has it.
  var key: String {
    switch self {
    case .linear: "crawl_1"
    case .wide: "crawl_\(Self.widthOfWide)"
    case .lists: "consistency"
    case .calls: "consistency_calls"
    }
  }

  /// Nil for a crawl.
  var task: String? {
    switch self {
    case .linear, .wide: nil
    case .lists: "consistency"
    case .calls: "consistency-calls"
    }
  }
}

/// What one way took on one ring.
public struct CrawlRow: Sendable {
  public let nodes: Int
  public let lossPerMille: UInt32
  public let way: CrawlWay
  public fileprivate(set) var seconds = 0.0
  /// Messages between linked nodes, and their bytes within records, by nodes.
  public fileprivate(set) var messages = 0.0
  public fileprivate(set) var bytes = 0.0
  /// Nodes that did not answer.
  public fileprivate(set) var missing = 0
  /// Consistency by the final formula; nil: the way does not say, or brought nothing.
  public fileprivate(set) var final: Double?
  /// The share of the ring that was walked: below 1 all else but what is missing is reckoned from it.
  public fileprivate(set) var walked = 1.0
}

/// Rings of several sizes.
public struct CrawlStudy: Sendable {
  /// Tasks are asked so often, and the median counts.
  static let tries = 5
  private static let budget = Interval.seconds(10)
  /// Between one way and the next.
  private static let pause = Interval.seconds(8)

  public let seed: UInt64
  public let lossesPerMille: [UInt32]
  /// Virtual seconds for which a walk is followed at most.
  public let walkMax: Double
  public private(set) var rows: [CrawlRow] = []

  public init(seed: UInt64, lossesPerMille: [UInt32] = [0, 10], walkMax: Double) {
    self.seed = seed
    self.lossesPerMille = lossesPerMille
    self.walkMax = walkMax
  }

  /// Raises rings of so many nodes and asks them in all ways.
  public mutating func measure(nodes: Int) {
    for loss in lossesPerMille {
      let stage = Self.ring(nodes, loss: loss, seed: seed)
      var random = Random(seed: seed).split(0xC4A1)
      for way in CrawlWay.allCases.reversed() {
        var row = CrawlRow(nodes: nodes, lossPerMille: loss, way: way)
        if let task = way.task {
          ask(task, stage, &random, &row)
        } else {
          walk(way == .linear ? 1 : CrawlWay.widthOfWide, stage, &random, &row)
        }
        rows.append(row)
      }
    }
  }

  private static func ring(_ nodes: Int, loss: UInt32, seed: UInt64) -> Stage {
    var settings = Settings(scenario: "crawls", nodes: nodes, seed: seed)
    settings.members = 0
    settings.lossPerMille = loss
    let stage = Stage(settings, Conditions(settings), slots: nodes)
    stage.play(.layOut(nodes))
    stage.world.run(
      for: Interval(ns: UInt64((Plan.switchOnSeconds(nodes) + Plan.layOutSeconds + 20) * 1e9)))
    return stage
  }

  private func someone(_ stage: Stage, _ random: inout Random) -> Int {
    stage.census.living[Int(random.below(UInt64(stage.census.living.count)))].node
  }

  // MARK: - Tasks

  private func ask(_ task: String, _ stage: Stage, _ random: inout Random, _ row: inout CrawlRow) {
    let world = stage.world
    let before = Self.sent(stage)
    var times: [Double] = []
    for ticket in 0..<UInt32(Self.tries) {
      let host = world.hosts[someone(stage, &random)]
      world.act(host) {
        try? host.core.ask(task, on: .main, within: Self.budget, ticket: ticket, &host.context)
      }
      var outcome: TaskOutcome?
      _ = world.run(upTo: Self.budget + .seconds(1)) {
        outcome = host.core.takeOutcome(ofTask: ticket)
        return outcome != nil
      }
      times.append((outcome?.elapsed ?? Self.budget).seconds)
      row.missing = max(row.missing, row.nodes - Int(outcome.map { $0.tally.answered } ?? 0))
      if case .number(let value)? = outcome?.findings?.first(where: { $0.name == "final" })?.value {
        row.final = min(row.final ?? 1, value)
      }
      world.run(for: Self.pause)
    }
    let after = Self.sent(stage)
    let all = Double(Self.tries * row.nodes)
    row.seconds = times.sorted()[times.count / 2]
    row.messages = Double(after.messages - before.messages) / all
    row.bytes = Double(after.bytes - before.bytes) / all
    guard task == CrawlWay.calls.task else { return }
    // Its questions to linked neighbours: each two of them, and two answers.
    row.messages += 4
    let words = stage.census.living.compactMap {
      stage.world.hosts[$0.node].core.testimony(on: .main, at: world.now)
    }
    let answers = words.reduce(0.0) { $0 + CrawlCost.answer($1) }
    row.bytes += 2 * CrawlCost.question + 2 * answers / Double(max(words.count, 1))
  }

  private static func sent(_ stage: Stage) -> AskedTotals {
    var totals = AskedTotals()
    for entry in stage.census.living { totals.add(stage.world.hosts[entry.node].core.taskCounters) }
    return totals
  }

  // MARK: - Walks

  private func walk(_ width: Int, _ stage: Stage, _ random: inout Random, _ row: inout CrawlRow) {
    let world = stage.world
    let node = someone(stage, &random)
    let begin = world.now
    world.withCore(node) { core, context in
      _ = core.crawl(CrawlTerms(width: width), ticket: 1, &context)
    }
    let end = begin + Interval(ns: UInt64(walkMax * 1e9))
    while world.now < end, world.hosts[node].core.crawlProgress(1)?.isOver == false {
      world.run(until: min(end, world.now + .milliseconds(100)))
    }
    guard let found = world.withCore(node, { core, context in core.takeCrawl(1, at: context.now) }) else {
      return
    }
    let answered = found.nodes.filter { $0.outcome == .answered }
    row.walked = found.isCutShort ? Double(answered.count) / Double(row.nodes) : 1
    row.seconds = found.took.seconds / row.walked
    if !found.isCutShort { row.final = CrawlReport(found).consistency.final }
    row.missing = found.isCutShort ? found.nodes.count { $0.outcome == .silent } : row.nodes - answered.count
    for one in answered {
      let there = Double(one.hops) * Double(one.tries)
      let back = Double(one.hops)
      row.messages += there + back
      row.bytes += there * CrawlCost.question + back * (one.word.map(CrawlCost.answer) ?? 0)
    }
    row.messages /= Double(max(answered.count, 1))
    row.bytes /= Double(max(answered.count, 1))
    world.run(for: Self.pause)
  }
}

/// Bytes of looks within a record.
enum CrawlCost {
  /// Header of a routed message, kind and nonce.
  private static let head = 44.0 + 1 + 8
  static let question = head

  static func answer(_ word: Testimony) -> Double {
    let scratch = Scratch(capacity: 2_048)
    return head + Double(word.encode(into: scratch.frame) ?? 0)
  }
}
