// Who receives which multicast group: the trees of the groups, as far as this member is part of them.
//
// The root of a group is the member nearest to the group's place on the subring. A member with receivers,
// its own or behind it, reports them to the linked member that is nearest to that place, at once when they
// change and every half a minute; that one adds up what it was told and reports it on (Castro, Druschel,
// Kermarrec and Rowstron, "Scribe", 2002). So the root knows how many there are, and who, while they are few;
// and the ways of the reports, walked back, lead from the root to all receivers. Each step is nearer to the
// place than the one before, whatever members believe of each other, so there are no circles.
//
// All of it is soft state: what is not reported again ends. Who changes its parent reports to the new one
// first, and takes its word back from the old one a second later.
//
// The root also remembers who has asked for the receivers, for a minute, and tells them of changes.

import Base
import Overlay
import Session

/// What this member knows of a group.
struct KnownGroup: BitwiseCopyable {
  let address: IPAddress
  let place: OverlayID
  /// Whether programs of this machine receive it.
  var isReceived = false
  var firstChild: Int32 = -1
  /// To whom it was reported last; nil for the root.
  var parent: OverlayID?
  /// To whom it was reported before that, and may still be.
  var former: OverlayID?
  /// When the former parent, or those who asked this one as root, are told of the new one.
  var settleAt: Instant = .never
  /// What the parent, or whoever asked, was told last.
  var told = Receivers()
  var tellAt: Instant
  var toldAt: Instant = .start
  /// How often it is told once more soon, in case that it is lost.
  var repeats: UInt8 = 0
}

/// A member that has reported receivers of a group.
struct GroupChild: BitwiseCopyable {
  let id: OverlayID
  var receivers: Receivers
  var until: Instant
  /// The next child of the same group.
  var next: Int32
}

/// A sender that has asked this root.
struct GroupAsker: BitwiseCopyable {
  let group: Int32
  let id: OverlayID
  var via: OverlayID?
  var nonce: UInt64
  var until: Instant
}

/// What the tree has to say.
enum GroupSaying: BitwiseCopyable {
  case report(GroupReport, to: OverlayID)
  case message(GroupMessage, to: OverlayID, via: OverlayID?)
}

/// The trees.
struct GroupTree: ~Copyable {
  static let groupsMax = 1_024
  static let childrenMax = 2_048
  /// Of one member: that of a small subring may report what all others receive. Less than there is room for.
  static let childrenOfOneMax = 512
  static let askersMax = 512
  static let reportInterval = Interval.seconds(30)
  /// With what is swept every few seconds, a child that says nothing any more is forgotten after 65 to 70 s.
  static let childPatience = Interval.seconds(65)
  /// A member whose parent has died notices that sooner.
  static let orphanPatience = Interval.seconds(30)
  static let askerPatience = Interval.seconds(65)
  static let sweepInterval = Interval.seconds(5)
  /// Between two reports of a group that changes.
  static let pause = Interval.milliseconds(200)
  static let repeatAfter = Interval.seconds(1)
  /// How long a new parent or root has to hear of it all before the old one is left.
  static let settling = Interval.seconds(1)

  var sayings = Outbox<GroupSaying>(capacity: 256)
  /// What found no room.
  private(set) var refused: UInt64 = 0
  private(set) var deadline: Instant = .never
  private let me: OverlayID
  private var groups = SlotTable<KnownGroup>(capacity: groupsMax)
  private var byAddress = FlatMap<IPAddress, UInt32>(limit: groupsMax)
  private var children = SlotTable<GroupChild>(capacity: childrenMax)
  private var askers = SlotTable<GroupAsker>(capacity: askersMax)
  private var sweepAt: Instant = .never
  /// Links have come or gone: parents may be others.
  private var reviewAt: Instant = .never

  init(_ me: OverlayID) { self.me = me }

  // MARK: - Receivers

  /// Programs of this machine receive the group, or do not any more.
  mutating func set(_ address: IPAddress, isReceived: Bool, _ community: Community, at now: Instant) {
    guard let slot = isReceived ? slot(of: address, community, now) : find(address) else { return }
    groups[slot].isReceived = isReceived
    changed(slot, at: now)
  }

  /// A member has reported the receivers at and behind it.
  /// - Returns: false when it is not for this member to hear that.
  mutating func receive(
    _ report: GroupReport, from child: OverlayID, _ community: Community, at now: Instant
  ) -> Bool {
    let place = community.place(of: report.group)
    // Reports go nearer to the place with each step.
    guard me.distance(to: place) < child.distance(to: place) else { return false }
    if report.receivers.isEmpty {
      if let slot = find(report.group), remove(child, from: slot) { changed(slot, at: now) }
      return true
    }
    guard find(report.group) != nil || mayAdd(child), let slot = slot(of: report.group, community, now) else {
      return true
    }
    if let known = self.child(child, of: slot) {
      let isNews = children[known].receivers != report.receivers
      children[known].receivers = report.receivers
      children[known].until = now + Self.childPatience
      if isNews { changed(slot, at: now) }
      return true
    }
    let entry = GroupChild(
      id: child, receivers: report.receivers, until: now + Self.childPatience, next: groups[slot].firstChild)
    guard mayAdd(child), let added = children.insert(entry) else {
      refused &+= 1
      return true
    }
    groups[slot].firstChild = Int32(added)
    changed(slot, at: now)
    return true
  }

