// Goal: whatever nodes answer, what it is folded into has its bounds, its sums stop at the largest number,
// and what does not fit is counted. And what real nodes say of themselves is so.

import Base
import Overlay
import Session
import Simulator
import Testing

@testable import Node

/// The example of README.md.
private enum LinksTask: RingTask {
  static let name = "links"
  static let abstract = "how many links nodes have"
  static let audience = TaskAudience.theOperator

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> Spread {
    Spread(UInt64(node.network.links.upCount), of: node.id.high)
  }

  static func reduce(_ answers: [Spread], in arc: Arc, isWhole: Bool) -> Spread {
    var all = Spread()
    for answer in answers { all.add(answer) }
    return all
  }

  static func findings(of answer: Spread, _ tally: TaskTally) -> [NamedFinding] { answer.findings() }
}

@Suite struct TaskAnswerTests {
  /// Folds many answers, a thousand at a time together with what came of those before.
  private func flood<Asked: RingTask>(
    _ task: Asked.Type, count: Int, _ make: (inout Random) -> Asked.Answer
  ) -> Asked.Answer? {
    var random = Random(seed: 1)
    var total: Asked.Answer?
    for batch in 0..<count / 1_000 {
      var answers = (0..<1_000).map { _ in make(&random) }
      if let total { answers.append(total) }
      // Small arcs: what is named stands outside, and is waited for.
      let arc = Arc(from: random.next(), to: random.next())
      let folded = Asked.reduce(answers, in: arc, isWhole: batch % 7 == 6)
      let bytes = TaskWire.bytes(folded)
      #expect(bytes.count <= Asked.answerBytesMax)
      total = TaskWire.read(Asked.Answer.self, bytes)
      #expect(total != nil)
      _ = Asked.findings(of: folded, TaskTally())
    }
    return total
  }

  @Test func floodsOfAnswersStayWithinTheirBounds() {
    _ = flood(ConsistencyCallsTask.self, count: 100_000) { $0.ringHits() }
    _ = flood(VersionsTask.self, count: 100_000) { VersionsAnswer($0.version()) }
    _ = flood(NATTask.self, count: 100_000) { $0.nat() }
    _ = flood(LatencyTask.self, count: 20_000) { $0.latency() }
    _ = flood(LoadTask.self, count: 100_000) { $0.load() }
  }

  @Test func floodsOfListsStayWithinTheirBounds() throws {
    _ = flood(ConsistencyTask.self, count: 100_000) { $0.consistency(nodes: 1) }
    _ = flood(ConsistencyTask.self, count: 2_000) { $0.consistency(nodes: 10) }
    let graph = try #require(flood(NeighboursTask.self, count: 10_000) { $0.graph() })
    #expect(graph.entries.count > 100)
    #expect(graph.entries.count + Int(graph.leftOut) > 9_000)
  }

  @Test func sumsStopAtTheLargestNumber() {
    var hits = RingHits()
    hits.nodes = .max
    hits.gaps = .max
    hits.add(hits)
    hits.count((true, true, true), gap: .max)
    #expect(hits.nodes == .max && hits.gaps == .max)
    var spread = Spread(.max, of: 1)
    for _ in 0..<100 { spread.add(spread) }
    #expect(spread.count == .max && spread.sum == .max && spread.quantile(0.5) != nil)
  }

  @Test func quantilesAreAnEighthOffAtMost() throws {
    var random = Random(seed: 4)
    var spread = Spread()
    var values: [UInt64] = []
    for _ in 0..<5_000 {
      values.append(random.next() >> (30 + random.below(30)))
      spread.count(values.last!, of: values.last!)
    }
    values.sort()
    for share in [0.1, 0.5, 0.9, 0.99] {
      let exact = Double(values[Int(share * 5_000) - 1])
      let found = try #require(spread.quantile(share))
      #expect(abs(found - exact) <= exact / 4, "\(share): \(found), not \(exact)")
    }
    #expect(spread.largest == values.last && spread.holder == values.last)
    for value in values {
      let range = Spread.range(Spread.bucket(value))
      #expect(Double(value) >= range.from && Double(value) < range.from + range.width)
    }
    #expect(Spread.bucket(.max) < Spread.buckets)
  }

  @Test func theMostFrequentVersionsAreKept() {
    var answers = (0..<50).map { VersionsAnswer(ProgramVersion("rare-\($0)")) }
    for i in 0..<32 { answers += Array(repeating: VersionsAnswer(ProgramVersion("common-\(i)")), count: 2) }
    let folded = VersionsAnswer(folding: answers)
    #expect(folded.versions.count == 32 && folded.versions.allSatisfy { $0.nodes == 2 })
    #expect(folded.others == 50)
    #expect(ProgramVersion("1.0 \u{1b}[31m\n").description == "1.0[31m")
    #expect(ProgramVersion("\n").description == "unknown")
  }

  @Test func realNodesSayWhatIsSo() throws {
    let world = World(seed: 5)
    world.add()
    for _ in 0..<11 { world.add(bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    world.run(for: .seconds(20))
    func answers<Asked: RingTask>(_ task: Asked.Type) -> Asked.Answer {
      let all = (0..<world.nodeCount).map { node in
        world.withCore(node) { core, context in
          Asked.map(core, Inquiry(ring: .main, now: context.now))
        }
      }
      return Asked.reduce(all, in: .all(but: 0), isWhole: true)
    }
    let consistency = answers(ConsistencyTask.self)
    #expect(consistency.hits.isPerfect && consistency.circles == 1)
    #expect(answers(VersionsTask.self).versions.map(\.nodes) == [12])
    let nat = answers(NATTask.self)
    #expect((0..<6).reduce(0) { $0 + nat.mappings[$1] } == 12 && nat.neighbours[0] == 48)
    let latency = answers(LatencyTask.self)
    #expect(latency.spreads[0].count > 0)
    #expect(try #require(latency.spreads[0].quantile(0.5)) >= 18_000)
    let load = answers(LoadTask.self)
    let links = world.hosts.reduce(0) { $0 + $1.snapshot.peers.count }
    #expect(load.spreads[1].count == 12 && load.spreads[1].sum == UInt64(links))
    #expect(answers(LinksTask.self) == load.spreads[1])
    let graph = answers(NeighboursTask.self)
    #expect(graph.entries.map(\.place) == world.hosts.map { $0.snapshot.id.high }.sorted())
    for (i, entry) in graph.entries.enumerated() {
      #expect(entry.right.first == graph.entries[(i + 1) % 12].place)
    }
  }
}
