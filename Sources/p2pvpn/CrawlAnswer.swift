// What a crawl has found, as JSON.

import Base
import Node
import Overlay

enum CrawlAnswer {
  /// Nodes that are named in an answer: of more, as many as the first.
  static let listedMax = 100

  /// The judgement.
  /// - Parameters:
  ///   - number: under which nodes and pictures can be asked for.
  ///   - community: that of the members who were asked; nil for the ring of all nodes.
  static func summary(
    _ result: CrawlResult, number: UInt32, of community: String?, explains: Bool
  ) -> JSON {
    let report = CrawlReport(result)
    let consistency = report.consistency
    var members: [JSON.Member] = []
    func add(_ key: String, _ value: JSON) { members.append(JSON.Member(key: key, value: value)) }
    add("schema", 1)
    add("community", community.map { .string($0) } ?? nil)
    add("verdict", .string(report.verdict))
    add("whole", .bool(report.isWhole))
    add("nodes", .integer(Int64(report.nodes)))
    add("missing", .integer(Int64(report.missing.count)))
    add("method1", .number(consistency.method1))
    add("method2", .number(consistency.method2))
    add("method3", .number(consistency.method3))
    add("final", .number(consistency.final))
    add("winding", .number(report.winding))
    add("components", .integer(Int64(report.components)))
    add("elapsed_ms", .number(result.took.milliseconds))
    add("size_estimate", .integer(Int64(report.estimate)))
    add("reasons", .array(report.reasons.map { .string($0) }))
    add("unreachable_pairs", .array(report.pairs.prefix(listedMax).map(pair)))
    add("missing_nodes", .array(report.missing.prefix(listedMax).map { JSON($0) }))
    add("rumoured", .integer(Int64(report.rumoured)))
    add("outliers", .array(report.outliers.prefix(listedMax).map(outlier)))
    add("outliers_beyond", .integer(Int64(max(0, report.outliers.count - listedMax))))
    add("questions", .integer(Int64(result.questions)))
    add("cut_short", .bool(result.isCutShort))
    add(
      "answer_ms",
      [
        "median": .number(report.medianTime.milliseconds), "max": .number(report.longestTime.milliseconds),
      ])
    add("answers_by_hops", .array(report.answersByHops.map { .integer(Int64($0)) }))
    add("crawl", .integer(Int64(number)))
    if explains {
      add("explanations", .array(report.outliers.prefix(listedMax).map { explanation(report.explain($0)) }))
    }
    return .object(members)
  }

  /// A page of the nodes.
  static func nodes(_ result: CrawlResult, _ page: Page) -> JSON {
    let faults = CrawlReport(result).outliers
    let (shown, next) = page.cut(result.nodes, by: \.id)
    return [
      "schema": 1,
      "nodes": .array(
        shown.map { node in self.node(node, faults.first { $0.id == node.id }?.faults ?? []) }),
      "next": JSON(next),
    ]
  }

  private static func node(_ node: CrawledNode, _ faults: RingFaults) -> JSON {
    let head: JSON = [
      "id": JSON(node.id), "outcome": .string(outcome(node.outcome)), "neighbour": .bool(node.isNeighbour),
      "faults": words(faults), "took_ms": .number(node.took.milliseconds), "hops": .integer(Int64(node.hops)),
      "tries": .integer(Int64(node.tries)),
    ]
    guard case .object(let members) = head, let word = node.word, case .object(let said) = self.word(word)
    else { return head }
    return .object(members + said)
  }

  // Words of nodes.

  private static func word(_ word: Testimony) -> JSON {
    let phase =
      switch word.phase {
      case .searching: "searching"
      case .joining: "joining"
      case .settled: "settled"
      }
    return [
      "phase": .string(phase), "ready": .bool(word.isReady),
      "incarnation": .integer(Int64(clamping: word.incarnation)), "uptime_s": .integer(Int64(word.uptime)),
      "unchanged_s": .integer(Int64(word.unchangedFor)),
      "size_estimate": .integer(Int64(word.sizeEstimate)),
      "left": .array((0..<word.left.count).map { neighbour(word.left[$0]) }),
      "right": .array((0..<word.right.count).map { neighbour(word.right[$0]) }),
      "far": .array((0..<word.far.count).map { .string(TaskReport.place(word.far[$0])) }),
      "missed": .array((0..<word.missed.count).map { missed(word.missed[$0]) }),
    ]
  }

  private static func neighbour(_ neighbour: Testimony.Neighbour) -> JSON {
    [
      "id": JSON(neighbour.id), "path": .string("\(neighbour.path)"),
      "rtt_ms": neighbour.roundTrip == 0 ? nil : .integer(Int64(neighbour.roundTrip)),
      "linked_s": .integer(Int64(neighbour.linkedFor)), "silent_s": .integer(Int64(neighbour.silentFor)),
      "incarnation": .integer(Int64(clamping: neighbour.incarnation)), "names_us": .bool(neighbour.namesUs),
    ]
  }

  private static func missed(_ missed: Testimony.Missed) -> JSON {
    ["id": JSON(missed.id), "asked_in_vain": .integer(Int64(missed.failures))]
  }

  private static func pair(_ pair: UnreachablePair) -> JSON {
    [
      "first": JSON(pair.first), "second": JSON(pair.second),
      "how": pair.kind == .noLink ? "no link" : "overlay",
    ]
  }

  private static func outlier(_ outlier: Outlier) -> JSON {
    ["id": JSON(outlier.id), "faults": words(outlier.faults)]
  }

  private static func explanation(_ explanation: Explanation) -> JSON {
    [
      "id": JSON(explanation.id), "faults": words(explanation.faults),
      "cause": .string(cause(explanation.cause)), "sentence": .string(explanation.sentence),
      "belief": explanation.belief.map(word) ?? nil,
      "opinions": .array(
        explanation.opinions.map { opinion in
          [
            "by": JSON(opinion.by), "neighbour": opinion.neighbour.map(neighbour) ?? nil,
            "missed": opinion.missed.map(missed) ?? nil,
          ]
        }),
    ]
  }

  private static func outcome(_ outcome: CrawledNode.Outcome) -> String {
    switch outcome {
    case .answered: "answered"
    case .notThere: "not there"
    case .silent: "silent"
    case .notAsked: "not asked"
    }
  }

  private static func cause(_ cause: LikelyCause) -> String {
    switch cause {
    case .dead: "dead"
    case .lagging: "lagging"
    case .staleIncarnation: "stale incarnation"
    case .newcomer: "newcomer"
    case .foreignRing: "foreign ring"
    case .wound: "wound ring"
    case .unreachablePair: "unreachable pair"
    case .changing: "changing"
    case .unexplained: "unexplained"
    }
  }

  private static func words(_ faults: RingFaults) -> JSON {
    let all: [(RingFaults, JSON)] = [
      (.missing, "missing"), (.wrongLeft, "wrong left"), (.wrongRight, "wrong right"),
      (.wrongSecond, "wrong second"), (.unsettled, "unsettled"), (.unreachable, "unreachable"),
      (.stale, "stale"),
    ]
    return .array(all.filter { faults.contains($0.0) }.map(\.1))
  }
}
