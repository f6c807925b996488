// The small parts of the engine: arena, store, clock, cuts, losses, places.

import Base
import Testing

@testable import Simulator

/// The arena had no room where it should have.
private struct Full: Error {}

@Suite struct PartsTests {
  @Test func arenaKeepsBytesApartAndReusesBlocks() throws {
    var arena = DatagramArena(bytesMax: 64 << 20)
    var random = Random(seed: 1)
    var live: [(handle: UInt32, length: Int, mark: UInt8)] = []
    for step in 0..<20_000 {
      if live.count < 500 || random.below(2) == 0, live.count < 2_000 {
        let length = Int(random.below(UInt64(DatagramArena.payloadMax) + 1))
        guard let handle = arena.take(length: length) else { throw Full() }
        let mark = UInt8(truncatingIfNeeded: step)
        arena.payload(handle).initializeMemory(as: UInt8.self, repeating: mark, count: length)
        live.append((handle, length, mark))
      } else {
        let (handle, length, mark) = live.remove(at: Int(random.below(UInt64(live.count))))
        let bytes = UnsafeRawBufferPointer(start: arena.payload(handle), count: length)
        #expect(bytes.allSatisfy { $0 == mark })
        arena.release(handle)
      }
    }
    let (inFlight, peak, bytes) = (arena.inFlight, arena.peakInFlight, arena.bytes)
    #expect(inFlight == live.count && peak <= 2_000 && bytes < 8 << 20)
  }

  @Test func fullArenaRefusesAndCounts() {
    var arena = DatagramArena(bytesMax: 1 << 18)
    var taken = 0
    while arena.take(length: 1_000) != nil { taken += 1 }
    let refused = arena.refused
    #expect(taken > 200 && taken <= 256 && refused == 1)
    let tooLong = arena.take(length: DatagramArena.payloadMax + 1)
    #expect(tooLong == nil)
  }

  @Test func diskKeepsWhatWasCommittedAndLosesTheRest() {
    var disk = Disk(bytesMax: 1_000)
    func write(_ key: UInt8, _ value: [UInt8]) -> Disk.Write {
      Disk.Write(table: .peers, ticket: 0, key: [key], value: value)
    }
    for key in [UInt8(3), 1, 2] {
      disk.plan(write(key, [key, key]))
      #expect(disk.value(.peers, [key]) == [key, key])
    }
    _ = disk.commit()
    _ = disk.commit()
    disk.crash()
    #expect(disk.value(.peers, [3]) == [3, 3] && disk.value(.peers, [1]) == [1, 1])
    #expect(disk.value(.peers, [2]) == nil && disk.value(.node, [3]) == nil)
    var keys: [UInt8] = []
    disk.visit(.peers) { key, _ in keys += key }
    #expect(keys == [1, 3])
    disk.plan(write(1, []))
    _ = disk.commit()
    #expect(disk.value(.peers, [1]) == nil)
    disk.plan(write(9, [UInt8](repeating: 9, count: 1_000)))
    _ = disk.commit()
    #expect(disk.refused == 1 && !disk.isEmpty(.peers))
  }

  @Test(arguments: [UInt64(1), 2, 3])
  func clockNeverGoesBackAndIsInverted(seed: UInt64) {
    var random = Random(seed: seed)
    var clock = NodeClock()
    var now = Instant.start
    var last = Instant.start
    for _ in 0..<2_000 {
      now = now + Interval(ns: random.below(20_000_000_000))
      let local = clock.local(now)
      #expect(local >= last)
      last = local
      let wanted = local + Interval(ns: random.below(1 << 42))
      let moment = clock.world(wanted)
      #expect(clock.local(moment) >= wanted)
      #expect(moment.ns == 0 || clock.local(Instant(ns: moment.ns - 1)) < wanted || moment <= now)
      if random.below(5) == 0 {
        clock.run(partsPerMillion: Int64(random.below(200_000)) - 100_000, from: now)
        #expect(clock.local(now) == local)
      }
    }
    #expect(clock.world(.never) == .never)
  }

  @Test func cutsCloseInTheirDirection() {
    var cuts = Cuts()
    func record(_ node: Int) -> NodeRecord {
      var record = NodeRecord(place: Place(), address: 0, flags: .alive)
      (record.nearSide, record.farSide) = cuts.sides(of: node)
      return record
    }
    func isCut(_ from: Int, _ to: Int) -> Bool {
      var (a, b) = (record(from), record(to))
      return cuts.separates(&a, &b)
    }
    cuts.close(0, .range(0..<3), .not(.range(0..<3)), .both)
    #expect(isCut(1, 5) && isCut(5, 1) && !isCut(1, 2) && !isCut(5, 6))
    cuts.close(0, .node(1), .node(5), .outward)
    #expect(isCut(1, 5) && !isCut(5, 1) && !isCut(2, 5))
    cuts.close(3, .node(1), .everybody, .inward)
    #expect(isCut(7, 1) && isCut(5, 1) && !isCut(1, 7))
    cuts.open(0)
    cuts.open(3)
    #expect(!isCut(1, 5) && cuts.isEmpty)
  }

  @Test func burstsLoseWhatTheModelSays() {
    let link = GilbertElliott()
    var random = Random(seed: 3)
    var isBad = false
    var lost = 0
    var runs = 0
    var wasLost = false
    for _ in 0..<1_000_000 {
      let isLost = link.loses(&isBad, &random)
      lost += isLost ? 1 : 0
      if isLost, !wasLost { runs += 1 }
      wasLost = isLost
    }
    #expect((4_000...6_500).contains(lost), "lost \(lost) of a million")
    #expect(lost > runs * 3 / 2, "bursts of \(Double(lost) / Double(runs))")
  }

  @Test func clustersAreAsFarApartAsTheInternet() {
    var geography = Geography(.clusters(), random: Random(seed: 1))
    let places = (0..<400).map { _ in geography.draw() }
    var times: [UInt64] = []
    for (i, a) in places.enumerated() { for b in places[..<i] { times.append(geography.base(a, b) / 1_000) } }
    times.sort()
    let mean = times.reduce(0, +) / UInt64(times.count)
    let (low, high) = (times[times.count / 20], times[times.count * 19 / 20])
    #expect((38_000...52_000).contains(mean), "mean \(mean) µs, \(low) to \(high)")
    #expect(geography.base(places[0], places[1]) == geography.base(places[1], places[0]))
  }

  @Test func distanceIsNearTheStraightLine() {
    for (x, y) in [(300, 400), (1_000, 0), (700, 700), (1_200, 500)] {
      let d = Double(Place().distance(to: Place(x: Int32(x), y: Int32(-y))))
      let exact = (Double(x * x + y * y)).squareRoot()
      #expect(abs(d - exact) / exact < 0.031)
    }
  }

  @Test func matrixIsReadFromText() throws {
    let matrix = try #require(LatencyMatrix(text: "# µs\n0 10 20\n10 0 30\n20 30 0\n"))
    #expect(matrix.size == 3 && matrix.microseconds[5] == 30)
    #expect(LatencyMatrix(text: "1 2\n3") == nil && LatencyMatrix(text: "a") == nil)
    #expect(LatencyMatrix(text: "") == nil)
  }

  @Test func mixesDrawTheirShares() {
    var random = Random(seed: 5)
    var counts = [Int](repeating: 0, count: 5)
    for _ in 0..<10_000 { counts[SiteMix.home.draw(&random).rawValue] += 1 }
    for (count, share) in zip(counts, [10, 25, 45, 17, 3]) { #expect(abs(count - share * 100) < 150) }
  }
}
