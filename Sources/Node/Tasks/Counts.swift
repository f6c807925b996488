// Counters of things of which there are few kinds, known beforehand. On the wire: 4 bytes each.

import Base

/// How many there are of each kind. They stop at the largest number.
struct Counts<let size: Int>: Equatable, Sendable {
  private var counts = InlineArray<size, UInt32>(repeating: 0)

  init() {}

  subscript(kind: Int) -> UInt32 { counts[kind] }

  /// Counts one of a kind. *Precondition:* `kind` is one of them.
  mutating func count(_ kind: Int) { counts[kind].grow(by: 1) }

  mutating func add(_ other: Self) {
    for i in 0..<size { counts[i].grow(by: other.counts[i]) }
  }

  /// Each count with the name of its kind.
  func finding(_ names: [String]) -> Finding {
    .record(names.enumerated().map { NamedFinding($1, .count(counts[$0])) })
  }

  static func == (a: Self, b: Self) -> Bool {
    for i in 0..<size where a.counts[i] != b.counts[i] { return false }
    return true
  }
}

extension Counts: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    for i in 0..<size { counts[i] = try reader.integer() }
  }

  func encode(to writer: inout WireWriter) {
    for i in 0..<size { writer.integer(counts[i]) }
  }
}

/// The kinds of paths, as they are listed.
enum PathKinds {
  static let all: [PathKind] = [.lan, .direct, .tcp, .proxy, .overlay, .idle, .offline]
  static var names: [String] { all.map { "\($0)" } }
}
