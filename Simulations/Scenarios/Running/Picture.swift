// What the drawing of the ring needs, taken from the truth and from what nodes list.

import Base
import Node

/// A node in a drawing of the ring.
public struct Dot: Sendable {
  /// Part of the circle, 0 to 1.
  public let place: Double
  public let isPerfect: Bool
  /// Its nearest neighbours on both sides are the true ones, whatever the others are.
  public let hasNearest: Bool
  public let isSettled: Bool
  public let component: Int
  /// Places of the nodes that it lists on its right; those that are not there are missing.
  public let right: [Double]
}

/// The ring at one moment.
public struct Picture: Sendable {
  /// Virtual seconds.
  public let at: Double
  public let dots: [Dot]

  init(at: Double, _ dots: [Dot]) {
    self.at = at
    self.dots = dots
  }
}

extension Stage {
  /// Everybody alive. The witnesses are those of the last look, sorted by ID.
  func picture(_ witnesses: [Witness]) -> [Dot] {
    var listing = Listing()
    listing.rebuild(witnesses)
    return witnesses.indices.map { rank in
      let belief = witnesses[rank].belief
      let (matching, wanted) = listing.matchingNeighbours(rank)
      return Dot(
        place: belief.id.share, isPerfect: matching == wanted, hasNearest: listing.hasNearest(rank),
        isSettled: belief.isSettled, component: witnesses[rank].component,
        right: (0..<belief.right.count).map { belief.right[$0].share })
    }
  }

  /// Links of a few nodes to others that are not their neighbours: pairs of places.
  func shortcuts(of count: Int) -> [(Double, Double)] {
    let living = census.living
    guard !living.isEmpty else { return [] }
    let step = max(living.count / count, 1)
    var result: [(Double, Double)] = []
    for rank in stride(from: 0, to: living.count, by: step) {
      let view = world.view(living[rank].node)
      let near = (0..<view.left.count).map { view.left[$0] } + (0..<view.right.count).map { view.right[$0] }
      for peer in world.hosts[living[rank].node].snapshot.peers where !near.contains(peer.id) {
        result.append((living[rank].id.share, peer.id.share))
      }
    }
    return result
  }
}
