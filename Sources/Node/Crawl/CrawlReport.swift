// What a crawl says of a ring: whether it is one ring, how consistent it is, and who stands out.
//
// The words are those of one moment each, and the moments differ: what changed meanwhile looks like a fault.
// And words are hearsay. So a report names nodes and says what is odd about them; what it means is for people
// (and `Explaining`) to find out.

import Base
import Overlay

/// What is odd about a node.
public struct RingFaults: OptionSet, Sendable, Equatable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Others have it for a neighbour, and it did not answer.
  public static let missing = RingFaults(rawValue: 1)
  /// Its nearest neighbour on a side is not the nearest node that answered.
  public static let wrongLeft = RingFaults(rawValue: 2)
  public static let wrongRight = RingFaults(rawValue: 4)
  /// Its second neighbour on a side is not the second node that answered.
  public static let wrongSecond = RingFaults(rawValue: 8)
  public static let unsettled = RingFaults(rawValue: 16)
  /// It is one of an unreachable pair.
  public static let unreachable = RingFaults(rawValue: 32)
  /// A neighbour has seen an older incarnation of it than it has.
  public static let stale = RingFaults(rawValue: 64)
}

/// A node that stands out.
public struct Outlier: Sendable, Equatable {
  public var id: OverlayID
  public var faults: RingFaults
}

/// Two nodes that stand beside each other, have both answered, and do not reach each other.
public struct UnreachablePair: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// One of them at least does not have the other among its neighbours.
    case noLink
    /// They reach each other through third nodes alone.
    case overlay
  }

  /// The second follows clockwise.
  public var first: OverlayID
  public var second: OverlayID
  public var kind: Kind
}

/// The judgement on what a crawl found.
public struct CrawlReport: Sendable {
  public let result: CrawlResult
  /// Those who answered, and what they list.
  public let map: RingMap
  /// How many answered.
  public var nodes: Int { map.count }
  /// Who is somebody's neighbour and did not answer.
  public private(set) var missing: [OverlayID] = []
  /// Nodes that were only told of, and did not answer either: most have died not long ago.
  public private(set) var rumoured = 0
  public let consistency: Consistency
  /// How often the ways from right neighbour to right neighbour lead round the ring: 1. (Of those who
  /// answered: who did not is passed over.)
  public let winding: Double
  public let cycles: [RingCycle]
  /// Who leads to which cycle, by rank; −1: to none.
  let cycleOf: [Int32]
  /// Nodes that are on no cycle.
  public let strays: Int
  /// Sets of nodes of which none lists one of another.
  public let parts: Int
  /// Nodes on the ring as those who answered reckon (the median).
  public let estimate: Int
  public private(set) var pairs: [UnreachablePair] = []
  /// In the order of IDs.
  public private(set) var outliers: [Outlier] = []
  /// How many answers took so many hops: the length of their way.
  public private(set) var answersByHops: [Int] = []
  /// Of an answer, from the first question on.
  public let medianTime: Interval
  public let longestTime: Interval

  /// Rings that the nodes form: 1.
  public var components: Int { max(cycles.count, parts) }

  public init(_ result: CrawlResult) {
    self.result = result
    map = RingMap(result)
    let count = map.count
    consistency = Consistency(left: map.left, right: map.right, size: { _ in count })
    winding = map.winding
    (cycles, cycleOf) = map.cycles()
    strays = map.count - cycles.reduce(0) { $0 + $1.nodes }
    parts = map.parts()
    estimate = Self.median(map.words.map { Int($0.sizeEstimate) })
    let times = result.nodes.filter { $0.word != nil && $0.id != result.origin }.map(\.took.ns).sorted()
    medianTime = Interval(ns: times.isEmpty ? 0 : times[times.count / 2])
    longestTime = Interval(ns: times.last ?? 0)
    for node in result.nodes {
      if node.word == nil, node.outcome != .notAsked {
        if node.isNeighbour { missing.append(node.id) } else { rumoured += 1 }
      } else if node.word != nil, node.id != result.origin {
        while answersByHops.count <= Int(node.hops) { answersByHops.append(0) }
        answersByHops[Int(node.hops)] += 1
      }
    }
    findPairs()
    findOutliers()
  }

  private static func median(_ values: [Int]) -> Int {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
  }

  // MARK: - Who stands out

  private mutating func findPairs() {
    guard map.count > 1 else { return }
    for rank in 0..<(map.count == 2 ? 1 : map.count) {
      let next = map.neighbour(of: rank, 1)
      let (a, b) = (map.ids[rank], map.ids[next])
      guard let forth = map.entry(of: rank, for: b), let back = map.entry(of: next, for: a) else {
        pairs.append(UnreachablePair(first: a, second: b, kind: .noLink))
        continue
      }
      if !forth.path.isOwn || !back.path.isOwn {
        pairs.append(UnreachablePair(first: a, second: b, kind: .overlay))
      }
    }
  }

