// Sums of what others say: they stop at the largest number, and never trap.

import Base

extension FixedWidthInteger {
  /// The sum, or the largest number of the type.
  func plus(_ other: Self) -> Self {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// Adds as much as there is room for.
  mutating func grow(by other: Self) { self = plus(other) }
}

extension Finding {
  /// A count, as far as it can be printed.
  static func count(_ value: some BinaryInteger) -> Finding { .integer(Int64(clamping: value)) }

  /// `part` of `whole`; nothing when there is no whole.
  static func share(_ part: some BinaryInteger, of whole: some BinaryInteger) -> Finding {
    whole == 0 ? .nothing : .number(Double(part) / Double(whole))
  }

  /// A place on the ring: 16 hexadecimal digits, with which the ID begins.
  static func place(_ place: UInt64) -> Finding { .text(Hex.string(place, digits: 16)) }
}
