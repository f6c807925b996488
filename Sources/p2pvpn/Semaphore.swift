// Waiting of one thread for another, and for a free place.

import Glibc

/// A counter that threads wait for to be above zero.
final class Semaphore: Sendable {
  private nonisolated(unsafe) let counter: UnsafeMutablePointer<sem_t>

  init(_ count: UInt32) {
    counter = .allocate(capacity: 1)
    sem_init(counter, 0, count)
  }

  deinit {
    sem_destroy(counter)
    counter.deallocate()
  }

  /// Takes one, waiting until there is one.
  func wait() {
    while sem_wait(counter) != 0 {}
  }

  /// Takes one if there is one; says whether it did.
  func takeNow() -> Bool { sem_trywait(counter) == 0 }

  func signal() { sem_post(counter) }
}
