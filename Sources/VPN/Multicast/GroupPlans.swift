// How this member sends to multicast groups: what their roots have said of the receivers, and the packets
// that wait for that.
//
// A plan holds for a minute and is asked for again after a third of it while there is traffic; the root tells
// of changes by itself. The first packets wait for the answer, a second at most: then they go to all members.
// Another root than before may not have heard of everybody yet: for a while, whom the old one named counts as
// well. Who does not receive the group takes nothing.

import Base

/// To whom a packet of a group goes.
enum GroupWay: Equatable, BitwiseCopyable {
  case nobody
  case each(BoundedArray<16, OverlayID>)
  case tree
  case everybody
}

/// What is known of one group.
struct GroupPlan: BitwiseCopyable {
  let group: IPAddress
  /// Only the root, and those on the way to it, know it: others cannot answer.
  let nonce: UInt64
  /// Nil: the root did not answer.
  var receivers: Receivers?
  /// Who answered.
  var root: OverlayID?
  /// What the root before had said, and until when it counts as well.
  var former = Receivers()
  var formerUntil: Instant = .start
  var validUntil: Instant = .start
  /// From when on it is asked again if there is a packet.
  var refreshAt: Instant = .start
  var usedAt: Instant
  /// When a question that packets wait for is repeated, and until when they wait.
  var repeatAt: Instant = .never
  var waitUntil: Instant = .never
  var packets = BoundedArray<16, PacketRef>()
}

/// The plans of the groups that this member sends to.
struct GroupPlans: ~Copyable {
  static let limit = 256
  static let validity = Interval.seconds(60)
  static let refresh = Interval.seconds(20)
  /// A refresh that is not answered is tried again.
  static let refreshRetry = Interval.seconds(1)
  /// A root was lost: the next one is asked when those next to it have had time to report to it.
  static let refreshAfterLoss = Interval.seconds(5)
  /// By then those have reported to the next root, too, who know the lost one by a quiet far link.
  static let formerPatience = Interval.seconds(30)
  static let patience = Interval.seconds(1)
  static let retry = Interval.milliseconds(300)
  /// How long packets go to all members when no root has answered.
  static let fallback = Interval.seconds(5)

  /// What becomes of a packet.
  enum Outcome: Equatable {
    case go(GroupWay)
    /// It waits. With `asks` the root is to be asked now.
    case wait(asks: Bool)
    /// There is no room for it.
    case refused
  }

  private(set) var deadline: Instant = .never
  private(set) var plans = SlotTable<GroupPlan>(capacity: limit)
  private var byGroup = FlatMap<IPAddress, UInt32>(limit: limit)

  /// What shall be done with a packet for a group. One that waits is taken.
  /// - Returns: and the plan, for `takeRefresh`.
  mutating func send(
    _ packet: PacketRef, to group: IPAddress, _ me: OverlayID, _ context: inout Context
  ) -> (Outcome, slot: Int) {
    guard let slot = slot(of: group, &context) else { return (.refused, -1) }
    plans[slot].usedAt = context.now
    if plans[slot].validUntil > context.now { return (.go(way(slot, me)), slot) }
    // What waits must not starve what works.
    guard context.pool.available >= context.pool.capacity / 4 else { return (.refused, slot) }
    if plans[slot].packets.isFull { context.pool.release(plans[slot].packets.remove(at: 0)) }
    plans[slot].packets.append(packet)
    guard plans[slot].waitUntil == .never else { return (.wait(asks: false), slot) }
    plans[slot].waitUntil = context.now + Self.patience
    plans[slot].repeatAt = context.now + Self.retry
    deadline = min(deadline, plans[slot].repeatAt)
    return (.wait(asks: true), slot)
  }

  /// To whom packets go by a plan.
  func way(_ slot: Int, _ me: OverlayID) -> GroupWay {
    guard let receivers = plans[slot].receivers else { return .everybody }
    guard receivers.areFew else { return receivers.count <= Receivers.treeMax ? .tree : .everybody }
    var others = receivers.named
    if let own = others.firstIndex(where: { $0 == me }) { others.remove(at: own) }
    return others.isEmpty ? .nobody : .each(others)
  }

  /// Whether a packet was sent by an old plan, and the root is to be asked again.
  mutating func takeRefresh(_ slot: Int, at now: Instant) -> Bool {
    guard plans[slot].refreshAt <= now else { return false }
    plans[slot].refreshAt = now + Self.refreshRetry
    return true
  }

