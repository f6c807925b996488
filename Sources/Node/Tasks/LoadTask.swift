// What nodes carry, and how unevenly: leases of the directory, links, bytes, and what they pass on for
// others.
//
//  offset  size  field
//       0     …  a `Spread` over nodes for each: leases, links, sent and received bytes of the links,
//                messages and data bytes passed on for others

import Base
import Overlay

/// Loads over nodes.
struct LoadAnswer: Equatable, Sendable {
  static let quantities = [
    "leases", "links", "sent_bytes", "received_bytes", "relayed_messages", "relayed_bytes",
  ]
  /// One for each quantity.
  private(set) var spreads = Array(repeating: Spread(), count: quantities.count)

  init() {}

  /// What the node at `place` carries, in the order of `quantities`.
  init(_ values: InlineArray<6, UInt64>, of place: UInt64) {
    for i in values.indices { spreads[i].count(values[i], of: place) }
  }

  mutating func add(_ other: LoadAnswer) {
    for i in spreads.indices { spreads[i].add(other.spreads[i]) }
  }
}

extension LoadAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    for i in spreads.indices { spreads[i] = try Spread(from: &reader) }
  }

  func encode(to writer: inout WireWriter) {
    for spread in spreads { spread.encode(to: &writer) }
  }
}

/// The task `load`.
enum LoadTask: RingTask {
  static let name = "load"
  static let abstract = "what nodes keep, send and pass on for others, and how unevenly"
  static let audience = TaskAudience.theOperator

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> LoadAnswer {
    var (links, sent, received): (UInt64, UInt64, UInt64) = (0, 0, 0)
    node.forEachLink(on: inquiry.ring) { slot in
      links += 1
      sent.grow(by: node.network.links.peers[slot].sentBytes)
      received.grow(by: node.network.links.peers[slot].receivedBytes)
    }
    let counters = node.network.links.counters
    return LoadAnswer(
      [
        UInt64(node.network.directory.count), links, sent, received,
        counters.forwarded.plus(counters.circuitForwarded), node.network.links.relay.passedBytes,
      ], of: node.id.high)
  }

  static func reduce(_ answers: [LoadAnswer], in arc: Arc, isWhole: Bool) -> LoadAnswer {
    var sum = LoadAnswer()
    for answer in answers { sum.add(answer) }
    return sum
  }

  static func findings(of answer: LoadAnswer, _ tally: TaskTally) -> [NamedFinding] {
    [
      NamedFinding(
        "load",
        .list(
          zip(LoadAnswer.quantities, answer.spreads).map { name, spread in
            .record([NamedFinding("quantity", .text(name))] + spread.findings())
          }))
    ]
  }
}
