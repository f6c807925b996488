// The log: one line an event on stderr, for people and for systemd's journal.
//
//     2026-02-03T04:05:06.789Z info    joined the ring neighbours=4
//
// The message is a constant, facts are metadata with fixed keys in alphabetical order.

import Glibc
import Logging
import Synchronization

/// Writes log lines to stderr, each with one system call.
struct StandardErrorLog: LogHandler {
  /// What is said, which may be changed while the node runs.
  let verbosity: Verbosity
  var metadata: Logger.Metadata = [:]

  var logLevel: Logger.Level {
    get { verbosity.level }
    set { verbosity.level = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var line = Timestamp.now() + " " + padded(event.level.rawValue) + " " + event.message.description
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      line += " \(key)=\(Self.quoted(value.description))"
    }
    line.toStandardError()
  }

  private func padded(_ level: String) -> String {
    level + String(repeating: " ", count: max(0, 7 - level.utf8.count))
  }

  /// Values with spaces or control characters stand in quotes, so that a line stays a line.
  private static func quoted(_ text: String) -> String {
    if !text.isEmpty, text.unicodeScalars.allSatisfy({ $0.value > 32 && $0 != "\"" && $0.value != 127 }) {
      return text
    }
    return JSON.string(text).text
  }
}

/// The level of the log, which all copies of the logger share.
final class Verbosity: Sendable {
  private static let levels = Logger.Level.allCases
  private let index: Atomic<Int>

  init(_ level: Logger.Level) { index = Atomic(Self.index(of: level)) }

  var level: Logger.Level {
    get { Self.levels[index.load(ordering: .relaxed)] }
    set { index.store(Self.index(of: newValue), ordering: .relaxed) }
  }

  private static func index(of level: Logger.Level) -> Int { levels.firstIndex(of: level) ?? 0 }
}
