// The ring as a circle in a picture: zero on top, clockwise as the IDs rise. Links are arcs that bulge
// inwards.

import Base

/// Where things are on a ring that is drawn.
public struct RingCircle: Sendable {
  /// The middle and the radius, in pixels.
  public let x: Double
  public let y: Double
  public let radius: Double

  public init(x: Double, y: Double, radius: Double) {
    self.x = x
    self.y = y
    self.radius = radius
  }

  /// - Parameter place: part of the circle, 0 to 1.
  public func point(_ place: Double, radius: Double) -> (x: Double, y: Double) {
    let (cosine, sine) = Self.turn(place)
    return (x + radius * sine, y - radius * cosine)
  }

  /// The circle itself.
  public func outline(_ kind: String) -> String { circle(x, y, radius, kind) }

  /// A node.
  public func dot(_ place: Double, radius: Double, size: Double, _ kind: String) -> String {
    let at = point(place, radius: radius)
    return circle(at.x, at.y, size, kind)
  }

  /// A link between two places. One with a neighbour stays near the circle, a long one goes through the
  /// middle.
  public func link(_ a: Double, _ b: Double, _ kind: String) -> String {
    var gap = abs(a - b)
    if gap > 0.5 { gap = 1 - gap }
    return chord(a, b, depth: 1 - min(1.6 * gap + 0.04, 0.8), kind)
  }

  /// - Parameter depth: how far from the middle the arc is drawn to, as a part of the radius.
  public func chord(_ a: Double, _ b: Double, depth: Double, _ kind: String) -> String {
    var middle = (a + b) / 2
    if abs(a - b) > 0.5 { middle = middle >= 0.5 ? middle - 0.5 : middle + 0.5 }
    let from = point(a, radius: radius)
    let to = point(b, radius: radius)
    let control = point(middle, radius: radius * depth)
    return "<path class=\"\(kind)\" d=\"M\(Markup.number(from.x)) \(Markup.number(from.y))"
      + "Q\(Markup.number(control.x)) \(Markup.number(control.y)) \(Markup.number(to.x)) "
      + "\(Markup.number(to.y))\"/>"
  }

  private func circle(_ x: Double, _ y: Double, _ r: Double, _ kind: String) -> String {
    "<circle class=\"\(kind)\" cx=\"\(Markup.number(x))\" cy=\"\(Markup.number(y))\" "
      + "r=\"\(Markup.number(r))\"/>"
  }

  /// At most `count` of them, from all around the circle.
  public static func sample<Element>(_ elements: [Element], _ count: Int) -> [Element] {
    guard elements.count > count else { return elements }
    return (0..<count).map { elements[$0 * elements.count / count] }
  }

  /// Cosine and sine of a part of the full circle, the same on every machine.
  public static func turn(_ share: Double) -> (cosine: Double, sine: Double) {
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

extension OverlayID {
  /// The part of the circle behind it, 0 to 1.
  public var share: Double { Double(high) / 18_446_744_073_709_551_616.0 }
}
