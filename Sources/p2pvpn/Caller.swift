// Somebody on a thread of the local API who waits for an answer of the loop.

import Glibc
import Synchronization

/// An answer to a question: a JSON value, or why there is none.
typealias Answer = Result<JSON, Failure>

/// A place for one answer, and the wait for it.
final class Caller: Sendable {
  private let answer = Mutex<Answer?>(nil)
  private nonisolated(unsafe) let arrived: UnsafeMutablePointer<sem_t>

  init() {
    arrived = .allocate(capacity: 1)
    sem_init(arrived, 0, 0)
  }

  deinit {
    sem_destroy(arrived)
    arrived.deallocate()
  }

  /// Hands over the answer. *Precondition:* called once.
  func resume(_ answer: Answer) {
    self.answer.withLock { $0 = answer }
    sem_post(arrived)
  }

  /// Waits for the answer. *Precondition:* called once.
  func wait() -> Answer {
    while sem_wait(arrived) != 0 {}
    guard let answer = answer.withLock({ $0 }) else { preconditionFailure("woken without an answer") }
    return answer
  }
}
