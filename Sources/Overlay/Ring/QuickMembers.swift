// The linked members whose answer would come soonest: whom to ask what any member may know.

import Base
import Session

extension Links {
  /// Up to four members by the round trips of their paths, the quickest first, and the wait within which the
  /// answer of each is to be expected. Only links that last count: of the others it may not be known whether
  /// they are there.
  public func quickMembers() -> (slots: BoundedArray<4, Int32>, timeout: Interval) {
    var found: [(time: Interval, slot: Int)] = []
    members.visit { slot in
      guard isCarrier(slot), let trip = peers[slot].bestPath?.roundTrip, trip.samples > 0 else { return }
      found.append((trip.smoothed, slot))
    }
    found.sort { ($0.time, $0.slot) < ($1.time, $1.slot) }
    var slots = BoundedArray<4, Int32>()
    var timeout = Interval.zero
    for (_, slot) in found.prefix(4) {
      slots.append(Int32(slot))
      timeout = max(timeout, peers[slot].bestPath?.roundTrip.timeout ?? .zero)
    }
    return (slots, timeout)
  }

  /// Whether a member may ask us one more question: as many as it may have of its own.
  public mutating func mayAsk(_ slot: Int, at now: Instant) -> Bool {
    peers[slot].questions.take(at: now)
  }
}
