// Delta debugging, and the arithmetic of random times and figures.
import Base
import Testing

@testable import Scenarios

@Suite struct ShrinkingTests {
  @Test func onlyWhatIsNeededRemains() {
    var tries = 0
    let result = Shrinking.minimise(Array(0..<200)) { list in
      tries += 1
      return list.contains(17) && list.contains(130) && list.contains(131) ? .fails : .passes
    }
    #expect(result == [17, 130, 131])
    #expect(tries < 200)
  }

  @Test func nothingRemainsWhenNothingIsNeeded() {
    #expect(Shrinking.minimise([1, 2, 3]) { _ in .fails } == [])
    #expect(Shrinking.minimise([Int]()) { _ in .fails } == [])
  }

  @Test func everythingRemainsWhenAllIsNeeded() {
    let all = Array(0..<9)
    #expect(Shrinking.minimise(all) { $0 == all ? .fails : .passes } == all)
  }

  @Test func outOfTimeKeepsTheShortestSoFar() {
    var tries = 0
    let result = Shrinking.minimise(Array(0..<64)) { list -> Shrinking.Verdict in
      tries += 1
      if tries > 4 { return .outOfTime }
      return list.contains(5) ? .fails : .passes
    }
    #expect(result.contains(5) && result.count < 64)
  }

  @Test func smallestFailingNumberIsFound() {
    #expect(Shrinking.smallest(from: 1, failing: 100) { $0 >= 37 ? .fails : .passes } == 37)
    #expect(Shrinking.smallest(from: 1, failing: 100) { _ in .outOfTime } == 100)
  }

  @Test func sessionLengthsHaveTheirMedian() {
    var random = Random(seed: 4)
    var exponential = Sample()
    var lognormal = Sample()
    for _ in 0..<20_000 {
      exponential.add(random.exponential(median: 84))
      lognormal.add(random.lognormal(median: 600, sigma: 1))
    }
    #expect(abs(exponential.median()! - 84) < 3)
    #expect(abs(exponential.mean! - 84 / Elementary.ln2) < 4)
    #expect(abs(lognormal.median()! - 600) < 25)
  }

  @Test func logarithmAndExponentialAreInverse() {
    for x in [1e-9, 0.1, 0.5, 1, 1.5, 2, 10, 12_345.678] {
      let back = Elementary.exponential(Elementary.logarithm(x))
      #expect(abs(back - x) <= 1e-12 * x, "\(x)")
    }
    #expect(abs(Elementary.exponential(1) - 2.718281828459045) < 1e-14)
  }

  @Test func quantilesAreNearestRanks() {
    var sample = Sample((1...100).map(Double.init))
    #expect(sample.quantile(0.99) == 99 && sample.median() == 50 && sample.mean == 50.5)
    var empty = Sample()
    #expect(empty.median() == nil && empty.mean == nil)
  }

  @Test func numbersReadWell() {
    #expect(Numbers.fixed(3.14159, 2) == "3.14" && Numbers.fixed(-0.001, 2) == "0.00")
    #expect(Numbers.significant(0.99871, 4) == "0.9987" && Numbers.significant(5, 3) == "5")
    #expect(Numbers.significant(1.5e-7, 3) == "1.5e-7" && Numbers.significant(12_345.6, 3) == "12\u{202F}346")
    #expect(Numbers.duration(0.0123) == "12.3 ms" && Numbers.bytes(1_536) == "1.5 KiB")
  }
}
