// What happens to the nodes, and when: the part of a run that can be written down, cut shorter and repeated.
//
// Nodes are called by *slots*, numbers that do not change when steps are left out: a slot is a machine, and
// the node on it may be replaced by another. A step that makes no sense (a crash of what does not run) does
// nothing, so every part of a plan is a plan. Times are whole milliseconds, because text must say them
// exactly.

import Base

/// Something done to a node or to the network.
public enum Action: Sendable, Equatable {
  /// The first slots get nodes that remember a ring that they were, and are switched on one after the other.
  case layOut(Int)
  /// A fresh node comes up in an empty slot and joins through the nodes of the others.
  case start(Int, via: [Int])
  /// The node vanishes; after so many milliseconds, if any, it comes back with its identity and its store.
  case crash(Int, back: UInt64?)
  /// The node says goodbye and goes.
  case leave(Int)
  /// The node goes, and a fresh one takes the slot.
  case replace(Int, isGraceful: Bool, via: Int)
  /// The node does nothing for a while, as a suspended machine.
  case pause(Int, milliseconds: UInt64)
  /// The node's clock runs so many parts per million too fast (or slow).
  case clock(Int, partsPerMillion: Int)
  /// What the node sends and gets takes longer for a while.
  case slow(Int, byMilliseconds: UInt64, milliseconds: UInt64)
  /// So many of a thousand datagrams are lost for a while, everywhere.
  case loss(perMille: UInt32, milliseconds: UInt64)
  /// The slots of the ranges and the others do not hear each other for a while.
  case partition([ClosedRange<Int>], milliseconds: UInt64)
  /// The others do not hear the slots of the ranges, for a while; these hear the others.
  case mute([ClosedRange<Int>], milliseconds: UInt64)
  /// The node gets a new address.
  case roam(Int)
  /// The NAT of the node forgets its mappings.
  case reboot(Int)
  /// The node is told of another as a bootstrap.
  case introduce(Int, to: Int)
}

/// An action and its moment.
public struct Step: Sendable, Equatable {
  /// Milliseconds since the start.
  public var at: UInt64
  public var action: Action

  public init(at: UInt64, _ action: Action) {
    self.at = at
    self.action = action
  }

  /// - Parameter seconds: rounded to milliseconds.
  public init(seconds: Double, _ action: Action) {
    self.init(at: UInt64((seconds * 1_000).rounded()), action)
  }
}

/// All that happens in a run.
public struct Plan: Sendable, Equatable {
  /// In the order of their times.
  public var steps: [Step] = []
  /// Milliseconds from which on the figures count: the ring is up.
  public var measureFrom: UInt64 = 0
  /// Milliseconds from which on nothing is disturbed any more and the ring must become whole.
  public var quietFrom: UInt64 = 0
  public var end: UInt64 = 0
  /// Times in which S2 to S7 are not demanded: the ring is being built, split or joined by force.
  public var excused: [ClosedRange<UInt64>] = []
  /// Names of the checks that count; none: all. A schedule that was made smaller is only about the check that
  /// it fails: for others it may be too short.
  public var judged: [String] = []

  public init() {}

  public mutating func add(_ seconds: Double, _ action: Action) {
    steps.append(Step(seconds: seconds, action))
  }

  public mutating func excuse(_ from: Double, _ to: Double) {
    excused.append(UInt64((from * 1_000).rounded())...UInt64((to * 1_000).rounded()))
  }

  /// Sets measuring, quiet and end, in seconds.
  public mutating func phases(measureFrom: Double, quietFrom: Double, end: Double) {
    self.measureFrom = UInt64((measureFrom * 1_000).rounded())
    self.quietFrom = UInt64((quietFrom * 1_000).rounded())
    self.end = UInt64((end * 1_000).rounded())
  }

  /// Puts the steps in order; those of the same moment stay in theirs.
  public mutating func sort() {
    steps = steps.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(
      \.element)
  }

  /// When the audit begins: the last twenty seconds (of a short run half of its quiet) are for many look-ups,
  /// when bytes are no longer counted. The last six seconds are for the answers.
  public var auditFrom: UInt64 {
    let quiet = end > quietFrom ? end - quietFrom : 0
    let length = min(20_000, quiet / 2 > 6_000 ? quiet / 2 - 6_000 : 0)
    return length < 2_000 ? end : end - 6_000 - length
  }

  public func isExcused(_ at: UInt64) -> Bool { excused.contains { $0.contains(at) } }

  /// The highest slot that ever has a node, and one.
  public var slots: Int {
    let slots = steps.map { step in
      switch step.action {
      case .layOut(let count): count
      case .start(let slot, _): slot + 1
      default: 0
      }
    }
    return slots.max() ?? 0
  }
}
