// Answering for one's own range: get, put, copies.

import Base
import Overlay
import Session

extension Directory {
  /// Whether this node answers for `key` at this moment.
  func speaks(for key: OverlayID, _ links: borrowing Links, _ ring: borrowing Ring) -> Bool {
    isReady && ring.owns(key, links)
  }

  mutating func answer(
    _ asker: Asker, _ status: DirectoryStatus, remaining: UInt32 = 0, lease: Lease? = nil,
    _ links: inout Links,
    _ context: inout Context
  ) {
    let message = DirectoryMessage.answer(ticket: asker.ticket, status, remaining: remaining, lease)
    send(message, to: asker.id, via: asker.via, &links, &context)
  }

  mutating func receiveGet(
    _ key: OverlayID, from asker: Asker, _ links: inout Links, _ ring: borrowing Ring,
    _ context: inout Context
  ) {
    guard speaks(for: key, links, ring), gets.take(at: context.now) else {
      return answer(asker, .later, &links, &context)
    }
    guard index.live(key, at: context.now) != nil else {
      return answer(asker, incompleteUntil > context.now ? .later : .absent, &links, &context)
    }
    load(key, for: .answer(asker, .granted, key: key), &context)
  }

  mutating func receivePut(
    _ lease: Lease, from asker: Asker, _ links: inout Links, _ ring: borrowing Ring, _ context: inout Context
  ) {
    let key = lease.key
    guard speaks(for: key, links, ring) else { return answer(asker, .later, &links, &context) }
    guard puts.take(at: context.now) else {
      counters.limited &+= 1
      return answer(asker, .later, &links, &context)
    }
    guard lease.isAuthentic(under: links.identity.suite) else {
      counters.invalid &+= 1
      return answer(asker, .invalid, &links, &context)
    }
    if isPutting(key) { return }
    switch index.judge(lease, at: context.now) {
    case .stale: answer(asker, .invalid, &links, &context)
    case .known where index.live(key, at: context.now)?.isKept == true:
      answer(asker, .granted, &links, &context)
    case .taken: load(key, for: .answer(asker, .denied, key: key), &context)
    case .known, .accept: accept(lease, from: asker, &links, &context)
    }
  }

  private func isPutting(_ key: OverlayID) -> Bool {
    for slot in 0..<pending.highWater where pending.isUsed(slot) {
      if case .put(let put) = pending[slot].what, put.key == key { return true }
    }
    return false
  }

  private mutating func accept(
    _ lease: Lease, from asker: Asker, _ links: inout Links, _ context: inout Context
  ) {
    guard let copy = context.pool.take(length: 0) else { return }
    let length = lease.encode(into: context.pool.room(copy)) ?? 0
    let kept = PacketRef(slot: copy.slot, offset: copy.offset, length: UInt16(length))
    let put = Put(asker: asker, key: lease.key, lease: kept, nextAt: context.now)
    guard let slot = pending.insert(Waiting(what: .put(put), since: context.now)) else {
      context.pool.release(kept)
      counters.busy &+= 1
      return answer(asker, .later, &links, &context)
    }
    guard index.put(lease, remaining: lease.timeToLive, at: context.now) else {
      counters.full &+= 1
      context.pool.release(kept)
      pending.remove(slot)
      return answer(asker, .later, &links, &context)
    }
    store(lease, remaining: lease.timeToLive, ticket: ticket(slot), &context)
    copyPut(slot, &links, &context)
  }

  /// The nodes that keep copies of what this node owns: those that will own it next.
  func keepers(_ links: borrowing Links) -> BoundedArray<2, OverlayID> {
    var ids = BoundedArray<2, OverlayID>()
    let right = links.neighbourhood.right
    for i in 0..<min(right.count, Self.copies) { ids.append(links.peers[Int(right[i])].id) }
    return ids
  }

  private mutating func copyPut(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    guard case .put(var put) = pending[slot].what,
      let lease = try? Lease(decoding: context.pool.frame(put.lease))
    else {
      return
    }
    let keepers = keepers(links)
    if keepers.isEmpty { put.isCopied = true }
    put.tries += 1
    put.nextAt = context.now + Self.retry
    putsAt = min(putsAt, put.nextAt)
    pending[slot].what = .put(put)
    for i in 0..<keepers.count {
      let copy = DirectoryMessage.copy(
        ticket: UInt64(ticket(slot)), remaining: index.remaining(put.key, at: context.now), lease)
      send(copy, to: keepers[i], via: nil, &links, &context)
    }
  }

