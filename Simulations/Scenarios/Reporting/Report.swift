// The page about one run: the verdict first, then what was demanded, what was measured, how it went, and how
// to have it again.

import Node

/// Makes the page.
public enum Report {
  /// A whole HTML document without anything from elsewhere.
  /// - Parameter abstract: what the scenario shows.
  public static func page(_ verdict: Verdict, abstract: String) -> String {
    let settings = verdict.record.settings
    let body = [
      header(verdict, abstract), cards(verdict), section("Checks", checks(verdict)),
      section("How it went", "<div class=\"plots\">\n" + Plots.all(verdict.record) + "</div>"),
      section("The ring", rings(verdict.record)), section("Figures", figures(verdict)),
      section("Once more", again(verdict)),
    ]
    return Page.document(
      title: "\(settings.scenario): \(headline(verdict))", body: body.joined(separator: "\n"))
  }

  private static func section(_ title: String, _ content: String) -> String {
    "<section><h2>\(Markup.escape(title))</h2>\n\(content)</section>"
  }

  static func headline(_ verdict: Verdict) -> String {
    let count = verdict.checks.count
    let failed = verdict.failed.count
    if verdict.record.isCutShort { return "given up before the end" }
    if failed == 0 { return "all \(count) checks hold" }
    return failed == 1 ? "one of \(count) checks fails" : "\(failed) of \(count) checks fail"
  }

  private static func header(_ verdict: Verdict, _ abstract: String) -> String {
    let record = verdict.record
    let settings = record.settings
    let isGood = verdict.isMet && !record.isCutShort
    let facts = [
      ("scenario", settings.scenario), ("nodes", Numbers.grouped(UInt64(settings.nodes))),
      ("start", settings.start == .settled ? "a ring that was laid out" : "every node joined"),
      ("seed", "\(settings.seed)"), ("virtual time", Numbers.duration(record.virtualSeconds)),
      ("wall time", Numbers.duration(record.wallSeconds)), ("digest", hex(record.digest)),
    ]
    let list = facts.map { "<li>\($0.0) <b>\(Markup.escape($0.1))</b></li>" }.joined()
    return """
      <header class="\(isGood ? "passed" : "failed")">
      <h1>\(Markup.escape(settings.scenario)): \(Markup.escape(headline(verdict)))</h1>
      <p>\(Markup.escape(abstract.prefix(1).uppercased() + abstract.dropFirst())).</p>
      <ul class="facts">\(list)</ul>
      </header>
      """
  }

  static func hex(_ digest: UInt64) -> String {
    let digits = String(digest, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The figures that one wants to see at a glance.
  private static func cards(_ verdict: Verdict) -> String {
    let wanted = [
      ("formed_s", "until the ring had formed"), ("consistency_mean", "ring consistency, mean"),
      ("lookup_right", "look-ups answered right"), ("hops_mean", "hops of a look-up"),
      ("stretch_median", "latency stretch, median"), ("bytes_mean", "sent by each node"),
      ("real_time_factor", "of real time"), ("events_per_s", "events a second"),
    ]
    let cards = wanted.compactMap { name, words -> String? in
      guard let figure = verdict.figures.first(where: { $0.name == name }) else { return nil }
      guard let value = figure.value else {
        return "<div class=\"card\"><b class=\"none\">never</b><span>\(words)</span></div>"
      }
      let number = name == "events_per_s" ? thousands(value) : Numbers.significant(value, 4)
      let unit = name == "events_per_s" ? "" : figure.unit
      return
        "<div class=\"card\"><b>\(number)<small> \(Markup.escape(unit))</small></b>"
        + "<span>\(words)</span></div>"
    }
    return "<div class=\"cards\">\(cards.joined())</div>"
  }

  private static func thousands(_ value: Double) -> String {
    value < 10_000 ? Numbers.significant(value, 3) : Numbers.significant(value / 1_000, 3) + " k"
  }

  private static func checks(_ verdict: Verdict) -> String {
    let rows = verdict.checks.map { check in
      let value = check.value.map { Numbers.significant($0, 5) } ?? "never"
      return "<tr\(check.isMet ? "" : " class=\"failed\"")><td class=\"mark\">\(check.isMet ? "✓" : "✗")</td>"
        + "<td>\(Markup.escape(check.meaning))</td><td class=\"name\">\(Markup.escape(check.name))</td>"
        + "<td class=\"n value\">\(value)</td><td class=\"n\">\(Markup.escape(check.demand))</td></tr>"
    }
    let examples = verdict.record.moments.first { !$0.isExcused && !$0.found.examples.isEmpty }
    let first = examples.map { moment in
      "<p class=\"note\">First seen at \(Numbers.duration(moment.at)): "
        + Markup.escape(moment.found.examples.prefix(3).joined(separator: "; ")) + ".</p>"
    }
    return """
      <div class="scroll"><table><tr><th></th><th>What is demanded</th><th>Name</th><th class="n">Value</th>\
      <th class="n">Bound</th></tr>
      \(rows.joined(separator: "\n"))
      </table></div>\(verdict.isMet ? "" : first ?? "")
      """
  }

  private static func figures(_ verdict: Verdict) -> String {
    let rows = verdict.figures.compactMap { figure -> String? in
      guard let value = figure.value else { return nil }
      return
        "<tr><td>\(Markup.escape(figure.meaning))</td><td class=\"name\">\(Markup.escape(figure.name))</td>"
        + "<td class=\"n\">\(Numbers.significant(value, 5))</td><td>\(Markup.escape(figure.unit))</td></tr>"
    }
    return """
      <div class="scroll"><table><tr><th>What was measured</th><th>Name</th>\
      <th class="n">Value</th><th>Unit</th></tr>
      \(rows.joined(separator: "\n"))
      </table></div>
      """
  }

  private static func rings(_ record: Record) -> String {
    var drawings = ""
    if let worst = record.worst {
      drawings += RingDrawing(title: "When it was worst", picture: worst).html
    }
    if let final = record.final {
      drawings += RingDrawing(title: "At the end", picture: final, shortcuts: record.shortcuts).html
    }
    return "<div class=\"rings\">\n\(drawings)</div>"
      + "<p class=\"note\">Nodes stand where their IDs are. Blue arcs lead to the four right neighbours, "
      + "green chords "
      + "are other links of some nodes. Red: the nearest neighbour of a side is not the true one. Orange: "
      + "the nearest "
      + "ones are right, farther ones are not. Hollow: not settled.</p>"
  }

  private static func again(_ verdict: Verdict) -> String {
    let settings = verdict.record.settings
    let plain = "<pre>\(Markup.escape(settings.command))</pre>"
    let steps = verdict.record.plan.steps.filter { if case .start = $0.action { false } else { true } }
    guard !verdict.isMet, !steps.isEmpty else { return plain }
    let shown = steps.prefix(40).map { "\(Schedule.time($0.at)) \(Schedule.words($0.action))" }
    let rest = steps.count > 40 ? "\n… and \(steps.count - 40) more" : ""
    return plain + "<p class=\"note\">What was done to the nodes, beside starting them:</p><pre>"
      + Markup.escape(shown.joined(separator: "\n") + rest) + "</pre>"
  }
}
