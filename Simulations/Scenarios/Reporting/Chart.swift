// Drawings of curves and bars as SVG: axes with round numbers, areas and marks for what happened, no script.
//
// Colours are classes of the page's style sheet, so that one drawing serves light and dark. Curves with more
// points than the drawing has room for are thinned: of each stretch the least and the greatest value stay.

import Node

/// A drawing with two axes.
struct Chart {
  struct Series {
    enum Shape { case line, steps, bars }
    var name: String
    /// One of the colour classes of the page: a, b, c, bad.
    var colour: String
    var shape = Shape.line
    var points: [(x: Double, y: Double)]
  }

  var title: String
  /// What one sees, in one sentence.
  var caption: String
  var series: [Series] = []
  /// Shown even if no value is there.
  var x: ClosedRange<Double>?
  var y: ClosedRange<Double>?
  /// Stretches of x in which something was forced on the network.
  var bands: [ClosedRange<Double>] = []
  /// Vertical lines with a word.
  var marks: [(x: Double, name: String)] = []
  var xUnit = "s"
  var yUnit = ""
  /// Values of y are shares and shown as percent.
  var isShare = false

  private static let width = 540.0
  private static let height = 236.0
  private static let left = 58.0
  private static let right = 14.0
  private static let top = 22.0
  private static let bottom = 26.0
  private static let pointsMax = 420

  /// The figure, or nothing when there is no point.
  var html: String {
    let all = series.flatMap(\.points)
    guard !all.isEmpty else { return "" }
    let frame = frame(all)
    var svg = "<svg viewBox=\"0 0 \(Markup.number(Self.width)) \(Markup.number(Self.height))\" role=\"img\""
    svg += " aria-label=\"\(Markup.escape(title))\">"
    svg += drawBands(frame) + drawGrid(frame)
    for one in series { svg += draw(one, frame) }
    svg += drawMarks(frame) + "</svg>"
    let legend =
      series.count > 1
      ? "<p class=\"legend\">"
        + series.map { "<span class=\"key \($0.colour)\"></span>\(Markup.escape($0.name))" }.joined(
          separator: " ")
        + "</p>" : ""
    return """
      <figure><figcaption><b>\(Markup.escape(title))</b> \(Markup.escape(caption))</figcaption>\(legend)
      \(svg)</figure>

      """
  }

  // MARK: - Coordinates

  private struct Axes {
    let x: ClosedRange<Double>
    let y: ClosedRange<Double>
    let xStep: Double
    let yStep: Double

    func place(_ point: (x: Double, y: Double)) -> (Double, Double) { (atX(point.x), atY(point.y)) }

    func atX(_ value: Double) -> Double {
      let span = max(x.upperBound - x.lowerBound, 1e-12)
      let share = (min(max(value, x.lowerBound), x.upperBound) - x.lowerBound) / span
      return Chart.left + share * (Chart.width - Chart.left - Chart.right)
    }

    func atY(_ value: Double) -> Double {
      let span = max(y.upperBound - y.lowerBound, 1e-12)
      let share = (min(max(value, y.lowerBound), y.upperBound) - y.lowerBound) / span
      return Chart.height - Chart.bottom - share * (Chart.height - Chart.top - Chart.bottom)
    }
  }

  private func frame(_ all: [(x: Double, y: Double)]) -> Axes {
    var xs = x ?? all.map(\.x).min()!...all.map(\.x).max()!
    if xs.lowerBound == xs.upperBound { xs = xs.lowerBound...(xs.lowerBound + 1) }
    var low = y?.lowerBound ?? all.map(\.y).min()!
    var high = y?.upperBound ?? all.map(\.y).max()!
    if y == nil, low > 0, low < 0.6 * high { low = 0 }
    if high - low < 1e-9 { high = low + (low == 0 ? 1 : abs(low) * 0.1) }
    let step = Self.niceStep(high - low, 4)
    if y == nil {
      low = (low / step + 1e-9).rounded(.down) * step
      high = (high / step - 1e-9).rounded(.up) * step
    }
    return Axes(x: xs, y: low...high, xStep: Self.niceStep(xs.upperBound - xs.lowerBound, 7), yStep: step)
  }

  /// 1, 2 or 5 times a power of ten, so that about `count` of them fill the span.
  static func niceStep(_ span: Double, _ count: Int) -> Double {
    let rough = max(span, 1e-12) / Double(count)
    var power = 1.0
    while power > rough { power /= 10 }
    while power * 10 <= rough { power *= 10 }
    for factor in [1.0, 2, 5] where factor * power >= rough { return factor * power }
    return 10 * power
  }

  // MARK: - Parts

  private func drawGrid(_ axes: Axes) -> String {
    var svg = ""
    var y = (axes.y.lowerBound / axes.yStep - 1e-9).rounded(.up) * axes.yStep
    while y <= axes.y.upperBound + axes.yStep * 1e-6 {
      let at = Markup.number(axes.atY(y))
      svg +=
        "<line class=\"grid\" x1=\"\(Markup.number(Self.left))\""
        + " x2=\"\(Markup.number(Self.width - Self.right))\""
      svg += " y1=\"\(at)\" y2=\"\(at)\"/>"
      svg += text(Self.left - 7, axes.atY(y) + 4, label(y, axes.yStep), "end")
      y += axes.yStep
    }
    var x = (axes.x.lowerBound / axes.xStep - 1e-9).rounded(.up) * axes.xStep
    while x <= axes.x.upperBound + axes.xStep * 1e-6 {
      // The unit stands at the end of the axis, instead of a number that would touch it.
      if axes.atX(x) < Self.width - Self.right - 8 * Double(xUnit.count) - 18 {
        svg += text(axes.atX(x), Self.height - Self.bottom + 17, Numbers.significant(x, 6), "middle")
      }
      x += axes.xStep
    }
    let floor = Markup.number(Self.height - Self.bottom)
    svg +=
      "<line class=\"axis\" x1=\"\(Markup.number(Self.left))\""
      + " x2=\"\(Markup.number(Self.width - Self.right))\""
    svg += " y1=\"\(floor)\" y2=\"\(floor)\"/>"
    svg += text(Self.width - Self.right, Self.height - Self.bottom + 17, xUnit, "end")
    return svg
  }

