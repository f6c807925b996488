// Events on their way from the loop to one reader, who may be slow.
//
// The loop only appends, under a lock that nobody holds for longer than it takes to copy an event. What does
// not fit is counted. From then on nothing is taken in until the reader has emptied the queue and been told
// the count, so it knows at which place of the stream how much is missing.

import Platform
import Synchronization

/// A bounded queue of the text of events.
final class EventQueue: Sendable {
  /// Some 300 events.
  static let bytesMax = 64 << 10

  private struct Contents {
    var bytes: [UInt8] = []
    var lost = 0
    var isClosed = false
  }

  private let contents = Mutex(Contents())
  /// Tells the reader that there is something.
  private let wakeup: Wakeup

  init(waking wakeup: Wakeup) { self.wakeup = wakeup }

  /// Appends an event, if there is room for it.
  func append(_ event: [UInt8]) {
    contents.withLock {
      if $0.lost > 0 || $0.bytes.count + event.count > Self.bytesMax {
        $0.lost += 1
      } else {
        $0.bytes += event
      }
    }
    wakeup.signal()
  }

  /// Nothing will come any more.
  func close() {
    contents.withLock { $0.isClosed = true }
    wakeup.signal()
  }

  /// Everything that waits, how many events were lost behind it, and whether that was all.
  func take() -> (bytes: [UInt8], lost: Int, isClosed: Bool) {
    contents.withLock { contents in
      let taken = (contents.bytes, contents.lost, contents.isClosed)
      contents.bytes = []
      contents.lost = 0
      return taken
    }
  }
}
