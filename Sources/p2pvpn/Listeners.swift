// Who reads the event stream. The list belongs to the loop; a listener's queue is all that another thread
// shares with it.

import Platform

/// Somebody who reads events.
final class Listener: Sendable {
  /// The most at a time; a connection of the local API each.
  static let countMax = 32

  let topics: [Topic]
  let queue: EventQueue

  init(_ topics: [Topic], waking wakeup: Wakeup) {
    self.topics = topics
    queue = EventQueue(waking: wakeup)
  }

  /// What the reader is told who has missed some.
  static func lost(_ count: Int) -> JSON {
    let head = Announcement.head("stream", "lost", at: Timestamp.now())
    return .object(head + [JSON.Member(key: "count", value: .integer(Int64(count)))])
  }
}

/// All of them. As long as there is none, an event costs a look at an empty list.
struct Listeners {
  private var entries: [Listener] = []

  var isEmpty: Bool { entries.isEmpty }

  mutating func add(_ listener: Listener) { entries.append(listener) }
  mutating func remove(_ listener: Listener) { entries.removeAll { $0 === listener } }

  /// Hands an event to all whom it concerns. It is put into text once, for the first of them.
  func hear(_ topic: Topic, _ event: () -> JSON) {
    var text: [UInt8]?
    for listener in entries where listener.topics.contains(topic) {
      let bytes = text ?? ServerSentEvents.event(event())
      text = bytes
      listener.queue.append(bytes)
    }
  }

  /// The streams end behind what they have been told, and say so.
  mutating func close() {
    let end = JSON.object(Announcement.head("stream", "ends", at: Timestamp.now()))
    for listener in entries {
      listener.queue.append(ServerSentEvents.event(end))
      listener.queue.close()
    }
    entries = []
  }
}
