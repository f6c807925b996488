// A stretch of the ring, and how it is shared out among the links that lie in it.
//
// Whoever has something for all members of an arc sends it to each link that it has there, with the part of
// the arc that is nearer to that link than to the next: the parts fill the arc and do not overlap, so each
// member gets one copy, and each lies within its part and shares it out to both sides. A part that ended at
// its own member would be missed as soon as a single one stands before it of whom only its neighbour behind
// knows.
//
// After El-Ansary, Alima, Brand and Haridi, "Efficient broadcast in structured P2P networks" (2003), which
// hands parts on in one direction only.

import Base

/// What lies clockwise between two places, without these. Places are the leading 64 bits of IDs.
public struct Arc: Equatable, Sendable, BitwiseCopyable {
  public let from: UInt64
  /// Equal to `from`: the whole ring but that place.
  public let to: UInt64

  public init(from: UInt64, to: UInt64) {
    self.from = from
    self.to = to
  }

  /// All but one place.
  public static func all(but place: UInt64) -> Arc { Arc(from: place, to: place) }

  /// One place and no other.
  static func only(_ place: UInt64) -> Arc { Arc(from: place &- 1, to: place &+ 1) }

  public func contains(_ place: UInt64) -> Bool {
    let distance = place &- from
    return distance > 0 && (from == to || distance < to &- from)
  }

  /// What part of the ring it is: 0 … 1.
  var shareOfRing: Double { from == to ? 1 : Double(to &- from) / 18_446_744_073_709_551_616.0 }

  /// What is left and right of a place that nobody holds any more; the arc itself when that lies elsewhere.
  func parts(around place: UInt64) -> BoundedArray<2, Arc> {
    var parts = BoundedArray<2, Arc>()
    guard contains(place) else {
      parts.append(self)
      return parts
    }
    if place &- from > 1 { parts.append(Arc(from: from, to: place)) }
    if to &- place > 1 { parts.append(Arc(from: place, to: to)) }
    return parts
  }

  /// How far a place is from the arc, the shorter way round; 0 within it.
  public func distance(to place: UInt64) -> UInt64 {
    contains(place) ? 0 : min(from &- place, place &- to)
  }

  /// The parts of those at the given places: each lies in its own.
  /// - Parameters:
  ///   - center: where this node stands: no part reaches across it.
  ///   - places: within the arc, clockwise, each once, without `center`.
  public func shares(of places: BoundedArray<32, UInt64>, around center: UInt64) -> BoundedArray<32, Arc> {
    var shares = BoundedArray<32, Arc>()
    let own = contains(center) ? center &- from : 0
    var begin = !places.isEmpty && own > 0 && own < places[0] &- from ? center : from
    for i in 0..<places.count {
      let here = places[i] &- from
      let next = i + 1 < places.count ? places[i + 1] &- from : .max
      if here < own && own < next {
        shares.append(Arc(from: begin, to: center))
        begin = center
      } else if i + 1 < places.count {
        let middle = here + (next - here) / 2
        shares.append(Arc(from: begin, to: from &+ middle &+ 1))
        begin = from &+ middle
      } else {
        shares.append(Arc(from: begin, to: to))
      }
    }
    return shares
  }
}
