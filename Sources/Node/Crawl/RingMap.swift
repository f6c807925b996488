// The words of those who answered, as flat tables: each node is its rank in the order of the ring, and its
// lists are ranks. What is judged, explained and drawn is read from here.

import Base
import Overlay

/// Everybody who answered in a crawl.
public struct RingMap: Sendable {
  /// An entry of a list that did not answer, and one beyond the end of a list.
  static let unknown: Int32 = -1
  static let none: Int32 = -2

  /// Sorted.
  public let ids: [OverlayID]
  let words: [Testimony]
  /// Four for each rank, nearest first.
  let left: [Int32]
  let right: [Int32]
  /// The first right neighbour that answered; −1: there is none.
  let next: [Int32]

  public var count: Int { ids.count }

  public init(_ result: CrawlResult) {
    let answered = result.nodes.filter { $0.word != nil }
    let ids = answered.map(\.id)
    let words = answered.compactMap(\.word)
    func ranks(_ list: BoundedArray<4, Testimony.Neighbour>) -> [Int32] {
      (0..<4).map { $0 < list.count ? Self.rank(of: list[$0].id, in: ids) : Self.none }
    }
    var left: [Int32] = []
    var right: [Int32] = []
    left.reserveCapacity(4 * ids.count)
    right.reserveCapacity(4 * ids.count)
    for word in words {
      left += ranks(word.left)
      right += ranks(word.right)
    }
    self.ids = ids
    self.words = words
    self.left = left
    self.right = right
    next = ids.indices.map { rank in
      right[(4 * rank)..<(4 * rank + 4)].first { $0 >= 0 && Int($0) != rank } ?? -1
    }
  }

  /// The rank of a node; nil when it did not answer.
  public func rank(of id: OverlayID) -> Int? {
    let rank = Self.rank(of: id, in: ids)
    return rank < 0 ? nil : Int(rank)
  }

  /// The rank of the node that stands so many places clockwise; fewer than none: the other way.
  func neighbour(of rank: Int, _ steps: Int) -> Int { ((rank + steps) % count + count) % count }

  /// What `rank` says of a neighbour, on whichever side it has it.
  func entry(of rank: Int, for id: OverlayID) -> Testimony.Neighbour? {
    for list in [words[rank].right, words[rank].left] {
      if let i = list.firstIndex(where: { $0.id == id }) { return list[i] }
    }
    return nil
  }

  /// Whether `rank` was told of the node and has no link with it.
  func misses(_ id: OverlayID, at rank: Int) -> Testimony.Missed? {
    let list = words[rank].missed
    return list.firstIndex { $0.id == id }.map { list[$0] }
  }

  /// The rank of the node whose ID begins with these 64 bits; nil when it did not answer.
  func rank(leading word: UInt64) -> Int? {
    let rank = Self.position(of: OverlayID(high: word, middle: 0, low: 0), in: ids)
    return rank < ids.count && ids[rank].high == word ? rank : nil
  }

  private static func rank(of id: OverlayID, in ids: [OverlayID]) -> Int32 {
    let position = position(of: id, in: ids)
    return position < ids.count && ids[position] == id ? Int32(position) : unknown
  }

  /// The rank of the first node whose ID is not below this one.
  private static func position(of id: OverlayID, in ids: [OverlayID]) -> Int {
    var (low, high) = (0, ids.count)
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// A way from right neighbour to right neighbour that comes back to its beginning.
public struct RingCycle: Sendable, Equatable {
  public var nodes: Int
  /// How often it goes round the ring before it closes.
  public var winding: Int
}

extension RingMap {
  /// How often the ways to the right neighbours lead round the ring, all together. Whole numbers are exact:
  /// the sum is one of integers.
  var winding: Double {
    if count == 1 { return 1 }
    var sum: UInt128 = 0
    for rank in ids.indices where next[rank] >= 0 { sum += UInt128(gap(rank)) }
    return Double(sum >> 64) + Double(UInt64(truncatingIfNeeded: sum)) / 18_446_744_073_709_551_616.0
  }

  /// From a node clockwise to its first right neighbour that answered, in parts of 2^-64 of the ring.
  private func gap(_ rank: Int) -> UInt64 { ids[Int(next[rank])].high &- ids[rank].high }

  /// The cycles, and to which of them each node leads (−1: to none).
  func cycles() -> (cycles: [RingCycle], of: [Int32]) {
    if count == 1 { return ([RingCycle(nodes: 1, winding: 1)], [0]) }
    let unseen: Int32 = -3
    let onTrail: Int32 = -2
    var found: [RingCycle] = []
    var marks = [Int32](repeating: unseen, count: count)
    for start in ids.indices where marks[start] == unseen {
      var trail: [Int] = []
      var at = start
      while at >= 0, marks[at] == unseen {
        marks[at] = onTrail
        trail.append(at)
        at = Int(next[at])
      }
      var end: Int32 = at < 0 ? -1 : marks[at]
      if end == onTrail {
        end = Int32(found.count)
        found.append(cycle(through: at))
      }
      for rank in trail { marks[rank] = end }
    }
    return (found, marks)
  }

  private func cycle(through start: Int) -> RingCycle {
    var cycle = RingCycle(nodes: 0, winding: 0)
    var sum: UInt128 = 0
    var at = start
    repeat {
      cycle.nodes += 1
      sum += UInt128(gap(at))
      at = Int(next[at])
    } while at != start
    cycle.winding = Int(truncatingIfNeeded: sum >> 64)
    return cycle
  }

  /// Sets of nodes that are joined by what anybody lists, whichever way.
  func parts() -> Int {
    var parent = Array(ids.indices)
    func root(_ rank: Int) -> Int {
      var at = rank
      while parent[at] != at {
        parent[at] = parent[parent[at]]
        at = parent[at]
      }
      return at
    }
    var parts = count
    for rank in ids.indices {
      for list in [left, right] {
        for entry in list[(4 * rank)..<(4 * rank + 4)] where entry >= 0 {
          let (a, b) = (root(rank), root(Int(entry)))
          if a != b {
            parent[a] = b
            parts -= 1
          }
        }
      }
    }
    return parts
  }
}
