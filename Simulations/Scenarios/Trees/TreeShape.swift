// The two ways in which an arc can be shared out among the links in it.

import Base
import Overlay

/// How a tree grows.
enum TreeShape: String, CaseIterable {
  /// Each child gets what is nearer to it than to the next one: that is how the daemon does it (`Arc`).
  case bothWays = "both ways"
  /// Each child gets what lies between it and the next one: El-Ansary, Alima, Brand and Haridi, "Efficient
  /// broadcast in structured P2P networks" (2003). Here only, to compare.
  case oneWay = "one way"

  /// The parts of those at the given places, each its own.
  /// - Parameters:
  ///   - arc: what is shared out.
  ///   - places: within the arc, clockwise, each once.
  ///   - center: where the one stands who shares it out. One way: at the beginning of the arc.
  func parts(of arc: Arc, among places: BoundedArray<32, UInt64>, around center: UInt64) -> [Arc] {
    switch self {
    case .bothWays:
      let shares = arc.shares(of: places, around: center)
      return (0..<shares.count).map { shares[$0] }
    case .oneWay:
      return (0..<places.count).map { i in
        Arc(from: places[i], to: i + 1 < places.count ? places[i + 1] : arc.to)
      }
    }
  }
}

/// Pointers that are wrong: of each member's links a share, drawn for each direction by itself.
struct WrongLinks {
  enum Kind: String, CaseIterable {
    case none
    /// The member does not know that it has the link: it shares the arc out among the others.
    case unknown
    /// The link leads to nobody, and what goes there is lost with its whole part: nothing is acknowledged.
    case silent
    /// As before, but with acknowledgements: the part goes to the linked member next to the silent one, three
    /// times at most, as in `Broadcasting`.
    case noticed
  }

  var kind = Kind.none
  var perMillion: UInt64 = 0
  var seed: UInt64 = 0

  func isWrong(_ from: Int, _ to: Int) -> Bool {
    kind != .none && mixed(mixed(UInt64(from) << 32 | UInt64(to)) ^ seed) % 1_000_000 < perMillion
  }
}
