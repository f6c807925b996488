// Which pairs of nodes can reach each other directly at all: the truth that punching is measured by.

import Base

/// What stands in front of a node, for those who want to reach it.
public enum Reach: String, Sendable, CaseIterable {
  /// Nothing.
  case open
  /// Boxes that show all destinations the same port.
  case easy
  /// A box among them shows each destination another port.
  case hard
  /// No UDP gets out.
  case blocked
}

extension World {
  /// What stands in front of a node.
  public func reach(of node: Int) -> Reach {
    if records[checked(node)].flags.contains(.blocked) { return .blocked }
    let boxes = chain(node)
    return boxes.isEmpty ? .open : hasHard(boxes[...]) ? .hard : .easy
  }

  /// Whether two nodes can have a direct path: in one network; else if not both show each destination another
  /// port, and, where they share a box farther out, if that one leads back in.
  public func canBeDirect(_ a: Int, _ b: Int) -> Bool {
    let reaches = [reach(of: a), reach(of: b)]
    if reaches.contains(.blocked) { return false }
    var chains = (chain(a)[...], chain(b)[...])
    if let first = chains.0.first, first == chains.1.first { return true }
    var shared: Int?
    while let outer = chains.0.last, outer == chains.1.last {
      shared = outer
      chains = (chains.0.dropLast(), chains.1.dropLast())
    }
    if let shared, !internet.boxes[shared].nat.behaviour.hairpins { return false }
    return !(hasHard(chains.0) && hasHard(chains.1))
  }

  /// The boxes in front of a node, from its own outwards.
  private func chain(_ node: Int) -> [Int] {
    var list: [Int] = []
    var next = box(of: node)
    while let box = next {
      list.append(box)
      next = internet.boxes[box].outer
    }
    return list
  }

  private func hasHard(_ boxes: ArraySlice<Int>) -> Bool {
    boxes.contains {
      let behaviour = internet.boxes[$0].nat.behaviour
      // Who is on a port of its own there is seen at that one everywhere.
      return behaviour.mapping != .endpointIndependent && behaviour.ports != .overloading
    }
  }
}
