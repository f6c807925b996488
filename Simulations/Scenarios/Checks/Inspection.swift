// What one look at the whole ring found. The names S1 to S9 are those of the invariants that `p2psim --help`
// and the report list; each number here counts the nodes, cycles or keys that break one.

import Node

/// Findings of one moment.
public struct Inspection: Sendable, Equatable {
  /// Living nodes, those that have joined, those that are settled.
  public var nodes = 0
  public var joined = 0
  public var settled = 0
  /// Groups of nodes that can reach each other, and how many of them have somebody who has joined.
  public var components = 0
  public var joinedComponents = 0

  /// S1: nodes with a list that is out of order, names its owner, or names somebody twice.
  public var disordered = 0
  /// S2: joined nodes that have no living neighbour on one side, though theirs did not all just die.
  public var lonely = 0
  /// Nodes with a side whose neighbours have all died within the repair window: nobody can be blamed.
  public var bereaved = 0
  /// S3: cycles that the first living right neighbours form, over all components.
  public var cycles = 0
  /// Components with no cycle or several.
  public var brokenComponents = 0
  /// S4: the largest winding number of a cycle; 1 when all is well, 0 when there is no cycle.
  public var windingMax = 0
  /// S5: joined nodes from which no cycle is reached.
  public var strayed = 0
  /// S6: how many principals are missing in the component that misses most.
  public var principalsMissing = 0
  /// Nodes whose lists are contiguous to their ends, by the words of those who stand in them.
  public var gapless = 0
  /// S7: share of the key space with two settled owners or more in one component (the worst one).
  public var overlap = 0.0
  /// Share of the key space without a settled owner, in the worst component that has any.
  public var unowned = 0.0
  /// S9: entries of lists that name a node that never was.
  public var ghosts = 0

  /// Nodes whose four neighbours on each side are the true ones, and those for whom the nearest ones are.
  public var perfect = 0
  public var nearPerfect = 0
  public var consistency = Consistency()
  /// Numbers of the first nodes that are not perfect, in the order of their IDs.
  public var imperfect: [Int] = []
  /// What was seen first of each kind, for people.
  public var examples: [String] = []

  public init() {}

  /// Every living node has its true neighbours.
  public var isPerfect: Bool { perfect == nodes }
  /// The ring is perfect, every node owns its range, and there is one ring for each component.
  public var isWhole: Bool {
    isPerfect && settled == nodes && gapless == nodes && brokenComponents == 0 && windingMax <= 1
      && overlap == 0
  }
  public var perfectShare: Double { nodes == 0 ? 1 : Double(perfect) / Double(nodes) }
  public var settledShare: Double { nodes == 0 ? 1 : Double(settled) / Double(nodes) }
}
