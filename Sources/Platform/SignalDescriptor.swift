// Signals as events of the loop: a signalfd.
//
// A signal handler may do next to nothing and runs in the middle of everything else. Blocked and read from a
// descriptor, SIGTERM is one more input. A mask belongs to a thread and is inherited: make the descriptor on
// the main thread before any other thread exists, or the signal kills the process through one that does not
// block it.
import CLinux
import Glibc

/// The signals TERM, INT and (unless it is ignored) HUP, blocked in this thread and in those it starts from
/// now on. SIGPIPE is ignored.
public final class SignalDescriptor {
  public let fd: Int32

  public init() throws(CallError) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in [SIGTERM, SIGINT] { sigaddset(&set, signal) }
    if !Self.isIgnored(SIGHUP) { sigaddset(&set, SIGHUP) }
    let result = pthread_sigmask(SIG_BLOCK, &set, nil)
    if result != 0 { throw CallError("pthread_sigmask", code: result) }
    signal(SIGPIPE, SIG_IGN)
    fd = try checked(signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK)), "signalfd")
  }

  deinit { close(fd) }

  /// Whether who started the process wants it to live on, as `nohup` does: a signalfd would report the signal
  /// anyway.
  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    sigaction(signal, nil, &action)
    let present = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
    return present == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// The next signal that came; nil when there is none.
  public func next() -> Int32? {
    var report = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    guard read(fd, &report, size) == size else { return nil }
    return Int32(report.ssi_signo)
  }
}
