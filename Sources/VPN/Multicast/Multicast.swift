// Multicast groups: what this member keeps of them.
//
// What goes to a group goes to its receivers and to nobody else: to a few from the sender itself, to more by
// the group's tree, to very many, or to all for lack of an answer, by broadcast. Who receives is learnt from
// the kernels (`ListenerReport`, `LocalGroups`) and gathered at the group's root (`GroupTree`), which
// senders ask (`GroupPlans`).

import Base
import Overlay
import Session

/// What became of multicast packets, and of what is said about groups.
public struct MulticastCounters: Sendable, BitwiseCopyable {
  /// Reports of the own kernel, and what began like one and was none.
  public var reports: UInt64 = 0
  public var badReports: UInt64 = 0
  /// Packets of the device, by the way that they took; those to single receivers count for each.
  public var toReceivers: UInt64 = 0
  public var toTree: UInt64 = 0
  public var toAll: UInt64 = 0
  /// Nobody receives the group.
  public var toNobody: UInt64 = 0
  /// For a group that nobody here receives.
  public var unwanted: UInt64 = 0
  /// Frames of trees: passed on to the root, and down.
  public var raised: UInt64 = 0
  public var lowered: UInt64 = 0
  public var repeated: UInt64 = 0
  public var forged: UInt64 = 0
  /// Beyond what a member, or all of them, may send.
  public var limited: UInt64 = 0
  public var malformed: UInt64 = 0
  /// Came over a link that does not lead from the root, or to it.
  public var astray: UInt64 = 0
  /// There was no room for one more.
  public var noRoom: UInt64 = 0
}

/// The groups, as this member knows them.
struct Multicast: ~Copyable {
  /// Packets by trees of one member in a second, and at once; of all together: each is verified.
  static let rate: UInt64 = 200
  static let burst: UInt64 = 400
  static let rateOfAll: UInt64 = 1_000
  static let burstOfAll: UInt64 = 2_000
  /// Questions to this member as a root: answers are larger.
  static let asksPerSecond: UInt64 = 100
  /// Hops of a frame.
  static let stepsMax: UInt8 = 64
  /// The largest packet of the device.
  static let payloadMax = 1_500

  var counters = MulticastCounters()
  var local = LocalGroups()
  var tree: GroupTree
  var plans = GroupPlans()
  /// Frames on their way to a root, and down.
  var raised = HeardOrigins(rate: rate, burst: burst, rateOfAll: rateOfAll, burstOfAll: burstOfAll)
  var lowered = HeardOrigins(rate: rate, burst: burst, rateOfAll: rateOfAll, burstOfAll: burstOfAll)
  var asks = TokenBucket(rate: asksPerSecond, burst: 2 * asksPerSecond, at: .start)
  private var sequence: UInt64

  /// - Parameter incarnation: of this node: sequences rise over its restarts.
  init(_ me: OverlayID, incarnation: UInt64) {
    tree = GroupTree(me)
    sequence = incarnation << 24
  }

  var deadline: Instant { min(local.deadline, tree.deadline, plans.deadline) }

  /// This node goes on with a greater incarnation.
  mutating func raiseSequence(to incarnation: UInt64) { sequence = max(sequence, incarnation << 24) }

  mutating func nextSequence() -> UInt64 {
    sequence &+= 1
    return sequence
  }
}
