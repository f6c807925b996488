// The wheel beside a sorted list: the same order whatever is planned, near, far, at once or in the past.

import Base
import Testing

@testable import Simulator

@Suite struct EventQueueTests {
  /// Pushes and pops at random, and compares each popped event with the least of a plain array.
  @Test(arguments: [UInt64(1), 2, 3, 4], [UInt64(1), 1 << 10, 1 << 17])
  func popsInTheOrderOfTimeAndSequence(seed: UInt64, slot: UInt64) {
    var random = Random(seed: seed)
    var queue = EventQueue(slotNanoseconds: slot)
    var model: [(at: UInt64, word: UInt64)] = []
    var now: UInt64 = 0
    for word in 0..<UInt64(6_000) {
      if random.below(5) < 3 {
        let spans: [UInt64] = [1, slot, slot << 8, slot << 12, slot << 18, slot << 24, slot << 26]
        let at = now + random.below(spans[Int(random.below(UInt64(spans.count)))])
        queue.push(word, at: at)
        let place = model.firstIndex { $0.at > at } ?? model.count
        model.insert((at, word), at: place)
      } else {
        let limit = random.below(3) == 0 ? now + random.below(slot << 13) : UInt64.max
        let popped = queue.pop(upTo: limit)
        let expected = model.first.flatMap { $0.at <= limit ? $0 : nil }
        #expect(popped?.word == expected?.word && popped?.at == expected?.at)
        if expected != nil { model.removeFirst() }
        if let popped { now = popped.at } else if limit != .max { now = max(now, limit) }
      }
    }
    #expect(queue.count == model.count)
    while let expected = model.first {
      #expect(queue.pop(upTo: .max)?.word == expected.word)
      model.removeFirst()
    }
    #expect(queue.pop(upTo: .max)?.word == nil)
  }

  @Test func hundredThousandEqualTimersKeepTheirOrder() {
    var queue = EventQueue()
    for word in 0..<UInt64(100_000) { queue.push(word, at: 5_000_000_000) }
    var isInOrder = true
    for word in 0..<UInt64(100_000) {
      isInOrder = isInOrder && queue.pop(upTo: .max)?.word == word
      queue.push(1_000_000 + word, at: 5_000_000_000)
    }
    for word in 0..<UInt64(100_000) {
      isInOrder = isInOrder && queue.pop(upTo: .max)?.word == 1_000_000 + word
    }
    #expect(isInOrder && queue.count == 0)
  }

  @Test func timersOfHoursAndDaysWait() {
    var queue = EventQueue(slotNanoseconds: 1 << 14)
    let hour: UInt64 = 3_600_000_000_000
    for n in (1...400).reversed() { queue.push(UInt64(n), at: UInt64(n) * hour) }
    queue.push(0, at: 1)
    #expect(queue.pop(upTo: 0)?.word == nil)
    for n in 0...400 { #expect(queue.pop(upTo: .max)?.word == UInt64(n)) }
  }
}
