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

  /// - Parameter order: the peers that are up.
  mutating func recompute(_ me: OverlayID, _ order: RingOrder) {
    left = order.nearest(to: me, isClockwise: false)
    right = order.nearest(to: me, isClockwise: true)
  }
}
