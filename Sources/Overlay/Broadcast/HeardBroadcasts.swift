// Which broadcasts came already, and how many a member may send.
//
// Of each origin the greatest sequence is kept, and which of the 64 below it have come: each is delivered
// once, and an old one that somebody says again, never. Of the latest ones it is kept which arcs were seen
// to: that of a dead member may come to one that has its own part already.

import Base
import Session

/// What becomes of a broadcast that came.
enum BroadcastNews: Equatable {
  /// It is new: delivered, and passed on.
  case new
  /// It came before, and has another arc now: passed on.
  case newArc
  /// All is done.
  case old
  /// The origin, or all together, have sent too much.
  case tooMuch
}

/// The origins heard of late.
struct HeardBroadcasts: ~Copyable {
  /// Origins; of more, the one that has been silent longest is forgotten.
  static let originsMax = 512
  /// Broadcasts of which it is known what was seen to: those of two seconds at the highest rate.
  static let recentMax = 1_024
  /// Arcs of one broadcast that a member sees to: its own, and those of the dead beside it.
  static let arcsMax = 4
  /// Broadcasts of one member in a second, and at once; of all together.
  static let rate: UInt64 = 100
  static let burst: UInt64 = 200
  static let rateOfAll: UInt64 = 500
  static let burstOfAll: UInt64 = 1_000

  struct Origin: BitwiseCopyable {
    let id: OverlayID
    var greatest: UInt64
    /// Bit n: the one n below the greatest has come.
    var window: UInt64 = 1
    var allowance: TokenBucket
    var heardAt: Instant
  }

  struct Recent: BitwiseCopyable {
    let origin: OverlayID
    let sequence: UInt64
    var arcs = BoundedArray<4, Arc>()
  }

  private var origins = SlotTable<Origin>(capacity: originsMax)
  private var byID = FlatMap<OverlayID, UInt32>(limit: originsMax)
  /// A ring buffer; `turn` is the place of the oldest when it is full.
  private var recent: [Recent] = []
  private var turn = 0
  private var allowanceOfAll = TokenBucket(rate: rateOfAll, burst: burstOfAll, at: .start)

  /// Judges a broadcast whose origin is proved.
  mutating func hear(_ origin: OverlayID, _ sequence: UInt64, _ arc: Arc, at now: Instant) -> BroadcastNews {
    if let place = recent.lastIndex(where: { $0.origin == origin && $0.sequence == sequence }) {
      let arcs = recent[place].arcs
      if arcs.contains(where: { $0 == arc }) || arcs.isFull { return .old }
      recent[place].arcs.append(arc)
      return .newArc
    }
    guard isNew(origin, sequence, at: now) else { return .old }
    let slot = Int(byID[origin]!)
    guard origins[slot].allowance.take(at: now), allowanceOfAll.take(at: now) else { return .tooMuch }
    note(Recent(origin: origin, sequence: sequence), arc)
    return .new
  }

  /// Whether this node may send one more itself.
  mutating func mayOriginate(_ own: OverlayID, _ sequence: UInt64, at now: Instant) -> Bool {
    hear(own, sequence, .all(but: own.high), at: now) == .new
  }

  private mutating func note(_ broadcast: Recent, _ arc: Arc) {
    var broadcast = broadcast
    broadcast.arcs.append(arc)
    if recent.count < Self.recentMax { return recent.append(broadcast) }
    recent[turn] = broadcast
    turn = (turn + 1) % Self.recentMax
  }

  /// Marks the sequence. *Postcondition:* the origin is in the table.
  private mutating func isNew(_ id: OverlayID, _ sequence: UInt64, at now: Instant) -> Bool {
    guard let slot = byID[id].map(Int.init) else {
      insert(id, sequence, at: now)
      return true
    }
    origins[slot].heardAt = now
    let greatest = origins[slot].greatest
    if sequence > greatest {
      let step = sequence - greatest
      origins[slot].window = step < 64 ? origins[slot].window << step | 1 : 1
      origins[slot].greatest = sequence
      return true
    }
    let age = greatest - sequence
    guard age < 64, origins[slot].window & 1 << age == 0 else { return false }
    origins[slot].window |= 1 << age
    return true
  }

  private mutating func insert(_ id: OverlayID, _ sequence: UInt64, at now: Instant) {
    if origins.count == origins.capacity {
      var oldest = 0
      for slot in 0..<origins.highWater where origins[slot].heardAt < origins[oldest].heardAt {
        oldest = slot
      }
      byID.remove(origins[oldest].id)
      origins.remove(oldest)
    }
    let origin = Origin(
      id: id, greatest: sequence, allowance: TokenBucket(rate: Self.rate, burst: Self.burst, at: now),
      heardAt: now)
    if let slot = origins.insert(origin) { byID.set(id, UInt32(slot)) }
  }
}
