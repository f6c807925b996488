// A verdict as JSON that other programs may rely on, and as a table for a terminal.

/// Text about a verdict.
public enum Summary {
  public static func json(_ verdict: Verdict) -> JSON {
    let record = verdict.record
    return .object([
      .init("scenario", .string(record.settings.scenario)),
      .init("nodes", .integer(UInt64(record.settings.nodes))),
      .init("seed", .integer(record.settings.seed)),
      .init("digest", .string(Report.hex(record.digest))),
      .init("virtual_s", .number(record.virtualSeconds)), .init("wall_s", .number(record.wallSeconds)),
      .init("events", .integer(record.events)), .init("peak_rss_bytes", .integer(record.peakBytes)),
      .init("complete", .bool(!record.isCutShort)),
      .init("checks", .object(verdict.checks.map { .init($0.name, json($0)) })),
      .init(
        "figures", .object(verdict.figures.map { .init($0.name, $0.value.map(JSON.number) ?? .null) })),
      .init("command", .string(record.settings.command)),
    ])
  }

  public static func json(_ check: Check) -> JSON {
    .object([
      .init("ok", .bool(check.isMet)), .init("value", check.value.map(JSON.number) ?? .null),
      .init("bound", .number(check.bound)),
    ])
  }

  /// Lines for a terminal.
  /// - Parameter paint: colours a text as good or bad.
  public static func table(_ verdict: Verdict, isVerbose: Bool, paint: (String, _ isGood: Bool) -> String)
    -> [String]
  {
    let record = verdict.record
    let isGood = verdict.isMet && !record.isCutShort
    let start = record.settings.start == .settled ? " of a ring that was laid out" : ""
    var lines = [
      paint("\(record.settings.scenario): \(Report.headline(verdict))", isGood),
      "\(record.settings.nodes) nodes\(start), seed \(record.settings.seed), "
        + "\(Numbers.duration(record.virtualSeconds)) in \(Numbers.duration(record.wallSeconds)), "
        + "\(Numbers.bytes(Double(record.peakBytes))), digest \(Report.hex(record.digest))",
      "",
    ]
    let rows = verdict.checks.map { check in
      [
        check.isMet ? "✓" : "✗", check.name, check.value.map { Numbers.significant($0, 5) } ?? "never",
        check.demand, check.meaning,
      ]
    }
    lines += zip(aligned(rows, right: [2]), verdict.checks).map { $1.isMet ? $0 : paint($0, false) }
    lines.append("")
    let shown = verdict.figures.filter { $0.value != nil }
    let figures = shown.map { figure in
      ["", figure.name, Numbers.significant(figure.value ?? 0, 5), figure.unit, figure.meaning]
    }
    lines += aligned(figures, right: [2])
    if isVerbose, let moment = record.moments.first(where: { !$0.isExcused && !$0.found.examples.isEmpty }) {
      lines.append("")
      lines += moment.found.examples.map { "at \(Numbers.duration(moment.at)): \($0)" }
    }
    return lines
  }

  /// Columns of equal width.
  static func aligned(_ rows: [[String]], right: [Int]) -> [String] {
    guard let first = rows.first else { return [] }
    let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        if column > 0 { line += "  " }
        line += right.contains(column) ? padding + cell : cell + padding
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }
}