  mutating func retryPuts(_ links: inout Links, _ context: inout Context) {
    guard putsAt <= context.now else { return }
    for slot in 0..<pending.highWater where pending.isUsed(slot) {
      guard case .put(let put) = pending[slot].what, put.nextAt <= context.now else { continue }
      if put.tries >= 10 {
        context.pool.release(put.lease)
        pending.remove(slot)
      } else {
        copyPut(slot, &links, &context)
        finishPut(slot, &links, &context)
      }
    }
    putsAt = firstPut()
  }

  private func firstPut() -> Instant {
    var first = Instant.never
    for slot in 0..<pending.highWater where pending.isUsed(slot) {
      if case .put(let put) = pending[slot].what { first = min(first, put.nextAt) }
    }
    return first
  }

  mutating func receiveCopied(
    _ ticket: UInt64, from keeper: OverlayID, _ links: inout Links, _ context: inout Context
  ) {
    guard let slot = slot(UInt32(truncatingIfNeeded: ticket)), case .put(var put) = pending[slot].what,
      keepers(links).contains(where: { $0 == keeper })
    else { return }
    put.isCopied = true
    pending[slot].what = .put(put)
    finishPut(slot, &links, &context)
  }

  mutating func finishPut(_ slot: Int, _ links: inout Links, _ context: inout Context) {
    guard case .put(let put) = pending[slot].what, put.isCommitted, put.isCopied else { return }
    context.pool.release(put.lease)
    pending.remove(slot)
    if put.nextAt <= putsAt { putsAt = firstPut() }
    index.keep(put.key)
    answer(put.asker, .granted, &links, &context)
  }

  /// A lease that somebody keeps who no longer should: taken like a put, by the owner of its key only, and it
  /// displaces nothing.
  mutating func receiveStray(
    _ lease: Lease, _ remaining: UInt32, from asker: Asker, _ links: inout Links, _ ring: borrowing Ring,
    _ context: inout Context
  ) {
    guard remaining > 0, speaks(for: lease.key, links, ring), puts.take(at: context.now),
      lease.isAuthentic(under: links.identity.suite),
      index.judge(lease, at: context.now) == .accept
    else { return }
    keepCopy(lease, remaining, from: asker, &context)
    replicateAt = min(replicateAt, context.now + .milliseconds(200))
  }

  mutating func receiveCopy(
    _ lease: Lease, _ remaining: UInt32, from asker: Asker, _ links: inout Links, _ ring: borrowing Ring,
    _ context: inout Context
  ) {
    let isHandedOver = takingOver?.ticket == asker.ticket
    // Copies come from neighbours on the ring; what others send must find its place free.
    guard links.isNeighbour(asker.id, at: context.now) else {
      return receiveStray(lease, remaining, from: asker, &links, ring, &context)
    }
    guard remaining > 0,
      isHandedOver || copiesTaken.take(at: context.now), lease.isAuthentic(under: links.identity.suite)
    else {
      counters.invalid &+= 1
      return
    }
    noteHandedOver(asker)
    switch index.judge(lease, at: context.now) {
    case .known, .stale:
      return send(.copied(ticket: asker.ticket), to: asker.id, via: asker.via, &links, &context)
    case .taken:
      // Who speaks for the key lets nobody displace a lease, but for what it takes over from its successor.
      guard let entry = index.live(lease.key, at: context.now),
        isHandedOver || (!speaks(for: lease.key, links, ring) && index.prefers(lease, over: entry))
      else {
        return send(.copied(ticket: asker.ticket), to: asker.id, via: asker.via, &links, &context)
      }
    case .accept:
      break
    }
    keepCopy(lease, remaining, from: asker, &context)
  }

  private mutating func keepCopy(
    _ lease: Lease, _ remaining: UInt32, from asker: Asker, _ context: inout Context
  ) {
    guard let slot = pending.insert(Waiting(what: .copy(asker, key: lease.key), since: context.now)) else {
      counters.busy &+= 1
      return
    }
    guard index.put(lease, remaining: remaining, at: context.now) else {
      counters.full &+= 1
      return pending.remove(slot)
    }
    store(lease, remaining: min(remaining, lease.timeToLive), ticket: ticket(slot), &context)
  }
}
