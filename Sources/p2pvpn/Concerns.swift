// What is not as it should be, for as long as it is so: the warnings of `status`.

/// A kind of trouble; each is there once or not at all.
enum Concern: Sendable {
  case alone
  case port
  case identity
  case ipv6
  case secret
  case names
  case relay
}

struct Concerns: Sendable {
  private var entries: [(concern: Concern, text: String)] = []

  /// The sentences, in the order in which the troubles began.
  var texts: [String] { entries.map(\.text) }

  mutating func set(_ concern: Concern, _ text: String) {
    if let i = entries.firstIndex(where: { $0.concern == concern }) {
      entries[i].text = text
    } else {
      entries.append((concern, text))
    }
  }

  /// Another sentence for a trouble, if there is that trouble.
  mutating func amend(_ concern: Concern, _ text: String) {
    if entries.contains(where: { $0.concern == concern }) { set(concern, text) }
  }

  /// The sentence about a port that another program has.
  static func portInUse(_ port: UInt16, now: UInt16) -> String {
    "port \(port) was in use: this node listens on port \(now)"
  }

  mutating func clear(_ concern: Concern) { entries.removeAll { $0.concern == concern } }
}
