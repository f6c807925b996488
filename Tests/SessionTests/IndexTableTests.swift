// Goal: an index finds its generation and nothing else, however the table grew and shrank.
// Method: random insertions and removals, with many indices on few places, against a dictionary.

import Base
import Testing

@testable import Session

struct IndexTableTests {
  @Test(arguments: 0..<8) func agreesWithAModel(seed: Int) throws {
    var random = Random(seed: UInt64(seed))
    var table = IndexTable()
    var model: [UInt32: GenerationPointer] = [:]
    for step in 0..<5_000 {
      // 24 bits, the low four zero; the places repeat every 64 or 2^20 indices.
      let spread: UInt64 = step % 2 == 0 ? 1 << 20 : 64
      let index = UInt32(random.below(spread) << 4 | 0x10)
      if let present = model[index] {
        let found = table.find(index)
        #expect(found == present)
        if random.below(3) > 0 || model.count > 300 {
          table.remove(index)
          model[index] = nil
        }
      } else if model.count < 300 {
        // Never followed: only told apart.
        let generation = try #require(GenerationPointer(bitPattern: (step + 1) * 16))
        table.insert(index, generation)
        model[index] = generation
      }
      let absent = UInt32(random.below(1 << 20) << 4 | 0x10)
      let found = table.find(absent)
      guard found == model[absent] else {
        Issue.record("seed \(seed), step \(step)")
        return
      }
    }
    let count = table.count
    #expect(count == model.count)
    for (index, generation) in model {
      let found = table.find(index)
      #expect(found == generation)
    }
  }

  @Test func everyReasonHasItsCounter() {
    var counters = SessionCounters()
    for reason in HandshakeReject.allCases { counters.count(reason) }
    for reason in HandshakeReject.allCases { #expect(counters[reason] == 1) }
    for reason in RecordReject.allCases { counters.count(reason) }
    let records = [
      counters.malformed, counters.replayed, counters.forged, counters.expired, counters.tooManySpaces,
      counters.full,
    ]
    #expect(records == [1, 1, 1, 1, 1, 1])
  }
}
