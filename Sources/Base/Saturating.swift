// Sums of what others say: they stop at the largest number, and never trap.

extension FixedWidthInteger {
  /// The sum, or the largest number of the type.
  @inlinable public func plus(_ other: Self) -> Self {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// Adds as much as there is room for.
  @inlinable public mutating func grow(by other: Self) { self = plus(other) }
}
