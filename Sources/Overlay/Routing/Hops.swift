// One hop of a routed message, until the next node has taken it over.
//
// Control messages are acknowledged hop by hop: who takes one over confirms it at once, who cannot bring it
// nearer says so, and who is silent is asked whether it is there. In each case but the first the message goes
// to the next best link, three times at most; then its source hears that it did not arrive. Where nobody else
// can be as good as the silent one, since the message ends there, it is sent there again first. Without all
// this, one lost datagram in a hundred ends one look-up in seventeen (6.5 hops); with it, none in a hundred
// thousand. Data is not acknowledged: programs do that themselves.

import Base
import Session

/// A message that nobody has taken over yet. A copy of it waits in a slot of its own.
struct Hop: BitwiseCopyable {
  var header: RoutedHeader
  /// Whether the message was on its final steps when it came here.
  let cameFinal: Bool
  /// Whether it must go through this peer or not at all.
  let isBound: Bool
  let payload: PacketRef
  /// The peer that handed it to us; nil when it is our own. Its slot, and the next one's, may have another
  /// tenant since.
  let from: Party?
  var next: Party
  /// The way that the message took to it last; nil when it had none.
  var way: Way?
  /// How often it was sent there again.
  var repeats: UInt8 = 0
  var tried = BoundedArray<3, Int32>()
  var sentAt: Instant
  var dueAt: Instant
}

/// A message that turned out to be for this node after others did not take it. Its slot belongs to whoever
/// takes it.
public struct RoutedArrival: BitwiseCopyable, Sendable {
  public let header: RoutedHeader
  public let payload: PacketRef
  /// The peer that handed it to us, if that is still linked; nil also when it is our own.
  public let from: Int?
}

extension Links {
  /// Messages that wait for a confirmation at the same time; more go out without.
  static let hopsPending = 64
  private static let numberBits: UInt32 = 6
  /// Where a message ends it is sent again so often, each time after twice the wait, before others are asked.
  private static let repeatsMax: UInt8 = 2

  /// Hands a message to a peer. Takes the slot.
  mutating func hand(
    _ header: RoutedHeader, _ payload: PacketRef, to next: Int, from hop: Int?, cameFinal: Bool = false,
    isBound: Bool = false, _ context: inout Context
  ) {
    var number: UInt32 = 0
    if isConfirmed(header, context.pool.frame(payload)), context.pool.available > context.pool.capacity / 4,
      hops.count < hops.capacity, let copy = context.pool.take(copying: context.pool.frame(payload))
    {
      let slot = hops.insert(
        Hop(
          header: header, cameFinal: cameFinal, isBound: isBound, payload: copy, from: hop.map { party($0) },
          next: party(next), way: peers[next].bestPath?.way, sentAt: context.now,
          dueAt: context.now + patience(next)))!
      number = self.number(slot)
      wakeHops(at: hops[slot].dueAt)
    }
    send(routed: prepend(header, number, to: payload, &context), to: next, isNumbered: number != 0, &context)
  }

  /// Whether each hop of the message is confirmed: all control, and of datagrams the handshakes.
  private func isConfirmed(_ header: RoutedHeader, _ payload: Frame) -> Bool {
    if header.payload != .datagram { return true }
    return !payload.isEmpty && payload[0] != SessionTable.recordKind && payload[0] != Self.openerKind
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
    guard hops.isUsed(slot), number(slot) == message.number, hops[slot].next == party(peer) else { return }
    if message.isTaken {
      // Only the first time it is sure what was answered (Karn and Partridge, 1987).
      if hops[slot].tried.isEmpty, hops[slot].repeats == 0,
        let index = hops[slot].way.flatMap({ peers[peer].index(of: $0) })
      {
        peers[peer].paths[index]!.roundTrip.add(context.now - hops[slot].sentAt)
      }
      context.pool.release(hops[slot].payload)
      let wasFirst = hops[slot].dueAt <= hopsAt
      hops.remove(slot)
      if wasFirst { readHops() }
    } else {
      takeAnotherWay(slot, &context)
    }
  }

