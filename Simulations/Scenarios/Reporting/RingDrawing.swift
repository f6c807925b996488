// The ring as a circle: nodes where their IDs are, links to right neighbours as arcs bulging inwards, a few
// shortcuts as chords. Red nodes have wrong neighbours, orange ones only know too few; those that are not
// settled are hollow.

import Node

/// Draws a picture of the ring.
struct RingDrawing {
  let title: String
  let picture: Picture
  /// Pairs of places.
  var shortcuts: [(Double, Double)] = []

  private static let size = 400.0
  private static let circle = RingCircle(x: size / 2, y: size / 2, radius: 168)
  /// More nodes are drawn as a sample of them; of broken ones twice as many.
  private static let dotsMax = 900
  private static let brokenLinksMax = 300

  var html: String {
    let broken = picture.dots.filter { !$0.isPerfect }
    let whole = RingCircle.sample(picture.dots.filter(\.isPerfect), Self.dotsMax)
    var svg = "<svg viewBox=\"0 0 \(Markup.number(Self.size)) \(Markup.number(Self.size))\" role=\"img\""
    svg += " aria-label=\"\(Markup.escape(title))\">"
    svg += Self.circle.outline("circle")
    svg += shortcuts.prefix(400).map { Self.circle.chord($0.0, $0.1, depth: 0.25, "shortcut") }.joined()
    if picture.dots.count <= 250 {
      for dot in whole { svg += links(of: dot, "near") }
    }
    for dot in RingCircle.sample(broken, Self.brokenLinksMax) {
      svg += links(of: dot, dot.hasNearest ? "near" : "broken")
    }
    let small = picture.dots.count > 300 ? 1.6 : picture.dots.count > 100 ? 2.4 : 3.4
    for dot in whole { svg += circle(dot, small, "node") }
    for dot in RingCircle.sample(broken, 2 * Self.dotsMax) {
      svg += circle(dot, small + 0.6, dot.hasNearest ? "node partly" : "node wrong")
    }
    svg += middle(broken.count) + "</svg>"
    let words = "at \(Numbers.duration(picture.at))"
    return
      "<figure class=\"ring\"><figcaption><b>\(Markup.escape(title))</b> \(words)</figcaption>"
      + "\(svg)</figure>\n"
  }

  private func middle(_ broken: Int) -> String {
    let half = Markup.number(Self.size / 2)
    let count = Numbers.grouped(UInt64(picture.dots.count))
    let components = Set(picture.dots.map(\.component)).count
    var words = broken == 0 ? "all perfect" : "\(Numbers.grouped(UInt64(broken))) not perfect"
    if components > 1 { words += " · \(components) parts" }
    return "<text class=\"big\" x=\"\(half)\" y=\"\(half)\" text-anchor=\"middle\">\(count)</text>"
      + "<text class=\"word\" x=\"\(half)\" y=\"\(Markup.number(Self.size / 2 + 18))\""
      + " text-anchor=\"middle\">"
      + "\(words)</text>"
  }

  private func circle(_ dot: Dot, _ r: Double, _ kind: String) -> String {
    // The parts of a divided network are drawn as rings inside one another.
    let radius = Self.circle.radius - 14 * Double(min(dot.component, 5))
    let kind = dot.isSettled ? kind : kind + " unsettled"
    return Self.circle.dot(dot.place, radius: radius, size: r, kind)
  }

  private func links(of dot: Dot, _ kind: String) -> String {
    dot.right.map { Self.circle.link(dot.place, $0, kind) }.joined()
  }
}
