// Instant, Interval, TokenBucket, RoundTrip.
import Base
import Testing

@Suite struct InstantTests {
  @Test func additionStopsAtNever() {
    #expect(Instant.never + .seconds(1) == .never)
    #expect(Instant(ns: .max - 5) + Interval(ns: 4) == Instant(ns: .max - 1))
    #expect(Instant(ns: .max - 5) + Interval(ns: 6) == .never)
  }

  @Test func differenceIsNeverNegative() {
    #expect(Instant(ns: 3) - Instant(ns: 5) == .zero)
    #expect(Instant(ns: 5) - Instant(ns: 3) == Interval(ns: 2))
  }

  @Test func unitsAgree() {
    #expect(Interval.seconds(1) == .milliseconds(1_000))
    #expect(Interval.milliseconds(1) == .microseconds(1_000))
    #expect(Interval.minutes(2) == .seconds(120))
    #expect(Interval.milliseconds(1_500).seconds == 1.5)
    #expect(Interval.seconds(3) / 2 == .milliseconds(1_500))
  }
}

@Suite struct TokenBucketTests {
  private func at(_ milliseconds: UInt64) -> Instant { .start + .milliseconds(milliseconds) }

  @Test func burstPassesAtOnceAndNoMore() {
    var bucket = TokenBucket(rate: 10, burst: 3, at: at(0))
    #expect(bucket.take(2, at: at(0)) == true)
    #expect(bucket.take(at: at(0)) == true)
    #expect(bucket.take(at: at(0)) == false)
  }

  @Test func refusedTakeCostsNothing() {
    var bucket = TokenBucket(rate: 10, burst: 3, at: at(0))
    #expect(bucket.take(4, at: at(0)) == false)
    #expect(bucket.take(3, at: at(0)) == true)
  }

  @Test func refillIsExactInSmallSteps() {
    var bucket = TokenBucket(rate: 10, burst: 1, at: at(0))
    #expect(bucket.take(at: at(0)) == true)
    for ms in 1..<100 { #expect(bucket.take(at: at(UInt64(ms))) == false) }
    #expect(bucket.take(at: at(100)) == true)
  }

  @Test func longRestFillsTheBucketAndNoMore() {
    var bucket = TokenBucket(rate: 1, burst: 5, at: at(0))
    #expect(bucket.take(5, at: at(0)) == true)
    #expect(bucket.take(5, at: at(60_000)) == true)
    #expect(bucket.take(at: at(60_000)) == false)
  }

  @Test(arguments: [1, 2, 3]) func neverMoreThanRateAndBurst(_ seed: UInt64) {
    var random = Random(seed: seed)
    var bucket = TokenBucket(rate: 50, burst: 7, at: at(0))
    var now: UInt64 = 0
    var passed: UInt64 = 0
    for _ in 0..<5_000 {
      now += random.below(30)
      if bucket.take(at: at(now)) { passed += 1 }
      #expect(passed <= 7 + now * 50 / 1_000)
    }
  }

  @Test func largestRateDoesNotOverflow() {
    var bucket = TokenBucket(rate: 1 << 32, burst: 1 << 32, at: at(0))
    #expect(bucket.take(1 << 32, at: at(0)) == true)
    #expect(bucket.take(1 << 32, at: at(1_000_000)) == true)
  }
}

@Suite struct RoundTripTests {
  @Test func withoutASampleTheWaitIsTheInitialOne() {
    #expect(RoundTrip().timeout == RoundTrip.timeoutInitial)
  }

  @Test func firstSampleCountsAsWhatItIs() {
    var trip = RoundTrip()
    trip.add(.milliseconds(200))
    #expect(trip.smoothed == .milliseconds(200))
    #expect(trip.variation == .milliseconds(100))
    #expect(trip.timeout == .milliseconds(600))
  }

  @Test func followsRFC6298() {
    var trip = RoundTrip()
    trip.add(.milliseconds(200))
    trip.add(.milliseconds(280))
    // RTTVAR = ¾ · 100 + ¼ · |200 − 280|, SRTT = ⅞ · 200 + ⅛ · 280
    #expect(trip.variation == .milliseconds(95))
    #expect(trip.smoothed == .milliseconds(210))
    #expect(trip.samples == 2)
  }

  @Test func shortestIsThatOfTheLastFiveToEight() {
    var trip = RoundTrip()
    let samples: [UInt64] = [50, 900, 40, 45, 900, 900, 60, 70, 900, 80, 90, 90, 900]
    let shortest = samples.map {
      trip.add(.milliseconds($0))
      return trip.shortest
    }
    let expected: [UInt64] = [50, 50, 40, 40, 40, 40, 40, 40, 60, 60, 60, 60, 80]
    #expect(shortest == expected.map { .milliseconds($0) })
  }

  @Test func waitStaysWithinItsBounds() {
    var fast = RoundTrip()
    var slow = RoundTrip()
    for _ in 0..<50 {
      fast.add(.microseconds(100))
      slow.add(.seconds(20))
    }
    #expect(fast.timeout == RoundTrip.timeoutMin)
    #expect(slow.timeout == RoundTrip.timeoutMax)
  }
}
