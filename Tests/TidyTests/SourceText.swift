// A Swift file as the rules see it: its lines as written, and again with comments and the contents of strings
// blanked out.
//
// The lexer knows line and nested block comments, single-line, multi-line and raw strings, and code inside
// interpolations. Blanking keeps every line and column, so a finding points to the right place. Regex
// literals are taken for code; one with a quotation mark in it would confuse the lexer.

struct SourceText {
  /// The path as findings show it, from the root of the project: `Sources/Base/Frame.swift`.
  let path: String
  let lines: [String]
  let code: [String]

  init(path: String, text: String) {
    self.path = path
    lines = Self.split(text)
    var lexer = Lexer(text)
    lexer.run()
    code = Self.split(String(decoding: lexer.output, as: UTF8.self))
  }

  /// The module or test target: the second part of the path.
  var room: String {
    let parts = path.split(separator: "/")
    return parts.count > 2 ? String(parts[1]) : ""
  }

  private static func split(_ text: String) -> [String] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    return lines
  }
}

private struct Lexer {
  private let input: [UInt8]
  private(set) var output: [UInt8] = []
  private var at = 0

  init(_ text: String) {
    input = Array(text.utf8)
    output.reserveCapacity(input.count)
  }

  mutating func run() { code(until: nil) }

  private func sees(_ text: StaticString, _ offset: Int = 0) -> Bool {
    let start = at + offset
    guard start + text.utf8CodeUnitCount <= input.count else { return false }
    return (0..<text.utf8CodeUnitCount).allSatisfy { input[start + $0] == text.utf8Start[$0] }
  }

  private mutating func keep() {
    output.append(input[at])
    at += 1
  }

  private mutating func blank(_ count: Int = 1) {
    for _ in 0..<count where at < input.count {
      output.append(input[at] == UInt8(ascii: "\n") ? input[at] : UInt8(ascii: " "))
      at += 1
    }
  }

  /// Code up to the parenthesis that closes an interpolation, or to the end.
  private mutating func code(until closing: UInt8?) {
    var depth = 0
    while at < input.count {
      if sees("//") {
        while at < input.count, input[at] != UInt8(ascii: "\n") { blank() }
      } else if sees("/*") {
        comment()
      } else if let hashes = stringStart() {
        string(hashes)
      } else {
        if let closing {
          if input[at] == UInt8(ascii: "(") { depth += 1 }
          if input[at] == closing {
            if depth == 0 { return blank() }
            depth -= 1
          }
        }
        keep()
      }
    }
  }

  private mutating func comment() {
    var depth = 0
    repeat {
      if sees("/*") {
        depth += 1
        blank(2)
      } else if sees("*/") {
        depth -= 1
        blank(2)
      } else {
        blank()
      }
    } while depth > 0 && at < input.count
  }

  /// How many number signs stand before the quotation mark here; nil when this is no string.
  private func stringStart() -> Int? {
    var hashes = 0
    while sees("#", hashes) { hashes += 1 }
    return sees("\"", hashes) ? hashes : nil
  }

  private func hasHashes(_ count: Int, at offset: Int) -> Bool {
    (0..<count).allSatisfy { sees("#", offset + $0) }
  }

  private mutating func string(_ hashes: Int) {
    blank(hashes)
    let quotes = sees("\"\"\"") ? 3 : 1
    keep()
    blank(quotes - 1)
    while at < input.count {
      let ends = quotes == 3 ? sees("\"\"\"") : sees("\"")
      if ends, hasHashes(hashes, at: quotes) {
        blank(quotes - 1)
        keep()
        return blank(hashes)
      }
      if sees("\\"), hasHashes(hashes, at: 1) {
        if sees("(", 1 + hashes) {
          blank(2 + hashes)
          code(until: UInt8(ascii: ")"))
        } else {
          blank(2 + hashes)
        }
      } else if quotes == 1, input[at] == UInt8(ascii: "\n") {
        return  // not a string after all
      } else {
        blank()
      }
    }
  }
}
