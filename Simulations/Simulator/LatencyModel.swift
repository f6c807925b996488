// How long a datagram is on its way.
//
// Whole microseconds throughout: the same numbers on every machine. The way from one access link to another
// has a base that is the same in both directions, and each datagram adds jitter of its own, so that
// datagrams overtake each other now and then.
//
// `clusters` is a country-less internet: 64 cities in a square plane whose unit is a microsecond of travel,
// with few large and many small ones; sites lie around their city. One way = both access links + distance.
// With the numbers below the mean is 45 ms, the fifth percentile 17 ms, the ninety-fifth 75 ms, near what
// Gummadi and others ("King", IMW 2002) and the PlanetLab matrices show.

import Base

/// How latencies arise.
public enum LatencyModel: Sendable {
  /// The same one-way time between all, without jitter.
  case constant(Interval)
  /// Sites around cities in a plane.
  case clusters(ClusterPlan = ClusterPlan())
  /// One-way times between kinds of sites; a node is of a kind at random.
  case matrix(LatencyMatrix)

  /// Whether datagrams have jitter.
  var jitterShare: UInt64 {
    switch self {
    case .constant: 0
    case .clusters(let plan): plan.jitterShare
    case .matrix(let matrix): matrix.jitterShare
    }
  }
}

/// The numbers of `LatencyModel.clusters`; lengths in microseconds.
public struct ClusterPlan: Sendable {
  public var cities: UInt64 = 64
  /// The side of the plane.
  public var side: UInt64 = 66_000
  /// How far sites lie from their city at most, along each axis.
  public var spread: UInt64 = 2_000
  /// An access link has this much at least …
  public var accessMin: UInt64 = 500
  /// … and up to so much more, small values more often.
  public var accessSpan: UInt64 = 12_000
  /// Jitter is up to one part in this many of the base; 0 for none.
  public var jitterShare: UInt64 = 16

  public init() {}
}

/// A square table of one-way times.
public struct LatencyMatrix: Sendable {
  public let size: Int
  /// Row by row, in microseconds.
  public let microseconds: [UInt32]
  /// Jitter is up to one part in this many of the base; 0 for none.
  public var jitterShare: UInt64 = 16

  /// Nil when `microseconds` is not a square of `size`.
  public init?(size: Int, microseconds: [UInt32]) {
    guard size > 0, size <= 65_536, microseconds.count == size * size else { return nil }
    self.size = size
    self.microseconds = microseconds
  }

  /// Reads a matrix as text: one row a line, whole microseconds between blanks; lines that begin with `#` are
  /// skipped. Nil when it is not square.
  public init?(text: String) {
    var values: [UInt32] = []
    var rows = 0
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let row = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "," || $0 == "\r" })
      if row.isEmpty { continue }
      for word in row {
        guard let value = UInt32(word) else { return nil }
        values.append(value)
      }
      rows += 1
    }
    self.init(size: rows, microseconds: values)
  }
}

/// Where a site is.
public struct Place: Sendable, Equatable, BitwiseCopyable {
  /// In the plane, in microseconds of travel.
  public var x: Int32
  public var y: Int32
  /// The site's part in every one-way time, in microseconds.
  public var access: UInt32
  /// The row of the matrix.
  public var row: UInt32

  public init(x: Int32 = 0, y: Int32 = 0, access: UInt32 = 0, row: UInt32 = 0) {
    self.x = x
    self.y = y
    self.access = access
    self.row = row
  }

  /// The distance of two places, within 3 % of the straight line: the longer side, or ⅞ of it and half of the
  /// shorter, whichever is more.
  func distance(to other: Place) -> UInt64 {
    let dx = UInt64((Int64(x) - Int64(other.x)).magnitude)
    let dy = UInt64((Int64(y) - Int64(other.y)).magnitude)
    let (long, short) = dx > dy ? (dx, dy) : (dy, dx)
    return max(long, long - long / 8 + short / 2)
  }
}

/// Draws places and tells times for one model.
struct Geography {
  let model: LatencyModel
  private var random: Random
  private var cities: [(x: Int32, y: Int32)] = []
  /// Jitter is up to one part in this many of the base; 0 for none.
  let jitterShare: UInt64

  init(_ model: LatencyModel, random: Random) {
    self.model = model
    self.random = random
    jitterShare = model.jitterShare
    if case .clusters(let plan) = model {
      for _ in 0..<max(plan.cities, 1) {
        cities.append((Int32(self.random.below(plan.side)), Int32(self.random.below(plan.side))))
      }
    }
  }

  /// A place for a new site.
  mutating func draw() -> Place {
    switch model {
    case .constant:
      return Place()
    case .clusters(let plan):
      // The product of two uniform numbers prefers the first cities.
      let count = UInt64(cities.count)
      let city = cities[Int(random.below(random.below(count) + 1))]
      let access = plan.accessMin + random.below(random.below(plan.accessSpan + 1) + 1)
      return Place(
        x: city.x + Int32(random.below(2 * plan.spread + 1)) - Int32(plan.spread),
        y: city.y + Int32(random.below(2 * plan.spread + 1)) - Int32(plan.spread),
        access: UInt32(access))
    case .matrix(let matrix):
      return Place(row: UInt32(random.below(UInt64(matrix.size))))
    }
  }

  /// The one-way time between two places, without jitter, in nanoseconds.
  @inline(__always) func base(_ a: Place, _ b: Place) -> UInt64 {
    switch model {
    case .constant(let interval): interval.ns
    case .clusters: (UInt64(a.access) + UInt64(b.access) + a.distance(to: b)) * 1_000
    case .matrix(let matrix): UInt64(matrix.microseconds[Int(a.row) * matrix.size + Int(b.row)]) * 1_000
    }
  }
}
