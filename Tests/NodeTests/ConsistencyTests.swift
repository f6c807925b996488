// Goal: lists that are compared on their way up the tree come to the figures of the direct formula over all
// of them, to the digit, whatever the tree and the damage, and to messages of a few hundred bytes.

import Base
import Overlay
import Testing

@testable import Node

@Suite struct ConsistencyTests {
  typealias Truth = PaperRing.Truth

  /// Folds over a random tree, and compares: to the digit, but for nodes that list somebody beyond the border
  /// of a part who does not list them. These may be missed by method 1, and circles that close through them.
  @discardableResult
  private func expectExact(_ ring: PaperRing, _ random: inout Random, _ what: String) -> ConsistencyAnswer {
    var edges: [PaperRing.Edge] = []
    let answer = ring.folded(
      from: Int(random.below(UInt64(ring.records.count))), &random, edges: &edges)
    let (counted, truth) = (PaperRing.counted(answer), ring.truth)
    let far = ring.farClaims(beyond: ConsistencyAnswer.borderNodes)
    if far == 0 {
      #expect(counted == truth, "\(what)")
    } else {
      #expect(counted.nodes == truth.nodes && counted.gaps == truth.gaps, "\(what)")
      #expect(counted.method2 == truth.method2 && counted.second == truth.second, "\(what)")
      #expect((0...far).contains(truth.method1 - counted.method1), "\(what)")
      #expect((0...far).contains(truth.method3 - counted.method3), "\(what)")
      #expect((0...far).contains(truth.circles - counted.circles), "\(what)")
    }
    #expect(answer.open.isEmpty && answer.undecided == 0)
    #expect(edges.allSatisfy { $0.bytes <= TaskWire.answerBytesMax })
    let isHeard = ring.farClaims(beyond: ConsistencyAnswer.borderNodes, hasR2: true) == 0
    if isHeard, ring.records.count > 2, answer.unansweredBeyond == 0 {
      let listed = (0..<answer.unanswered.count).map { answer.unanswered[$0].place }
      #expect(listed.sorted() == ring.silent, "\(what)")
    }
    let missed = UInt64(answer.broken.count) + UInt64(answer.brokenBeyond)
    #expect(missed >= UInt64(counted.nodes - min(counted.method3, counted.second)))
    return answer
  }

  private func size(_ random: inout Random) -> Int {
    1 + Int(random.below(random.below(3) == 0 ? 500 : 20))
  }

  @Test(arguments: UInt64(0)..<60) func healthyRingsAreOneCircle(seed: UInt64) {
    var random = Random(seed: seed)
    let places = PaperRing.places(size(&random), &random)
    let answer = expectExact(PaperRing(places), &random, "\(places.count) nodes")
    #expect(answer.hits.isPerfect && answer.circles == 1 && answer.looseEnds == 0)
    #expect(answer.broken.isEmpty && answer.unanswered.isEmpty && answer.unheard == 0)
  }

  @Test(arguments: UInt64(0)..<60) func ringsApartAreCounted(seed: UInt64) {
    var random = Random(seed: seed)
    let rings = 2 + Int(random.below(2))
    let places = PaperRing.places(6 * rings + size(&random), &random)
    let answer = expectExact(
      PaperRing(places, turns: rings, areApart: true), &random, "\(places.count) nodes")
    #expect(Int(answer.circles) == rings && answer.hits.winding == Double(rings))
    #expect(answer.hits.method3 == answer.hits.nodes && !answer.hits.isPerfect)
  }

  @Test(arguments: UInt64(0)..<60) func windingsAreCounted(seed: UInt64) {
    var random = Random(seed: seed)
    // An odd number of nodes, of which each names the next but one: one circle of two turns.
    let places = PaperRing.places(2 * (3 + size(&random)) + 1, &random)
    let answer = expectExact(PaperRing(places, turns: 2), &random, "\(places.count) nodes")
    #expect(answer.circles == 1 && answer.hits.winding == 2 && answer.hits.method3 == answer.hits.nodes)
  }

  /// Nodes that some do not know, on one side or on both, alone or several in a row; others that are dead.
  @Test(arguments: UInt64(0)..<600) func damagedRingsAreCountedToTheDigit(seed: UInt64) {
    var random = Random(seed: seed)
    let rings = random.below(4) == 0 ? 2 : 1
    let count = size(&random) + (rings == 2 ? 5 : 0)
    let places = PaperRing.places(count, &random)
    let rate = [0.005, 0.03, 0.1, 0.3][Int(random.below(4))]
    // 1: those to the left do not know it, 2: those to the right, 3: nobody does.
    let skipped = (0..<count).map { _ in random.unit() < rate ? 1 + random.below(3) : 0 }
    var pairs = random.split(1)
    let single = (0..<count).map { _ in (0..<8).map { _ in pairs.unit() < rate / 4 } }
    let silent = (0..<count).map { _ in random.unit() < rate / 2 }
    guard silent.contains(false) else { return }
    let ring = PaperRing(
      places, turns: rings, areApart: random.below(2) == 0,
      skips: { viewer, other in
        let distance = (other - viewer + count) % count
        let isRight = 2 * distance < count
        if single[viewer][min(isRight ? distance : count - distance, 4) + (isRight ? 3 : -1)] { return true }
        return skipped[other] & (isRight ? 1 : 2) != 0
      }, isSilent: { silent[$0] })
    expectExact(ring, &random, "\(count) nodes, \(rings) rings, rate \(rate)")
  }

