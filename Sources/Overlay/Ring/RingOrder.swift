// The peers that are up, in the order of the ring, in a few cache lines: who is next to a place is found
// without asking each peer where it stands. And when something is due for which peer, likewise.

import Base

/// Slots of peers, sorted by their IDs.
public struct RingOrder: Sendable {
  private var ids: [OverlayID] = []
  private var slots: [Int32] = []

  /// How many are up.
  var count: Int { slots.count }

  /// Takes a slot in. *Precondition:* it is not in here.
  mutating func insert(_ slot: Int, _ id: OverlayID) {
    let position = position(of: id)
    ids.insert(id, at: position)
    slots.insert(Int32(slot), at: position)
  }

  /// Takes a slot out, when it is in here.
  mutating func remove(_ slot: Int, _ id: OverlayID) {
    let position = position(of: id)
    guard position < slots.count, slots[position] == Int32(slot) else { return }
    ids.remove(at: position)
    slots.remove(at: position)
  }

  func visit(_ body: (Int) -> Void) { for slot in slots { body(Int(slot)) } }

  /// The nearest on one side of a place, nearest first; nobody who stands at the place itself.
  func nearest<let limit: Int>(to place: OverlayID, isClockwise: Bool) -> BoundedArray<limit, Int32> {
    var found = BoundedArray<limit, Int32>()
    let count = slots.count
    let start = position(of: place)
    let isTaken = start < count && ids[start] == place
    for step in 0..<min(isTaken ? count - 1 : count, limit) {
      let distance = isClockwise ? step + (isTaken ? 1 : 0) : count - 1 - step
      found.append(slots[(start + distance) % count])
    }
    return found
  }

  /// The position of the first ID that is not below.
  private func position(of id: OverlayID) -> Int {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// When something is due for each peer; reading it through to find what is due touches no peer.
///
/// Until when an answer is waited for stands apart, because most answers come: then that moment is taken
/// back, and the peer's other moments are what they were.
struct Alarms {
  private var moments: [Instant] = []
  private var answers: [Instant] = []

  /// The first slot for which something is due.
  func first(upTo moment: Instant, below limit: Int) -> Int? {
    for slot in 0..<min(limit, moments.count) where self[slot] <= moment { return slot }
    return nil
  }

  /// The first moment of all.
  var first: Instant {
    var first = Instant.never
    for moment in moments where moment < first { first = moment }
    for moment in answers where moment < first { first = moment }
    return first
  }

  /// The next moment for a slot; `.never` when nothing is due.
  subscript(slot: Int) -> Instant {
    slot < moments.count ? min(moments[slot], answers[slot]) : .never
  }

  /// Something is due at the moment, or sooner. It stays so when the answer comes that is waited for.
  mutating func add(_ slot: Int, at moment: Instant) {
    grow(to: slot)
    if moment < moments[slot] { moments[slot] = moment }
  }

  /// Until when the peer's answer is waited for; `.never` when it is not, or no more.
  mutating func expect(_ slot: Int, until moment: Instant) {
    grow(to: slot)
    answers[slot] = moment
  }

  /// Nothing is due for the peer.
  mutating func clear(_ slot: Int) {
    guard slot < moments.count else { return }
    moments[slot] = .never
    answers[slot] = .never
  }

  private mutating func grow(to slot: Int) {
    while slot >= moments.count {
      moments.append(.never)
      answers.append(.never)
    }
  }
}
