// Reproducible randomness for timers, choices and jitter. Never for keys: those come from
// `Session.SecureRandom`.
//
// xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), seeded through
// SplitMix64. One stream a component (`split`), so that a new draw in one does not shift the others and a
// recorded seed goes on meaning the same run.

/// A deterministic generator of 64-bit words.
public struct Random: Sendable {
  private var s0: UInt64
  private var s1: UInt64
  private var s2: UInt64
  private var s3: UInt64

  public init(seed: UInt64) {
    var state = seed
    func splitMix() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z &>> 31)
    }
    s0 = splitMix()
    s1 = splitMix()
    s2 = splitMix()
    s3 = splitMix()
  }

  /// A generator of its own for the component numbered `stream`; does not advance this one.
  public func split(_ stream: UInt64) -> Random {
    Random(seed: s0 ^ (s3 &* 0x2545_F491_4F6C_DD1D) ^ (stream &* 0x9E37_79B9_7F4A_7C15))
  }

  public mutating func next() -> UInt64 {
    func rotl(_ x: UInt64, _ k: UInt64) -> UInt64 { (x &<< k) | (x &>> (64 - k)) }
    let result = rotl(s1 &* 5, 7) &* 9
    let t = s1 &<< 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = rotl(s3, 45)
    return result
  }

  /// Uniform in `0 ..< bound`. *Precondition:* `bound > 0`.
  public mutating func below(_ bound: UInt64) -> UInt64 {
    precondition(bound > 0)
    return next().multipliedFullWidth(by: bound).high
  }

  /// Uniform in `0 ..< 1`, with 53 bits.
  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A number in `low ..< 1` whose density falls as 1/x: each factor of two is as likely as any other.
  ///
  /// How far shortcuts reach, as a share of the ring, with 1/n for `low` (Manku, Bawa and Raghavan,
  /// "Symphony", 2003, §3.1). *Precondition:* `0 < low ≤ 1`.
  public mutating func harmonic(low: Double) -> Double {
    precondition(low > 0 && low <= 1)
    return Mathematics.exp2(Mathematics.log2(low) * (1 - unit()))
  }

  /// `interval` ± 20 %: keeps nodes that started together from acting together for ever.
  public mutating func jittered(_ interval: Interval) -> Interval {
    let fifth = interval.ns / 5
    guard fifth > 0 else { return interval }
    return Interval(ns: interval.ns - fifth + below(2 * fifth + 1))
  }
}
