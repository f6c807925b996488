// The neighbour lists of all nodes, as ranks.
//
// Living nodes are numbered by their place on the ring (`rank`) and, apart from that, by component and place
// (`order`): the members of a component are a contiguous stretch of `order`, and a node's true neighbours are
// those beside it in there.

import Base

/// Flat tables of who lists whom.
struct Listing {
  /// An entry that no living node has.
  static let unknown: Int32 = -1
  /// A living node of another component.
  static let foreign: Int32 = -2
  /// Beyond the end of a list.
  static let none: Int32 = -3

  private(set) var ids: [OverlayID] = []
  private(set) var component: [Int32] = []
  /// Four for each rank, nearest first; ranks, or one of the constants.
  private(set) var left: [Int32] = []
  private(set) var right: [Int32] = []
  /// Ranks, by component and then by place.
  private(set) var order: [Int32] = []
  /// Where a rank stands in `order`.
  private(set) var place: [Int32] = []
  /// Where the components begin in `order`, and the end of the last one.
  private(set) var starts: [Int32] = []
  private var joined: [Int32] = []
  private var index = PlaceIndex()

  mutating func rebuild(_ witnesses: [Witness]) {
    let count = witnesses.count
    ids.removeAll(keepingCapacity: true)
    component.removeAll(keepingCapacity: true)
    for witness in witnesses {
      ids.append(witness.belief.id)
      component.append(Int32(witness.component))
    }
    for i in ids.indices.dropFirst() { precondition(ids[i - 1] < ids[i], "witnesses are sorted by ID") }
    index.rebuild(ids)
    left.removeAll(keepingCapacity: true)
    right.removeAll(keepingCapacity: true)
    left.reserveCapacity(4 * count)
    right.reserveCapacity(4 * count)
    for rank in 0..<count {
      appendRanks(witnesses[rank].belief.left, of: rank, to: \.left)
      appendRanks(witnesses[rank].belief.right, of: rank, to: \.right)
    }
    sortComponents(witnesses)
  }

  private mutating func appendRanks(
    _ list: BoundedArray<4, OverlayID>, of rank: Int, to side: WritableKeyPath<Listing, [Int32]>
  ) {
    for i in 0..<4 {
      guard i < list.count else {
        self[keyPath: side].append(Self.none)
        continue
      }
      guard let entry = index.rank(of: list[i], in: ids) else {
        self[keyPath: side].append(Self.unknown)
        continue
      }
      self[keyPath: side].append(component[entry] == component[rank] ? Int32(entry) : Self.foreign)
    }
  }

  private mutating func sortComponents(_ witnesses: [Witness]) {
    let highest = Int(component.max() ?? 0)
    starts = [Int32](repeating: 0, count: highest + 2)
    joined = [Int32](repeating: 0, count: highest + 1)
    for (rank, witness) in witnesses.enumerated() {
      starts[Int(component[rank]) + 1] += 1
      if witness.hasJoined { joined[Int(component[rank])] += 1 }
    }
    for i in 1..<starts.count { starts[i] += starts[i - 1] }
    var next = starts
    if order.count != ids.count {
      order = [Int32](repeating: 0, count: ids.count)
      place = order
    }
    for rank in ids.indices {
      let at = Int(next[Int(component[rank])])
      order[at] = Int32(rank)
      place[rank] = Int32(at)
      next[Int(component[rank])] += 1
    }
  }

  /// Calls `body` with the stretch of `order` and the number of each component that has members.
  func forEachComponent(_ body: (Range<Int>, Int) -> Void) {
    for i in 0..<max(starts.count - 1, 0) where starts[i] < starts[i + 1] {
      body(Int(starts[i])..<Int(starts[i + 1]), i)
    }
  }

  func joinedInComponent(of rank: Int) -> Int { Int(joined[Int(component[rank])]) }

  func componentSize(of rank: Int) -> Int {
    Int(starts[Int(component[rank]) + 1] - starts[Int(component[rank])])
  }

  /// The rank of the node `steps` places clockwise in the component of `rank`; negative steps go the other
  /// way.
  func neighbour(of rank: Int, _ steps: Int) -> Int {
    let start = Int(starts[Int(component[rank])])
    let size = componentSize(of: rank)
    let at = (Int(place[rank]) - start + steps) % size
    return Int(order[start + (at < 0 ? at + size : at)])
  }

  /// How many entries of both lists are the true ones, and how many there should be.
  func matchingNeighbours(_ rank: Int) -> (matching: Int, wanted: Int) {
    let wanted = min(4, componentSize(of: rank) - 1)
    var matching = 0
    for i in 0..<wanted {
      if Int(right[4 * rank + i]) == neighbour(of: rank, i + 1) { matching += 1 }
      if Int(left[4 * rank + i]) == neighbour(of: rank, -i - 1) { matching += 1 }
    }
    return (matching, 2 * wanted)
  }

  /// Whether the nearest entry of both lists is the true one.
  func hasNearest(_ rank: Int) -> Bool {
    componentSize(of: rank) == 1
      || (Int(right[4 * rank]) == neighbour(of: rank, 1) && Int(left[4 * rank]) == neighbour(of: rank, -1))
  }

  func position(of id: OverlayID) -> Int { index.position(of: id, in: ids) }
}
