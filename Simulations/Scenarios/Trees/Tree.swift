// One broadcast over given tables of links: who has it after how many steps, and who sent how much for it.
//
// Nothing takes time here and nothing is lost but what wrong pointers lose: the tree is that of the rule
// alone.

import Base
import Overlay

/// The tree of one broadcast.
struct Tree {
  /// Arcs that a member sees to at most.
  private static let arcsMax = 4
  private static let turnsMax = 3

  /// By member: steps from the origin; nil for whom nothing reached.
  private(set) var steps: [Int?]
  /// By member: copies that it sent.
  private(set) var sends: [Int]
  private var arcs: [Int]

  private struct Task {
    let member: Int
    let arc: Arc
    /// From whom it came.
    let parent: Int?
    let steps: Int
  }

  init(_ shape: TreeShape, from origin: Int, over tables: LinkTables, _ wrong: WrongLinks = WrongLinks()) {
    steps = [Int?](repeating: nil, count: tables.count)
    sends = [Int](repeating: 0, count: tables.count)
    arcs = [Int](repeating: 0, count: tables.count)
    var tasks = [Task(member: origin, arc: .all(but: tables.places[origin]), parent: nil, steps: 0)]
    var next = 0
    while next < tasks.count {
      let task = tasks[next]
      next += 1
      steps[task.member] = min(steps[task.member] ?? .max, task.steps)
      arcs[task.member] += 1
      if arcs[task.member] <= Self.arcsMax { share(task, shape, origin, tables, wrong, &tasks) }
    }
  }

  private mutating func share(
    _ task: Task, _ shape: TreeShape, _ origin: Int, _ tables: LinkTables, _ wrong: WrongLinks,
    _ tasks: inout [Task]
  ) {
    let children = Self.children(of: task.member, task.arc, tables).filter {
      $0 != task.parent && $0 != origin && !(wrong.kind == .unknown && wrong.isWrong(task.member, $0))
    }
    guard !children.isEmpty else {
      guard shape == .bothWays, let guide = Self.guide(task.member, task.arc, tables, but: task.parent) else {
        return
      }
      return send(task, task.arc, to: guide, tables, wrong, &tasks)
    }
    let step = (children.count + 31) / 32
    let chosen = stride(from: 0, to: children.count, by: step).map { children[$0] }
    var places = BoundedArray<32, UInt64>()
    for child in chosen { places.append(tables.places[child]) }
    let parts = shape.parts(of: task.arc, among: places, around: tables.places[task.member])
    for (child, part) in zip(chosen, parts) { send(task, part, to: child, tables, wrong, &tasks) }
  }

  /// The linked members within an arc, clockwise from its beginning.
  private static func children(of member: Int, _ arc: Arc, _ tables: LinkTables) -> [Int] {
    let inside = tables.links[member].map(Int.init).filter { arc.contains(tables.places[$0]) }
    return inside.sorted { tables.places[$0] &- arc.from < tables.places[$1] &- arc.from }
  }

  /// The linked member nearest to an arc in which there is no link, if it is nearer than the one who asks.
  private static func guide(_ member: Int, _ arc: Arc, _ tables: LinkTables, but parent: Int?) -> Int? {
    var best = arc.distance(to: tables.places[member])
    var guide: Int?
    for link in tables.links[member].map(Int.init) where link != parent {
      let distance = arc.distance(to: tables.places[link])
      if distance < best { (best, guide) = (distance, link) }
    }
    return guide
  }

  private mutating func send(
    _ task: Task, _ part: Arc, to child: Int, _ tables: LinkTables, _ wrong: WrongLinks,
    _ tasks: inout [Task]
  ) {
    var child = child
    var former = child
    for _ in 0...Self.turnsMax {
      sends[task.member] += 1
      guard wrong.kind != .unknown, wrong.isWrong(task.member, child) else {
        return tasks.append(Task(member: child, arc: part, parent: task.member, steps: task.steps + 1))
      }
      guard wrong.kind == .noticed, let heir = Self.heir(of: child, but: former, task.member, tables) else {
        return
      }
      (former, child) = (child, heir)
    }
  }

  /// The linked member nearest to one that is silent.
  private static func heir(of child: Int, but former: Int, _ member: Int, _ tables: LinkTables) -> Int? {
    let place = tables.places[child]
    func distance(_ other: Int) -> UInt64 {
      min(tables.places[other] &- place, place &- tables.places[other])
    }
    return tables.links[member].map(Int.init).filter { $0 != child && $0 != former }
      .min { distance($0) < distance($1) }
  }
}
