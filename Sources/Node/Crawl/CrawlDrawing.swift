// A picture of what a crawl found: the ring as a circle, nodes at their places, neighbours joined by short
// arcs and far links by chords. What is broken stands out at any size: it is drawn last, larger, and never
// left out as the others are when there are too many. Nodes of a second ring stand inside the first.
//
// One file that needs nothing else: no script, no font. Light or dark as the reader's page is.

import Base

/// Draws a report as SVG.
public struct CrawlDrawing {
  private let report: CrawlReport
  private let faults: [RingFaults]

  private static let width = 760.0
  private static let circle = RingCircle(x: width / 2, y: 410, radius: 290)
  private static let height = 850.0
  /// Whole nodes are sampled beyond this, broken ones beyond the second.
  private static let dotsMax = 1_000
  private static let brokenMax = 2_000
  private static let chordsMax = 300
  private static let labelsMax = 40
  /// What a label takes, in pixels.
  private static let labelWidth = 46.0
  private static let labelHeight = 13.0
  private static let titleColumns = 72
  /// Nodes of each further ring stand so many pixels further in; of more than these as the last.
  private static let ringStep = 26.0
  private static let ringsMax: Int32 = 5

  public init(_ report: CrawlReport) {
    self.report = report
    var faults = [RingFaults](repeating: [], count: report.map.count)
    for outlier in report.outliers {
      if let rank = report.map.rank(of: outlier.id) { faults[rank] = outlier.faults }
    }
    self.faults = faults
  }

