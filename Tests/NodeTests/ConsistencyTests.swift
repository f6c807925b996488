// Goal: lists that are compared on their way up the tree come to the figures of the direct formula over all
// of them, to the digit, whatever the tree and the damage, and to messages of a few hundred bytes.

import Base
import Overlay
import Testing

@testable import Node

@Suite struct ConsistencyTests {
  typealias Truth = PaperRing.Truth

  /// Folds over a random tree, and compares.
  @discardableResult
  private func expectExact(_ ring: PaperRing, _ random: inout Random, _ what: String) -> ConsistencyAnswer {
    var edges: [PaperRing.Edge] = []
    let answer = ring.folded(
      from: Int(random.below(UInt64(ring.records.count))), &random, edges: &edges)
    #expect(PaperRing.counted(answer) == ring.truth, "\(what)")
    #expect(answer.open.isEmpty && answer.undecided == 0)
    #expect(edges.allSatisfy { $0.bytes <= TaskWire.answerBytesMax })
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
    let answer = expectExact(PaperRing(places, turns: rings, areApart: true), &random, "\(places.count) nodes")
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

  /// Neighbours that are none: nodes nearby instead of the right ones.
  @Test(arguments: UInt64(0)..<300) func wrongNeighboursNearbyAreCountedToTheDigit(seed: UInt64) {
    var random = Random(seed: seed)
    let count = 3 + size(&random)
    let places = PaperRing.places(count, &random)
    var ring = PaperRing(places)
    for rank in 0..<count where random.below(20) == 0 {
      let pointer = Int(random.below(4))
      let step = 1 + Int(random.below(3))
      let target = (rank + (pointer < 2 ? count - step % count : step)) % count
      ring.replace(rank, pointer, by: random.below(10) == 0 ? nil : places[target])
    }
    expectExact(ring, &random, "\(count) nodes")
  }
}
