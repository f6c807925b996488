// One hop of a routed message, until the next node has taken it over.
//
// Control messages are acknowledged hop by hop: who takes one over confirms it at once, who cannot bring it
// nearer says so, and who is silent is asked whether it is there. In each case but the first the message goes
// to the next best link, three times at most; then its source hears that it did not arrive. Without this, one
// lost datagram in a hundred ends one look-up in seventeen (6.5 hops); with it, none in a hundred thousand.
// Data is not acknowledged: programs do that themselves.

import Base
import Session

/// A message that nobody has taken over yet. A copy of it waits in a slot of its own.
struct Hop: BitwiseCopyable {
  var header: RoutedHeader
  /// Whether the message was on its final steps when it came here.
  let cameFinal: Bool
  let payload: PacketRef
  /// The peer that handed it to us; nil when it is our own.
  let from: Int?
  var next: Int
  /// Who the next node was when the message was sent: its slot may have another tenant since.
  var nextSerial: UInt32
  var tried = BoundedArray<3, Int32>()
  var sentAt: Instant
  var dueAt: Instant
}

extension Links {
  /// Messages that wait for a confirmation at the same time; more go out without.
  static let hopsPending = 64
  private static let numberBits: UInt32 = 6

  /// Hands a message to a peer. Takes the slot.
  mutating func hand(
    _ header: RoutedHeader, _ payload: PacketRef, to next: Int, from hop: Int?, cameFinal: Bool = false,
    _ context: inout Context
  ) {
    var number: UInt32 = 0
    if isConfirmed(header, context.pool.frame(payload)), context.pool.available > context.pool.capacity / 4,
      hops.count < hops.capacity, let copy = context.pool.take(copying: context.pool.frame(payload))
    {
      let slot = hops.insert(
        Hop(
          header: header, cameFinal: cameFinal, payload: copy, from: hop, next: next,
          nextSerial: peers.serial(next),
          sentAt: context.now, dueAt: context.now + patience(next)))!
      number = self.number(slot)
      wakeHops(at: hops[slot].dueAt)
    }
    send(routed: prepend(header, number, to: payload, &context), to: next, isNumbered: number != 0, &context)
  }

  /// Whether each hop of the message is confirmed: all control, and of datagrams the handshakes.
  private func isConfirmed(_ header: RoutedHeader, _ payload: Frame) -> Bool {
    header.payload != .datagram || (!payload.isEmpty && payload[0] != SessionTable.recordKind)
  }

  private func patience(_ next: Int) -> Interval {
    guard let path = peers[next].bestPath, path.roundTrip.samples > 0 else { return .milliseconds(500) }
    return path.roundTrip.timeout
  }

  private func number(_ slot: Int) -> UInt32 { hops.serial(slot) &<< Self.numberBits | UInt32(slot) }

  /// Tells the hop before what becomes of its message.
  mutating func confirm(_ number: UInt32, isTaken: Bool, to hop: Int, _ context: inout Context) {
    guard number != 0, peers.isUsed(hop) else { return }
    let message = HopConfirmation(number: number, isTaken: isTaken)
    send(.confirm, to: hop, &context) { message.encode(to: &$0) }
  }

  mutating func receive(_ message: HopConfirmation, from peer: Int, _ context: inout Context) {
    let slot = Int(message.number & (1 << Self.numberBits - 1))
    guard hops.isUsed(slot), number(slot) == message.number, hops[slot].next == peer else { return }
    if message.isTaken {
      let took = context.now - hops[slot].sentAt
      if hops[slot].tried.isEmpty, let best = peers[peer].best {
        peers[peer].paths[best]?.roundTrip.add(took)
      }
      context.pool.release(hops[slot].payload)
      hops.remove(slot)
    } else {
      takeAnotherWay(slot, &context)
    }
  }

  mutating func expireHops(_ context: inout Context) {
    guard hopsAt <= context.now else { return }
    hopsAt = .never
    for slot in 0..<hops.highWater where hops.isUsed(slot) {
      if hops[slot].dueAt <= context.now {
        let next = hops[slot].next
        if peers.isUsed(next), peers.serial(next) == hops[slot].nextSerial { doubt(next, context.now) }
        takeAnotherWay(slot, &context)
      }
      if hops.isUsed(slot) { wakeHops(at: hops[slot].dueAt) }
    }
  }

  /// Gives back every message that waits for a confirmation: the node is no more.
  public mutating func releasePackets(_ context: inout Context) {
    for slot in 0..<hops.highWater where hops.isUsed(slot) {
      context.pool.release(hops[slot].payload)
      hops.remove(slot)
    }
  }

  private mutating func wakeHops(at instant: Instant) {
    hopsAt = min(hopsAt, instant)
    deadline = min(deadline, instant)
  }

  private mutating func takeAnotherWay(_ slot: Int, _ context: inout Context) {
    var hop = hops[slot]
    hop.header.isFinal = hop.cameFinal
    let hasTriesLeft = hop.tried.append(Int32(hop.next))
    if hasTriesLeft, case .forward(let next) = decide(&hop.header, from: hop.from, tried: hop.tried),
      let copy = context.pool.take(copying: context.pool.frame(hop.payload))
    {
      hop.next = next
      hop.nextSerial = peers.serial(next)
      hop.sentAt = context.now
      hop.dueAt = context.now + patience(next)
      hops[slot] = hop
      wakeHops(at: hop.dueAt)
      counters.rerouted &+= 1
      let message = prepend(hop.header, number(slot), to: copy, &context)
      return send(routed: message, to: next, isNumbered: true, &context)
    }
    hops.remove(slot)
    counters.undeliverable &+= 1
    refuse(hop.header, context.pool.frame(hop.payload), &context)
    context.pool.release(hop.payload)
  }
}
