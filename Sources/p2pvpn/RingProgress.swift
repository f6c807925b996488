// How far a task or a crawl is: one line on the terminal that writes over itself, and nothing where no
// terminal is.

import Glibc

/// The line.
final class RingProgress {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var isShown = false

  func show(_ progress: JSON) {
    guard isTerminal, let nodes = progress["nodes"].asInteger, let of = progress["of_about"].asInteger else {
      return
    }
    write("\r\u{1B}[K\(nodes) of about \(of) nodes")
    isShown = true
  }

  /// Takes the line away.
  func clear() {
    if isShown { write("\r\u{1B}[K") }
    isShown = false
  }

  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
  }
}
