// What people see while they wait, and colours where they are wanted.

import Glibc
import Scenarios

enum Terminal {
  /// Green or red on a terminal, unless NO_COLOR is set (no-color.org).
  static func paint(_ text: String, _ isGood: Bool) -> String {
    guard isatty(STDOUT_FILENO) == 1, getenv("NO_COLOR").map({ $0.pointee == 0 }) ?? true else { return text }
    return "\u{1B}[\(isGood ? 32 : 31)m\(text)\u{1B}[0m"
  }

  /// A line on standard error.
  static func complain(_ text: String) {
    // What was printed before must stand before it, also where both end in one file.
    fflush(nil)
    toStandardError(text + "\n")
  }

  /// What cannot be said there, cannot be said.
  static func toStandardError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
  }
}

/// A line on standard error that is written over again and again; nothing when that is no terminal.
final class ProgressLine {
  private let isShown = isatty(STDERR_FILENO) == 1
  private var lastAt: clock_t = 0

  func show(_ progress: Progress) {
    let now = clock()
    guard isShown, now - lastAt > CLOCKS_PER_SEC / 10 else { return }
    lastAt = now
    let found = progress.found
    let share = progress.wallSeconds > 0 ? progress.virtualSeconds / progress.wallSeconds : 0
    let perfect = Numbers.fixed(found.perfectShare * 100, 1)
    let settled = Numbers.fixed(found.settledShare * 100, 1)
    show(
      "\(Numbers.fixed(progress.virtualSeconds, 0)) of \(Numbers.fixed(progress.endSeconds, 0)) s, "
        + "\(Numbers.significant(share, 3)) × real time, \(found.nodes) nodes, "
        + "\(perfect) % perfect, \(settled) % settled")
  }

  func show(_ text: String) {
    guard isShown else { return }
    Terminal.toStandardError("\r\u{1B}[K\(text)")
  }

  func clear() {
    guard isShown else { return }
    Terminal.toStandardError("\r\u{1B}[K")
  }
}
