// How far a task or a crawl is: one line on the terminal that writes over itself, and nothing where no
// terminal is.

import Glibc

/// The line.
final class RingProgress {
  private static let blank: StaticString = "\r\u{1B}[K"

  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var isShown = false

  func show(_ progress: JSON) {
    guard isTerminal, let nodes = progress["nodes"].asInteger, let of = progress["of_about"].asInteger else {
      return
    }
    if !isShown { Self.clearWhenInterrupted() }
    isShown = true
    let bytes = Array("\(Self.blank)\(nodes) of about \(of) nodes".utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
  }

  /// Takes the line away.
  func clear() {
    guard isShown else { return }
    Self.takeAway()
    signal(SIGINT, SIG_DFL)
    isShown = false
  }

  private static func takeAway() { _ = write(STDERR_FILENO, blank.utf8Start, blank.utf8CodeUnitCount) }

  /// Who interrupts the program finds the terminal as it was.
  private static func clearWhenInterrupted() {
    signal(SIGINT) { number in
      RingProgress.takeAway()
      signal(number, SIG_DFL)
      raise(number)
    }
  }
}
