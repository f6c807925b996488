// The ring as a circle: nodes where their IDs are, links to right neighbours as arcs bulging inwards, a few
// shortcuts as chords. Red nodes have wrong neighbours, orange ones only know too few; those that are not
// settled are hollow.

/// Draws a picture of the ring.
struct RingDrawing {
  let title: String
  let picture: Picture
  /// Pairs of places.
  var shortcuts: [(Double, Double)] = []

  private static let size = 400.0
  private static let radius = 168.0
  /// More nodes are drawn as a sample of them; of broken ones twice as many.
  private static let dotsMax = 900
  private static let brokenLinksMax = 300

  var html: String {
    let broken = picture.dots.filter { !$0.isPerfect }
    let whole = Self.sample(picture.dots.filter(\.isPerfect), Self.dotsMax)
    var svg = "<svg viewBox=\"0 0 \(Page.number(Self.size)) \(Page.number(Self.size))\" role=\"img\""
    svg += " aria-label=\"\(Page.escape(title))\">"
    svg +=
      "<circle class=\"circle\" cx=\"\(Page.number(Self.size / 2))\" cy=\"\(Page.number(Self.size / 2))\""
    svg += " r=\"\(Page.number(Self.radius))\"/>"
    svg += shortcuts.prefix(400).map { chord($0.0, $0.1, depth: 0.25, "shortcut") }.joined()
    if picture.dots.count <= 250 {
      for dot in whole { svg += links(of: dot, "near") }
    }
    for dot in Self.sample(broken, Self.brokenLinksMax) {
      svg += links(of: dot, dot.hasNearest ? "near" : "broken")
    }
    let small = picture.dots.count > 300 ? 1.6 : picture.dots.count > 100 ? 2.4 : 3.4
    for dot in whole { svg += circle(dot, small, "node") }
    for dot in Self.sample(broken, 2 * Self.dotsMax) {
      svg += circle(dot, small + 0.6, dot.hasNearest ? "node partly" : "node wrong")
    }
    svg += middle(broken.count) + "</svg>"
    let words = "at \(Numbers.duration(picture.at))"
    return
      "<figure class=\"ring\"><figcaption><b>\(Page.escape(title))</b> \(words)</figcaption>\(svg)</figure>\n"
  }

  /// At most `count` of them, from all around the circle.
  private static func sample(_ dots: [Dot], _ count: Int) -> [Dot] {
    guard dots.count > count else { return dots }
    return (0..<count).map { dots[$0 * dots.count / count] }
  }

  private func middle(_ broken: Int) -> String {
    let half = Page.number(Self.size / 2)
    let count = Numbers.grouped(UInt64(picture.dots.count))
    let components = Set(picture.dots.map(\.component)).count
    var words = broken == 0 ? "all perfect" : "\(Numbers.grouped(UInt64(broken))) not perfect"
    if components > 1 { words += " · \(components) parts" }
    return "<text class=\"big\" x=\"\(half)\" y=\"\(half)\" text-anchor=\"middle\">\(count)</text>"
      + "<text class=\"word\" x=\"\(half)\" y=\"\(Page.number(Self.size / 2 + 18))\" text-anchor=\"middle\">"
      + "\(words)</text>"
  }

  private func point(_ place: Double, _ radius: Double) -> (Double, Double) {
    let (cosine, sine) = Elementary.turn(place)
    return (Self.size / 2 + radius * sine, Self.size / 2 - radius * cosine)
  }

  private func circle(_ dot: Dot, _ r: Double, _ kind: String) -> String {
    // The parts of a divided network are drawn as rings inside one another.
    let (x, y) = point(dot.place, Self.radius - 14 * Double(min(dot.component, 5)))
    let kind = dot.isSettled ? kind : kind + " unsettled"
    return
      "<circle class=\"\(kind)\" cx=\"\(Page.number(x))\" cy=\"\(Page.number(y))\" r=\"\(Page.number(r))\"/>"
  }

  private func links(of dot: Dot, _ kind: String) -> String {
    dot.right.map { other in
      var gap = abs(other - dot.place)
      if gap > 0.5 { gap = 1 - gap }
      return chord(dot.place, other, depth: 1 - min(1.6 * gap + 0.04, 0.8), kind)
    }.joined()
  }

  private func chord(_ a: Double, _ b: Double, depth: Double, _ kind: String) -> String {
    var middle = (a + b) / 2
    if abs(a - b) > 0.5 { middle = middle >= 0.5 ? middle - 0.5 : middle + 0.5 }
    let from = point(a, Self.radius)
    let to = point(b, Self.radius)
    let control = point(middle, Self.radius * depth)
    return "<path class=\"\(kind)\" d=\"M\(Page.number(from.0)) \(Page.number(from.1))"
      + "Q\(Page.number(control.0)) \(Page.number(control.1)) \(Page.number(to.0)) \(Page.number(to.1))\"/>"
  }
}

extension Elementary {
  /// Cosine and sine of a part of the full circle.
  static func turn(_ share: Double) -> (cosine: Double, sine: Double) {
    let quarter = (share * 4).rounded()
    let x = (share - quarter / 4) * 6.283_185_307_179_586
    var cosine = 1.0
    var sine = x
    var term = 1.0
    for k in 1..<10 {
      term *= -x * x / Double((2 * k - 1) * (2 * k))
      cosine += term
      sine += term * x / Double(2 * k + 1)
    }
    switch Int(quarter) & 3 {
    case 0: return (cosine, sine)
    case 1: return (-sine, cosine)
    case 2: return (-cosine, -sine)
    default: return (sine, -cosine)
    }
  }
}
