// Summaries of many values.

/// Values of which mean and quantiles are wanted.
public struct Sample: Sendable {
  private var values: [Double] = []
  private var isSorted = true

  public init() {}
  public init(_ values: [Double]) {
    self.values = values
    isSorted = false
  }

  public var count: Int { values.count }
  public var isEmpty: Bool { values.isEmpty }
  public var all: [Double] { values }

  public mutating func add(_ value: Double) {
    values.append(value)
    isSorted = false
  }

  /// Nil when there is no value.
  public var mean: Double? { values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) }
  public var least: Double? { values.min() }
  public var greatest: Double? { values.max() }

  /// The value that a share `q` of all values does not exceed (nearest rank); nil when there is none.
  public mutating func quantile(_ q: Double) -> Double? {
    guard !values.isEmpty else { return nil }
    if !isSorted {
      values.sort()
      isSorted = true
    }
    let rank = (q * Double(values.count)).rounded(.up)
    return values[min(max(Int(rank) - 1, 0), values.count - 1)]
  }

  public mutating func median() -> Double? { quantile(0.5) }

  /// How many values fall into each of the bins of this width, from zero on; the last bin takes the rest.
  public func histogram(width: Double, bins: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: bins)
    for value in values { counts[min(max(Int(value / width), 0), bins - 1)] += 1 }
    return counts
  }
}
