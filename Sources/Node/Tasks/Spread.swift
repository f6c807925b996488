// How the same quantity is spread over many nodes or links: how many, how much in all, the largest and whose
// it is, and a histogram from which quantiles are read.
//
//  offset  size  field
//       0     4  how many
//       4     8  their sum
//      12     8  the largest
//      20     8  the place of the node that has it
//      28     …  the histogram: a list of at most 252 (1 bucket, rising; 4 how many, not 0)
//
// Buckets grow by powers of two, and each power has four: a quantile is at most an eighth off. Values below
// four have a bucket each.

import Base

/// A distribution of whole numbers.
struct Spread: Equatable, Sendable {
  static let buckets = 252
  private(set) var count: UInt32 = 0
  private(set) var sum: UInt64 = 0
  private(set) var largest: UInt64 = 0
  private(set) var holder: UInt64 = 0
  /// Rising by bucket.
  private var histogram: [Bar] = []

  struct Bar: Equatable, Sendable {
    let bucket: UInt8
    var count: UInt32
  }

  init() {}

  /// A value of the node at `place`.
  init(_ value: UInt64, of place: UInt64) { count(value, of: place) }

  /// Takes in a value of the node at `place`.
  mutating func count(_ value: UInt64, of place: UInt64) {
    add(Spread(count: 1, value, place))
  }

  private init(count: UInt32, _ value: UInt64, _ place: UInt64) {
    self.count = count
    sum = value
    largest = value
    holder = place
    histogram = [Bar(bucket: Self.bucket(value), count: 1)]
  }

  /// Takes in others. Of two that are as large, the first one's holder stays.
  mutating func add(_ other: Spread) {
    if other.count > 0, count == 0 || other.largest > largest { holder = other.holder }
    count.grow(by: other.count)
    sum.grow(by: other.sum)
    largest = max(largest, other.largest)
    var merged: [Bar] = []
    var (i, j) = (0, 0)
    while i < histogram.count || j < other.histogram.count {
      if j == other.histogram.count
        || (i < histogram.count && histogram[i].bucket < other.histogram[j].bucket)
      {
        merged.append(histogram[i])
        i += 1
      } else if i == histogram.count || other.histogram[j].bucket < histogram[i].bucket {
        merged.append(other.histogram[j])
        j += 1
      } else {
        merged.append(
          Bar(bucket: histogram[i].bucket, count: histogram[i].count.plus(other.histogram[j].count)))
        i += 1
        j += 1
      }
    }
    histogram = merged
  }

  static func bucket(_ value: UInt64) -> UInt8 {
    if value < 4 { return UInt8(value) }
    let power = 63 - value.leadingZeroBitCount
    return UInt8(4 * (power - 1)) + UInt8(truncatingIfNeeded: value >> UInt64(power - 2) & 3)
  }

  /// The smallest value of a bucket, and how many values it has.
  static func range(_ bucket: UInt8) -> (from: Double, width: Double) {
    if bucket < 4 { return (Double(bucket), 1) }
    let power = Int(bucket) / 4 + 1
    let width = Double(UInt64(1) << UInt64(power - 2))
    return (Double(4 + bucket % 4) * width, width)
  }

  var mean: Double? { count == 0 ? nil : Double(sum) / Double(count) }

  /// The value below which this share of all lies; nil when there are none.
  func quantile(_ share: Double) -> Double? {
    let total = histogram.reduce(UInt64(0)) { $0 + UInt64($1.count) }
    guard total > 0 else { return nil }
    let wanted = share * Double(total)
    var below = 0.0
    for bar in histogram {
      let count = Double(bar.count)
      if below + count >= wanted {
        let (from, width) = Self.range(bar.bucket)
        if width == 1 { return from }
        return min(from + width * (wanted - below) / count, Double(largest))
      }
      below += count
    }
    return Double(largest)
  }

  /// Sum, mean, quantiles and the largest, each divided by `unit`.
  func findings(unit: Double = 1, hasSum: Bool = true) -> [NamedFinding] {
    func number(_ value: Double?) -> Finding { value.map { .number($0 / unit) } ?? .nothing }
    var list = [NamedFinding("count", .count(count))]
    if hasSum { list.append(NamedFinding("sum", number(count == 0 ? nil : Double(sum)))) }
    return list + [
      NamedFinding("mean", number(mean)), NamedFinding("p50", number(quantile(0.5))),
      NamedFinding("p90", number(quantile(0.9))), NamedFinding("p99", number(quantile(0.99))),
      NamedFinding("max", number(count == 0 ? nil : Double(largest))),
      NamedFinding("max_at", count == 0 ? .nothing : .place(holder)),
    ]
  }
}

extension Spread: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    count = try reader.integer()
    sum = try reader.integer()
    largest = try reader.integer()
    holder = try reader.integer()
    let bars = Int(try reader.byte())
    try reader.require(bars <= Self.buckets)
    for _ in 0..<bars {
      let bar = Bar(bucket: try reader.byte(), count: try reader.integer())
      try reader.require(bar.bucket < Self.buckets && bar.count > 0)
      try reader.require(histogram.last.map { $0.bucket < bar.bucket } ?? true)
      histogram.append(bar)
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(count)
    writer.integer(sum)
    writer.integer(largest)
    writer.integer(holder)
    writer.byte(UInt8(histogram.count))
    for bar in histogram {
      writer.byte(bar.bucket)
      writer.integer(bar.count)
    }
  }
}
