// Over which links what is for all of a ring goes: those that are kept for a ring, since others come and go
// with their traffic. Broadcasts go to the members, tasks to these or to all nodes.

import Base

extension Links {
  /// The members that may carry on a broadcast, in the order of the ring.
  public var carriers: [OverlayID] {
    var carriers: [OverlayID] = []
    members.visit { slot in if isCarrier(slot) { carriers.append(peers[slot].id) } }
    return carriers
  }

  /// The links on a ring that carry on what is for all within an arc, clockwise from its beginning: the links
  /// that are kept for a ring, since others come and go with their traffic; those that were asked in vain
  /// whether they are there only when there is nobody else on their side of this node; of too many, those
  /// that are evenly spread.
  /// - Parameter orPassing: whether links that are not kept for a ring are taken where there is no other.
  func children(
    in arc: Arc, on ring: RingKind = .members, but source: (parent: OverlayID, origin: OverlayID)?,
    orPassing: Bool = false
  ) -> BoundedArray<32, Int32> {
    var found: [(distance: UInt64, slot: Int32, isDoubted: Bool)] = []
    // No part reaches across this node.
    let own = arc.contains(id.high) ? id.high &- arc.from : 0
    var isServed = (before: false, behind: false)
    self[ring].visit { slot in
      let id = peers[slot].id
      let isCarrier = isCarrier(slot)
      guard arc.contains(id.high), id != source?.parent, id != source?.origin, isCarrier || orPassing else {
        return
      }
      let (distance, isDoubted) = (id.high &- arc.from, !isCarrier || isDoubted(slot))
      found.append((distance, Int32(slot), isDoubted))
      if !isDoubted, distance < own { isServed.before = true }
      if !isDoubted, distance > own { isServed.behind = true }
    }
    found.removeAll { $0.isDoubted && ($0.distance < own ? isServed.before : isServed.behind) }
    found.sort { $0.distance < $1.distance }
    var children = BoundedArray<32, Int32>()
    let count = min(found.count, Broadcasting.childrenMax)
    for i in 0..<count { children.append(found[i * (found.count - 1) / max(count - 1, 1)].slot) }
    return children
  }

  /// Whether there is nobody to pass on to what is for all within an arc.
  func isLeaf(of arc: Arc, but source: (parent: OverlayID, origin: OverlayID)?) -> Bool {
    children(in: arc, but: source).isEmpty && memberNearer(to: arc, but: source) == nil
  }

  /// Whether the link lasts and the member is there, as far as is known.
  func isCarrier(_ slot: Int) -> Bool {
    peers[slot].isLasting && peers[slot].bestPath?.isLastResort != true
  }

  /// Whether the member was asked in vain whether it is there.
  private func isDoubted(_ slot: Int) -> Bool {
    peers[slot].bestPath.map { $0.probe.tries > 1 || $0.probe.isUrgent } ?? true
  }

  /// The linked member nearest to an arc of which nobody is known here, if it is nearer than this node: the
  /// part of a member that died comes to one that stands elsewhere.
  func memberNearer(
    to arc: Arc, on ring: RingKind = .members, but source: (parent: OverlayID, origin: OverlayID)?
  ) -> Int? {
    let own = arc.distance(to: id.high)
    return firstCarrier(on: ring) { id in
      // Who stands where it ends sent it, or is dead.
      let isItsEnd = id.high == arc.from || id.high == arc.to
      let distance = arc.distance(to: id.high)
      let hasIt = id == source?.parent || id == source?.origin
      return distance < own && !isItsEnd && !hasIt ? distance : nil
    }
  }

  /// The linked member that is to see to an arc in the place of one that did not: the nearest to that one,
  /// within the arc if there is any.
  func heir(
    of arc: Arc, on ring: RingKind = .members, after former: OverlayID, but origin: OverlayID
  ) -> Int? {
    firstCarrier(on: ring) { id in
      let distance = id.distance(to: former).high >> 1
      return id == former || id == origin ? nil : arc.contains(id.high) ? distance : distance | 1 << 63
    }
  }

  /// The member with the least measure; one that was asked in vain whether it is there only when there is
  /// nobody else. Nil as a measure: it is out of the question.
  private func firstCarrier(on ring: RingKind, _ measure: (OverlayID) -> UInt64?) -> Int? {
    var best: (slot: Int, isDoubted: Bool, measure: UInt64)?
    self[ring].visit { slot in
      guard isCarrier(slot), let measure = measure(peers[slot].id) else { return }
      let isDoubted = isDoubted(slot)
      if let best, (best.isDoubted ? 1 : 0, best.measure) <= (isDoubted ? 1 : 0, measure) { return }
      best = (slot, isDoubted, measure)
    }
    return best?.slot
  }
}
