// Logarithms and powers of two, the same bits on every machine.
//
// The C library's functions differ in the last bits from version to version, and a recorded seed must mean
// the same run everywhere. IEEE 754 fixes the result of +, −, × and ÷ to the last bit, and Swift neither
// fuses nor reorders them; so everything here is made of those. The series are cut where the next term is
// below one part in 10^16; what is left is rounding.

/// Functions of real numbers for estimates and draws.
public enum Mathematics {
  /// The logarithm of `x` to the base 2, to one part in 10^14. *Precondition:* `x` is positive and finite.
  ///
  /// `x` is split into m · 2^e with m in [√½, √2), and log m is the series of 2·artanh((m − 1) ÷ (m + 1)).
  public static func log2(_ x: Double) -> Double {
    precondition(x > 0 && x.isFinite)
    var exponent = Double(x.exponent)
    var m = x.significand
    if m > 1.414_213_562_373_095 {
      m /= 2
      exponent += 1
    }
    let t = (m - 1) / (m + 1)
    let square = t * t
    // The odd powers up to 23: square is at most 0.0295.
    var sum = 0.0
    var power = 23.0
    while power > 0 {
      sum = sum * square + 1 / power
      power -= 2
    }
    return exponent + 2 * t * sum / naturalLogarithmOfTwo
  }

  /// 2 to the power `x`, to one part in 10^14; infinity from 1,024 on, zero below −1,074.
  /// *Precondition:* `x` is a number.
  ///
  /// The whole part of `x` becomes the exponent; the rest, at most ½ either way, goes into the series of the
  /// exponential function.
  public static func exp2(_ x: Double) -> Double {
    precondition(!x.isNaN)
    if x >= 1024 { return .infinity }
    if x < -1074 { return 0 }
    let whole = x.rounded(.toNearestOrEven)
    let y = (x - whole) * naturalLogarithmOfTwo
    // 1 + y/1·(1 + y/2·(1 + …)): |y| is at most 0.347, and 0.347^15 ÷ 15! is 1e-19.
    var sum = 1.0
    var n = 15.0
    while n > 0 {
      sum = 1 + y / n * sum
      n -= 1
    }
    return Double(sign: .plus, exponent: Int(whole), significand: sum)
  }

  /// ln 2.
  private static let naturalLogarithmOfTwo = 0.693_147_180_559_945_3
}

extension OverlayID {
  /// The ID as a real number, rounded to 53 bits.
  public var magnitude: Double {
    Double(high) * 0x1p96 + Double(middle) * 0x1p32 + Double(low)
  }

  /// The distance 2^`exponent`, with 53 significant bits; the greatest distance from 160 on, zero below 0.
  public init(exp2 exponent: Double) {
    guard exponent < 160 else {
      self.init(high: .max, middle: .max, low: .max)
      return
    }
    // Each step takes away what its word holds, exactly: these are divisions by powers of two.
    let value = Mathematics.exp2(exponent).rounded(.down)
    let high = (value * 0x1p-96).rounded(.down)
    let rest = value - high * 0x1p96
    let middle = (rest * 0x1p-32).rounded(.down)
    self.init(high: UInt64(high), middle: UInt64(middle), low: UInt32(rest - middle * 0x1p32))
  }

  /// The logarithm of the distance to the base 2: how many bits it has. Zero for the distance zero.
  public var log2: Double { self == .zero ? 0 : Mathematics.log2(magnitude) }
}
