// What is not as it should be, for as long as it is so: the warnings of `status`.

/// A kind of trouble; each is there once or not at all.
enum Concern: String, Sendable, CaseIterable {
  case alone
  case port
  case identity
  case ipv6
  case secret
  case names
  case relay
  case udp
  case store
}

struct Concerns: Sendable {
  private var entries: [(concern: Concern, text: String)] = []

  /// The sentences, in the order in which the troubles began.
  var texts: [String] { entries.map(\.text) }

  func has(_ concern: Concern) -> Bool { entries.contains { $0.concern == concern } }

  /// - Returns: whether that is news.
  @discardableResult
  mutating func set(_ concern: Concern, _ text: String) -> Bool {
    guard let i = entries.firstIndex(where: { $0.concern == concern }) else {
      entries.append((concern, text))
      return true
    }
    defer { entries[i].text = text }
    return entries[i].text != text
  }

  /// The sentence about a port that another program has.
  static func portInUse(_ port: UInt16, now: UInt16) -> String {
    "port \(port) was in use: this node listens on port \(now)"
  }

  /// - Returns: whether it was there.
  @discardableResult
  mutating func clear(_ concern: Concern) -> Bool {
    guard has(concern) else { return false }
    entries.removeAll { $0.concern == concern }
    return true
  }
}
