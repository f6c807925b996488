// Goal: a crawl's judgement of a ring is that of the simulator, which knows the truth.
// Method: rings made by hand with many random faults, once as the simulator sees them, once as nodes tell it.

import Base
import Node
import Overlay
import Testing

@testable import Scenarios

@Suite struct CrawlJudgeTests {
  /// What the nodes of a ring would say.
  private func crawl(_ ring: HandmadeRing) -> CrawlReport {
    let nodes = ring.witnesses.map { witness in
      var word = Testimony(
        phase: witness.belief.isSettled ? .settled : .joining, isReady: true, incarnation: 1)
      for i in 0..<witness.belief.left.count { word.left.append(neighbour(witness.belief.left[i])) }
      for i in 0..<witness.belief.right.count { word.right.append(neighbour(witness.belief.right[i])) }
      return CrawledNode(id: witness.belief.id, word: word)
    }
    return CrawlReport(CrawlResult(ring: .main, origin: ring.id(0), nodes: nodes))
  }

  private func neighbour(_ id: OverlayID) -> Testimony.Neighbour {
    Testimony.Neighbour(
      id: id, incarnation: 1, linkedFor: 1, silentFor: 1, path: .direct, roundTrip: 1, namesUs: false)
  }

  @Test(arguments: [1, 2, 3, 60], 0..<20) func formulaeAgree(count: Int, seed: UInt64) {
    var random = Random(seed: seed)
    var ring = HandmadeRing(count)
    for _ in 0..<(count / 4 + 1) {
      let i = Int(random.below(UInt64(count)))
      let list = random.sample(min(4, count), below: count).filter { $0 != i }
      if random.happens(0.5) { ring.setRight(i, list) } else { ring.setLeft(i, list) }
    }
    let (found, report) = (ring.inspect(), crawl(ring))
    #expect(report.consistency == found.consistency)
    #expect(report.cycles.count == found.cycles)
    #expect((report.cycles.map(\.winding).max() ?? 0) == found.windingMax)
    if found.isPerfect { #expect(report.isWhole) } else { #expect(!report.outliers.isEmpty) }
  }
}
