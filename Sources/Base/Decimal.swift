// Decimal text, as addresses and ports are written: digits only, no sign, no leading zero.

public enum Decimal {
  /// The number that `text` spells; nil when it is none, or too large for the type.
  public static func parse<Number: FixedWidthInteger>(
    _ text: some StringProtocol, as type: Number.Type = Number.self
  ) -> Number? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0")
    else { return nil }
    return Number(text)
  }
}
