// Somebody on a thread of the local API who waits for an answer of the loop.

import Synchronization

/// An answer to a question: a JSON value, or why there is none.
typealias Answer = Result<JSON, Failure>

/// A place for one answer, and the wait for it.
final class Caller: Sendable {
  private let answer = Mutex<Answer?>(nil)
  private let arrived = Semaphore(0)

  /// Hands over the answer. *Precondition:* called once.
  func resume(_ answer: Answer) {
    self.answer.withLock { $0 = answer }
    arrived.signal()
  }

  /// Waits for the answer. *Precondition:* called once.
  func wait() -> Answer {
    arrived.wait()
    guard let answer = answer.withLock({ $0 }) else { preconditionFailure("woken without an answer") }
    return answer
  }
}
