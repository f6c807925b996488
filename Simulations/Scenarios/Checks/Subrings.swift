// Whether the members of each community stand on one ring of their own: compared with the sorted list of
// those that live, as everybody who is reachable ought to have his true neighbours.

import Base
import Node

/// How many members have the right neighbours on their subring.
public struct Subrings: Sendable {
  public var members = 0
  public var right = 0

  public init() {}

  public var isWhole: Bool { members == right }

  /// - Parameter stage: for who lives, in which community and in which part of the network.
  static func inspect(_ stage: Stage) -> Subrings {
    var circles: [String: [Int]] = [:]
    for entry in stage.census.living {
      guard let community = stage.world.hosts[entry.node].configuration.tunnel?.community else { continue }
      circles["\(community.name) \(stage.component(ofNode: entry.node))", default: []].append(entry.node)
    }
    var found = Subrings()
    // The living are sorted by ID, and so is each circle; sums do not depend on the order of the circles.
    for (_, circle) in circles {
      for (place, node) in circle.enumerated() {
        found.members += 1
        let next = stage.ids[circle[(place + 1) % circle.count]]
        let previous = stage.ids[circle[(place + circle.count - 1) % circle.count]]
        guard let view = stage.world.hosts[node].core.subringView else { continue }
        let isAlone = circle.count == 1 && view.left.isEmpty && view.right.isEmpty
        let isRight =
          view.isSettled && !view.left.isEmpty && !view.right.isEmpty && view.left[0] == previous
          && view.right[0] == next
        if isAlone || isRight { found.right += 1 }
      }
    }
    return found
  }
}
