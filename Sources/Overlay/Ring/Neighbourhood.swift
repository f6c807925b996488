// The nearest linked nodes on both sides of this one.
//
// Only nodes with which a session is up count (verify before adopt): hearsay orders nobody. When near ones
// are missing, far links fill the lists. They are spare ways and no claim that nobody lies between: what a
// node takes for a stretch of the ring without gaps is the part of a list in which each names the next, as in
// a successor list that is copied from the successor (Zave, "Reasoning about identifier spaces", 2017).

import Base

/// Slots of the nearest peers, nearest first.
public struct Neighbourhood: Sendable, BitwiseCopyable {
  /// Linked neighbours a side.
  public static let side = 4

  /// Counter-clockwise: the first is the predecessor.
  public internal(set) var left = BoundedArray<4, Int32>()
  /// Clockwise: the first is the successor.
  public internal(set) var right = BoundedArray<4, Int32>()

  public var predecessor: Int? { left.isEmpty ? nil : Int(left[0]) }
  public var successor: Int? { right.isEmpty ? nil : Int(right[0]) }

  public func contains(_ slot: Int) -> Bool {
    left.contains { $0 == slot } || right.contains { $0 == slot }
  }

  /// The slots of both sides, each once.
  var all: BoundedArray<8, Int32> {
    var slots = BoundedArray<8, Int32>()
    for list in [left, right] {
      for i in 0..<list.count where !slots.contains(where: { $0 == list[i] }) { slots.append(list[i]) }
    }
    return slots
  }

  /// Whether a node with this ID would be among the nearest of one side.
  func wants(_ candidate: OverlayID, around me: OverlayID, _ peers: borrowing RecordTable<Peer>) -> Bool {
    if left.count < Self.side || right.count < Self.side { return true }
    let lastRight = peers[Int(right[right.count - 1])].id
    let lastLeft = peers[Int(left[left.count - 1])].id
    return me.clockwise(to: candidate) < me.clockwise(to: lastRight)
      || candidate.clockwise(to: me) < lastLeft.clockwise(to: me)
  }

  /// Whether a node with this ID, if there is one, ought to be linked here.
  func covers(_ id: OverlayID, around me: OverlayID, _ peers: borrowing RecordTable<Peer>) -> Bool {
    !left.isEmpty && wants(id, around: me, peers)
  }

  /// How many entries of each list follow each other without a gap, by their own words: the first names this
  /// node as its nearest on that side, and each names the next one.
  public func contiguous(_ peers: borrowing RecordTable<Peer>) -> (left: Int, right: Int) {
    var lengths = (left: 0, right: 0)
    if let first = successor, peers[first].namesUsPredecessor {
      lengths.right = 1
      while lengths.right < right.count,
        peers[Int(right[lengths.right - 1])].namedRight == peers[Int(right[lengths.right])].id.high
      {
        lengths.right += 1
      }
    }
    if let first = predecessor, peers[first].namesUsSuccessor {
      lengths.left = 1
      while lengths.left < left.count,
        peers[Int(left[lengths.left - 1])].namedLeft == peers[Int(left[lengths.left])].id.high
      {
        lengths.left += 1
      }
    }
    return lengths
  }

  /// The neighbour that owns the key as far as this node can see: the first at or behind it. Nil for keys
  /// that lie beyond the neighbours without a gap, and for our own.
  func owner(of key: OverlayID, around me: OverlayID, _ peers: borrowing RecordTable<Peer>) -> Int? {
    let lengths = contiguous(peers)
    // The successor is asked in any case: nobody can know better.
    for i in 0..<min(max(lengths.right, 1), right.count)
    where key.isIn(after: me, through: peers[Int(right[i])].id) {
      return Int(right[i])
    }
    for i in 0..<max(lengths.left - 1, 0) {
      let (from, to) = (peers[Int(left[i + 1])].id, peers[Int(left[i])].id)
      if key.isIn(after: from, through: to) { return Int(left[i]) }
    }
    return nil
  }

  /// - Parameter order: the peers that are up.
  mutating func recompute(_ me: OverlayID, _ order: RingOrder) {
    left = order.nearest(to: me, isClockwise: false)
    right = order.nearest(to: me, isClockwise: true)
  }
}
