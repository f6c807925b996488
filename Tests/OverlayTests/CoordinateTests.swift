// The coordinates in a synthetic space: continents in a plane, a way of its own from each node to the core.
import Base
import Testing

@testable import Overlay

/// Nodes whose true round trips are known.
private struct Space {
  var vivaldis: [Vivaldi] = []
  private var places: [(x: Double, y: Double, height: Double)] = []
  private var trips: [[RoundTrip]] = []
  private var partners: [[Int]] = []
  var random: Random

  /// - Parameter nodes: spread over five continents up to 150 ms apart, with 1 to 20 ms to the core, and 24
  ///   partners each.
  init(nodes: Int, seed: UInt64) {
    random = Random(seed: seed)
    let centres = (0..<5).map { _ in (random.unit() * 0.15, random.unit() * 0.15) }
    for _ in 0..<nodes {
      let centre = centres[Int(random.below(5))]
      let x = centre.0 + (random.unit() - 0.5) * 0.03
      let y = centre.1 + (random.unit() - 0.5) * 0.03
      places.append((x, y, 0.001 + random.unit() * 0.019))
    }
    vivaldis = Array(repeating: Vivaldi(), count: nodes)
    for node in 0..<nodes {
      var list: [Int] = []
      while list.count < 24 {
        let other = Int(random.below(UInt64(nodes)))
        if other != node, !list.contains(other) { list.append(other) }
      }
      partners.append(list)
    }
    trips = Array(repeating: Array(repeating: RoundTrip(), count: 24), count: nodes)
  }

  func truth(_ a: Int, _ b: Int) -> Double {
    let x = places[a].x - places[b].x
    let y = places[a].y - places[b].y
    return (x * x + y * y).squareRoot() + places[a].height + places[b].height
  }

  /// One sample of each node with one of its partners: up to 10 % late, one in forty much later.
  mutating func sampleAll() {
    for node in vivaldis.indices {
      let partner = Int(random.below(24))
      let other = partners[node][partner]
      var seconds = truth(node, other) * (1 + random.unit() * 0.1)
      if random.below(40) == 0 { seconds += 0.2 }
      trips[node][partner].add(Interval(ns: UInt64(seconds * 1e9)))
      vivaldis[node].observe(
        trips[node][partner].shortest, of: vivaldis[other].publishable, random: &random)
    }
  }

  /// The median, over a third of all pairs, of how wrong the published prediction is.
  var medianError: Double {
    var errors: [Double] = []
    for a in vivaldis.indices {
      for b in stride(from: a + 1, to: vivaldis.count, by: 3) {
        let predicted = vivaldis[a].publishable.predictedRoundTrip(to: vivaldis[b].publishable).seconds
        errors.append(abs(predicted - truth(a, b)) / truth(a, b))
      }
    }
    errors.sort()
    return errors[errors.count / 2]
  }
}

@Suite struct CoordinateTests {
  @Test func predictionsAreGoodAfterSixtySamples() {
    let errors = ([1, 2, 3, 4, 5] as [UInt64]).map { seed in
      var space = Space(nodes: 300, seed: seed)
      for _ in 0..<60 { space.sampleAll() }
      let expected = space.vivaldis.map(\.publishable.error).sorted()
      #expect(expected[150] < 0.4, "\(expected[150])")
      return space.medianError
    }.sorted()
    // In an unlucky space the cloud is still folded and needs twice the time.
    #expect(errors[2] <= 0.15 && errors[4] <= 0.2, "\(errors)")
  }

  @Test func publishedCoordinateRestsWhenTheNodeDoes() {
    var space = Space(nodes: 100, seed: 4)
    for _ in 0..<200 { space.sampleAll() }
    var changes = 0
    for _ in 0..<50 {
      let before = space.vivaldis.map(\.publishable)
      space.sampleAll()
      changes += zip(before, space.vivaldis).count { $0 != $1.publishable }
    }
    #expect(changes < 100 * 50 / 2, "\(changes) of 5000")
    #expect(space.medianError <= 0.15, "\(space.medianError)")
  }

  @Test func sameMeasurementsGiveTheSameBits() {
    var a = Space(nodes: 60, seed: 5)
    var b = Space(nodes: 60, seed: 5)
    for _ in 0..<40 {
      a.sampleAll()
      b.sampleAll()
    }
    #expect(a.vivaldis.map(\.coordinate) == b.vivaldis.map(\.coordinate))
  }

  @Test func liarMovesAnHonestNodeByTheClampAtMost() throws {
    var random = Random(seed: 6)
    var space = Space(nodes: 60, seed: 6)
    for _ in 0..<60 { space.sampleAll() }
    let probes = space.vivaldis[1...].map(\.publishable)
    for _ in 0..<3000 {
      var victim = space.vivaldis[0]
      let before = victim.coordinate
      let lie = try wild(&random)
      let times: [UInt64] = [0, 1, 1_000, 1_000_000, 300_000_000, 10_000_000_000, 10_000_000_001, .max]
      let roundTrip = Interval(ns: times[Int(random.below(8))])
      victim.observe(roundTrip, of: lie, random: &random)
      for probe in probes {
        let was = before.predictedRoundTrip(to: probe).seconds
        let now = victim.coordinate.predictedRoundTrip(to: probe).seconds
        // Both predictions are made from rounded numbers.
        #expect(abs(was - now) <= 0.1 + 8 * 0x1p-13)
      }
      if roundTrip > Vivaldi.roundTripMax { #expect(victim.coordinate == before) }
    }
  }

  @Test func thousandsOfLiesLeaveAFiniteCoordinate() throws {
    var random = Random(seed: 7)
    var victim = Vivaldi()
    for _ in 0..<20_000 {
      victim.observe(
        Interval(ns: random.below(10_000_000_001)), of: try wild(&random), random: &random)
      let prediction = victim.coordinate.predictedRoundTrip(to: .unknown)
      #expect(prediction < .seconds(40))
    }
    #expect(victim.publishable.error <= 1.5)
  }

  @Test func nodesAtOnePointPartInAnyDirection() {
    var random = Random(seed: 8)
    var vivaldi = Vivaldi()
    for _ in 0..<40 { vivaldi.observe(.milliseconds(50), of: .unknown, random: &random) }
    let prediction = vivaldi.coordinate.predictedRoundTrip(to: .unknown).milliseconds
    #expect((45...55).contains(prediction), "\(prediction)")
  }

  @Test func anyBytesAreAFinitePlaceOrNone() throws {
    var random = Random(seed: 9)
    for _ in 0..<2000 {
      let coordinate = try wild(&random)
      #expect(Coordinate(coordinate.place) == coordinate)
      #expect(coordinate.predictedRoundTrip(to: coordinate) < .seconds(60))
    }
  }

  /// A coordinate of random bytes, each byte often at its extremes.
  private func wild(_ random: inout Random) throws -> Coordinate {
    let bytes = (0..<Coordinate.byteCount).map { i -> UInt8 in
      if i == 12 { return UInt8(random.below(241)) }
      return [0, 0x7F, 0x80, 0xFF, UInt8(random.below(256))][Int(random.below(5))]
    }
    let room = Scratch(capacity: bytes.count)
    room.frame.write(bytes)
    return try Coordinate(decoding: room.frame)
  }
}