  private mutating func findOutliers() {
    var faults = map.ids.indices.map { ownFaults($0) }
    for pair in pairs {
      for id in [pair.first, pair.second] {
        if let rank = map.rank(of: id) { faults[rank].insert(.unreachable) }
      }
    }
    for word in map.words {
      for list in [word.left, word.right] {
        for i in 0..<list.count {
          guard let rank = map.rank(of: list[i].id), list[i].incarnation != 0,
            list[i].incarnation < map.words[rank].incarnation
          else { continue }
          faults[rank].insert(.stale)
        }
      }
    }
    outliers = missing.map { Outlier(id: $0, faults: .missing) }
    for rank in faults.indices where !faults[rank].isEmpty {
      outliers.append(Outlier(id: map.ids[rank], faults: faults[rank]))
    }
    outliers.sort { $0.id < $1.id }
  }

  private func ownFaults(_ rank: Int) -> RingFaults {
    var faults: RingFaults = map.words[rank].phase == .settled ? [] : .unsettled
    if map.count > 1 {
      if Int(map.left[4 * rank]) != map.neighbour(of: rank, -1) { faults.insert(.wrongLeft) }
      if Int(map.right[4 * rank]) != map.neighbour(of: rank, 1) { faults.insert(.wrongRight) }
    }
    if map.count > 2 {
      if Int(map.left[4 * rank + 1]) != map.neighbour(of: rank, -2)
        || Int(map.right[4 * rank + 1]) != map.neighbour(of: rank, 2)
      {
        faults.insert(.wrongSecond)
      }
    }
    return faults
  }

  // MARK: - The verdict

  /// Why the ring is not whole; empty when it is.
  public var reasons: [String] {
    var reasons: [String] = []
    if cycles.count > 1 {
      let sizes = cycles.map(\.nodes).sorted(by: >).prefix(4).map(String.init).joined(separator: ", ")
      reasons.append("it is \(cycles.count) rings (of \(sizes)\(cycles.count > 4 ? ", …" : "") nodes)")
    }
    if let loopy = cycles.first(where: { $0.winding > 1 }) {
      reasons.append("it winds \(loopy.winding) times round")
    }
    if cycles.isEmpty {
      reasons.append("the right neighbours lead nowhere")
    } else if strays > 0 {
      reasons.append("\(Self.nodes(strays)) \(strays == 1 ? "stands" : "stand") beside it")
    }
    if parts > max(cycles.count, 1) { reasons.append("its nodes are in \(parts) parts") }
    if !missing.isEmpty { reasons.append("\(Self.nodes(missing.count)) did not answer") }
    let wrong = outliers.count { !$0.faults.isDisjoint(with: [.wrongLeft, .wrongRight, .wrongSecond]) }
    if wrong > 0 {
      reasons.append("\(Self.nodes(wrong)) \(wrong == 1 ? "has" : "have") wrong neighbours")
    }
    if estimate > 2 * (nodes + missing.count) {
      reasons.append("its nodes reckon with about \(estimate) of them")
    }
    if result.isCutShort { reasons.append("the crawl ended before all were asked") }
    return reasons
  }

  /// One ring, once round, of everybody who was named, and all agree on their neighbours.
  public var isWhole: Bool { reasons.isEmpty }

  /// One sentence for people.
  public var verdict: String {
    let reasons = reasons
    var text = reasons.isEmpty ? "ring whole: " : "ring NOT whole: "
    text += "\(Self.nodes(nodes)), consistency \(Self.thousandths(consistency.final))"
    if !pairs.isEmpty { text += ", \(pairs.count) unreachable pair\(pairs.count == 1 ? "" : "s")" }
    if let last = reasons.last {
      let others = reasons.dropLast().joined(separator: ", ")
      text += ", because " + (others.isEmpty ? last : "\(others) and \(last)")
    }
    return text
  }

  private static func nodes(_ count: Int) -> String { count == 1 ? "1 node" : "\(count) nodes" }

  /// A share with three places, rounded down: 1.000 is all of them.
  public static func thousandths(_ share: Double) -> String {
    let whole = max(0, Int(share * 1_000 + 1e-9))
    let rest = String(whole % 1_000)
    return "\(whole / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }
}

extension PathKind {
  /// Whether the path is one of the two nodes, and not a way over third ones' links.
  var isOwn: Bool {
    switch self {
    case .lan, .direct, .tcp, .proxy: true
    case .overlay, .idle, .offline: false
    }
  }
}