  private func mayAdd(_ child: OverlayID) -> Bool {
    var count = 0
    for i in 0..<children.highWater where children.isUsed(i) && children[i].id == child { count += 1 }
    return count < Self.childrenOfOneMax
  }

  /// All receivers at this member and behind it.
  func receivers(_ slot: Int) -> Receivers {
    var all = Receivers()
    if groups[slot].isReceived { all.add(me) }
    visitChildren(of: slot) { all.add(children[$0].receivers) }
    return all
  }

  func find(_ address: IPAddress) -> Int? { byAddress[address].map(Int.init) }

  /// The first member that has reported receivers of the group, and then each next one; nil when there are no
  /// more. *Precondition:* nothing changes meanwhile.
  func nextChild(of address: IPAddress, after child: Int?) -> Int? {
    let next = child.map { children[$0].next } ?? find(address).map { groups[$0].firstChild } ?? -1
    return next < 0 ? nil : Int(next)
  }

  func id(ofChild child: Int) -> OverlayID { children[child].id }

  /// Whether nobody but the given member receives the group at and behind the child.
  func isForNobody(child: Int, but id: OverlayID) -> Bool {
    let receivers = children[child].receivers
    return receivers.count == 1 && receivers.named[0] == id
  }

  // MARK: - Senders

  /// A sender asks this member, the root, who receives the group.
  mutating func ask(
    _ address: IPAddress, nonce: UInt64, from asker: OverlayID, via: OverlayID?, _ community: Community,
    at now: Instant
  ) {
    guard let slot = slot(of: address, community, now) else { return }
    let until = now + Self.askerPatience
    sayings.append(.message(.plan(address, nonce: nonce, receivers(slot)), to: asker, via: via))
    for i in 0..<askers.highWater
    where askers.isUsed(i) && askers[i].group == Int32(slot) && askers[i].id == asker {
      askers[i].nonce = nonce
      askers[i].via = via
      askers[i].until = until
      return
    }
    let entry = GroupAsker(group: Int32(slot), id: asker, via: via, nonce: nonce, until: until)
    if askers.insert(entry) == nil { refused &+= 1 }
  }

  // MARK: - Links

  /// A link has come or gone.
  mutating func review(at now: Instant) {
    guard !groups.isEmpty else { return }
    reviewAt = min(reviewAt, now)
    deadline = min(deadline, now)
  }

  /// A link is lost. Receivers that were named behind it are there still, and will notice in a while that
  /// they have to report to another member.
  mutating func onDown(_ child: OverlayID, at now: Instant) {
    for slot in 0..<groups.highWater where groups.isUsed(slot) {
      guard let known = self.child(child, of: slot) else { continue }
      var orphans = Receivers()
      let named = children[known].receivers.named
      for i in 0..<named.count where named[i] != child { orphans.add(named[i]) }
      if orphans.isEmpty {
        _ = remove(child, from: slot)
      } else {
        children[known].receivers = orphans
        children[known].until = min(children[known].until, now + Self.orphanPatience)
      }
      changed(slot, at: now)
    }
    review(at: now)
  }

  // MARK: - Time

  /// Reports what is due.
  mutating func expire(_ links: borrowing Links, _ context: inout Context) {
    let now = context.now
    guard deadline <= now else { return }
    if sweepAt <= now { sweep(at: now) }
    for slot in 0..<groups.highWater where groups.isUsed(slot) {
      if reviewAt <= now, parent(of: slot, links) != groups[slot].parent { groups[slot].tellAt = now }
      if groups[slot].settleAt <= now { settle(slot) }
      if groups[slot].tellAt <= now { tell(slot, links, &context) }
    }
    if reviewAt <= now { reviewAt = .never }
    readDeadline()
  }

  private func parent(of slot: Int, _ links: borrowing Links) -> OverlayID? {
    links.memberTowards(groups[slot].place).map { links.peers[$0].id }
  }

  /// Tells the parent, or as root those who have asked, what there is.
  private mutating func tell(_ slot: Int, _ links: borrowing Links, _ context: inout Context) {
    let now = context.now
    var group = groups[slot]
    let all = receivers(slot)
    let parent = parent(of: slot, links)
    if parent != group.parent {
      if let old = group.former, old != parent { withdraw(group.address, from: old) }
      group.repeats = 1
      groups[slot].former = group.parent
      groups[slot].settleAt = now + Self.settling
      groups[slot].parent = parent
    }
    if let parent {
      if !all.isEmpty || !group.told.isEmpty || group.repeats > 0 {
        sayings.append(.report(GroupReport(group: group.address, receivers: all), to: parent))
      }
    } else if all != group.told || group.repeats > 0 {
      sayToAskers(of: slot) { .plan(group.address, nonce: $0, all) }
    }
    groups[slot].told = all
    groups[slot].toldAt = now
    groups[slot].repeats = group.repeats > 0 ? group.repeats - 1 : 0
    groups[slot].tellAt =
      now + (group.repeats > 0 ? Self.repeatAfter : context.random.jittered(Self.reportInterval))
  }

