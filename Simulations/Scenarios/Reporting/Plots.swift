// Which curves the page about a run shows.

/// The drawings of a run.
enum Plots {
  static func all(_ record: Record) -> String {
    [
      coming(record), consistency(record), lookups(record), keys(record), hops(record), stretch(record),
      waits(record), traffic(record), repair(record), joining(record),
    ].map(\.html).joined()
  }

  private static func bands(_ record: Record) -> [ClosedRange<Double>] {
    record.plan.excused.map { Double($0.lowerBound) / 1_000...Double($0.upperBound) / 1_000 }
  }

  /// - Parameter isWhole: the drawing begins before the measuring does.
  private static func marks(_ record: Record, isWhole: Bool = false) -> [(x: Double, name: String)] {
    let both = [(x: record.measureFrom, name: "measured"), (x: record.quietFrom, name: "quiet")]
    return both.filter { isWhole || $0.x > record.measureFrom }.sorted { $0.x < $1.x }
  }

  private static func points(
    _ record: Record, from: Double = 0, _ value: (Moment) -> Double
  ) -> [(x: Double, y: Double)] {
    record.moments(from: from).map { (x: $0.at, y: value($0)) }
  }

  private static func coming(_ record: Record) -> Chart {
    Chart(
      title: "Perfect and settled nodes",
      caption: "Share of the living that list their true neighbours, and that own their range.",
      series: [
        .init(name: "perfect", colour: "a", points: points(record) { $0.found.perfectShare }),
        .init(name: "settled", colour: "b", points: points(record) { $0.found.settledShare }),
      ],
      x: 0...max(record.virtualSeconds, 1), y: 0...1, bands: bands(record),
      marks: marks(record, isWhole: true), isShare: true)
  }

  private static func consistency(_ record: Record) -> Chart {
    let curve = points(record, from: record.measureFrom) { $0.found.consistency.final }
    let least = curve.map(\.y).min() ?? 1
    let floor = least > 0.999 ? 0.999 : least > 0.99 ? 0.99 : least > 0.95 ? 0.95 : least > 0.8 ? 0.8 : 0.0
    return Chart(
      title: "Ring consistency",
      caption: "The crawl's final formula, while it was measured. 100 % is no proof.",
      series: [.init(name: "final", colour: "a", shape: .steps, points: curve)], y: floor...1,
      bands: bands(record), marks: marks(record), isShare: true)
  }

  private static func lookups(_ record: Record) -> Chart {
    var right: [(x: Double, y: Double)] = []
    var wrong: [(x: Double, y: Double)] = []
    for (second, tally) in record.lookups.enumerated()
    where tally.asked > 0 && Double(second) >= record.measureFrom {
      right.append((Double(second), Double(tally.right) / Double(tally.asked)))
      wrong.append((Double(second), Double(tally.wrong) / Double(tally.asked)))
    }
    let least = right.map(\.y).min() ?? 1
    let isCalm = least > 0.9 && (wrong.map(\.y).max() ?? 0) == 0
    return Chart(
      title: "Look-ups", caption: "By the second in which they were asked; with one retry.",
      series: [.init(name: "right", colour: "a", points: right)]
        + (isCalm ? [] : [.init(name: "wrong", colour: "bad", points: wrong)]),
      y: (isCalm ? 0.9 : 0)...1, bands: bands(record), marks: marks(record), isShare: true)
  }

  private static func keys(_ record: Record) -> Chart {
    let from = record.measureFrom
    return Chart(
      title: "Keys without an owner, and with two",
      caption: "Share of the key space, in the worst component.",
      series: [
        .init(
          name: "without", colour: "b", points: points(record, from: from) { $0.found.unowned }),
        .init(
          name: "with two", colour: "bad",
          points: points(record, from: from) { $0.found.overlap }),
      ],
      bands: bands(record), marks: marks(record), isShare: true)
  }

