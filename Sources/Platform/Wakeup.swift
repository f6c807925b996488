// How another thread makes the loop turn: an eventfd.
import CLinux
import Glibc

/// A descriptor that becomes readable when any thread signals it. Signals before a `clear` count as one.
public final class Wakeup: Sendable {
  public let fd: Int32

  public init() throws(CallError) {
    fd = try checked(eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)), "eventfd")
  }

  deinit { close(fd) }

  /// Makes the descriptor readable. From any thread.
  public func signal() {
    var one: UInt64 = 1
    // It can only fail when the counter is at its limit, and then the descriptor is readable already.
    _ = write(fd, &one, 8)
  }

  /// Makes the descriptor silent again. To be called before the work that it announces is looked for.
  public func clear() {
    var count: UInt64 = 0
    _ = read(fd, &count, 8)
  }
}
