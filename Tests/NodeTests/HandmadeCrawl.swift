// What a crawl would have found on a ring that is made by hand.

import Base
import Overlay

@testable import Node

/// Nodes spread evenly, and their words. Node i has ID (i + 1) · 2^64 / (count + 1) in the first word.
struct HandmadeCrawl {
  var nodes: [CrawledNode] = []
  /// Who crawls.
  var origin = 0

  /// A ring in which everybody is right, of links that are a minute old.
  init(_ count: Int) {
    nodes = (0..<count).map { i in
      CrawledNode(
        id: OverlayID(high: UInt64(i + 1) * (UInt64.max / UInt64(count + 1)), middle: 0, low: UInt32(i)),
        word: Testimony(
          phase: .settled, isReady: true, incarnation: 1_000, uptime: 600, unchangedFor: 60,
          sizeEstimate: UInt32(count)))
    }
    connect(Array(0..<count))
  }

  func id(_ i: Int) -> OverlayID { nodes[i].id }

  var result: CrawlResult { CrawlResult(ring: .main, origin: id(origin), nodes: nodes) }
  var report: CrawlReport { CrawlReport(result) }

  /// What is said of the node, if it stands out.
  func explanation(_ i: Int) -> Explanation? { report.explanations().first { $0.id == id(i) } }

  /// Lets these nodes list one another, in this order clockwise, as if there were no others.
  mutating func connect(_ cycle: [Int]) {
    let n = cycle.count
    for (k, i) in cycle.enumerated() {
      setRight(i, (1...4).filter { $0 < n }.map { cycle[(k + $0) % n] })
      setLeft(i, (1...4).filter { $0 < n }.map { cycle[(k + n - $0) % n] })
    }
  }

  mutating func setRight(_ i: Int, _ list: [Int]) {
    let list = neighbours(list)
    nodes[i].word?.right = list
  }
  mutating func setLeft(_ i: Int, _ list: [Int]) {
    let list = neighbours(list)
    nodes[i].word?.left = list
  }

  /// Changes what `i` says of its neighbour `j`, wherever it stands.
  mutating func change(_ i: Int, of j: Int, _ body: (inout Testimony.Neighbour) -> Void) {
    guard var word = nodes[i].word else { return }
    for k in 0..<word.right.count where word.right[k].id == id(j) { body(&word.right[k]) }
    for k in 0..<word.left.count where word.left[k].id == id(j) { body(&word.left[k]) }
    nodes[i].word = word
  }

  /// Nobody has heard from the node for so long, and it does not answer.
  mutating func silence(_ i: Int, for seconds: UInt16) {
    nodes[i].word = nil
    nodes[i].outcome = .silent
    for j in nodes.indices { change(j, of: i) { $0.silentFor = seconds } }
  }

  /// `i` and `j` know of each other and have no link; the next ones take the places.
  mutating func separate(_ i: Int, _ j: Int) {
    for (a, b) in [(i, j), (j, i)] {
      guard var word = nodes[a].word else { continue }
      for k in (0..<word.right.count).reversed() where word.right[k].id == id(b) { word.right.remove(at: k) }
      for k in (0..<word.left.count).reversed() where word.left[k].id == id(b) { word.left.remove(at: k) }
      word.missed.append(.init(id: id(b), failures: 3))
      nodes[a].word = word
    }
  }

  private func neighbours(_ list: [Int]) -> BoundedArray<4, Testimony.Neighbour> {
    var neighbours = BoundedArray<4, Testimony.Neighbour>()
    for i in list {
      neighbours.append(
        Testimony.Neighbour(
          id: id(i), incarnation: 1_000, linkedFor: 60, silentFor: 2, path: .direct, roundTrip: 20,
          namesUs: true))
    }
    return neighbours
  }
}
