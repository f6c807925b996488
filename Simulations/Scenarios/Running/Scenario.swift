// A scenario: what is done to a network, and what is demanded of it.
//
// A scenario makes a plan from settings and a seed, and judges the record of a run. It does not touch nodes:
// the plan says everything, so that it can be written to a file and cut shorter. First comes a phase in which
// faults are on and only safety is judged; then faults are off and the ring has to become whole in time (as
// TigerBeetle's simulator does it).

import Base

/// What can be chosen for a scenario beside what can be chosen for all.
public enum ExtraOption: String, Sendable, CaseIterable {
  case session
  case fraction
  case mix
}

/// One kind of run.
public protocol Scenario: Sendable {
  /// As it is typed.
  static var name: String { get }
  /// What it shows, in one line.
  static var abstract: String { get }
  static var extras: [ExtraOption] { get }
  /// Nodes when nothing is said.
  static var nodesUsual: Int { get }

  /// Whether the ring may be laid out at the beginning (`StartChoice.settled`).
  static var canBeLaidOut: Bool { get }

  /// Settings before the user's are applied.
  static func prepare(_ settings: inout Settings)
  /// Conditions of the network that hold all the time.
  static func conditions(_ settings: Settings) -> Conditions
  /// What happens.
  static func plan(_ settings: Settings, _ random: inout Random) -> Plan
  /// Seconds of quiet in which the ring must be whole.
  static func convergenceSeconds(_ settings: Settings) -> Double
  /// The share of keys that may have two settled owners, as a mean over time.
  static func overlapMax(_ settings: Settings) -> Double
  /// What is demanded beyond the checks of all scenarios.
  static func checks(_ record: Record) -> [Check]
  /// What is measured beyond the figures of all scenarios.
  static func figures(_ record: Record) -> [Figure]
}

extension Scenario {
  public static var extras: [ExtraOption] { [] }
  public static var nodesUsual: Int { 100 }
  public static var canBeLaidOut: Bool { false }
  public static func prepare(_ settings: inout Settings) {}
  public static func conditions(_ settings: Settings) -> Conditions { Conditions(settings) }
  public static func convergenceSeconds(_ settings: Settings) -> Double { 10 }
  public static func overlapMax(_ settings: Settings) -> Double { 1e-6 }
  public static func figures(_ record: Record) -> [Figure] { [] }

  /// The settings with which a run begins when nothing is said.
  public static func settings(seed: UInt64) -> Settings {
    var settings = Settings(scenario: name, nodes: nodesUsual, seed: seed)
    prepare(&settings)
    return settings
  }

  /// The schedule of a run.
  public static func schedule(_ settings: Settings) -> Schedule {
    var random = Random(seed: settings.seed).split(0x5EED)
    var plan = plan(settings, &random)
    plan.sort()
    return Schedule(settings, plan)
  }
}

/// Conditions of the network that hold all the time.
public struct Conditions: Sendable, Equatable {
  /// Datagrams lost, of a thousand.
  public var lossPerMille: UInt32
  /// Losses come in bursts on access links as well.
  public var hasBursts = false
  public var duplicatedPerMille: UInt32 = 0
  public var reorderedPerMille: UInt32 = 0
  /// Pairs of nodes that never hear each other, of a thousand.
  public var brokenPairsPerMille: UInt32 = 0
  public var mix = NATMix.none
  /// So many pairs of members talk to each other, at most.
  public var conversations = 0
  /// So many times a member says something to all others of its community, at most.
  public var shouts = 0
  /// So many times a node asks all others something, at most; and at the end, on a quiet ring, some more.
  public var tasks = 0

  public init(_ settings: Settings) { lossPerMille = settings.lossPerMille }
}

/// All scenarios.
public enum Catalogue {
  public static let all: [any Scenario.Type] = [
    Join.self, FlashCrowd.self, Churn.self, SuddenDeath.self, PartitionHeal.self, Merge.self, NATs.self,
    Lossy.self, NonTransitive.self, Roaming.self, BootstrapGone.self, SlowNodes.self, Broadcasts.self,
    Inquiries.self, Reunion.self, Communities.self, Swarm.self,
  ]

  public static func named(_ name: String) -> (any Scenario.Type)? { all.first { $0.name == name } }
}
