import Base
import Testing

@Suite struct RandomTests {
  /// From an independent implementation of xoshiro256** which gives 11520, 0, 1509978240, … for the state 1,
  /// 2, 3, 4 as the authors' does, seeded with SplitMix64.
  @Test func firstWordsAreThoseOfXoshiro256StarStar() {
    var random = Random(seed: 0)
    #expect(
      (0..<4).map { _ in random.next() } == [
        0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A, 0x1A5F_849D_4933_E6E0, 0x6AA5_94F1_262D_2D2C,
      ])
    var other = Random(seed: 42)
    #expect(
      (0..<4).map { _ in other.next() } == [
        0x1578_0B2E_0C2E_C716, 0x6104_D986_6D11_3A7E, 0xAE17_5332_39E4_99A1, 0xECB8_AD47_03B3_60A1,
      ])
  }

  @Test func sameSeedSameSequence() {
    var a = Random(seed: 99)
    var b = Random(seed: 99)
    var c = Random(seed: 100)
    let first = (0..<100).map { _ in a.next() }
    #expect(first == (0..<100).map { _ in b.next() })
    #expect(first != (0..<100).map { _ in c.next() })
  }

  @Test func splitDoesNotAdvanceAndStreamsDiffer() {
    var random = Random(seed: 7)
    let before = random
    var one = random.split(1)
    var again = random.split(1)
    var two = random.split(2)
    var untouched = before
    #expect(random.next() == untouched.next())
    let words = (0..<50).map { _ in one.next() }
    #expect(words == (0..<50).map { _ in again.next() })
    #expect(words != (0..<50).map { _ in two.next() })
    // Drawing from one stream leaves another as it is.
    var later = before.split(2)
    var same = before.split(2)
    _ = one.next()
    #expect(later.next() == same.next())
  }

  @Test(arguments: [1, 2, 3]) func boundedDrawsAreEven(_ seed: UInt64) {
    var random = Random(seed: seed)
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<20_000 { counts[Int(random.below(10))] += 1 }
    // 2,000 each; the standard deviation is 42.
    #expect(counts.allSatisfy { (1_750...2_250).contains($0) }, "seed \(seed): \(counts)")
    #expect(random.below(1) == 0)
  }

  @Test func jitterIsAFifthEitherWay() {
    var random = Random(seed: 3)
    var least = UInt64.max
    var most: UInt64 = 0
    for _ in 0..<5_000 {
      let ns = random.jittered(.seconds(10)).ns
      least = min(least, ns)
      most = max(most, ns)
    }
    #expect((8_000_000_000...8_050_000_000).contains(least))
    #expect((11_950_000_000...12_000_000_000).contains(most))
    #expect(random.jittered(Interval(ns: 4)) == Interval(ns: 4))
  }

  @Test func unitIsEvenBetweenNoughtAndOne() {
    var random = Random(seed: 8)
    var tenths = [Int](repeating: 0, count: 10)
    for _ in 0..<100_000 {
      let x = random.unit()
      #expect(x >= 0 && x < 1)
      tenths[Int(x * 10)] += 1
    }
    #expect(tenths.allSatisfy { (9_600...10_400).contains($0) }, "\(tenths)")
  }

  @Test func harmonicGivesEachFactorOfTwoTheSameShare() {
    var random = Random(seed: 9)
    var octaves = [Int](repeating: 0, count: 10)
    for _ in 0..<100_000 {
      let x = random.harmonic(low: 1.0 / 1024)
      #expect(x >= 1.0 / 1024 && x < 1)
      octaves[min(9, Int(-Mathematics.log2(x)))] += 1
    }
    #expect(octaves.allSatisfy { (9_600...10_400).contains($0) }, "\(octaves)")
    #expect(random.harmonic(low: 1) == 1)
  }
}
