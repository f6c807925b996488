// Waiting for many descriptors at once, until a moment in time.
//
// Level triggered: what a turn leaves unread is reported again by the next one, so each source may be served
// in bounded batches. The time-out has nanoseconds where the kernel can (epoll_pwait2, Linux 5.11), so that
// pacing and probe timers fire when they should; else it is rounded up to milliseconds. A wait allocates
// nothing.
//
// The time-out stands still while the machine is suspended, and `Clock` does not: a wait for what is due in
// 20 s would go on for as long after the machine has woken up, hours too late. So a long wait is ended by a
// timer of the other clock instead, which fires as soon as the machine is back.
import Base
import CLinux
import Glibc

/// A set of descriptors and the wait for them. Belongs to one thread.
public final class EventLoop {
  /// The most events one wait hands out.
  public static let batchMax = Int(LINUX_BATCH_MAX)

  /// What no descriptor has.
  private static let timerToken = UInt32.max

  /// Waits longer than this are long ones: that late may a node be that has woken up.
  var longWait = Interval.seconds(1)
  private let epoll: Int32
  private let timer: Int32
  private let tokens: UnsafeMutablePointer<UInt32>

  public init() throws(CallError) {
    epoll = try checked(epoll_create1(Int32(EPOLL_CLOEXEC)), "epoll_create1")
    do throws(CallError) {
      timer = try checkedNegated(linux_epoll_add_timer(epoll, Self.timerToken), "timerfd_create")
    } catch {
      close(epoll)
      throw error
    }
    tokens = .allocate(capacity: Self.batchMax)
  }

  deinit {
    close(timer)
    close(epoll)
    tokens.deallocate()
  }

  /// Watches `fd` for something to read. `token` is what `wait` then says; not the highest number.
  public func add(_ fd: Int32, token: UInt32) throws(CallError) {
    try checkedNegated(linux_epoll_add(epoll, fd, token), "epoll_ctl")
  }

  /// Says whether `fd`, which is watched, is also watched for room to write. Its token comes for either.
  public func watch(_ fd: Int32, token: UInt32, writes: Bool) {
    _ = linux_epoll_change(epoll, fd, token, writes ? 1 : 0)
  }

  /// Watches `fd` no longer. To be called before it is closed.
  public func remove(_ fd: Int32) {
    _ = epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nil)
  }

  /// Waits until a descriptor is ready or `deadline` has come (`.never`: no deadline; a past one: does not
  /// wait), then calls `body` with the token of each that is ready, at most `batchMax` of them. A signal
  /// ends the wait early, and so may the end of an earlier one.
  public func wait(until deadline: Instant, _ body: (UInt32) -> Void) {
    var timeout: Int64 = -1
    if deadline != .never {
      timeout = Int64(clamping: (deadline - Clock.now()).ns)
      if timeout > Int64(longWait.ns) {
        linux_timer_set(timer, timeout)
        timeout = -1
      }
    }
    let count = linux_epoll_wait(epoll, tokens, Int32(Self.batchMax), timeout)
    precondition(count >= 0 || count == -EINTR, "epoll_wait: \(CallError.text(-count))")
    for i in 0..<max(Int(count), 0) where tokens[i] != Self.timerToken { body(tokens[i]) }
  }
}
