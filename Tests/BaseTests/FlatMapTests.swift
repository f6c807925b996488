import Base
import Testing

/// A key of which many collide, so that chains of probes form and wrap around the end of the table.
private struct ClashingKey: FlatKey {
  var value: UInt8
  var flatHash: UInt64 { UInt64(value) / 8 &* 0xFFFF_FFFF }
}

@Suite struct FlatMapTests {
  @Test(arguments: [1, 2, 3, 4]) func agreesWithADictionary(_ seed: UInt64) {
    var random = Random(seed: seed)
    var map = FlatMap<UInt32, UInt64>(limit: 100)
    var model: [UInt32: UInt64] = [:]
    for step in 0..<20_000 {
      let key = UInt32(random.below(160))
      switch random.below(3) {
      case 0: #expect(map.remove(key) == model.removeValue(forKey: key), "seed \(seed), step \(step)")
      case 1: #expect(map[key] == model[key], "seed \(seed), step \(step)")
      default:
        let value = random.next()
        let fits = model[key] != nil || model.count < 100
        #expect(map.set(key, value) == fits, "seed \(seed), step \(step)")
        if fits { model[key] = value }
      }
      #expect(map.count == model.count)
    }
    var seen: [UInt32: UInt64] = [:]
    map.visit({ seen[$0] = $1 })
    #expect(seen == model)
  }

  @Test(arguments: [1, 2, 3]) func collidingKeysAreKeptApart(_ seed: UInt64) {
    var random = Random(seed: seed)
    var map = FlatMap<ClashingKey, UInt8>(limit: 48)
    var model: [UInt8: UInt8] = [:]
    for step in 0..<5_000 {
      let key = UInt8(random.below(64))
      if random.below(2) == 0 {
        let taken = map.set(ClashingKey(value: key), UInt8(truncatingIfNeeded: step))
        if taken { model[key] = UInt8(truncatingIfNeeded: step) }
      } else {
        #expect(
          map.remove(ClashingKey(value: key)) == model.removeValue(forKey: key), "seed \(seed), step \(step)")
      }
      let probe = UInt8(random.below(64))
      #expect(map[ClashingKey(value: probe)] == model[probe], "seed \(seed), step \(step)")
    }
  }

  @Test func fullMapRefusesNewKeysAndTakesOldOnes() {
    var map = FlatMap<UInt32, Int>(limit: 2)
    #expect(map.set(1, 10) == true)
    #expect(map.set(2, 20) == true)
    #expect(map.set(3, 30) == false)
    #expect(map.set(2, 21) == true)
    #expect(map[2] == 21)
    #expect(map[3] == nil)
    #expect(map.count == 2)
  }

  @Test func sameHistoryHasTheSameOrder() {
    func order() -> [UInt32] {
      var map = FlatMap<UInt32, Int>(limit: 50)
      for key in 0..<50 { map.set(UInt32(key) &* 77, key) }
      for key in stride(from: 0, to: 50, by: 3) { map.remove(UInt32(key) &* 77) }
      var keys: [UInt32] = []
      map.visit({ key, _ in keys.append(key) })
      return keys
    }
    #expect(order() == order())
  }

  @Test func keysOfAllKindsAreFound() {
    var random = Random(seed: 5)
    var ids = FlatMap<OverlayID, Int>(limit: 64)
    var endpoints = FlatMap<Endpoint, Int>(limit: 64)
    var keys: [(OverlayID, Endpoint)] = []
    for i in 0..<64 {
      keys.append((random.overlayID(), Endpoint(random.address(), port: UInt16(i))))
      ids.set(keys[i].0, i)
      endpoints.set(keys[i].1, i)
    }
    for i in 0..<64 {
      #expect(ids[keys[i].0] == i)
      #expect(endpoints[keys[i].1] == i)
    }
  }
}
