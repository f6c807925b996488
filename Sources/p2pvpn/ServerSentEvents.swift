// The format of streams: server-sent events (html.spec.whatwg.org, "Server-sent events"), as browsers and
// curl read them. An event is a line `data: ` with one JSON value, and an empty line. A line that begins with
// a colon says nothing; it shows that the other end is there.

enum ServerSentEvents {
  static let type = "text/event-stream"
  /// What is sent when there is nothing to say.
  static let comment = Array(":\n\n".utf8)
  static let end = Array("\n\n".utf8)

  /// The text of an event.
  static func event(_ value: JSON) -> [UInt8] {
    var text = Array("data: ".utf8)
    // JSON without white space is one line: it writes control characters as escapes.
    value.write(to: &text)
    return text + end
  }

  static func event(_ text: [UInt8]) -> [UInt8] { Array("data: ".utf8) + text + end }

  /// The data of an event; nil when it has none.
  /// - Parameter block: the bytes before the empty line.
  static func data(of block: [UInt8]) -> [UInt8]? {
    let lines = block.split(separator: UInt8(ascii: "\n")).compactMap { line -> ArraySlice<UInt8>? in
      guard line.starts(with: "data:".utf8) else { return nil }
      let value = line.dropFirst(5)
      return value.first == UInt8(ascii: " ") ? value.dropFirst() : value
    }
    return lines.isEmpty ? nil : Array(lines.joined(separator: [UInt8(ascii: "\n")]))
  }
}