  /// Neighbours that are none: nodes nearby, or anywhere, instead of the right ones.
  @Test(arguments: UInt64(0)..<400) func wrongNeighboursAreCounted(seed: UInt64) {
    var random = Random(seed: seed)
    let count = 3 + size(&random)
    let places = PaperRing.places(count, &random)
    var ring = PaperRing(places)
    let reach = random.below(3) == 0 ? count - 1 : 3
    for rank in 0..<count where random.below(20) == 0 {
      let pointer = Int(random.below(4))
      let step = 1 + Int(random.below(UInt64(reach)))
      let target = (rank + (pointer < 2 ? count - step % count : step)) % count
      ring.replace(rank, pointer, by: random.below(10) == 0 ? nil : places[target])
    }
    expectExact(ring, &random, "\(count) nodes")
  }

  /// The users' own example: between B and D nobody knows C, who knows them.
  @Test func aNodeThatNobodyKnowsIsSeenByAllButMethod1() {
    var random = Random(seed: 1)
    let ring = PaperRing(PaperRing.places(100, &random), skips: { $1 == 50 && $0 != 50 })
    let answer = expectExact(ring, &random, "one is not known")
    #expect(answer.hits.method1 == 100 && answer.hits.method2 == 99 && answer.hits.second == 99)
    #expect(
      answer.circles == 1 && answer.broken.count == 1 && answer.broken[0].place == ring.records[50].place)
    let findings = ConsistencyTask.findings(of: answer, TaskTally())
    #expect(findings.first { $0.name == "final" }?.value == .number(0.99))
    #expect(findings.first { $0.name == "whole" }?.value == .truth(false))
  }

  @Test func aRingOfOneIsConsistentAndOneOfTwoIfBothSaySo() {
    let tally = TaskTally()
    var random = Random(seed: 3)
    var one = PaperRing([7])
    for lists in [[nil, nil, nil, nil], [9, nil, 9, nil]] as [[UInt64?]] {
      for i in 0..<4 { one.replace(0, i, by: lists[i]) }
      let answer = expectExact(one, &random, "one")
      #expect(answer.hits.isPerfect)
      #expect(ConsistencyTask.findings(of: answer, tally).last == NamedFinding("whole", .truth(true)))
    }
    var two = PaperRing([7, 9])
    #expect(expectExact(two, &random, "two").hits.isPerfect)
    two.replace(0, 2, by: nil)
    let answer = expectExact(two, &random, "two, of which one knows nobody to its right")
    #expect(answer.hits.method2 == 1 && answer.hits.second == 1 && answer.hits.method1 == 1)
  }

  /// What travels over an edge of the tree over a healthy ring, beside the tally.
  @Test(arguments: [100, 1_000, 10_000]) func healthyEdgesAreSmall(count: Int) {
    var random = Random(seed: UInt64(count))
    var edges: [PaperRing.Edge] = []
    let answer = PaperRing(PaperRing.places(count, &random)).folded(from: 0, &random, edges: &edges)
    #expect(answer.hits.isPerfect && Int(answer.hits.nodes) == count && edges.count == count - 1)
    #expect(edges.allSatisfy { $0.bytes <= 320 })
  }

  /// Every second node has wrong neighbours: what does not fit is counted.
  @Test func ruinsStayWithinTheLimit() {
    var random = Random(seed: 9)
    let places = PaperRing.places(2_000, &random)
    var ring = PaperRing(places)
    for rank in 0..<2_000 where random.below(2) == 0 {
      ring.replace(rank, Int(random.below(4)), by: places[Int(random.below(2_000))])
    }
    var edges: [PaperRing.Edge] = []
    let answer = ring.folded(from: 0, &random, edges: &edges)
    #expect(edges.allSatisfy { $0.bytes <= TaskWire.answerBytesMax })
    #expect(Int(answer.hits.nodes) == 2_000 && answer.hits.gaps == ring.truth.gaps)
    #expect(answer.hits.method2 <= ring.truth.method2)
  }

  /// Asking neighbours comes to the same figures.
  @Test(arguments: UInt64(0)..<40) func twoCallsANodeComeToTheSame(seed: UInt64) {
    var random = Random(seed: seed)
    let count = size(&random)
    let ring = PaperRing(
      PaperRing.places(count, &random), skips: { ($0 &* 31 &+ $1 &* 17) % 23 == 0 },
      isSilent: { $0 % 19 == 7 })
    func said(_ place: UInt64?) -> NeighbourRecord? {
      ConsistencyAnswer.find(place, in: ring.records).map { ring.records[$0] }
    }
    let answers = ring.records.map { record in
      ConsistencyCallsTask.hits(
        of: record, isSettled: true, foreign: 0, l1: said(record.l1).map(\.r1),
        l2: said(record.l2).map { ($0.r1, $0.r2) })
    }
    let hits = ConsistencyCallsTask.reduce(answers, in: .all(but: 0), isWhole: true)
    let truth = ring.truth
    #expect(Int(hits.method1) == truth.method1 && Int(hits.method2) == truth.method2)
    #expect(Int(hits.method3) == truth.method3 && Int(hits.second) == truth.second)
    #expect(hits.gaps == truth.gaps && Int(hits.nodes) == truth.nodes)
  }
}
