// Which broadcasts came already, and how many a member may send.
//
// Each is delivered once (`HeardOrigins`). Of the latest ones it is kept which arcs were seen to: that of a
// dead member may come to one that has its own part already.

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
  /// Broadcasts of which it is known what was seen to: those of two seconds at the highest rate.
  static let recentMax = 1_024
  /// Arcs of one broadcast that a member sees to: its own, and those of the dead beside it.
  static let arcsMax = 8
  /// Broadcasts of one member in a second, and at once; of all together.
  static let rate: UInt64 = 100
  static let burst: UInt64 = 200
  static let rateOfAll: UInt64 = 500
  static let burstOfAll: UInt64 = 1_000

  struct Recent: BitwiseCopyable {
    let origin: OverlayID
    let sequence: UInt64
    var arcs = BoundedArray<8, Arc>()
  }

  private var origins = HeardOrigins(
    rate: rate, burst: burst, rateOfAll: rateOfAll, burstOfAll: burstOfAll)
  /// A ring buffer; `turn` is the place of the oldest when it is full.
  private var recent: [Recent] = []
  private var turn = 0

  /// Judges a broadcast whose origin is proved.
  mutating func hear(_ origin: OverlayID, _ sequence: UInt64, _ arc: Arc, at now: Instant) -> BroadcastNews {
    switch origins.hear(origin, sequence, at: now) {
    case .tooMuch: return .tooMuch
    case .new:
      note(Recent(origin: origin, sequence: sequence), arc)
      return .new
    case .old: return isNew(arc, of: origin, sequence, at: now) ? .newArc : .old
    }
  }

  /// Whether this very part came before.
  func knows(_ origin: OverlayID, _ sequence: UInt64, _ arc: Arc) -> Bool {
    guard origins.knows(origin, sequence) else { return false }
    guard let place = place(of: origin, sequence) else { return true }
    return recent[place].arcs.isFull || recent[place].arcs.contains { $0 == arc }
  }

  private func place(of origin: OverlayID, _ sequence: UInt64) -> Int? {
    recent.lastIndex { $0.origin == origin && $0.sequence == sequence }
  }

  /// Marks an arc of a broadcast that came before.
  private mutating func isNew(
    _ arc: Arc, of origin: OverlayID, _ sequence: UInt64, at now: Instant
  ) -> Bool {
    guard let place = place(of: origin, sequence), !recent[place].arcs.contains(where: { $0 == arc }),
      origins.charge(origin, at: now)
    else { return false }
    return recent[place].arcs.append(arc)
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
}
