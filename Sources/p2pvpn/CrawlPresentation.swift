// What a crawl has found, for people: the verdict first.

/// Lines that show a crawl.
enum CrawlPresentation {
  static func lines(_ answer: JSON) -> [String] {
    [answer["verdict"].asString ?? "?"] + figures(answer) + pairs(answer) + outliers(answer)
      + explanations(answer)
  }

  private static func figures(_ answer: JSON) -> [String] {
    func share(_ key: String) -> String { thousandths(answer[key].asNumber ?? 0) }
    let seconds = thousandths((answer["elapsed_ms"].asNumber ?? 0) / 1_000)
    let median = Presentation.milliseconds(answer["answer_ms"]["median"].asNumber ?? 0)
    let longest = Presentation.milliseconds(answer["answer_ms"]["max"].asNumber ?? 0)
    return Presentation.aligned([
      ["methods", "1: \(share("method1"))  2: \(share("method2"))  3: \(share("method3"))"],
      [
        "winding", "\(thousandths(answer["winding"].asNumber ?? 0)), components \(answer["components"].text)",
      ],
      ["estimate", "about \(answer["size_estimate"].asInteger ?? 0) nodes, by their own reckoning"],
      [
        "took",
        "\(seconds) s, \(answer["questions"].asInteger ?? 0) questions; an answer \(median) ms, at most "
          + "\(longest) ms",
      ],
    ])
  }

  private static func pairs(_ answer: JSON) -> [String] {
    let rows = answer["unreachable_pairs"].asArray.map { pair in
      [short(pair["first"]), short(pair["second"]), pair["how"].asString ?? "?"]
    }
    return rows.isEmpty ? [] : ["", "unreachable pairs"] + Presentation.aligned(rows)
  }

  private static func outliers(_ answer: JSON) -> [String] {
    guard answer["explanations"] == nil else { return [] }
    var rows = answer["outliers"].asArray.map { outlier in
      [short(outlier["id"]), outlier["faults"].asArray.compactMap(\.asString).joined(separator: ", ")]
    }
    guard !rows.isEmpty else { return [] }
    if let beyond = answer["outliers_beyond"].asInteger, beyond > 0 { rows.append(["and \(beyond) more"]) }
    return ["", "not as they should be (--explain says why)"] + Presentation.aligned(rows)
  }

  // Explanations.

  private static func explanations(_ answer: JSON) -> [String] {
    answer["explanations"].asArray.flatMap { explanation -> [String] in
      let faults = explanation["faults"].asArray.compactMap(\.asString).joined(separator: ", ")
      return [
        "", "\(short(explanation["id"])): \(faults)", "  \(explanation["sentence"].asString ?? "?")",
      ] + belief(explanation["belief"]) + opinions(explanation["opinions"].asArray)
    }
  }

  private static func belief(_ belief: JSON) -> [String] {
    guard belief != nil else { return ["  it has not answered"] }
    let head =
      "  it says: \(belief["phase"].asString ?? "?"), up for "
      + Presentation.duration(belief["uptime_s"].asInteger ?? 0) + ", neighbours unchanged for "
      + Presentation.duration(belief["unchanged_s"].asInteger ?? 0)
    let rows = [("left", "left"), ("right", "right")].flatMap { key, word in
      belief[key].asArray.map { ["    \(word)"] + columns($0) }
    }
    return [head] + Presentation.aligned(rows)
  }

  private static func opinions(_ opinions: [JSON]) -> [String] {
    let rows = opinions.map { opinion -> [String] in
      let by = "    \(short(opinion["by"]))"
      if opinion["neighbour"] != nil {
        return [by, "has it as neighbour"] + columns(opinion["neighbour"]).dropFirst()
      }
      if let tries = opinion["missed"]["asked_in_vain"].asInteger {
        return [by, "knows of it, asked in vain \(tries) times"]
      }
      return [by, "does not list it"]
    }
    return rows.isEmpty ? [] : ["  those beside it:"] + Presentation.aligned(rows)
  }

  private static func columns(_ neighbour: JSON) -> [String] {
    [
      short(neighbour["id"]), neighbour["path"].asString ?? "?",
      neighbour["rtt_ms"].asInteger.map { "\($0) ms" } ?? "-",
      "since \(Presentation.duration(neighbour["linked_s"].asInteger ?? 0))",
      "silent for \(Presentation.duration(neighbour["silent_s"].asInteger ?? 0))",
      neighbour["names_us"].asBool == true ? "" : "does not name it",
    ]
  }

  private static func short(_ id: JSON) -> String { String((id.asString ?? "?").prefix(10)) }

  private static func thousandths(_ number: Double) -> String { TaskPresentation.rounded(number) }
}