  private static func hops(_ record: Record) -> Chart {
    let most = Int(record.hops.greatest ?? 0)
    let counts = record.hops.histogram(width: 1, bins: most + 2)
    let all = Double(max(record.hops.count, 1))
    return Chart(
      title: "Hops of look-ups", caption: "\(Numbers.grouped(UInt64(record.hops.count))) right answers.",
      series: record.hops.isEmpty
        ? []
        : [
          .init(
            name: "hops", colour: "a", shape: .bars,
            points: counts.enumerated().map { (Double($0.offset) - 0.5, Double($0.element) / all) })
        ],
      x: -0.5...Double(most) + 0.5, xUnit: "hops", isShare: true)
  }

  private static func stretch(_ record: Record) -> Chart {
    let bins = 40
    let counts = record.stretch.histogram(width: 0.25, bins: bins)
    let all = Double(max(record.stretch.count, 1))
    return Chart(
      title: "Latency stretch",
      caption: "Time of a look-up by that of a round trip straight to the owner; 10 and more at the end.",
      series: record.stretch.isEmpty
        ? []
        : [
          .init(
            name: "stretch", colour: "a", shape: .bars,
            points: counts.enumerated().map { (Double($0.offset) * 0.25, Double($0.element) / all) })
        ],
      x: 0...10, xUnit: "×", isShare: true)
  }

  private static func waits(_ record: Record) -> Chart {
    var sorted = record.lookupSeconds
    let tail = max(sorted.quantile(0.99) ?? 0, 0.01) * 1_000
    let bins = 40
    let width = tail / Double(bins - 1)
    let counts = Sample(record.lookupSeconds.all.map { $0 * 1_000 }).histogram(width: width, bins: bins)
    let all = Double(max(record.lookupSeconds.count, 1))
    return Chart(
      title: "Time of look-ups", caption: "From question to right answer; the slowest hundredth at the end.",
      series: record.lookupSeconds.isEmpty
        ? []
        : [
          .init(
            name: "look-ups", colour: "a", shape: .bars,
            points: counts.enumerated().map { (Double($0.offset) * width, Double($0.element) / all) })
        ],
      x: 0...Double(bins) * width, xUnit: "ms", isShare: true)
  }

  private static func traffic(_ record: Record) -> Chart {
    var curve: [(x: Double, y: Double)] = []
    let measured = record.moments(from: record.measureFrom)
    for (before, after) in zip(measured, measured.dropFirst()) where after.found.nodes > 0 {
      let rate = Double(after.bytes - before.bytes) / (after.at - before.at) / Double(after.found.nodes)
      curve.append((after.at, rate))
    }
    return Chart(
      title: "Traffic", caption: "Bytes a second that a node sends, with the headers of IP and UDP.",
      series: [.init(name: "bytes", colour: "c", points: curve)], bands: bands(record), marks: marks(record),
      yUnit: "B/s")
  }

  private static func repair(_ record: Record) -> Chart {
    Chart(
      title: "Repair", caption: "Nodes that do not list exactly their true neighbours.",
      series: [
        .init(
          name: "imperfect", colour: "bad", shape: .steps,
          points: points(record, from: record.measureFrom) { Double($0.found.nodes - $0.found.perfect) })
      ],
      bands: bands(record), marks: marks(record))
  }

  private static func joining(_ record: Record) -> Chart {
    let longest = record.joinSeconds.greatest ?? 0
    let width = longest > 20 ? 1 : longest > 5 ? 0.25 : 0.1
    let bins = Int(longest / width) + 2
    let counts = record.joinSeconds.histogram(width: width, bins: bins)
    return Chart(
      title: "Joining", caption: "From the start of a node to its place on the ring.",
      series: record.joinSeconds.count < 2
        ? []
        : [
          .init(
            name: "nodes", colour: "a", shape: .bars,
            points: counts.enumerated().map { (Double($0.offset) * width, Double($0.element)) })
        ],
      x: 0...Double(bins) * width)
  }
}
