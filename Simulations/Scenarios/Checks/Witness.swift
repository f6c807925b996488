// What the checks of a ring are told: what each node believes, and what is true of it.
//
// A belief comes from the node itself and may be wrong; the rest comes from the simulator, which knows. The
// checks are functions of these values alone, so that broken rings can be made by hand.

import Base
import Node

/// What one node takes its place on the ring to be.
public struct Belief: Sendable, BitwiseCopyable {
  public var id: OverlayID
  /// It takes itself for the owner of the keys between its predecessor and itself.
  public var isSettled: Bool
  /// Linked neighbours counter-clockwise, nearest first.
  public var left: BoundedArray<4, OverlayID>
  /// Linked neighbours clockwise, nearest first.
  public var right: BoundedArray<4, OverlayID>
  /// Of each list, how many it takes to follow each other without a gap: its extended successor list, and
  /// that of the other side. What stands behind them are spare links.
  public var contiguousLeft: Int
  public var contiguousRight: Int

  public init(
    id: OverlayID, isSettled: Bool, left: BoundedArray<4, OverlayID>, right: BoundedArray<4, OverlayID>,
    contiguousLeft: Int = 4, contiguousRight: Int = 4
  ) {
    self.contiguousLeft = contiguousLeft
    self.contiguousRight = contiguousRight
    self.id = id
    self.isSettled = isSettled
    self.left = left
    self.right = right
  }

  public init(_ view: RingView) {
    self.init(
      id: view.id, isSettled: view.isSettled, left: view.left, right: view.right,
      contiguousLeft: view.contiguousLeft, contiguousRight: view.contiguousRight)
  }

  /// Whether both lists are contiguous to their ends.
  public var isGapless: Bool { contiguousLeft >= left.count && contiguousRight >= right.count }
}

/// One living node.
public struct Witness: Sendable, BitwiseCopyable {
  /// The node's number in the simulation.
  public var number: Int
  /// Nodes with the same component can reach each other; those of different ones cannot.
  public var component: Int
  /// It has been settled before: from then on the invariants bind it.
  public var hasJoined: Bool
  public var belief: Belief

  public init(number: Int, component: Int, hasJoined: Bool, belief: Belief) {
    self.number = number
    self.component = component
    self.hasJoined = hasJoined
    self.belief = belief
  }
}

/// What became of an ID that no living node has.
public enum Fate: Sendable, Equatable {
  /// A node that had it, until then.
  case died(Instant)
  /// No node ever had it.
  case ghost
}
