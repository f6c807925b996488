// What each member has said of late to many, by its sequences, and how much of it may come.
//
// Of each origin the greatest sequence is kept, and which of the 64 below it have come: each is new once, as
// long as the origin is not forgotten.

import Base
import Session

/// What becomes of something that was said.
public enum HeardNews: Equatable, Sendable {
  case new
  /// It came before, or is too old to tell.
  case old
  /// The origin, or all together, have sent too much.
  case tooMuch
}

/// The origins heard of late.
public struct HeardOrigins: ~Copyable {
  /// Origins; of more, the one that has been silent longest is forgotten.
  static let originsMax = 512

  struct Origin: BitwiseCopyable {
    let id: OverlayID
    var greatest: UInt64
    /// Bit n: the one n below the greatest has come.
    var window: UInt64 = 1
    var allowance: TokenBucket
    var heardAt: Instant
  }

  private let rate: UInt64
  private let burst: UInt64
  private var origins = SlotTable<Origin>(capacity: originsMax)
  private var byID = FlatMap<OverlayID, UInt32>(limit: originsMax)
  private var allowanceOfAll: TokenBucket

  /// - Parameters:
  ///   - rate: what one member may say in a second, and at once.
  ///   - rateOfAll: what all together may.
  public init(rate: UInt64, burst: UInt64, rateOfAll: UInt64, burstOfAll: UInt64) {
    self.rate = rate
    self.burst = burst
    allowanceOfAll = TokenBucket(rate: rateOfAll, burst: burstOfAll, at: .start)
  }

  /// Judges what was said by an origin that is proved.
  public mutating func hear(_ origin: OverlayID, _ sequence: UInt64, at now: Instant) -> HeardNews {
    guard isNew(origin, sequence, at: now) else { return .old }
    let slot = Int(byID[origin]!)
    return origins[slot].allowance.take(at: now) && allowanceOfAll.take(at: now) ? .new : .tooMuch
  }

  /// Whether the sequence has come, or is too old to tell.
  public func knows(_ origin: OverlayID, _ sequence: UInt64) -> Bool {
    guard let slot = byID[origin].map(Int.init), sequence <= origins[slot].greatest else { return false }
    let age = origins[slot].greatest - sequence
    return age >= 64 || origins[slot].window & 1 << age != 0
  }

  /// Whether the origin may say one more, of what came already.
  mutating func charge(_ origin: OverlayID, at now: Instant) -> Bool {
    guard let slot = byID[origin].map(Int.init) else { return false }
    return origins[slot].allowance.take(at: now)
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
      id: id, greatest: sequence, allowance: TokenBucket(rate: rate, burst: burst, at: now), heardAt: now)
    if let slot = origins.insert(origin) { byID.set(id, UInt32(slot)) }
  }
}
