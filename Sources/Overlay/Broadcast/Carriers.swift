// Over which links what is for all members goes: those that are kept for a ring, since others come and go
// with their traffic.

import Base

extension Links {
  /// The members that may carry on a broadcast, in the order of the ring.
  public var carriers: [OverlayID] {
    var carriers: [OverlayID] = []
    members.visit { slot in if isCarrier(slot) { carriers.append(peers[slot].id) } }
    return carriers
  }

  /// The members that carry on what is for all within an arc, clockwise from its beginning: the links that
  /// are kept for a ring, since others come and go with their traffic; those that were asked in vain whether
  /// they are there only when there is nobody else; of too many, those that are evenly spread.
  func children(
    in arc: Arc, but source: (parent: OverlayID, origin: OverlayID)?
  ) -> BoundedArray<32, Int32> {
    var found: [(distance: UInt64, slot: Int32, isDoubted: Bool)] = []
    members.visit { slot in
      let id = peers[slot].id
      guard arc.contains(id.high), id != source?.parent, id != source?.origin, isCarrier(slot) else { return }
      found.append((id.high &- arc.from, Int32(slot), isDoubted(slot)))
    }
    if found.contains(where: { !$0.isDoubted }) { found.removeAll { $0.isDoubted } }
    found.sort { $0.distance < $1.distance }
    var children = BoundedArray<32, Int32>()
    let step = max(1, (found.count + 31) / 32)
    for i in stride(from: 0, to: found.count, by: step) { children.append(found[i].slot) }
    return children
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
  func memberNearer(to arc: Arc, but source: (parent: OverlayID, origin: OverlayID)?) -> Int? {
    let own = arc.distance(to: id.high)
    return firstCarrier { id in
      // Who stands where it ends sent it, or is dead.
      let isItsEnd = id.high == arc.from || id.high == arc.to
      let distance = arc.distance(to: id.high)
      return distance < own && !isItsEnd && id != source?.parent ? distance : nil
    }
  }

  /// The linked member that is to see to an arc in the place of one that did not: the nearest to that one,
  /// within the arc if there is any.
  func heir(of arc: Arc, after former: OverlayID) -> Int? {
    firstCarrier { id in
      let distance = id.distance(to: former).high >> 1
      return id == former ? nil : arc.contains(id.high) ? distance : distance | 1 << 63
    }
  }

  /// The member with the least measure; one that was asked in vain whether it is there only when there is
  /// nobody else. Nil as a measure: it is out of the question.
  private func firstCarrier(_ measure: (OverlayID) -> UInt64?) -> Int? {
    var best: (slot: Int, isDoubted: Bool, measure: UInt64)?
    members.visit { slot in
      guard isCarrier(slot), let measure = measure(peers[slot].id) else { return }
      let isDoubted = isDoubted(slot)
      if let best, (best.isDoubted ? 1 : 0, best.measure) <= (isDoubted ? 1 : 0, measure) { return }
      best = (slot, isDoubted, measure)
    }
    return best?.slot
  }
}
