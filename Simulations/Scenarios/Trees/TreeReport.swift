// What a study of trees found, as a table for a terminal, as a page, and as JSON.

import Node

/// Text about a study.
public enum TreeReport {
  private static let columns = [
    "members", "links", "tree", "sends, most", "mean", "steps, mean", "p99", "most", "missed: unknown",
    "silent", "noticed",
  ]

  private static func cells(_ result: TreeResult) -> [[String]] {
    let live = result.live
    let rows = result.rows.map { row in
      var steps = row.steps
      return [
        row.shape, "\(row.sendsMost)", Numbers.fixed(row.sendsMean, 2),
        Numbers.fixed(steps.mean ?? 0, 2), Numbers.fixed(steps.quantile(0.99) ?? 0, 0),
        Numbers.fixed(steps.greatest ?? 0, 0), percent(row.missedUnknown), percent(row.missedSilent),
        row.missedNoticed.map(percent) ?? "–",
      ]
    }
    let real = [
      "real, one", "\(live.sendsMost)", "", "", "", "\(live.stepsMost)",
      percent(1 - Double(live.heard) / Double(max(live.meant, 1))) + " of all good", "", "",
    ]
    let head = [Numbers.grouped(UInt64(result.members)), Numbers.fixed(result.links, 1)]
    return (rows + [real]).enumerated().map { ($0.offset == 0 ? head : ["", ""]) + $0.element }
  }

  private static func percent(_ share: Double) -> String { Numbers.significant(share * 100, 2) + " %" }

  /// Lines for a terminal.
  public static func table(_ study: TreeStudy, paint: (String, _ isGood: Bool) -> String) -> [String] {
    let rows = [columns] + study.results.flatMap(cells)
    let checks = study.checks.map { check in
      [
        check.isMet ? "✓" : "✗", check.name, check.value.map { Numbers.significant($0, 5) } ?? "never",
        check.demand, check.meaning,
      ]
    }
    let lines = zip(Summary.aligned(checks, right: [2]), study.checks).map {
      $1.isMet ? $0 : paint($0, false)
    }
    return Summary.aligned(rows, right: Array(0..<columns.count).filter { $0 != 2 }) + [""] + lines + [
      "",
      "seed \(study.seed); \(study.wrongPerMille) of 1,000 pointers are wrong; repeat with: "
        + command(study),
    ]
  }

  static func command(_ study: TreeStudy) -> String {
    let sizes = study.results.map { String($0.members) }.joined(separator: ",")
    return "p2psim trees --members \(sizes) --seed \(study.seed) --wrong "
      + Numbers.significant(Double(study.wrongPerMille) / 1_000, 3)
  }

  public static func json(_ study: TreeStudy) -> JSON {
    .object([
      .init("seed", .integer(study.seed)), .init("wrong", .number(Double(study.wrongPerMille) / 1_000)),
      .init("subrings", .array(study.results.map(json))),
      .init("checks", .object(study.checks.map { .init($0.name, Summary.json($0)) })),
      .init("command", .string(command(study))),
    ])
  }

  private static func json(_ result: TreeResult) -> JSON {
    .object([
      .init("members", .integer(UInt64(result.members))), .init("links", .number(result.links)),
      .init("formed_s", result.formedSeconds.map { .integer(UInt64($0)) } ?? .null),
      .init("real_heard", .integer(UInt64(result.live.heard))),
      .init("real_sends_most", .integer(UInt64(result.live.sendsMost))),
      .init("real_steps_most", .integer(UInt64(result.live.stepsMost))),
      .init("real_s", .number(result.live.seconds)), .init("trees", .array(result.rows.map(json))),
    ])
  }

  private static func json(_ row: TreeRow) -> JSON {
    var steps = row.steps
    return .object([
      .init("shape", .string(row.shape)), .init("sends_most", .integer(UInt64(row.sendsMost))),
      .init("sends_mean", .number(row.sendsMean)), .init("steps_mean", .number(steps.mean ?? 0)),
      .init("steps_p99", .number(steps.quantile(0.99) ?? 0)),
      .init("steps_most", .number(steps.greatest ?? 0)),
      .init("missed_unknown", .number(row.missedUnknown)),
      .init("missed_silent", .number(row.missedSilent)),
      .init("missed_noticed", row.missedNoticed.map(JSON.number) ?? .null),
    ])
  }

  // MARK: - The page

  /// A whole HTML document without anything from elsewhere.
  public static func page(_ study: TreeStudy) -> String {
    let failed = study.checks.count { !$0.isMet }
    let headline = failed == 0 ? "all \(study.checks.count) checks hold" : "\(failed) checks fail"
    let body = """
      <header class="\(failed == 0 ? "passed" : "failed")">
      <h1>trees: \(headline)</h1>
      <p>\(Markup.escape(abstract.prefix(1).uppercased() + abstract.dropFirst())).</p>
      </header>
      <section><h2>Side by side</h2>\(grid([columns] + study.results.flatMap(cells)))
      <p class="note">\(Markup.escape(legend))</p></section>
      <section><h2>Drawn</h2><div class="plots">\(charts(study))</div></section>
      <section><h2>Checks</h2>\(grid(checks(study)))</section>
      <section><h2>Once more</h2><pre>\(Markup.escape(command(study)))</pre></section>
      """
    return Page.document(title: "trees: \(headline)", body: body)
  }

  /// What the study shows, in one line.
  public static let abstract =
    "trees of broadcasts over real links, both ways and one way: depth, width, misses"

  private static let legend = """
    Sends: copies that one member sends for one broadcast; the mean is of those who send any. Steps: from \
    the origin to a member. Missed: members that do not have it when so many of the pointers are wrong, \
    each direction by itself. Unknown: a member does not know of the link. Silent: what goes over the link \
    is lost with its whole part. Noticed: the same with acknowledgements, after which the part goes to the \
    member beside. Real: one broadcast of the daemon's code over the very links.
    """

  private static func checks(_ study: TreeStudy) -> [[String]] {
    [["", "What is demanded", "Name", "Value", "Bound"]]
      + study.checks.map {
        [
          $0.isMet ? "✓" : "✗", $0.meaning, $0.name, $0.value.map { Numbers.significant($0, 5) } ?? "never",
          $0.demand,
        ]
      }
  }

  /// The first row is the head.
  private static func grid(_ rows: [[String]]) -> String {
    let lines = rows.enumerated().map { row in
      let tag = row.offset == 0 ? "th" : "td"
      return "<tr>" + row.element.map { "<\(tag)>\(Markup.escape($0))</\(tag)>" }.joined() + "</tr>"
    }
    return "<div class=\"scroll\"><table>\n\(lines.joined(separator: "\n"))\n</table></div>"
  }

  private static func charts(_ study: TreeStudy) -> String {
    let colours = ["a", "b"]
    var charts: [Chart] = []
    for result in study.results {
      let most = Int(result.rows.compactMap(\.steps.greatest).max() ?? 0)
      let series = zip(result.rows, colours).map { row, colour in
        let counts = row.steps.histogram(width: 1, bins: most + 2)
        return Chart.Series(
          name: row.shape, colour: colour,
          points: counts.enumerated().map {
            (Double($0.offset), Double($0.element) / Double(max(row.steps.count, 1)))
          })
      }
      charts.append(
        Chart(
          title: "Steps to \(Numbers.grouped(UInt64(result.members))) members",
          caption: "Share of the members by their distance from the origin.", series: series,
          x: 0...Double(most + 1), xUnit: "steps", isShare: true))
    }
    return charts.map(\.html).joined()
  }
}
