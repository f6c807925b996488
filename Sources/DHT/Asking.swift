// Questions to the directory: sent to the owner of a key until it answers.

import Base
import Overlay
import Session

/// A question that waits for its answer.
struct Request: BitwiseCopyable {
  let ticket: UInt64
  let key: OverlayID
  /// The lease to store; nil asks for what is stored.
  let lease: PacketRef?
  let tag: UInt32
  let giveUpAt: Instant
  var tries: UInt8 = 0
  var nextAt: Instant
}

extension Directory {
  /// How long a question is asked again before it has failed.
  static let patience = Interval.seconds(10)
  /// Waits between tries: short at first (a lost message), then calm.
  static let retryMin = Interval.milliseconds(250)
  static let retryMax = Interval.seconds(2)
  /// A question that did not arrive is asked again after this.
  static let undeliverableRetry = Interval.milliseconds(200)
  /// An owner that is not ready yet is asked again after this.
  static let laterRetry = Interval.milliseconds(40)

  /// Asks for the lease under `key`; the answer is an event with `tag`.
  public mutating func get(
    _ key: OverlayID, tag: UInt32, _ links: inout Links, _ ring: borrowing Ring, _ context: inout Context
  ) {
    begin(key, lease: nil, tag: tag, &links, ring, &context)
  }

  /// Stores a lease, made by `Lease.make`; the answer is an event with `tag`.
  public mutating func put(
    _ lease: [UInt8], tag: UInt32, _ links: inout Links, _ ring: borrowing Ring, _ context: inout Context
  ) {
    guard let packet = context.pool.take(length: lease.count) else {
      events.append(.failed(tag: tag))
      return
    }
    let frame = context.pool.frame(packet)
    frame.write(lease)
    guard let key = try? Lease(decoding: frame).key else { preconditionFailure("own lease does not decode") }
    begin(key, lease: packet, tag: tag, &links, ring, &context)
  }

  private mutating func begin(
    _ key: OverlayID, lease: PacketRef?, tag: UInt32, _ links: inout Links, _ ring: borrowing Ring,
    _ context: inout Context
  ) {
    let request = Request(
      ticket: context.random.next(), key: key, lease: lease, tag: tag, giveUpAt: context.now + Self.patience,
      nextAt: context.now)
    guard let slot = requests.insert(request) else {
      counters.busy &+= 1
      if let lease { context.pool.release(lease) }
      events.append(.failed(tag: tag))
      return
    }
    send(slot, &links, ring, &context)
  }

  private mutating func send(
    _ slot: Int, _ links: inout Links, _ ring: borrowing Ring, _ context: inout Context
  ) {
    let request = requests[slot]
    let wait = min(Self.retryMin * (1 << UInt64(min(request.tries, 6))), Self.retryMax)
    requests[slot].tries += 1
    requests[slot].nextAt = context.now + context.random.jittered(wait)
    requestsAt = min(requestsAt, requests[slot].nextAt)
    let isMine = links.ownsByPlace(request.key)
    if let packet = request.lease {
      guard let lease = try? Lease(decoding: context.pool.frame(packet)) else { return }
      let message = DirectoryMessage.put(ticket: request.ticket, lease)
      if isMine { return receivePut(lease, from: own(request.ticket, links), &links, ring, &context) }
      links.routeMessage(.directory, mode: .owner, to: request.key, wantsNotice: true, &context) {
        message.encode(to: &$0)
      }
    } else {
      if isMine {
        return receiveGet(request.key, from: own(request.ticket, links), &links, ring, &context)
      }
      let message = DirectoryMessage.get(ticket: request.ticket)
      links.routeMessage(.directory, mode: .owner, to: request.key, wantsNotice: true, &context) {
        message.encode(to: &$0)
      }
    }
  }

  private func own(_ ticket: UInt64, _ links: borrowing Links) -> Asker {
    Asker(id: links.id, via: nil, ticket: ticket)
  }

  /// A question did not arrive: it is asked again soon, while the ring looks for a way.
  mutating func onUndeliverable(ticket: UInt64, _ context: inout Context) {
    for slot in 0..<requests.highWater where requests.isUsed(slot) && requests[slot].ticket == ticket {
      requests[slot].nextAt = min(requests[slot].nextAt, context.now + Self.undeliverableRetry)
      requestsAt = min(requestsAt, requests[slot].nextAt)
    }
  }

  mutating func retryRequests(_ links: inout Links, _ ring: borrowing Ring, _ context: inout Context) {
    guard requestsAt <= context.now else { return }
    for slot in 0..<requests.highWater where requests.isUsed(slot) && requests[slot].nextAt <= context.now {
      if requests[slot].giveUpAt <= context.now {
        events.append(.failed(tag: requests[slot].tag))
        end(slot, &context)
      } else {
        send(slot, &links, ring, &context)
      }
    }
    requestsAt = firstRequest()
  }

  private func firstRequest() -> Instant {
    var first = Instant.never
    for slot in 0..<requests.highWater where requests.isUsed(slot) {
      first = min(first, requests[slot].nextAt)
    }
    return first
  }

  mutating func receiveAnswer(
    _ ticket: UInt64, _ status: DirectoryStatus, _ remaining: UInt32, _ lease: Lease?, under suite: Suite,
    _ context: inout Context
  ) {
    for slot in 0..<requests.highWater where requests.isUsed(slot) && requests[slot].ticket == ticket {
      if status == .later {
        requests[slot].nextAt = min(requests[slot].nextAt, context.now + Self.laterRetry)
        requestsAt = min(requestsAt, requests[slot].nextAt)
        return
      }
      guard let packet = accepted(status, lease, for: requests[slot], under: suite, &context) else {
        counters.invalid &+= 1
        return
      }
      events.append(.answered(tag: requests[slot].tag, status, remaining: remaining, packet))
      return end(slot, &context)
    }
  }

  /// A copy of the answered lease, checked against the question; nil when the answer cannot be true.
  private func accepted(
    _ status: DirectoryStatus, _ lease: Lease?, for request: Request, under suite: Suite,
    _ context: inout Context
  ) -> PacketRef?? {
    guard let lease else {
      let needsLease = status == .denied || (status == .granted && request.lease == nil)
      return needsLease ? .none : .some(nil)
    }
    guard lease.key == request.key, lease.isAuthentic(under: suite), let packet = context.pool.take(length: 0)
    else {
      return .none
    }
    let length = lease.encode(into: context.pool.room(packet)) ?? 0
    return .some(PacketRef(slot: packet.slot, offset: packet.offset, length: UInt16(length)))
  }

  private mutating func end(_ slot: Int, _ context: inout Context) {
    if let lease = requests[slot].lease { context.pool.release(lease) }
    let wasFirst = requests[slot].nextAt <= requestsAt
    requests.remove(slot)
    if wasFirst { requestsAt = firstRequest() }
  }
}
