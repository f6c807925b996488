// How deep and how wide the trees of broadcasts are, and whom they miss when pointers are wrong: for subrings
// of several sizes, and for two ways of sharing out, over the same links, from the same members, with the
// same faults.

import Base

/// The trees of one shape on one subring: figures of many broadcasts, each from another member.
public struct TreeRow: Sendable {
  public let members: Int
  /// What the shape is called.
  public let shape: String
  /// Copies that one member sends for one broadcast: the most, and the mean of those who send any.
  public fileprivate(set) var sendsMost = 0
  public fileprivate(set) var sendsMean = 0.0
  public fileprivate(set) var steps = Sample()
  /// The share of the members that is missed, by the kind of the wrong pointers; nil: not defined.
  public fileprivate(set) var missedUnknown = 0.0
  public fileprivate(set) var missedSilent = 0.0
  public fileprivate(set) var missedNoticed: Double?
}

/// One subring.
public struct TreeResult: Sendable {
  public let members: Int
  /// Links of a member over which broadcasts go, mean.
  public let links: Double
  public let formedSeconds: Int?
  public let live: LiveBroadcast
  /// Both ways, one way.
  public let rows: [TreeRow]

  var checks: [Check] {
    let doublings = max(Elementary.logarithm(Double(members)) / Elementary.ln2, 1)
    let (both, one) = (rows[0], rows[1])
    return [
      Check(
        "sends_\(members)", "copies that one of \(members) members sends for one broadcast, most",
        Double(max(both.sendsMost, live.sendsMost)), .atMost, 5 * doublings),
      Check(
        "steps_\(members)", "steps of a broadcast to \(members) members, most",
        Double(max(Int(both.steps.greatest ?? .infinity), live.stepsMost)), .atMost, 2 * doublings),
      Check(
        "heard_\(members)", "of \(members) members heard a real one",
        Double(live.heard) / Double(max(live.meant, 1)), .atLeast, 1),
      Check(
        "as_reckoned_\(members)",
        "of \(members) members sent as much, after as many steps, as the tables say",
        Double(live.asReckoned) / Double(members), .atLeast, 0.99),
      Check(
        "missed_\(members)", "of \(members) members missed, unknown links: both ways less one way",
        both.missedUnknown - one.missedUnknown, .atMost, 0),
    ]
  }
}

/// Subrings of several sizes.
public struct TreeStudy: Sendable {
  /// Broadcasts that are followed over the tables of one subring.
  static let originsMax = 100
  /// Those with wrong pointers are followed under so many draws each, where members are few.
  static let visitsMin = 20_000

  public let seed: UInt64
  public let wrongPerMille: UInt32
  public private(set) var results: [TreeResult] = []

  public init(seed: UInt64, wrongPerMille: UInt32) {
    self.seed = seed
    self.wrongPerMille = wrongPerMille
  }

  public var checks: [Check] { results.flatMap(\.checks) }

  /// Grows a subring of so many members and measures its trees.
  public mutating func measure(members: Int) {
    let subring = LiveSubring(members: members, seed: seed)
    var random = Random(seed: seed).split(0x7EE5)
    let origins = random.sample(Self.originsMax, below: members)
    let rows = TreeShape.allCases.map { row($0, subring.tables, origins) }
    results.append(
      TreeResult(
        members: members,
        links: Double(subring.tables.links.reduce(0) { $0 + $1.count }) / Double(members),
        formedSeconds: subring.formedSeconds, live: subring.broadcast(from: origins[0]), rows: rows))
  }

  private func row(_ shape: TreeShape, _ tables: LinkTables, _ origins: [Int]) -> TreeRow {
    var row = TreeRow(members: tables.count, shape: shape.rawValue)
    var senders = 0
    var sends = 0
    for origin in origins {
      let tree = Tree(shape, from: origin, over: tables)
      for member in 0..<tables.count {
        row.sendsMost = max(row.sendsMost, tree.sends[member])
        sends += tree.sends[member]
        senders += tree.sends[member] > 0 ? 1 : 0
        if member != origin, let steps = tree.steps[member] { row.steps.add(Double(steps)) }
      }
    }
    row.sendsMean = senders > 0 ? Double(sends) / Double(senders) : 0
    row.missedUnknown = missed(shape, tables, origins, .unknown)
    row.missedSilent = missed(shape, tables, origins, .silent)
    if shape == .bothWays { row.missedNoticed = missed(shape, tables, origins, .noticed) }
    return row
  }

  /// The share of members that the trees miss.
  private func missed(
    _ shape: TreeShape, _ tables: LinkTables, _ origins: [Int], _ kind: WrongLinks.Kind
  ) -> Double {
    let draws = max(Self.visitsMin / (tables.count * origins.count), 1)
    var missed = 0
    for (number, origin) in origins.enumerated() {
      for draw in 0..<draws {
        let wrong = WrongLinks(
          kind: kind, perMillion: UInt64(wrongPerMille) * 1_000,
          seed: mixed(seed ^ mixed(UInt64(number * draws + draw))))
        missed += Tree(shape, from: origin, over: tables, wrong).steps.count { $0 == nil }
      }
    }
    return Double(missed) / Double(origins.count * draws * max(tables.count - 1, 1))
  }
}
