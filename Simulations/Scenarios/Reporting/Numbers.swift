// Numbers as people read them, without Foundation.

/// Text for numbers.
public enum Numbers {
  /// With so many places after the point.
  public static func fixed(_ value: Double, _ places: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "–" : value > 0 ? "∞" : "−∞" }
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e18 else { return "\(value)" }
    let whole = UInt64(scaled) / UInt64(scale)
    let sign = value < 0 && scaled > 0 ? "−" : ""
    guard places > 0 else { return sign + grouped(whole) }
    let rest = String(UInt64(scaled) % UInt64(scale))
    return sign + grouped(whole) + "." + String(repeating: "0", count: places - rest.count) + rest
  }

  /// With about so many significant digits; very small numbers as powers of ten.
  public static func significant(_ value: Double, _ digits: Int = 4) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : fixed(value, 0) }
    var magnitude = 0
    var rest = abs(value)
    while rest >= 10 {
      rest /= 10
      magnitude += 1
    }
    while rest < 1 {
      rest *= 10
      magnitude -= 1
    }
    if magnitude < -5 { return (value < 0 ? "−" : "") + trimmed(fixed(rest, 2)) + "e\(magnitude)" }
    return trimmed(fixed(value, max(0, digits - 1 - magnitude)))
  }

  /// Thin spaces are for the page; here a plain separator does, from five digits on.
  static func grouped(_ number: UInt64) -> String {
    let digits = String(number)
    guard digits.count > 4 else { return digits }
    var text = ""
    for (i, digit) in digits.enumerated() {
      if i > 0, (digits.count - i) % 3 == 0 { text.append("\u{202F}") }
      text.append(digit)
    }
    return text
  }

  private static func trimmed(_ text: String) -> String {
    guard text.contains(".") else { return text }
    var text = text
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  /// A size, in units of 1024 bytes.
  public static func bytes(_ count: Double) -> String {
    var value = count
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1_024, unit < units.count - 1 {
      value /= 1_024
      unit += 1
    }
    return "\(significant(value, 3)) \(units[unit])"
  }

  /// Seconds as people say them.
  public static func duration(_ seconds: Double) -> String {
    switch seconds {
    case ..<0.001: "\(significant(seconds * 1e6, 3)) µs"
    case ..<1: "\(significant(seconds * 1e3, 3)) ms"
    case ..<120: "\(significant(seconds, 3)) s"
    case ..<7_200: "\(significant(seconds / 60, 3)) min"
    default: "\(significant(seconds / 3_600, 3)) h"
    }
  }
}