  public var svg: String {
    let size = "\(Markup.number(Self.width)) \(Markup.number(Self.height))"
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" role="img">
      <title>\(Markup.escape(report.verdict))</title>
      <style>
      \(Self.style)
      </style>
      <rect class="paper" width="100%" height="100%"/>
      \(heading)
      \(Self.circle.outline("circle"))
      \(farLinks)
      \(nearLinks)
      \(pairs)
      \(dots)
      \(labels)
      \(middle)
      \(legend)
      </svg>

      """
  }

  // MARK: - Words

  private var heading: String {
    var lines = [""]
    for word in report.verdict.split(separator: " ") {
      let last = lines[lines.count - 1]
      if last.count + word.count >= Self.titleColumns {
        lines.append(String(word))
      } else {
        lines[lines.count - 1] = last.isEmpty ? String(word) : "\(last) \(word)"
      }
    }
    let kind = report.isWhole ? "verdict good" : "verdict bad"
    return lines.prefix(3).enumerated().map { Self.text($1, 28, 36 + 22 * Double($0), kind) }.joined()
  }

  private var middle: String {
    let (x, y) = (Self.circle.x, Self.circle.y)
    let odd = report.outliers.count
    let words = odd == 0 ? "all agree" : odd == 1 ? "1 stands out" : "\(odd) stand out"
    return Self.text("\(report.nodes)", x, y, "big middle")
      + Self.text(report.nodes == 1 ? "node" : "nodes", x, y + 20, "word middle")
      + Self.text(words, x, y + 42, odd == 0 ? "word middle" : "word middle odd")
  }

  private static func text(_ words: String, _ x: Double, _ y: Double, _ kind: String) -> String {
    "<text class=\"\(kind)\" x=\"\(Markup.number(x))\" y=\"\(Markup.number(y))\">\(Markup.escape(words))"
      + "</text>"
  }

  /// The names of those who stand out, outside of the circle, as far as there is room.
  private var labels: String {
    var svg = ""
    var taken: [(x: Double, y: Double)] = []
    let isGone = { (outlier: Outlier) in outlier.faults.contains(.missing) }
    for outlier in report.outliers.filter(isGone) + report.outliers.filter({ !isGone($0) }) {
      let (x, y) = Self.circle.point(outlier.id.share, radius: Self.circle.radius + 24)
      let isFree = taken.allSatisfy { abs($0.x - x) > Self.labelWidth || abs($0.y - y) > Self.labelHeight }
      guard isFree, taken.count < Self.labelsMax else { continue }
      taken.append((x, y))
      let side = abs(x - Self.circle.x) < 20 ? "middle" : x < Self.circle.x ? "end" : ""
      svg += Self.text(String(outlier.id.short.prefix(6)), x, y + 4, "name \(side)")
    }
    return svg
  }

  private var legend: String {
    let rows: [[(mark: (Double, Double) -> String, words: String)]] = [
      [
        ({ Self.mark($0, $1, "node") }, "agrees with its neighbours"),
        ({ Self.mark($0, $1, "node wrong") }, "stands out"),
        ({ Self.mark($0, $1, "node unsettled") }, "not settled"),
        ({ Self.cross($0, $1, 5) }, "did not answer"),
        ({ Self.mark($0, $1, "here", 7) + Self.mark($0, $1, "node", 3) }, "crawled from here"),
      ],
      [
        ({ Self.line($0, $1, "near") }, "neighbours"), ({ Self.line($0, $1, "far") }, "far links"),
        ({ Self.line($0, $1, "broken") }, "of a node that stands out"),
        ({ Self.line($0, $1, "pair missing") }, "no link"),
        ({ Self.line($0, $1, "pair") }, "only over others"),
      ],
    ]
    var svg = ""
    for (row, entries) in rows.enumerated() {
      var x = 34.0
      let y = Self.height - 58 + 28 * Double(row)
      for entry in entries {
        svg += entry.mark(x, y) + Self.text(entry.words, x + 16, y + 4, "word")
        x += 44 + 6.4 * Double(entry.words.count)
      }
    }
    return svg
  }

  // MARK: - Marks

  private static func mark(_ x: Double, _ y: Double, _ kind: String, _ size: Double = 5) -> String {
    "<circle class=\"\(kind)\" cx=\"\(Markup.number(x))\" cy=\"\(Markup.number(y))\" "
      + "r=\"\(Markup.number(size))\"/>"
  }

  /// A hollow node with a cross.
  private static func cross(_ x: Double, _ y: Double, _ size: Double) -> String {
    let (left, right) = (Markup.number(x - size * 0.62), Markup.number(x + size * 0.62))
    let (top, bottom) = (Markup.number(y - size * 0.62), Markup.number(y + size * 0.62))
    return mark(x, y, "gone", size)
      + "<path class=\"cross\" d=\"M\(left) \(top)L\(right) \(bottom)M\(left) \(bottom)L\(right) \(top)\"/>"
  }

  private static func line(_ x: Double, _ y: Double, _ kind: String) -> String {
    "<path class=\"\(kind)\" d=\"M\(Markup.number(x - 12)) \(Markup.number(y))h22\"/>"
  }

  private var dotSize: Double {
    report.nodes <= 40 ? 6 : report.nodes <= 100 ? 4.5 : report.nodes <= 300 ? 3 : 1.8
  }

  /// Where a node stands: those of another ring further in.
  private func radius(_ rank: Int) -> Double {
    Self.circle.radius - Self.ringStep * Double(min(max(report.cycleOf[rank], 0), Self.ringsMax))
  }

  private var dots: String {
    let ids = report.map.ids
    let whole = RingCircle.sample(ids.indices.filter { faults[$0].isEmpty }, Self.dotsMax)
    let broken = RingCircle.sample(ids.indices.filter { !faults[$0].isEmpty }, Self.brokenMax)
    var svg = ""
    for rank in whole { svg += dot(rank, dotSize, "node") }
    for rank in broken {
      let isUnsettled = faults[rank].contains(.unsettled)
      svg += dot(rank, dotSize + 1.4, isUnsettled ? "node wrong unsettled" : "node wrong")
    }
    for id in RingCircle.sample(report.missing, Self.brokenMax) {
      let (x, y) = Self.circle.point(id.share, radius: Self.circle.radius)
      svg += Self.cross(x, y, max(dotSize, 3.4) + 1)
    }
    if let rank = report.map.rank(of: report.result.origin) { svg += dot(rank, dotSize + 5, "here") }
    return svg
  }

  private func dot(_ rank: Int, _ size: Double, _ kind: String) -> String {
    Self.circle.dot(report.map.ids[rank].share, radius: radius(rank), size: size, kind)
  }

  // MARK: - Links

  /// A sample of them, if there are many: which they are matters less than how far they reach.
  private var farLinks: String {
    var links: [(Double, Double)] = []
    for (rank, word) in report.map.words.enumerated() {
      for i in 0..<word.far.count {
        links.append((report.map.ids[rank].share, OverlayID(high: word.far[i], middle: 0, low: 0).share))
      }
    }
    return RingCircle.sample(links, Self.chordsMax)
      .map { Self.circle.link($0.0, $0.1, "far") }.joined()
  }

  /// Arcs to the right neighbours: of all in a small ring, of the nearest in a larger one; always of those
  /// who stand out.
  private var nearLinks: String {
    let ids = report.map.ids
    let depth = report.nodes <= 120 ? 4 : report.nodes <= 500 ? 2 : report.nodes <= 2_000 ? 1 : 0
    var svg = ""
    for rank in ids.indices where faults[rank].isEmpty { svg += arcs(rank, depth, "near") }
    let broken = ids.indices.filter { !faults[$0].isEmpty }
    for rank in RingCircle.sample(broken, Self.chordsMax) {
      let isWrong = !faults[rank].isDisjoint(with: [.wrongLeft, .wrongRight])
      svg += arcs(rank, isWrong ? 4 : depth, isWrong ? "broken" : "near")
    }
    return svg
  }

  private func arcs(_ rank: Int, _ depth: Int, _ kind: String) -> String {
    let word = report.map.words[rank]
    let circle = RingCircle(x: Self.circle.x, y: Self.circle.y, radius: radius(rank))
    return (0..<min(depth, word.right.count)).map {
      circle.link(report.map.ids[rank].share, word.right[$0].id.share, kind)
    }.joined()
  }

  /// Brackets outside of the circle: they can be seen however close the two stand.
  private var pairs: String {
    report.pairs.prefix(Self.brokenMax).map { pair in
      let place = pair.first.share
      var gap = pair.second.share - place
      if gap < 0 { gap += 1 }
      // Nearly round the ring: the two are the only ones.
      let kind = pair.kind == .noLink ? "pair missing" : "pair"
      return bracket(from: place - 0.003, width: gap + 0.006, kind)
    }.joined()
  }

  private func bracket(from place: Double, width: Double, _ kind: String) -> String {
    let outside = Self.circle.radius + 13
    let begin = Self.circle.point(place, radius: outside)
    let end = Self.circle.point(place + width, radius: outside)
    let radius = Markup.number(outside)
    return "<path class=\"\(kind)\" d=\"M\(Markup.number(begin.x)) \(Markup.number(begin.y))"
      + "A\(radius) \(radius) 0 \(width > 0.5 ? 1 : 0) 1 \(Markup.number(end.x)) \(Markup.number(end.y))\"/>"
  }

  // MARK: - Colours

  private static let style = """
    text { fill: #646c76;
    font-family: ui-sans-serif, system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
    .paper { fill: #fbfaf7; }
    .verdict { font-size: 16px; font-weight: 600; fill: #2b7d4f; } .verdict.bad { fill: #c4302b; }
    .word { font-size: 12.5px; } .word.odd { fill: #c4302b; font-weight: 600; }
    .big { font-size: 52px; font-weight: 620; fill: #1d2126; }
    .name { font-size: 11px; fill: #c4302b; font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
    .middle { text-anchor: middle; } .end { text-anchor: end; }
    path { fill: none; } .circle { fill: none; stroke: #c9c5bb; stroke-width: 1; }
    .near { stroke: #1f5fa8; stroke-width: 1; opacity: 0.5; }
    .far { stroke: #2f8a5b; stroke-width: 0.7; opacity: 0.3; }
    .broken { stroke: #c4302b; stroke-width: 1.2; opacity: 0.75; }
    .pair { stroke: #c26a12; stroke-width: 3; stroke-dasharray: 5 3; } .pair.missing { stroke: #c4302b; }
    .node { fill: #1f5fa8; } .node.wrong { fill: #c4302b; }
    .node.unsettled { fill: #fbfaf7; stroke: #1f5fa8; stroke-width: 1.6; }
    .node.wrong.unsettled { stroke: #c4302b; }
    .gone { fill: #fbfaf7; stroke: #c4302b; stroke-width: 1.4; }
    .cross { stroke: #c4302b; stroke-width: 1.4; }
    .here { fill: none; stroke: #1d2126; stroke-width: 1.3; }
    @media (prefers-color-scheme: dark) {
    text { fill: #98a1ab; } .paper { fill: #14171b; } .verdict { fill: #6cc598; }
    .verdict.bad, .word.odd, .name { fill: #f0766f; } .big { fill: #e6e8ea; } .circle { stroke: #444b54; }
    .near { stroke: #6aa9ee; } .far { stroke: #6cc598; } .broken, .pair.missing, .cross { stroke: #f0766f; }
    .pair { stroke: #eba25a; } .node { fill: #6aa9ee; } .node.wrong { fill: #f0766f; }
    .node.unsettled { fill: #14171b; stroke: #6aa9ee; } .node.wrong.unsettled { stroke: #f0766f; }
    .gone { fill: #14171b; stroke: #f0766f; } .here { stroke: #e6e8ea; }
    }
    """
}
