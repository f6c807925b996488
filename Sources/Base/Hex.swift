// Hexadecimal text.

public enum Hex {
  private static let digits = Array("0123456789abcdef".utf8)

  /// The lowest `digits` hexadecimal digits of `value`.
  public static func string(_ value: UInt64, digits count: Int) -> String {
    var text: [UInt8] = []
    for i in stride(from: count - 1, through: 0, by: -1) {
      text.append(digits[Int(value >> (4 * UInt64(i)) & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  public static func string(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The bytes that `text` spells; nil when it is not an even number of hexadecimal digits.
  public static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    let values = text.utf8.map { character -> UInt8? in
      switch character {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
      default: nil
      }
    }
    guard values.count.isMultiple(of: 2), !values.contains(nil) else { return nil }
    return stride(from: 0, to: values.count, by: 2).map { values[$0]! << 4 | values[$0 + 1]! }
  }
}
