// The functions are compared with exact values, with each other and with published digits; their bits are
// pinned, because a recorded run depends on them.
import Base
import Testing

@Suite struct MathematicsTests {
  private func isClose(_ a: Double, _ b: Double, within relative: Double = 1e-13) -> Bool {
    abs(a - b) <= relative * max(abs(a), abs(b))
  }

  @Test func powersOfTwoAreExact() {
    for n in -1074...1023 {
      let power = Double(sign: .plus, exponent: n, significand: 1)
      #expect(Mathematics.log2(power) == Double(n))
      #expect(Mathematics.exp2(Double(n)) == power)
    }
    #expect(Mathematics.exp2(1024) == .infinity)
    #expect(Mathematics.exp2(.infinity) == .infinity)
    #expect(Mathematics.exp2(-1075) == 0)
    #expect(Mathematics.exp2(-.infinity) == 0)
  }

  @Test(arguments: [
    (3.0, 1.584_962_500_721_156), (10.0, 3.321_928_094_887_362), (1e5, 16.609_640_474_436_812),
    (0.1, -3.321_928_094_887_362),
    (1 + 0x1p-30, 1.343_614_459_240_023_1e-9), (1.414_213_562_373_095_1, 0.500_000_000_000_000_1),
    (1e300, 996.578_428_466_208_7),
  ])
  func logarithmsAreThoseOfTheTables(_ x: Double, _ expected: Double) {
    #expect(isClose(Mathematics.log2(x), expected), "\(Mathematics.log2(x))")
  }

  @Test(arguments: [
    (0.5, 1.414_213_562_373_095_1), (-0.5, 0.707_106_781_186_547_6), (1.0 / 3.0, 1.259_921_049_894_873_2),
    (10.25, 1217.748_085_762_786_3),
    (-100.75, 4.690_595_006_181_572e-31),
  ])
  func powersAreThoseOfTheTables(_ x: Double, _ expected: Double) {
    #expect(isClose(Mathematics.exp2(x), expected), "\(Mathematics.exp2(x))")
  }

  @Test func eachUndoesTheOther() {
    var random = Random(seed: 5)
    for _ in 0..<20_000 {
      let x = random.unit() * 320 - 160
      #expect(abs(Mathematics.log2(Mathematics.exp2(x)) - x) <= 1e-12)
      let y = random.unit() + 0.5
      #expect(isClose(Mathematics.exp2(Mathematics.log2(y)), y))
    }
  }

  @Test func logarithmRisesAndTurnsProductsIntoSums() {
    var before = Mathematics.log2(0.5)
    for i in 1...4000 {
      let x = 0.5 + Double(i) / 2000
      let log = Mathematics.log2(x)
      #expect(log > before)
      before = log
      #expect(abs(Mathematics.log2(x * 7) - log - Mathematics.log2(7)) < 1e-13)
    }
  }

  @Test func bitsAreAlwaysTheSame() {
    var random = Random(seed: 1)
    var digest: UInt64 = 0
    for _ in 0..<10_000 {
      let x = random.unit() * 100 + 1e-9
      digest = mixed(digest ^ Mathematics.log2(x).bitPattern)
      digest = mixed(digest ^ Mathematics.exp2(-x).bitPattern)
    }
    #expect(digest == 0x20FF_EEC5_3989_8D10, "0x\(Hex.string(digest, digits: 16))")
  }

  @Test func distancesHaveAsManyBitsAsTheirLogarithmSays() {
    #expect(OverlayID.zero.log2 == 0)
    #expect(OverlayID(high: 0, middle: 0, low: 1).log2 == 0)
    #expect(OverlayID(high: 0, middle: 0, low: 1 << 31).log2 == 31)
    #expect(OverlayID(high: 0, middle: 1, low: 0).log2 == 32)
    #expect(OverlayID(high: 1 << 63, middle: 0, low: 0).log2 == 159)
    #expect(isClose(OverlayID(high: .max, middle: .max, low: .max).log2, 160))
    #expect(isClose(OverlayID(high: 3 << 62, middle: 0, low: 0).log2, 159.584_962_500_721_16))
  }

  @Test func distanceOfAnExponentIsThatPowerOfTwo() {
    for n in 0..<160 {
      let id = OverlayID(exp2: Double(n))
      #expect(id.log2 == Double(n))
      #expect(id.high.nonzeroBitCount + id.middle.nonzeroBitCount + id.low.nonzeroBitCount == 1)
    }
    #expect(OverlayID(exp2: -1) == .zero)
    #expect(OverlayID(exp2: 160) == OverlayID(high: .max, middle: .max, low: .max))
    var random = Random(seed: 3)
    for _ in 0..<1000 {
      let x = 30 + random.unit() * 130
      #expect(abs(OverlayID(exp2: x).log2 - x) < 1e-7)
    }
  }
}
