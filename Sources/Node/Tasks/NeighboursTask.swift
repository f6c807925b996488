// Who is linked with whom: the graph of the ring, for pictures and for programs.
//
//  offset  size  field
//       0     4  nodes for which there was no room
//       4     …  the table of places (`PlaceTable`); its subjects are the nodes
//       …     …  for each node: 1 neighbours to the right (bits 0–3, 4 at most), far links (bits 4–7, 12 at
//                most), then the numbers of these
//
// Of a part that does not fit, the nodes at its end are left out and counted: ask about a smaller arc.

import Base
import Overlay

/// Nodes and their links.
struct NeighboursAnswer: Equatable, Sendable {
  struct Entry: Equatable, Sendable {
    let place: UInt64
    /// Clockwise, nearest first, 4 at most; then far ones, 12 at most.
    var right: [UInt64]
    var far: [UInt64]
  }

  static let rightMax = 4
  static let farMax = 12
  static let bytesMax = 24 << 10

  /// Rising by place.
  private(set) var entries: [Entry] = []
  private(set) var leftOut: UInt32 = 0

  init() {}

  init(_ entry: Entry) { entries = [entry] }

  /// One answer for those of an arc.
  init(folding answers: [NeighboursAnswer], in arc: Arc) {
    for answer in answers { leftOut.grow(by: answer.leftOut) }
    var all: [Entry] = []
    for entry in answers.flatMap(\.entries).sorted(by: { $0.place &- arc.from < $1.place &- arc.from })
    where all.last?.place != entry.place { all.append(entry) }
    // The most that fit, found by halving: each node more takes more bytes.
    var (fits, tooMany) = (0, all.count + 1)
    while fits + 1 < tooMany {
      let middle = (fits + tooMany) / 2
      if Self.byteCount(all[..<middle]) <= Self.bytesMax { fits = middle } else { tooMany = middle }
    }
    leftOut.grow(by: UInt32(clamping: all.count - fits))
    entries = all[..<fits].sorted { $0.place < $1.place }
  }

  private static func table(_ entries: ArraySlice<Entry>) -> PlaceTable? {
    let subjects = entries.map(\.place).sorted()
    let named = entries.flatMap { $0.right + $0.far }
    guard subjects.count + named.count <= PlaceTable.limit else { return nil }
    return PlaceTable(subjects: subjects, named: named)
  }

  private static func byteCount(_ entries: ArraySlice<Entry>) -> Int {
    guard let table = table(entries) else { return .max }
    let numbers = entries.reduce(0) { $0 + $1.right.count + $1.far.count }
    return 4 + table.byteCount + entries.count + table.numberBytes * numbers
  }
}

extension NeighboursAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    leftOut = try reader.integer()
    var table = try PlaceTable(from: &reader)
    for i in 0..<table.subjects {
      let counts = try reader.byte()
      let (right, far) = (Int(counts & 15), Int(counts >> 4))
      try reader.require(right <= Self.rightMax && far <= Self.farMax)
      var entry = Entry(place: table.subject(i), right: [], far: [])
      for j in 0..<right + far {
        guard let place = try table.read(from: &reader) else { throw .invalid(offset: reader.offset) }
        if j < right { entry.right.append(place) } else { entry.far.append(place) }
      }
      entries.append(entry)
    }
    try table.finish(reader)
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(leftOut)
    guard let table = Self.table(entries[...]) else { preconditionFailure("more nodes than fit were kept") }
    table.encode(to: &writer)
    for entry in entries {
      writer.byte(UInt8(entry.right.count) | UInt8(entry.far.count) << 4)
      for place in entry.right + entry.far { table.write(place, to: &writer) }
    }
  }
}

/// The task `neighbours`.
enum NeighboursTask: RingTask {
  static let name = "neighbours"
  static let abstract = "who is linked with whom: the graph of the ring"
  static let audience = TaskAudience.theOperator

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> NeighboursAnswer {
    guard let view = node.view(of: inquiry.ring) else { return NeighboursAnswer() }
    var entry = NeighboursAnswer.Entry(
      place: view.id.high, right: (0..<view.right.count).map { view.right[$0].high }, far: [])
    let role: Roles = inquiry.ring == .main ? .shortcut : .farMember
    node.forEachLink(on: inquiry.ring) { slot in
      let peer = node.network.links.peers[slot]
      if peer.roles.contains(role), entry.far.count < NeighboursAnswer.farMax {
        entry.far.append(peer.id.high)
      }
    }
    return NeighboursAnswer(entry)
  }

  static func reduce(_ answers: [NeighboursAnswer], in arc: Arc, isWhole: Bool) -> NeighboursAnswer {
    NeighboursAnswer(folding: answers, in: arc)
  }

  static func findings(of answer: NeighboursAnswer, _ tally: TaskTally) -> [NamedFinding] {
    [
      NamedFinding(
        "graph",
        .list(
          answer.entries.map { entry in
            .record([
              NamedFinding("id", .place(entry.place)),
              NamedFinding("right", .list(entry.right.map(Finding.place))),
              NamedFinding("far", .list(entry.far.map(Finding.place))),
            ])
          })),
      NamedFinding("left_out", .count(answer.leftOut)),
    ]
  }
}