  private mutating func withdraw(_ address: IPAddress, from old: OverlayID) {
    sayings.append(.report(GroupReport(group: address, receivers: Receivers()), to: old))
  }

  /// The new parent knows all by now: the old one need not, and this one is not asked as the root any more.
  private mutating func settle(_ slot: Int) {
    let group = groups[slot]
    groups[slot].settleAt = .never
    groups[slot].former = nil
    if let old = group.former, old != group.parent { withdraw(group.address, from: old) }
    guard group.parent != nil else { return }
    sayToAskers(of: slot) { .askAgain(group.address, nonce: $0) }
    for i in 0..<askers.highWater where askers.isUsed(i) && askers[i].group == Int32(slot) {
      askers.remove(i)
    }
  }

  /// - Parameter message: what an asker with the given nonce is told.
  private mutating func sayToAskers(of slot: Int, _ message: (UInt64) -> GroupMessage) {
    for i in 0..<askers.highWater where askers.isUsed(i) && askers[i].group == Int32(slot) {
      sayings.append(.message(message(askers[i].nonce), to: askers[i].id, via: askers[i].via))
    }
  }

  /// Forgets children and askers that say nothing any more, and groups of which nothing is left.
  private mutating func sweep(at now: Instant) {
    sweepAt = now + Self.sweepInterval
    for i in 0..<askers.highWater where askers.isUsed(i) && askers[i].until <= now { askers.remove(i) }
    for slot in 0..<groups.highWater where groups.isUsed(slot) {
      var gone: [OverlayID] = []
      visitChildren(of: slot) { if children[$0].until <= now { gone.append(children[$0].id) } }
      for child in gone { _ = remove(child, from: slot) }
      if !gone.isEmpty { changed(slot, at: now) }
      if isOver(slot) {
        byAddress.remove(groups[slot].address)
        groups.remove(slot)
      }
    }
    if groups.isEmpty { sweepAt = .never }
  }

  private func isOver(_ slot: Int) -> Bool {
    let group = groups[slot]
    guard !group.isReceived, group.firstChild < 0, group.told.isEmpty, group.repeats == 0,
      group.settleAt == .never
    else { return false }
    for i in 0..<askers.highWater where askers.isUsed(i) && askers[i].group == Int32(slot) { return false }
    return true
  }

  private mutating func readDeadline() {
    deadline = min(sweepAt, reviewAt)
    for slot in 0..<groups.highWater where groups.isUsed(slot) {
      deadline = min(deadline, groups[slot].tellAt, groups[slot].settleAt)
    }
  }

  // MARK: - The table

  /// Told at once, or a moment after it was told last; and once more, in case that is lost.
  private mutating func changed(_ slot: Int, at now: Instant) {
    groups[slot].repeats = 1
    groups[slot].tellAt = min(groups[slot].tellAt, max(now, groups[slot].toldAt + Self.pause))
    deadline = min(deadline, groups[slot].tellAt)
  }

  private mutating func slot(of address: IPAddress, _ community: Community, _ now: Instant) -> Int? {
    if let slot = find(address) { return slot }
    let group = KnownGroup(
      address: address, place: community.place(of: address), tellAt: now + Self.reportInterval)
    guard let slot = groups.insert(group) else {
      refused &+= 1
      return nil
    }
    byAddress.set(address, UInt32(slot))
    sweepAt = min(sweepAt, now + Self.sweepInterval)
    deadline = min(deadline, sweepAt)
    return slot
  }

  private func visitChildren(of slot: Int, _ visit: (Int) -> Void) {
    var next = groups[slot].firstChild
    while next >= 0 {
      visit(Int(next))
      next = children[Int(next)].next
    }
  }

  private func child(_ id: OverlayID, of slot: Int) -> Int? {
    var next = groups[slot].firstChild
    while next >= 0, children[Int(next)].id != id { next = children[Int(next)].next }
    return next >= 0 ? Int(next) : nil
  }

  private mutating func remove(_ id: OverlayID, from slot: Int) -> Bool {
    guard let found = child(id, of: slot) else { return false }
    let next = children[found].next
    if groups[slot].firstChild == Int32(found) {
      groups[slot].firstChild = next
    } else {
      var before = Int(groups[slot].firstChild)
      while children[before].next != Int32(found) { before = Int(children[before].next) }
      children[before].next = next
    }
    children.remove(found)
    return true
  }
}