  mutating func expireHops(_ context: inout Context) {
    guard hopsAt <= context.now else { return }
    hopsAt = .never
    for slot in 0..<hops.highWater where hops.isUsed(slot) {
      if hops[slot].dueAt <= context.now {
        if isPresent(hops[slot].next) { doubt(hops[slot].next.slot, context.now) }
        if !sendAgain(slot, &context) { takeAnotherWay(slot, &context) }
      }
      if hops.isUsed(slot) { wakeHops(at: hops[slot].dueAt) }
    }
  }

  /// Gives back every message that waits for a confirmation: the node is no more. (None waits as arrived: the
  /// layer above takes those after every input.)
  public mutating func releasePackets(_ context: inout Context) {
    for slot in 0..<hops.highWater where hops.isUsed(slot) {
      context.pool.release(hops[slot].payload)
      hops.remove(slot)
    }
  }

  /// The message that was due first is due no more.
  private mutating func readHops() {
    let wasFirst = hopsAt <= deadline
    hopsAt = .never
    for slot in 0..<hops.highWater where hops.isUsed(slot) { hopsAt = min(hopsAt, hops[slot].dueAt) }
    if wasFirst { readDeadline() }
  }

  private mutating func wakeHops(at instant: Instant) {
    hopsAt = min(hopsAt, instant)
    deadline = min(deadline, instant)
  }

  /// Whether the message ends with the peer: its destination, who is to reach that, or the owner of its key.
  private func isEnd(_ header: RoutedHeader, _ next: Int) -> Bool {
    let id = peers[next].id
    return header.isFinal
      || (header.mode == .exact && (header.destination == id || header.destinationVia == id))
  }

  /// Sends the message once more to the one who was silent, if nobody else can be as good.
  private mutating func sendAgain(_ slot: Int, _ context: inout Context) -> Bool {
    var hop = hops[slot]
    guard hop.repeats < Self.repeatsMax, isPresent(hop.next),
      hop.isBound || isEnd(hop.header, hop.next.slot),
      let copy = context.pool.take(copying: context.pool.frame(hop.payload))
    else { return false }
    hop.repeats += 1
    send(hop, copy, slot, &context)
    return true
  }

  private mutating func takeAnotherWay(_ slot: Int, _ context: inout Context) {
    var hop = hops[slot]
    hop.header.isFinal = hop.cameFinal
    let hasTriesLeft = hop.tried.append(Int32(hop.next.slot)) && !hop.isBound
    if isPresent(hop.next), hop.header.destinationVia == peers[hop.next.slot].id { dropVia(&hop.header) }
    let from = hop.from.flatMap { isPresent($0) ? $0.slot : nil }
    let decision = hasTriesLeft ? decide(&hop.header, from: from, tried: hop.tried) : .undeliverable
    if case .forward(let next) = decision,
      let copy = context.pool.take(copying: context.pool.frame(hop.payload))
    {
      hop.next = party(next)
      hop.repeats = 0
      counters.rerouted &+= 1
      return send(hop, copy, slot, &context)
    }
    hops.remove(slot)
    // Meanwhile the message may be for this node: whoever stood nearer is gone.
    if decision == .deliver,
      arrivals.append(RoutedArrival(header: hop.header, payload: hop.payload, from: from))
    {
      return
    }
    counters.undeliverable &+= 1
    refuse(hop.header, context.pool.frame(hop.payload), &context)
    context.pool.release(hop.payload)
  }

  /// Hands a message that waits in `slot` to its next hop, not for the first time.
  private mutating func send(_ hop: Hop, _ copy: PacketRef, _ slot: Int, _ context: inout Context) {
    let next = hop.next.slot
    hops[slot] = hop
    hops[slot].way = peers[next].bestPath?.way
    hops[slot].sentAt = context.now
    hops[slot].dueAt = context.now + min(patience(next) * (1 << UInt64(hop.repeats)), RoundTrip.timeoutMax)
    wakeHops(at: hops[slot].dueAt)
    let message = prepend(hop.header, number(slot), to: copy, &context)
    send(routed: message, to: next, isNumbered: true, &context)
  }
}
