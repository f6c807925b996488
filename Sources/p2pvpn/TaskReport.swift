// What came of a task, as JSON: first what is counted of every task, then what this one has found.

import Base
import Node
import Overlay

enum TaskReport {
  /// - Parameter community: that whose members were asked; nil for the ring of all nodes.
  static func json(_ outcome: TaskOutcome, of community: String?) -> JSON {
    let tally = outcome.tally
    let map = min(Double(tally.mapMilliseconds), outcome.elapsed.milliseconds)
    let head: JSON = [
      "schema": 1, "task": .string(outcome.name),
      "community": community.map { .string($0) } ?? nil, "nodes": .integer(Int64(tally.answered)),
      "declined": .integer(Int64(tally.declined)), "missing": .integer(Int64(tally.missingNodes)),
      "silent": .integer(Int64(tally.silent)), "complete": .bool(tally.isComplete),
      "elapsed_ms": .number(outcome.elapsed.milliseconds),
      "routing_ms": .number(outcome.elapsed.milliseconds - map), "map_ms": .number(map),
      "height": .integer(Int64(tally.depth)), "missing_parts": missing(tally),
      "missing_beyond": .integer(Int64(tally.missingBeyond)), "silent_nodes": silent(tally),
      "laggards": laggards(tally),
    ]
    guard case .object(let members) = head, let findings = outcome.findings else { return head }
    return .object(members + findings.map { JSON.Member(key: $0.name, value: json($0.value)) })
  }

  private static func missing(_ tally: TaskTally) -> JSON {
    .array(
      (0..<tally.missing.count).map { i in
        let part = tally.missing[i]
        return [
          "from": .string(place(part.arc.from)), "to": .string(place(part.arc.to)),
          "nodes": .integer(Int64(part.nodes)),
        ]
      })
  }

  private static func silent(_ tally: TaskTally) -> JSON {
    .array((0..<tally.silentNodes.count).map { JSON(tally.silentNodes[$0]) })
  }

  private static func laggards(_ tally: TaskTally) -> JSON {
    .array(
      (0..<tally.laggards.count).map { i in
        let laggard = tally.laggards[i]
        return [
          "id": JSON(laggard.id), "what": laggard.isMap ? "map" : "way",
          "ms": .integer(Int64(laggard.milliseconds)),
        ]
      })
  }

  /// A place on the ring: the first 16 digits of an ID.
  static func place(_ place: UInt64) -> String {
    let digits = String(place, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func json(_ finding: Finding) -> JSON {
    switch finding {
    case .nothing: nil
    case .truth(let value): .bool(value)
    case .integer(let value): .integer(value)
    case .number(let value): .number(value)
    case .text(let text): .string(text)
    case .list(let values): .array(values.map(json))
    case .record(let fields): .object(fields.map { JSON.Member(key: $0.name, value: json($0.value)) })
    }
  }
}
