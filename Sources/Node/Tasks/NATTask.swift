// Behind which boxes nodes are, and over which kinds of paths they are linked.
//
//  offset  size  field
//       0  4·6   nodes by how the box in front of them maps (`Mapping`)
//      24  4·3   nodes by whether UDP gets through: unknown, open, stopped
//      36  4·7   links by the kind of their path (`PathKind`)
//      64  4·7   links with the nearest two on each side of the ring, likewise

import Base
import Overlay

/// Counts of boxes and paths.
struct NATAnswer: Equatable, Sendable {
  var mappings = Counts<6>()
  var passages = Counts<3>()
  var links = Counts<7>()
  var neighbours = Counts<7>()

  init() {}

  mutating func add(_ other: NATAnswer) {
    mappings.add(other.mappings)
    passages.add(other.passages)
    links.add(other.links)
    neighbours.add(other.neighbours)
  }
}

extension NATAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    mappings = try Counts(from: &reader)
    passages = try Counts(from: &reader)
    links = try Counts(from: &reader)
    neighbours = try Counts(from: &reader)
  }

  func encode(to writer: inout WireWriter) {
    mappings.encode(to: &writer)
    passages.encode(to: &writer)
    links.encode(to: &writer)
    neighbours.encode(to: &writer)
  }
}

/// The task `nat`.
enum NATTask: RingTask {
  static let name = "nat"
  static let abstract = "how the boxes in front of nodes map, and over which kinds of paths nodes are linked"
  static let audience = TaskAudience.theOperator
  private static let mappings = ["unknown", "open", "independent", "varies", "counts", "stopped"]
  private static let passages = ["unknown", "open", "stopped"]

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> NATAnswer {
    var answer = NATAnswer()
    answer.mappings.count(Int(node.reach.mapping.rawValue))
    switch node.udpPassage {
    case .unknown: answer.passages.count(0)
    case .open: answer.passages.count(1)
    case .stopped: answer.passages.count(2)
    }
    node.forEachLink(on: inquiry.ring) { answer.links.count(Int(node.pathKind($0).rawValue)) }
    guard let view = node.view(of: inquiry.ring) else { return answer }
    for list in [view.left, view.right] {
      for i in 0..<min(2, list.count) {
        guard let slot = node.peer(with: list[i]) else { continue }
        answer.neighbours.count(Int(node.pathKind(slot).rawValue))
      }
    }
    return answer
  }

  static func reduce(_ answers: [NATAnswer], in arc: Arc, isWhole: Bool) -> NATAnswer {
    var sum = NATAnswer()
    for answer in answers { sum.add(answer) }
    return sum
  }

  static func findings(of answer: NATAnswer, _ tally: TaskTally) -> [NamedFinding] {
    [
      NamedFinding("mappings", answer.mappings.finding(mappings)),
      NamedFinding("udp", answer.passages.finding(passages)),
      NamedFinding("links", answer.links.finding(PathKinds.names)),
      NamedFinding("neighbours", answer.neighbours.finding(PathKinds.names)),
    ]
  }
}