  private var axisMax: Double { y?.upperBound ?? series.flatMap(\.points).map(\.y).max() ?? 0 }

  private func label(_ value: Double, _ step: Double) -> String {
    guard isShare else {
      let isThousands = !yUnit.isEmpty && axisMax >= 2_000
      let number = Numbers.significant(isThousands ? value / 1_000 : value, 6)
      return number + (yUnit.isEmpty ? "" : isThousands ? " k\(yUnit)" : " \(yUnit)")
    }
    let percent = value * 100
    let places = step * 100 >= 1 ? 0 : step * 100 >= 0.1 ? 1 : step * 100 >= 0.01 ? 2 : 4
    return Numbers.fixed(percent, places) + " %"
  }

  private func text(_ x: Double, _ y: Double, _ words: String, _ anchor: String, _ kind: String = "tick")
    -> String
  {
    "<text class=\"\(kind)\" x=\"\(Markup.number(x))\" y=\"\(Markup.number(y))\" text-anchor=\"\(anchor)\">"
      + "\(Markup.escape(words))</text>"
  }

  private func drawBands(_ axes: Axes) -> String {
    bands.filter { $0.upperBound > axes.x.lowerBound && $0.lowerBound < axes.x.upperBound }.map { band in
      let from = axes.atX(band.lowerBound)
      let to = axes.atX(band.upperBound)
      return "<rect class=\"band\" x=\"\(Markup.number(from))\" y=\"\(Markup.number(Self.top))\""
        + " width=\"\(Markup.number(max(to - from, 0)))\""
        + " height=\"\(Markup.number(Self.height - Self.top - Self.bottom))\"/>"
    }.joined()
  }

  /// Words stand above the drawing; of two that are close together the first one ends at its line.
  private func drawMarks(_ axes: Axes) -> String {
    let shown = marks.filter { axes.x.contains($0.x) }
    var svg = ""
    for (i, mark) in shown.enumerated() {
      let at = axes.atX(mark.x)
      let isCrowded = i + 1 < shown.count && axes.atX(shown[i + 1].x) - at < 60
      let isLeft = at > Self.width - 80 || (isCrowded && at > Self.left + 60)
      svg += "<line class=\"mark\" x1=\"\(Markup.number(at))\" x2=\"\(Markup.number(at))\""
      svg += " y1=\"\(Markup.number(Self.top - 14))\" y2=\"\(Markup.number(Self.height - Self.bottom))\"/>"
      svg += text(at + (isLeft ? -4 : 4), Self.top - 5, mark.name, isLeft ? "end" : "start", "word")
    }
    return svg
  }

  private func draw(_ series: Series, _ axes: Axes) -> String {
    switch series.shape {
    case .bars: return drawBars(series, axes)
    case .line, .steps:
      let points = Self.thinned(series.points).map(axes.place)
      var path = ""
      for (i, point) in points.enumerated() {
        if i == 0 {
          path += "M\(Markup.number(point.0)) \(Markup.number(point.1))"
        } else if series.shape == .steps {
          path += "H\(Markup.number(point.0))V\(Markup.number(point.1))"
        } else {
          path += "L\(Markup.number(point.0)) \(Markup.number(point.1))"
        }
      }
      return "<path class=\"curve \(series.colour)\" d=\"\(path)\"/>"
    }
  }

  private func drawBars(_ series: Series, _ axes: Axes) -> String {
    guard series.points.count > 1 else { return "" }
    let wide = axes.atX(series.points[1].x) - axes.atX(series.points[0].x)
    let floor = axes.atY(axes.y.lowerBound)
    return series.points.filter { $0.y > 0 }.map { point in
      let (x, y) = axes.place(point)
      let title = "\(Numbers.significant(point.x, 4)) \(xUnit): \(label(point.y, axes.yStep / 100))"
      return "<rect class=\"bar \(series.colour)\" x=\"\(Markup.number(x + 0.5))\" y=\"\(Markup.number(y))\""
        + " width=\"\(Markup.number(max(wide - 1, 0.5)))\" height=\"\(Markup.number(max(floor - y, 0.5)))\">"
        + "<title>\(Markup.escape(title))</title></rect>"
    }.joined()
  }

  /// At most `pointsMax` points; extremes stay.
  static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    guard points.count > pointsMax else { return points }
    var result: [(x: Double, y: Double)] = []
    let stretches = pointsMax / 2
    for i in 0..<stretches {
      let part = points[(i * points.count / stretches)..<((i + 1) * points.count / stretches)]
      guard let low = part.indices.min(by: { points[$0].y < points[$1].y }),
        let high = part.indices.max(by: { points[$0].y < points[$1].y })
      else { continue }
      for at in low == high ? [low] : [min(low, high), max(low, high)] { result.append(points[at]) }
    }
    return result
  }
}
