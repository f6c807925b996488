// Answers of tasks with made-up values: for the tests of the decoders, and to be folded by the thousand.

import Base
import Overlay

@testable import Node

/// Every type of an answer.
let taskAnswers: [Kind] = [
  Kind("RingHits") { $0.ringHits() },
  Kind("ConsistencyAnswer") { $0.consistency(nodes: Int($0.below(8))) },
  Kind("Counts") { random in
    var counts = Counts<5>()
    for _ in 0..<random.below(20) { counts.count(Int(random.below(5))) }
    return counts
  },
  Kind("Spread") { $0.spread() },
  Kind("ProgramVersion") { $0.version() },
  Kind("VersionsAnswer") { $0.versions() },
  Kind("NATAnswer") { $0.nat() },
  Kind("LatencyAnswer") { $0.latency() },
  Kind("LoadAnswer") { $0.load() },
  Kind("NeighboursAnswer") { random in
    NeighboursAnswer(folding: (0..<random.below(8)).map { _ in random.graph() }, in: .all(but: 0))
  },
]

extension Random {
  /// Mostly any number; often the largest.
  mutating func extreme() -> UInt64 { below(4) == 0 ? .max : next() >> below(64) }

  mutating func count32() -> UInt32 { UInt32(truncatingIfNeeded: extreme()) }

  mutating func ringHits() -> RingHits {
    RingHits(
      nodes: count32(), method1: count32(), method2: count32(), method3: count32(), second: count32(),
      unsettled: count32(), foreign: count32(), gaps: UInt128(extreme()) << 64 | UInt128(extreme()))
  }

  /// Sums, lists, and records that name each other and strangers.
  mutating func consistency(nodes: Int) -> ConsistencyAnswer {
    var answer = ConsistencyAnswer()
    answer.hits = ringHits()
    answer.circles = count32()
    answer.looseEnds = count32()
    answer.unheard = count32()
    answer.undecided = count32()
    for _ in 0..<below(66) { answer.note(.init(place: extreme(), checks: UInt8(below(128)))) }
    for _ in 0..<below(34) { answer.note(.init(place: extreme(), namedBy: extreme())) }
    let places = Set((0..<nodes).map { _ in extreme() }).sorted()
    func someone(_ random: inout Random) -> UInt64? {
      switch random.below(4) {
      case 0: nil
      case 1: random.extreme()
      default: places[Int(random.below(UInt64(places.count)))]
      }
    }
    for place in places {
      var record = NeighbourRecord(
        place: place, l1: someone(&self), l2: someone(&self), r1: someone(&self), r2: someone(&self))
      record.checks = NeighbourRecord.Checks(rawValue: UInt8(below(128)))
      answer.open.append(record)
    }
    for i in answer.open.indices where below(2) == 0 {
      let end = answer.open.indices.filter { answer.open[$0].isEnd && $0 != i }.first
      answer.open[i].end = end.map { answer.open[$0].place }
      for j in 0..<i where answer.open[j].end == places[i] { answer.open[j].end = answer.open[i].end }
    }
    return answer
  }

  mutating func spread() -> Spread {
    var spread = Spread()
    for _ in 0..<below(12) { spread.count(extreme(), of: next()) }
    return spread
  }

  mutating func version() -> ProgramVersion {
    ProgramVersion("\(below(3)).\(below(30))" + String(repeating: "x", count: Int(below(30))))
  }

  mutating func versions() -> VersionsAnswer {
    VersionsAnswer(folding: (0..<below(40)).map { _ in VersionsAnswer(version()) })
  }

  mutating func nat() -> NATAnswer {
    var answer = NATAnswer()
    for _ in 0..<below(30) {
      answer.mappings.count(Int(below(6)))
      answer.passages.count(Int(below(3)))
      answer.links.count(Int(below(7)))
      answer.neighbours.count(Int(below(7)))
    }
    return answer
  }

  mutating func latency() -> LatencyAnswer {
    var answer = LatencyAnswer()
    for _ in 0..<below(20) {
      answer.count(Interval(ns: extreme()), over: PathKind(rawValue: UInt8(below(7)))!, at: next())
    }
    return answer
  }

  mutating func load() -> LoadAnswer {
    LoadAnswer([extreme(), extreme(), extreme(), extreme(), extreme(), extreme()], of: next())
  }

  mutating func graph() -> NeighboursAnswer {
    NeighboursAnswer(
      NeighboursAnswer.Entry(
        place: next(), right: (0..<below(5)).map { _ in next() }, far: (0..<below(13)).map { _ in next() })
    )
  }
}
