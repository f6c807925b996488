// The log: one line an event on stderr, for people and for systemd's journal.
//
//     2026-02-03T04:05:06.789Z info    joined the ring neighbours=4
//
// The message is a constant, facts are metadata with fixed keys in alphabetical order.

import Glibc
import Logging

/// Writes log lines to stderr, each with one system call.
struct StandardErrorLog: LogHandler {
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var line = Self.timestamp() + " " + padded(event.level.rawValue) + " " + event.message.description
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

  /// UTC, in milliseconds (RFC 3339).
  private static func timestamp() -> String {
    var now = timespec()
    var parts = tm()
    clock_gettime(CLOCK_REALTIME, &now)
    gmtime_r(&now.tv_sec, &parts)
    let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { digits($0, 2) }
    let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { digits(Int($0), 2) }
    let fraction = digits(now.tv_nsec / 1_000_000, 3)
    return "\(date.joined(separator: "-"))T\(time.joined(separator: ":")).\(fraction)Z"
  }

  private static func digits(_ value: Int, _ count: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }
}
