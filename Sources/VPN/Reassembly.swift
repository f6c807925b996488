// Packets that came as two part-records.
//
// The halves have neighbouring counters of one space: the first n, the second n + 1. Whichever comes first
// waits for the other, for a second at most; the table is small, and a half that finds no room replaces the
// oldest.

import Base
import Overlay

/// Halves that wait for their other half.
struct Reassembly: ~Copyable {
  static let capacity = 64
  static let patience = Interval.seconds(1)

  struct Half: BitwiseCopyable {
    let peer: Int
    /// Counter of the packet's first half.
    let counter: UInt64
    let isFirst: Bool
    let packet: PacketRef
    let since: Instant
  }

  private var halves = SlotTable<Half>(capacity: capacity)
  private(set) var expired: UInt64 = 0

  /// Takes a half. The slot of `packet` stays the caller's.
  /// - Returns: the whole packet in a slot of its own, when this half completes it.
  mutating func add(
    peer: Int, counter: UInt64, isFirst: Bool, _ packet: PacketRef, _ context: inout Context
  ) -> PacketRef? {
    let base = isFirst ? counter : counter &- 1
    expire(&context)
    for slot in 0..<halves.highWater where halves.isUsed(slot) {
      let half = halves[slot]
      guard half.peer == peer, half.counter == base else { continue }
      if half.isFirst == isFirst { return nil }
      halves.remove(slot)
      let (first, second) = isFirst ? (packet, half.packet) : (half.packet, packet)
      let whole = join(first, second, &context)
      context.pool.release(half.packet)
      return whole
    }
    if halves.count == Self.capacity { dropOldest(&context) }
    guard let copy = context.pool.take(copying: context.pool.frame(packet)) else { return nil }
    _ = halves.insert(Half(peer: peer, counter: base, isFirst: isFirst, packet: copy, since: context.now))
    return nil
  }

  /// Gives back every half that waits.
  mutating func releasePackets(_ context: inout Context) {
    for slot in 0..<halves.highWater where halves.isUsed(slot) { drop(slot, &context) }
  }

  private func join(_ first: PacketRef, _ second: PacketRef, _ context: inout Context) -> PacketRef? {
    let length = Int(first.length) + Int(second.length)
    guard length <= PacketPool.payloadMax, let whole = context.pool.take(length: length) else { return nil }
    let frame = context.pool.frame(whole)
    frame.copy(context.pool.frame(first))
    frame.dropping(Int(first.length)).copy(context.pool.frame(second))
    return whole
  }

  private mutating func expire(_ context: inout Context) {
    for slot in 0..<halves.highWater where halves.isUsed(slot) {
      if context.now - halves[slot].since > Self.patience { drop(slot, &context) }
    }
  }

  private mutating func dropOldest(_ context: inout Context) {
    var oldest = 0
    for slot in 0..<halves.highWater where halves.isUsed(slot) && halves[slot].since < halves[oldest].since {
      oldest = slot
    }
    drop(oldest, &context)
  }

  private mutating func drop(_ slot: Int, _ context: inout Context) {
    context.pool.release(halves[slot].packet)
    halves.remove(slot)
    expired &+= 1
  }
}
