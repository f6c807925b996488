// What a study of crawls found, as a table for a terminal, as a page, and as JSON.

import Base
import Node

/// Text about a study.
public enum CrawlComparison {
  /// What the study shows, in one line.
  public static let abstract =
    "a whole ring asked whether it is consistent, by crawls and by tasks: time, messages, bytes"

  private static let columns = [
    "nodes", "loss", "way", "seconds", "messages a node", "bytes a node", "missing", "consistency",
  ]

  private static func cells(_ row: CrawlRow) -> [String] {
    [
      Numbers.grouped(UInt64(row.nodes)), loss(row.lossPerMille), row.way.name + part(row),
      Numbers.significant(row.seconds, 3), Numbers.significant(row.messages, 3),
      Numbers.significant(row.bytes, 3), "\(row.missing)",
      row.final.map { Numbers.significant($0, 5) } ?? "–",
    ]
  }

  private static func loss(_ perMille: UInt32) -> String {
    Numbers.significant(Double(perMille) / 10, 2) + " %"
  }

  private static func part(_ row: CrawlRow) -> String {
    row.walked < 1 ? " (from the first \(Numbers.significant(row.walked * 100, 2)) %)" : ""
  }

  /// The least size from which on the task with lists is faster than a crawl, at every loss; nil: never.
  static func winsFrom(_ study: CrawlStudy, over way: CrawlWay) -> Int? {
    let sizes = study.rows.map(\.nodes).reduce(into: [Int]()) { if !$0.contains($1) { $0.append($1) } }
    func seconds(_ size: Int, _ loss: UInt32, _ way: CrawlWay) -> Double? {
      study.rows.first { $0.nodes == size && $0.lossPerMille == loss && $0.way == way }?.seconds
    }
    let won = sizes.sorted().map { size in
      (
        size,
        study.lossesPerMille.allSatisfy { loss in
          guard let task = seconds(size, loss, .lists), let crawl = seconds(size, loss, way) else {
            return false
          }
          return task < crawl
        }
      )
    }
    guard won.last?.1 == true else { return nil }
    return won.suffix(from: (won.lastIndex { !$0.1 } ?? -1) + 1).first?.0
  }

  private static func verdict(_ study: CrawlStudy) -> [String] {
    [CrawlWay.linear, .wide].map { way in
      let size = winsFrom(study, over: way).map { "from \(Numbers.grouped(UInt64($0))) nodes on" }
      return "the task with lists is faster than a \(way.name): \(size ?? "not at these sizes")"
    }
  }

  /// Lines for a terminal.
  public static func table(_ study: CrawlStudy) -> [String] {
    Summary.aligned([columns] + study.rows.map(cells), right: [0, 1, 3, 4, 5, 6, 7]) + [""] + verdict(study)
      + ["", "seed \(study.seed); repeat with: " + command(study)]
  }

  static func command(_ study: CrawlStudy) -> String {
    var sizes: [Int] = []
    for row in study.rows where !sizes.contains(row.nodes) { sizes.append(row.nodes) }
    return "p2psim crawls --nodes \(sizes.map(String.init).joined(separator: ",")) --seed \(study.seed) "
      + "--walk \(Numbers.significant(study.walkMax, 6))s"
  }

  public static func json(_ study: CrawlStudy) -> JSON {
    .object([
      .init("seed", .integer(study.seed)), .init("rows", .array(study.rows.map(json))),
      .init("command", .string(command(study))),
    ])
  }

  private static func json(_ row: CrawlRow) -> JSON {
    .object([
      .init("nodes", .integer(UInt64(row.nodes))),
      .init("loss", .number(Double(row.lossPerMille) / 1_000)), .init("way", .string(row.way.key)),
      .init("seconds", .number(row.seconds)), .init("messages", .number(row.messages)),
      .init("bytes", .number(row.bytes)), .init("missing", .integer(UInt64(max(row.missing, 0)))),
      .init("final", row.final.map(JSON.number) ?? .null), .init("walked", .number(row.walked)),
    ])
  }

  // MARK: - The page

  /// A whole HTML document without anything from elsewhere.
  public static func page(_ study: CrawlStudy) -> String {
    let rows = ([columns] + study.rows.map(cells)).enumerated().map { row in
      let tag = row.offset == 0 ? "th" : "td"
      return "<tr>" + row.element.map { "<\(tag)>\(Markup.escape($0))</\(tag)>" }.joined() + "</tr>"
    }
    let body = """
      <header class="passed"><h1>crawls</h1>
      <p>\(Markup.escape(abstract.prefix(1).uppercased() + abstract.dropFirst())).</p></header>
      <section><h2>Side by side</h2>
      <div class="scroll"><table>\n\(rows.joined(separator: "\n"))\n</table></div>
      <p class="note">\(Markup.escape(legend))</p>
      <p>\(verdict(study).map(Markup.escape).joined(separator: "<br>"))</p></section>
      <section><h2>Drawn</h2><div class="plots">\(charts(study))</div></section>
      <section><h2>Once more</h2><pre>\(Markup.escape(command(study)))</pre></section>
      """
    return Page.document(title: "crawls", body: body)
  }

  private static let legend = """
    Messages: between linked nodes, by nodes; bytes are those within records. Those of crawls are reckoned: \
    a question takes the hops of its answer. Task, lists: neighbours are compared on their way up the tree. \
    Task, calls: each node asks its two neighbours to the left. Of tasks the median of \(CrawlStudy.tries); \
    missing is the worst of them.
    """

  private static func charts(_ study: CrawlStudy) -> String {
    let colours = ["a", "b", "c", "bad"]
    func chart(_ title: String, _ loss: UInt32, _ value: (CrawlRow) -> Double) -> Chart {
      let series = zip(CrawlWay.allCases, colours).map { way, colour in
        Chart.Series(
          name: way.name, colour: colour,
          points: study.rows.filter { $0.way == way && $0.lossPerMille == loss }.map {
            (decades(Double($0.nodes)), decades(value($0)))
          })
      }
      return Chart(
        title: "\(title), \(Self.loss(loss)) loss",
        caption: "Decimal logarithms of both: 0 is one, 3 is a thousand.", series: series, xUnit: "log n")
    }
    return study.lossesPerMille.flatMap { loss in
      [chart("Seconds", loss) { $0.seconds }, chart("Bytes of a node", loss) { $0.bytes }]
    }.map(\.html).joined()
  }

  private static func decades(_ value: Double) -> Double {
    Elementary.logarithm(max(value, 1e-3)) / Elementary.logarithm(10)
  }
}
