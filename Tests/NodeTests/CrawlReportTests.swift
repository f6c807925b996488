// Goal: what is wrong with a ring is said, and nothing else.
// Method: rings made by hand, each with one fault.

import Base
import Overlay
import Testing

@testable import Node

@Suite struct CrawlReportTests {
  @Test(arguments: [1, 2, 3, 4, 5, 9, 100, 1_000]) func wholeRingIsWhole(count: Int) {
    let report = HandmadeCrawl(count).report
    #expect(report.isWhole && report.nodes == count && report.outliers.isEmpty && report.pairs.isEmpty)
    #expect(report.consistency == Consistency() && report.winding == 1 && report.components == 1)
    #expect(report.verdict == "ring whole: \(count) node\(count == 1 ? "" : "s"), consistency 1.000")
  }

  @Test func whoDoesNotAnswerIsMissing() {
    var crawl = HandmadeCrawl(20)
    crawl.silence(7, for: 40)
    let report = crawl.report
    #expect(report.missing == [crawl.id(7)] && report.nodes == 19)
    #expect(report.winding == 1 && report.cycles == [RingCycle(nodes: 19, winding: 1)])
    #expect(report.consistency.final < 1)
    #expect(
      report.verdict == "ring NOT whole: 19 nodes, consistency 0.947, because 1 node did not answer "
        + "and 4 nodes have wrong neighbours")
  }

  @Test func whoIsOnlyToldOfIsNotMissing() {
    var crawl = HandmadeCrawl(20)
    var rumour = CrawledNode(id: OverlayID(high: 5, middle: 5, low: 5), isNeighbour: false)
    rumour.outcome = .notThere
    crawl.nodes.append(rumour)
    #expect(crawl.report.isWhole && crawl.report.rumoured == 1)
  }

  @Test func twoRingsAreFound() {
    var crawl = HandmadeCrawl(20)
    crawl.connect((0..<10).map { 2 * $0 })
    crawl.connect((0..<10).map { 2 * $0 + 1 })
    let report = crawl.report
    #expect(report.consistency == Consistency(), "the formulae are blind for it")
    #expect(report.components == 2 && report.parts == 2 && report.winding == 2)
    #expect(report.cycles == [RingCycle(nodes: 10, winding: 1), RingCycle(nodes: 10, winding: 1)])
    #expect(report.verdict.contains("because it is 2 rings (of 10, 10 nodes)"))
  }

  @Test func loopyRingIsFound() {
    var crawl = HandmadeCrawl(21)
    crawl.connect((0..<21).map { 2 * $0 % 21 })
    let report = crawl.report
    #expect(report.consistency == Consistency(), "the formulae are blind for it")
    #expect(report.winding == 2 && report.components == 1)
    #expect(report.cycles == [RingCycle(nodes: 21, winding: 2)])
    #expect(report.verdict.contains("it winds 2 times round"))
  }

  @Test func whoStandsBesideTheRingIsAStray() {
    var crawl = HandmadeCrawl(20)
    crawl.connect(Array(0..<19))
    crawl.setRight(19, [0, 1, 2, 3])
    crawl.setLeft(19, [18, 17, 16, 15])
    let report = crawl.report
    #expect(report.strays == 1 && report.components == 1)
    #expect(report.verdict.contains("1 node stands beside it"))
    #expect(report.pairs.count == 2, "its neighbours do not know it")
  }

  @Test func pairsThatCannotTalkAreFoundOnAWholeRing() {
    var crawl = HandmadeCrawl(20)
    crawl.change(4, of: 5) { $0.path = .overlay }
    crawl.change(9, of: 8) { $0.path = .overlay }
    // Second neighbours that reach each other over others are no matter.
    crawl.change(14, of: 16) { $0.path = .overlay }
    let report = crawl.report
    #expect(report.isWhole)
    #expect(report.verdict == "ring whole: 20 nodes, consistency 1.000, 2 unreachable pairs")
    #expect(report.pairs.map(\.first) == [crawl.id(4), crawl.id(8)])
    #expect(report.pairs.allSatisfy { $0.kind == .overlay })
  }

  @Test func muchLessThanTheNodesReckonWithIsSaid() {
    var crawl = HandmadeCrawl(20)
    for i in crawl.nodes.indices { crawl.nodes[i].word?.sizeEstimate = 100 }
    #expect(crawl.report.verdict.hasSuffix("because its nodes reckon with about 100 of them"))
  }

  @Test func sharesAreRoundedDown() {
    #expect(CrawlReport.thousandths(1) == "1.000" && CrawlReport.thousandths(0.999_99) == "0.999")
    #expect(CrawlReport.thousandths(0.95) == "0.950" && CrawlReport.thousandths(0) == "0.000")
  }

  // MARK: - Causes

  @Test func deathIsNamed() {
    var crawl = HandmadeCrawl(20)
    crawl.silence(7, for: 40)
    #expect(crawl.explanation(7)?.cause == .dead(crawl.id(7), silentFor: 40))
    #expect(crawl.explanation(7)?.sentence == "it is dead: nobody has heard from it for 40 s")
    #expect(crawl.explanation(6)?.cause == .dead(crawl.id(7), silentFor: 40), "its neighbour lacks it")
    let opinions = crawl.explanation(7)?.opinions ?? []
    #expect(opinions.map(\.by) == [3, 4, 5, 6, 8, 9, 10, 11].map(crawl.id))
    #expect(opinions.allSatisfy { $0.neighbour?.silentFor == 40 })
  }

  @Test func whoWasHeardAMomentAgoIsSlow() {
    var crawl = HandmadeCrawl(20)
    crawl.silence(7, for: 30)
    crawl.change(9, of: 7) { $0.silentFor = 3 }
    #expect(crawl.explanation(7)?.cause == .lagging(crawl.id(7), heardAgo: 3))
  }

  @Test func unreachablePairIsNamed() {
    var crawl = HandmadeCrawl(20)
    crawl.separate(7, 8)
    #expect(crawl.explanation(7)?.cause == .unreachablePair(crawl.id(8)))
    #expect(crawl.explanation(8)?.cause == .unreachablePair(crawl.id(7)))
    #expect(crawl.report.pairs.map(\.kind) == [.noLink])
    var distant = HandmadeCrawl(20)
    distant.change(7, of: 8) { $0.path = .overlay }
    #expect(distant.explanation(8)?.cause == .unreachablePair(distant.id(7)))
  }

  @Test func foreignRingIsNamed() {
    var crawl = HandmadeCrawl(20)
    crawl.connect((0..<20).filter { $0 % 4 == 3 })
    crawl.connect((0..<20).filter { $0 % 4 != 3 })
    #expect(crawl.explanation(7)?.cause == .foreignRing(nodes: 5))
    #expect(crawl.explanation(8)?.cause == .foreignRing(nodes: 15))
  }

  @Test func loopIsNamed() {
    var crawl = HandmadeCrawl(21)
    crawl.connect((0..<21).map { 2 * $0 % 21 })
    #expect(crawl.explanation(7)?.cause == .wound(2))
  }

  @Test func staleIncarnationIsNamed() {
    var crawl = HandmadeCrawl(20)
    crawl.nodes[7].word?.incarnation = 1_060
    for j in crawl.nodes.indices where j != 8 { crawl.change(j, of: 7) { $0.incarnation = 1_060 } }
    let explanation = crawl.explanation(7)
    #expect(explanation?.faults == .stale && explanation?.cause == .staleIncarnation(by: crawl.id(8)))
    #expect(crawl.report.isWhole)
  }

  @Test func newcomerIsNamed() {
    var crawl = HandmadeCrawl(20)
    crawl.connect((0..<20).filter { $0 != 7 })
    crawl.nodes[7].word?.phase = .joining
    crawl.nodes[7].word?.uptime = 3
    #expect(crawl.explanation(7)?.cause == .newcomer(crawl.id(7), uptime: 3))
    #expect(crawl.explanation(8)?.cause == .newcomer(crawl.id(7), uptime: 3), "and where it will stand")
  }

  @Test func changeIsNamed() {
    var crawl = HandmadeCrawl(20)
    crawl.setRight(7, [9, 10, 11, 12])
    crawl.nodes[7].word?.unchangedFor = 2
    #expect(crawl.explanation(7)?.cause == .changing(crawl.id(7), ago: 2))
  }

  @Test func whatNothingExplainsIsSaid() {
    var crawl = HandmadeCrawl(20)
    crawl.setRight(7, [9, 10, 11, 12])
    #expect(crawl.explanation(7)?.cause == .unexplained)
    #expect(crawl.explanation(12) == nil)
  }

  // MARK: - Views

  @Test func picturesNameWhatIsBroken() {
    var crawl = HandmadeCrawl(30)
    crawl.silence(7, for: 40)
    crawl.separate(15, 16)
    crawl.change(22, of: 23) { $0.path = .overlay }
    let report = crawl.report
    let svg = CrawlDrawing(report).svg
    #expect(svg.hasPrefix("<svg xmlns=") && svg.hasSuffix("</svg>\n") && !svg.contains("NaN"))
    #expect(svg.contains("1 node did not answer") && svg.contains(crawl.id(7).short.prefix(6)))
    // One of each in the legend.
    #expect(svg.components("class=\"cross\"") == 2)
    #expect(svg.components("class=\"pair\"") == 2 && svg.components("class=\"pair missing\"") == 2)
    let dot = report.dot
    #expect(dot.components("\n") == 3 + 30 + (29 * 4 - 1) + 1)
    #expect(dot.components("style=dashed, color=red") == 1 && dot.components("color=orange") == 1)
  }

  @Test(arguments: [1, 2, 3, 10_000]) func anySizeIsDrawn(count: Int) {
    let svg = CrawlDrawing(HandmadeCrawl(count).report).svg
    #expect(svg.components("class=\"node\"") == min(count, 1_000) + 2)
    #expect(svg.utf8.count < 400_000)
  }

  /// Every second node is odd: all of the odd ones are drawn, up to the bound.
  @Test func theBrokenAreNotLeftOut() {
    var crawl = HandmadeCrawl(3_000)
    for i in stride(from: 0, to: 3_000, by: 2) { crawl.nodes[i].word?.phase = .joining }
    let svg = CrawlDrawing(crawl.report).svg
    #expect(svg.components("class=\"node wrong unsettled\"") == 1_500)
  }
}

extension String {
  /// How often a text stands in it.
  fileprivate func components(_ text: String) -> Int {
    split(separator: text, omittingEmptySubsequences: false).count - 1
  }
}
