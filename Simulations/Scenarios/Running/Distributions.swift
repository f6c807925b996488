// Random lengths of time. The logarithm and the exponential function are computed here by + − × ÷ alone,
// which every machine rounds alike: a run has the same digest everywhere.

import Base

extension Random {
  /// Uniform in (0, 1).
  public mutating func unit() -> Double { (Double(next() >> 11) + 0.5) / 9_007_199_254_740_992 }

  /// Whether something of this probability happens.
  public mutating func happens(_ probability: Double) -> Bool { unit() < probability }

  /// Exponentially distributed with this median.
  public mutating func exponential(median: Double) -> Double {
    -median * Elementary.logarithm(unit()) / Elementary.ln2
  }

  /// Lognormal with this median; `sigma` is the deviation of the logarithm.
  public mutating func lognormal(median: Double, sigma: Double) -> Double {
    // The sum of twelve uniform numbers is near enough to normal, and needs no cosine.
    var sum = -6.0
    for _ in 0..<12 { sum += unit() }
    return median * Elementary.exponential(sigma * sum)
  }

  /// Different numbers below `bound`, in random order.
  public mutating func sample(_ count: Int, below bound: Int) -> [Int] {
    var numbers = Array(0..<bound)
    let count = min(count, bound)
    for i in 0..<count {
      numbers.swapAt(i, i + Int(below(UInt64(bound - i))))
    }
    return Array(numbers.prefix(count))
  }
}

/// Elementary functions that do not depend on the machine's library.
enum Elementary {
  static let ln2 = 0.693_147_180_559_945_3

  /// The natural logarithm of a positive number, to about 1e-15.
  static func logarithm(_ x: Double) -> Double {
    precondition(x > 0 && x.isFinite)
    var mantissa = x.significand
    var exponent = Double(x.exponent)
    if mantissa > 1.414_213_562_373_095_1 {
      mantissa /= 2
      exponent += 1
    }
    let t = (mantissa - 1) / (mantissa + 1)
    let square = t * t
    var term = t
    var sum = 0.0
    var k = 1.0
    while k < 40 {
      sum += term / k
      term *= square
      k += 2
    }
    return 2 * sum + exponent * ln2
  }

  /// e to the power of a number between -700 and 700.
  static func exponential(_ x: Double) -> Double {
    precondition(x > -700 && x < 700)
    let halvings = (x / ln2).rounded()
    let rest = x - halvings * ln2
    var term = 1.0
    var sum = 1.0
    for k in 1..<20 {
      term *= rest / Double(k)
      sum += term
    }
    return sum * Double(sign: .plus, exponent: Int(halvings), significand: 1)
  }
}
