// The answer of a task for people: a verdict, what this task has found, and then what is missing and who was
// waited for.

/// Lines that show a task's answer.
enum TaskPresentation {
  /// What is counted of every task, and has lines of its own.
  private static let head: Set<String> = [
    "schema", "task", "community", "nodes", "declined", "missing", "silent", "complete", "elapsed_ms",
    "routing_ms", "map_ms", "height", "missing_parts", "missing_beyond", "silent_nodes", "laggards",
  ]

  static func lines(_ answer: JSON) -> [String] {
    [verdict(answer)] + findings(answer) + missing(answer) + laggards(answer) + [time(answer)]
  }

  /// The first line, for all tasks.
  static func verdict(_ answer: JSON) -> String {
    let nodes = answer["nodes"].asInteger ?? 0
    var text: String
    if let isWhole = answer["whole"].asBool, let consistency = answer["final"].asNumber {
      text = "ring \(isWhole ? "whole" : "NOT whole"): \(nodes) nodes, consistency \(rounded(consistency))"
      if !isWhole, let winding = answer["winding"].asNumber, winding > 1.5 {
        text += ", wound \(Int(winding.rounded())) times"
      }
      if let parts = answer["components"].asInteger, parts > 1 { text += ", in \(parts) parts" }
    } else {
      text = "\(nodes) node\(nodes == 1 ? " has" : "s have") answered"
    }
    if let declined = answer["declined"].asInteger, declined > 0 { text += ", \(declined) do not say" }
    if let missing = answer["missing"].asInteger, missing > 0 { text += ", about \(missing) missing" }
    return text
  }

  private static func findings(_ answer: JSON) -> [String] {
    guard case .object(let members) = answer else { return [] }
    return block(members.filter { !head.contains($0.key) })
  }

  /// Values one below the other; a list of records as a table under its name.
  private static func block(_ members: [JSON.Member]) -> [String] {
    var rows: [[String]] = []
    var tables: [String] = []
    for member in members {
      if case .array(let values) = member.value, case .object = values.first {
        tables += ["", words(member.key)] + table(values)
      } else if case .object(let inner) = member.value {
        tables += ["", words(member.key)] + block(inner).map { "  \($0)" }
      } else {
        rows.append([words(member.key), text(member.value)])
      }
    }
    return Presentation.aligned(rows) + tables
  }

  private static func table(_ values: [JSON]) -> [String] {
    guard case .object(let first) = values.first else { return [] }
    let keys = first.map(\.key)
    let numbers = Set(keys.indices.filter { first[$0].value.asNumber != nil })
    let rows = values.map { value in keys.map { text(value[$0]) } }
    return Presentation.aligned([keys.map { words($0).uppercased() }] + rows, right: numbers)
  }

  private static func missing(_ answer: JSON) -> [String] {
    var lines = answer["missing_parts"].asArray.map { part in
      "missing: about \(part["nodes"].asInteger ?? 0) nodes between \(part["from"].asString ?? "?") and "
        + (part["to"].asString ?? "?")
    }
    if let beyond = answer["missing_beyond"].asInteger, beyond > 0 {
      lines.append("missing: about \(beyond) nodes in other parts")
    }
    let silent = answer["silent_nodes"].asArray.compactMap { $0.asString?.prefix(10) }
    if let count = answer["silent"].asInteger, count > 0 {
      let more = Int(count) > silent.count ? " and others" : ""
      lines.append("no sign of \(count), dead most likely: \(silent.joined(separator: ", "))\(more)")
    }
    return lines.isEmpty ? [] : [""] + lines
  }

  private static func laggards(_ answer: JSON) -> [String] {
    answer["laggards"].asArray.map { laggard in
      let what = laggard["what"].asString == "map" ? "answered late" : "is far"
      return "\(laggard["id"].asString?.prefix(10) ?? "?") \(what): \(laggard["ms"].asInteger ?? 0) ms"
    }
  }

  private static func time(_ answer: JSON) -> String {
    func seconds(_ key: String) -> String { rounded((answer[key].asNumber ?? 0) / 1_000) }
    return "took \(seconds("elapsed_ms")) s: \(seconds("routing_ms")) on the way, "
      + "\(seconds("map_ms")) in maps, \(answer["height"].asInteger ?? 0) levels"
  }

  private static func words(_ key: String) -> String { key.split(separator: "_").joined(separator: " ") }

  private static func text(_ value: JSON) -> String {
    switch value {
    case .null: "-"
    case .bool(let truth): truth ? "yes" : "no"
    case .string(let text): text
    case .number(let number): rounded(number)
    case .array(let values): values.isEmpty ? "none" : values.map(text).joined(separator: " ")
    default: value.text
    }
  }

  /// Three places behind the point.
  static func rounded(_ number: Double) -> String {
    guard abs(number) < 1e12 else { return "\(number)" }
    let thousandths = Int64((number * 1_000).rounded())
    let (whole, part) = (thousandths / 1_000, "\(abs(thousandths % 1_000))")
    return "\(whole).\(String(repeating: "0", count: 3 - part.count))\(part)"
  }
}
