// Rings of made-up lists, what the formulae say of all of them at once, and how answers are folded on their
// way up a tree such as broadcasts go.

import Base
import Overlay
import Testing

@testable import Node

/// Nodes that say who their neighbours are.
struct PaperRing {
  /// Rising. Those that answer.
  var records: [NeighbourRecord] = []

  /// - Parameters:
  ///   - turns: how often the ring is wound; or, `areApart`, how many rings there are, node by node.
  ///   - skips: whether a node does not know of another one, by their ranks.
  ///   - isSilent: whether a node does not answer, though others list it.
  init(
    _ places: [UInt64], turns: Int = 1, areApart: Bool = false,
    skips: (Int, Int) -> Bool = { _, _ in false }, isSilent: (Int) -> Bool = { _ in false }
  ) {
    let count = places.count
    for rank in 0..<count where !isSilent(rank) {
      func seek(_ direction: Int) -> [UInt64] {
        var found: [UInt64] = []
        var at = rank
        for _ in 0..<count {
          // A ring that is wound twice leads to the other half's turn where it meets its beginning.
          at = (at + direction * (areApart ? 1 : turns) % count + count) % count
          if at == rank { break }
          if areApart, at % turns != rank % turns { continue }
          if !skips(rank, at) { found.append(places[at]) }
          if found.count == 2 { break }
        }
        return found
      }
      let (left, right) = (seek(-1), seek(1))
      records.append(
        NeighbourRecord(
          place: places[rank], l1: left.first, l2: left.dropFirst().first, r1: right.first,
          r2: right.dropFirst().first))
    }
  }

  /// Places of so many nodes, rising.
  static func places(_ count: Int, _ random: inout Random) -> [UInt64] {
    (0..<count).map { _ in random.next() }.sorted()
  }

  /// Lists somebody else at one of four places of a record, by rank.
  mutating func replace(_ rank: Int, _ pointer: Int, by place: UInt64?) {
    let old = records[rank]
    records[rank] = NeighbourRecord(
      place: old.place, l1: pointer == 0 ? place : old.l1, l2: pointer == 1 ? place : old.l2,
      r1: pointer == 2 ? place : old.r1, r2: pointer == 3 ? place : old.r2)
  }

  // MARK: - The formulae

  /// What all lists together come to.
  struct Truth: Equatable {
    var nodes = 0
    var method1 = 0
    var method2 = 0
    var method3 = 0
    var second = 0
    var circles = 0
    var gaps: UInt128 = 0
  }

  var truth: Truth {
    var all: [UInt64: NeighbourRecord] = [:]
    for record in records { all[record.place] = record }
    func said(_ place: UInt64?) -> NeighbourRecord? { place.flatMap { all[$0] } }
    var truth = Truth(nodes: records.count)
    for a in records {
      let isHit2 = records.count == 1 || said(a.l1)?.r1 == a.place
      var isHit1 = isHit2
      var isSecond = isHit2
      if records.count > 2 {
        isHit1 = said(a.l1) != nil && said(a.l2) != nil && said(a.l2)?.r1 == a.l1
        isSecond = said(a.l2)?.r2 == a.place
      }
      truth.method1 += isHit1 ? 1 : 0
      truth.method2 += isHit2 ? 1 : 0
      truth.method3 += isHit1 && isHit2 ? 1 : 0
      truth.second += isSecond ? 1 : 0
      truth.gaps += UInt128(a.r1.map { $0 &- a.place } ?? 0)
    }
    if records.count == 1 { truth.gaps = 1 << 64 }
    truth.circles = records.count == 1 ? 1 : circles(all)
    return truth
  }

  private func circles(_ all: [UInt64: NeighbourRecord]) -> Int {
    var walkOf: [UInt64: Int] = [:]
    var count = 0
    for (walk, record) in records.enumerated() {
      var at: NeighbourRecord? = record
      while let here = at, walkOf[here.place] == nil {
        walkOf[here.place] = walk
        at = here.r1.flatMap { all[$0] }
      }
      if let here = at, walkOf[here.place] == walk { count += 1 }
    }
    return count
  }

  /// How many nodes list as their l1, l2 or r1 somebody who does not list them, beyond so many others.
  /// - Parameter hasR2: whether their r2 counts as well.
  func farClaims(beyond border: Int, hasR2: Bool = false) -> Int {
    var count = 0
    for (rank, a) in records.enumerated() {
      let isFar = [a.l1, a.l2, a.r1, hasR2 ? a.r2 : nil].contains { place in
        guard let other = ConsistencyAnswer.find(place, in: records) else { return false }
        let x = records[other]
        let distance = (other - rank + records.count) % records.count
        return ![x.l1, x.l2, x.r1, x.r2].contains(a.place)
          && min(distance, records.count - distance) > border
      }
      count += isFar ? 1 : 0
    }
    return count
  }

