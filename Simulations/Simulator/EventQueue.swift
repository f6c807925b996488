// What will happen in a simulated network, in order of time; things at the same moment in the order they were
// planned.

import Base

/// A priority queue (binary heap) ordered by time and then by sequence.
struct EventQueue<Event> {
  private struct Entry {
    let at: Instant
    let sequence: UInt64
    let event: Event

    func isBefore(_ other: Entry) -> Bool { (at, sequence) < (other.at, other.sequence) }
  }

  private var heap: [Entry] = []
  private var sequence: UInt64 = 0

  var nextAt: Instant? { heap.first?.at }

  mutating func push(_ event: Event, at instant: Instant) {
    sequence += 1
    heap.append(Entry(at: instant, sequence: sequence, event: event))
    var i = heap.count - 1
    while i > 0, heap[i].isBefore(heap[(i - 1) / 2]) {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  mutating func pop() -> (at: Instant, event: Event)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink(0)
    }
    return (first.at, first.event)
  }

  private mutating func sink(_ start: Int) {
    var i = start
    while true {
      var least = i
      for child in [2 * i + 1, 2 * i + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
        least = child
      }
      if least == i { return }
      heap.swapAt(i, least)
      i = least
    }
  }
}
