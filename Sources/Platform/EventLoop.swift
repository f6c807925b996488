// Waiting for many descriptors at once, until a moment in time.
//
// Level triggered: what a turn leaves unread is reported again by the next one, so each source may be served
// in bounded batches. The time-out has nanoseconds where the kernel can (epoll_pwait2, Linux 5.11), so that
// pacing and probe timers fire when they should; else it is rounded up to milliseconds. A wait allocates
// nothing.
import Base
import CLinux
import Glibc

/// A set of descriptors and the wait for them. Belongs to one thread.
public final class EventLoop {
  /// The most events one wait hands out.
  public static let batchMax = Int(LINUX_BATCH_MAX)

  private let epoll: Int32
  private let tokens: UnsafeMutablePointer<UInt32>

  public init() throws(CallError) {
    epoll = try checked(epoll_create1(Int32(EPOLL_CLOEXEC)), "epoll_create1")
    tokens = .allocate(capacity: Self.batchMax)
  }

  deinit {
    close(epoll)
    tokens.deallocate()
  }

  /// Watches `fd` for something to read. `token` is what `wait` then says.
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
  /// wait), then calls `body` with the token of each that is ready, at most `batchMax` of them. A signal ends
  /// the wait early.
  public func wait(until deadline: Instant, _ body: (UInt32) -> Void) {
    var timeout: Int64 = -1
    if deadline != .never { timeout = Int64(clamping: (deadline - Clock.now()).ns) }
    let count = linux_epoll_wait(epoll, tokens, Int32(Self.batchMax), timeout)
    precondition(count >= 0 || count == -EINTR, "epoll_wait: \(CallError.text(-count))")
    for i in 0..<max(Int(count), 0) { body(tokens[i]) }
  }
}