  /// Those that are listed and do not answer.
  var silent: [UInt64] {
    let all = records.flatMap { [$0.l1, $0.l2, $0.r1, $0.r2].compactMap(\.self) }
    return Set(all.filter { ConsistencyAnswer.find($0, in: records) == nil }).sorted()
  }

  // MARK: - The tree

  /// What travels over an edge: how many bytes, and how many nodes stand behind it.
  typealias Edge = (bytes: Int, nodes: UInt32)

  /// The answer of the whole ring, as somebody asks who stands at `rank`.
  func folded(from rank: Int, _ random: inout Random, edges: inout [Edge]) -> ConsistencyAnswer {
    fold(rank, in: .all(but: records[rank].place), isWhole: true, &random, &edges)
  }

  /// What the folded answer counts.
  static func counted(_ answer: ConsistencyAnswer) -> Truth {
    Truth(
      nodes: Int(answer.hits.nodes), method1: Int(answer.hits.method1), method2: Int(answer.hits.method2),
      method3: Int(answer.hits.method3), second: Int(answer.hits.second), circles: Int(answer.circles),
      gaps: answer.hits.gaps)
  }

  private func fold(
    _ rank: Int, in arc: Arc, isWhole: Bool, _ random: inout Random, _ edges: inout [Edge]
  ) -> ConsistencyAnswer {
    let own = records[rank].place
    var answers = [ConsistencyAnswer(records[rank], isSettled: true, foreign: 0)]
    let inside = ranks(in: arc).filter { $0 != rank }
    // Who asks stands anywhere in its arc, and knows somebody on both sides.
    let before = inside.filter { records[$0].place &- arc.from < own &- arc.from && arc.contains(own) }
    let behind = inside.filter { !(records[$0].place &- arc.from < own &- arc.from && arc.contains(own)) }
    var chosen: [Int] = []
    for side in [before, behind] where !side.isEmpty {
      for _ in 0...random.below(5) { chosen.append(side[Int(random.below(UInt64(side.count)))]) }
    }
    var children = BoundedArray<32, UInt64>()
    for place in chosen.map({ records[$0].place &- arc.from }).sorted()
    where children.isEmpty || children[children.count - 1] != place &+ arc.from {
      children.append(place &+ arc.from)
    }
    let shares = arc.shares(of: children, around: own)
    for i in 0..<children.count {
      let child = ConsistencyAnswer.find(children[i], in: records)!
      let answer = fold(child, in: shares[i], isWhole: false, &random, &edges)
      let bytes = TaskWire.bytes(answer)
      edges.append((bytes.count, answer.nodes))
      answers.append(TaskWire.read(ConsistencyAnswer.self, bytes)!)
    }
    return ConsistencyTask.reduce(answers, in: arc, isWhole: isWhole)
  }

  /// The ranks of those in an arc.
  private func ranks(in arc: Arc) -> [Int] {
    func firstAfter(_ place: UInt64) -> Int {
      var (low, high) = (0, records.count)
      while low < high {
        let middle = (low + high) / 2
        if records[middle].place <= place { low = middle + 1 } else { high = middle }
      }
      return low
    }
    var ranks: [Int] = []
    var at = firstAfter(arc.from)
    for _ in 0..<records.count {
      if at == records.count { at = 0 }
      guard arc.contains(records[at].place) else { break }
      ranks.append(at)
      at += 1
    }
    return ranks
  }
}

/// Answers as bytes.
enum TaskWire {
  static let answerBytesMax = 24 << 10

  static func bytes(_ answer: some WireCodable, capacity: Int = answerBytesMax) -> [UInt8] {
    let room = Scratch(capacity: capacity)
    guard let count = answer.encode(into: room.frame) else {
      Issue.record("an answer does not fit")
      return []
    }
    return room.frame.prefix(count).bytes
  }

  static func read<Answer: WireCodable>(_ type: Answer.Type, _ bytes: [UInt8]) -> Answer? {
    let room = Scratch(capacity: max(bytes.count, 1))
    room.frame.prefix(bytes.count).write(bytes)
    return try? Answer(decoding: room.frame.prefix(bytes.count))
  }
}