  /// The root has said who receives the group.
  /// - Returns: the plan, whose packets need not wait any more; nil when nobody had asked.
  mutating func learn(
    _ group: IPAddress, nonce: UInt64, _ receivers: Receivers, from root: OverlayID, at now: Instant
  ) -> Int? {
    guard let slot = slot(of: group, nonce: nonce) else { return nil }
    if let old = plans[slot].receivers, plans[slot].root != root, plans[slot].validUntil > now {
      plans[slot].former = old
      plans[slot].formerUntil = now + Self.formerPatience
    }
    var all = receivers
    if plans[slot].formerUntil > now { all.add(plans[slot].former) }
    plans[slot].receivers = all
    plans[slot].root = root
    plans[slot].validUntil = now + Self.validity
    plans[slot].refreshAt = now + Self.refresh
    return slot
  }

  /// The root is another one.
  /// - Returns: the plan, if that one is to be asked.
  mutating func onRootMoved(_ group: IPAddress, nonce: UInt64, at now: Instant) -> Int? {
    guard let slot = slot(of: group, nonce: nonce) else { return nil }
    plans[slot].refreshAt = now + Self.refreshRetry
    return plans[slot].usedAt + Self.validity > now ? slot : nil
  }

  /// A member is gone that may have been a root.
  mutating func onDown(_ root: OverlayID, at now: Instant) {
    for slot in 0..<plans.highWater where plans.isUsed(slot) && plans[slot].root == root {
      plans[slot].refreshAt = min(plans[slot].refreshAt, now + Self.refreshAfterLoss)
    }
  }

  /// The questions to repeat, and the plans whose packets have waited long enough: these go to all members
  /// from now on, for a while.
  mutating func expire(at now: Instant) -> (ask: [Int], giveUp: [Int]) {
    guard deadline <= now else { return ([], []) }
    deadline = .never
    var (ask, giveUp): ([Int], [Int]) = ([], [])
    for slot in 0..<plans.highWater where plans.isUsed(slot) {
      if plans[slot].waitUntil <= now {
        plans[slot].receivers = nil
        plans[slot].root = nil
        plans[slot].validUntil = now + Self.fallback
        plans[slot].refreshAt = now + Self.refreshRetry
        giveUp.append(slot)
      } else if plans[slot].repeatAt <= now {
        plans[slot].repeatAt = now + Self.retry
        ask.append(slot)
      }
      if plans[slot].waitUntil > now {
        deadline = min(deadline, plans[slot].waitUntil, plans[slot].repeatAt)
      }
    }
    return (ask, giveUp)
  }

  /// The packets that wait: the caller's from now on.
  mutating func takePackets(_ slot: Int) -> BoundedArray<16, PacketRef> {
    let packets = plans[slot].packets
    plans[slot].packets.removeAll()
    plans[slot].waitUntil = .never
    plans[slot].repeatAt = .never
    return packets
  }

  /// Gives back every packet that waits.
  mutating func releasePackets(_ context: inout Context) {
    for slot in 0..<plans.highWater where plans.isUsed(slot) {
      let packets = takePackets(slot)
      for i in 0..<packets.count { context.pool.release(packets[i]) }
    }
  }

  private func slot(of group: IPAddress, nonce: UInt64) -> Int? {
    guard let slot = byGroup[group].map(Int.init), plans[slot].nonce == nonce else { return nil }
    return slot
  }

  /// The plan of a group. A full table lets go of the one that was not used for longest.
  private mutating func slot(of group: IPAddress, _ context: inout Context) -> Int? {
    if let slot = byGroup[group] { return Int(slot) }
    if plans.count == plans.capacity {
      var idlest: Int?
      for slot in 0..<plans.highWater where plans[slot].packets.isEmpty {
        if idlest == nil || plans[slot].usedAt < plans[idlest!].usedAt { idlest = slot }
      }
      guard let idlest else { return nil }
      byGroup.remove(plans[idlest].group)
      plans.remove(idlest)
    }
    let plan = GroupPlan(group: group, nonce: context.random.next(), usedAt: context.now)
    guard let slot = plans.insert(plan) else { return nil }
    byGroup.set(group, UInt32(slot))
    return slot
  }
}
