// Values that several tasks tell, as they are printed.

import Base

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
