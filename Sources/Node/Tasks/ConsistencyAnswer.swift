// How consistent a part of the ring is: sums over the nodes about which all is known, and the lists of those
// about which it is not.
//
//  offset  size  field
//       0    44  sums over the nodes that are settled for good (`RingHits`; the last fields over all)
//      44     4  circles that the ways from node to r1 have closed to
//      48     4  ways that end with a node whose r1 was never heard
//      52     4  nodes whose neighbours were not all heard
//      56     4  nodes for whose lists there was no room: what was undecided of them counts as missed
//      60     …  nodes that failed a check: a list of at most 64 (8 place, 1 checks)
//       …     4  such nodes beyond these
//       …     …  places that were named and not heard: a list of at most 32 (8 place, 8 by whom)
//       …     4  times that others were named
//       …     …  the table of places (`PlaceTable`); its subjects are the nodes with lists
//       …     …  for each of these: 1 checks, the numbers of l1, l2, r1, r2 and of the end of its way
//
// Checks are bits: l1, l2, r1, r2 was heard (0–3), method 1, 2, second holds (4–6).

import Base

/// A part of the ring.
struct ConsistencyAnswer: Equatable, Sendable {
  /// A node that failed a check.
  struct Broken: Equatable, Sendable, BitwiseCopyable {
    let place: UInt64
    /// `NeighbourRecord.Checks`.
    let checks: UInt8
  }

  /// A place that somebody names as its neighbour's, and nobody was heard from.
  struct Unanswered: Equatable, Sendable, BitwiseCopyable {
    let place: UInt64
    let namedBy: UInt64
  }

  /// Nodes with lists in an answer: what fits when no two of them name the same place.
  static let openMax = 400
  /// Nodes, and places, that are named; of more there is a count. (No inline arrays: the optimiser takes
  /// hours over structs of hundreds of words.)
  static let brokenMax = 64
  static let unansweredMax = 32

  var hits = RingHits()
  var circles: UInt32 = 0
  var looseEnds: UInt32 = 0
  var unheard: UInt32 = 0
  var undecided: UInt32 = 0
  var broken: [Broken] = []
  var brokenBeyond: UInt32 = 0
  var unanswered: [Unanswered] = []
  var unansweredBeyond: UInt32 = 0
  /// Rising by place.
  var open: [NeighbourRecord] = []

  init() {}

  /// The word of one node.
  init(_ record: NeighbourRecord, isSettled: Bool, foreign: Int) {
    open = [record]
    hits.unsettled = isSettled ? 0 : 1
    hits.foreign = UInt32(clamping: foreign)
  }

  /// Nodes that are in it.
  var nodes: UInt32 { hits.nodes.plus(UInt32(open.count)) }

  /// Takes in the sums and lists of another part, without the open records.
  mutating func add(_ other: ConsistencyAnswer) {
    hits.add(other.hits)
    circles.grow(by: other.circles)
    looseEnds.grow(by: other.looseEnds)
    unheard.grow(by: other.unheard)
    undecided.grow(by: other.undecided)
    for node in other.broken { note(node) }
    brokenBeyond.grow(by: other.brokenBeyond)
    for place in other.unanswered { note(place) }
    unansweredBeyond.grow(by: other.unansweredBeyond)
  }

  mutating func note(_ node: Broken) {
    if broken.count < Self.brokenMax { broken.append(node) } else { brokenBeyond.grow(by: 1) }
  }

  mutating func note(_ place: Unanswered) {
    if unanswered.contains(where: { $0.place == place.place }) { return }
    if unanswered.count < Self.unansweredMax {
      unanswered.append(place)
    } else {
      unansweredBeyond.grow(by: 1)
    }
  }
}

extension ConsistencyAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    hits = try RingHits(from: &reader)
    circles = try reader.integer()
    looseEnds = try reader.integer()
    unheard = try reader.integer()
    undecided = try reader.integer()
    let brokenCount = Int(try reader.byte())
    try reader.require(brokenCount <= Self.brokenMax)
    for _ in 0..<brokenCount {
      let node = Broken(place: try reader.integer(), checks: try reader.byte())
      try reader.require(node.checks <= NeighbourRecord.Checks.all.rawValue)
      broken.append(node)
    }
    brokenBeyond = try reader.integer()
    let unansweredCount = Int(try reader.byte())
    try reader.require(unansweredCount <= Self.unansweredMax)
    for _ in 0..<unansweredCount {
      unanswered.append(Unanswered(place: try reader.integer(), namedBy: try reader.integer()))
    }
    unansweredBeyond = try reader.integer()
    var table = try PlaceTable(from: &reader)
    try reader.require(table.subjects <= Self.openMax)
    for i in 0..<table.subjects {
      let checks = NeighbourRecord.Checks(rawValue: try reader.byte())
      try reader.require(checks.rawValue <= NeighbourRecord.Checks.all.rawValue)
      var record = NeighbourRecord(
        place: table.subject(i), l1: try table.read(from: &reader), l2: try table.read(from: &reader),
        r1: try table.read(from: &reader), r2: try table.read(from: &reader))
      record.checks = checks
      record.end = try table.read(from: &reader)
      open.append(record)
    }
    try table.finish(reader)
    for record in open where record.end != nil {
      try reader.require(Self.find(record.end, in: open).map { open[$0].isEnd } == true)
    }
  }

  func encode(to writer: inout WireWriter) {
    hits.encode(to: &writer)
    writer.integer(circles)
    writer.integer(looseEnds)
    writer.integer(unheard)
    writer.integer(undecided)
    writer.byte(UInt8(broken.count))
    for node in broken {
      writer.integer(node.place)
      writer.byte(node.checks)
    }
    writer.integer(brokenBeyond)
    writer.byte(UInt8(unanswered.count))
    for place in unanswered {
      writer.integer(place.place)
      writer.integer(place.namedBy)
    }
    writer.integer(unansweredBeyond)
    let table = PlaceTable(
      subjects: open.map(\.place), named: open.flatMap { [$0.l1, $0.l2, $0.r1, $0.r2].compactMap(\.self) })
    table.encode(to: &writer)
    for record in open {
      writer.byte(record.checks.rawValue)
      for place in [record.l1, record.l2, record.r1, record.r2, record.end] {
        table.write(place, to: &writer)
      }
    }
  }

  /// Where the record of a place stands among records that rise by place.
  static func find(_ place: UInt64?, in records: [NeighbourRecord]) -> Int? {
    guard let place else { return nil }
    var low = 0
    var high = records.count
    while low < high {
      let middle = (low + high) / 2
      if records[middle].place < place { low = middle + 1 } else { high = middle }
    }
    return low < records.count && records[low].place == place ? low : nil
  }
}
