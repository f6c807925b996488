// How long round trips of links take, by the kind of the path. Each link is measured by both of its nodes.
//
//  offset  size  field
//       0     …  a `Spread` of microseconds for each: lan, direct, tcp, proxy, overlay

import Base
import Overlay

/// Round trips by the kind of path.
struct LatencyAnswer: Equatable, Sendable {
  static let kinds = 5
  /// As many as there are kinds of paths that data takes.
  private(set) var spreads = Array(repeating: Spread(), count: kinds)

  init() {}

  /// Takes in a round trip that the node at `place` has measured.
  mutating func count(_ roundTrip: Interval, over path: PathKind, at place: UInt64) {
    guard path.rawValue < Self.kinds else { return }
    spreads[Int(path.rawValue)].count(roundTrip.ns / 1_000, of: place)
  }

  mutating func add(_ other: LatencyAnswer) {
    for i in 0..<Self.kinds { spreads[i].add(other.spreads[i]) }
  }
}

extension LatencyAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    for i in 0..<Self.kinds { spreads[i] = try Spread(from: &reader) }
  }

  func encode(to writer: inout WireWriter) {
    for spread in spreads { spread.encode(to: &writer) }
  }
}

/// The task `latency`.
enum LatencyTask: RingTask {
  static let name = "latency"
  static let abstract = "how long round trips of links take, by kinds of paths"
  static let audience = TaskAudience.theOperator

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> LatencyAnswer {
    var answer = LatencyAnswer()
    node.forEachLink(on: inquiry.ring) { slot in
      guard let path = node.network.links.peers[slot].bestPath, path.roundTrip.samples > 0 else { return }
      answer.count(path.roundTrip.smoothed, over: path.kind, at: node.id.high)
    }
    return answer
  }

  static func reduce(_ answers: [LatencyAnswer], in arc: Arc, isWhole: Bool) -> LatencyAnswer {
    var sum = LatencyAnswer()
    for answer in answers { sum.add(answer) }
    return sum
  }

  static func findings(of answer: LatencyAnswer, _ tally: TaskTally) -> [NamedFinding] {
    var all = Spread()
    for spread in answer.spreads { all.add(spread) }
    var rows = [row("all", all)]
    for (kind, spread) in zip(PathKinds.names, answer.spreads) where spread.count > 0 {
      rows.append(row(kind, spread))
    }
    return [NamedFinding("round_trips_ms", .list(rows))]
  }

  private static func row(_ path: String, _ spread: Spread) -> Finding {
    .record([NamedFinding("path", .text(path))] + spread.findings(unit: 1_000, hasSum: false))
  }
}
