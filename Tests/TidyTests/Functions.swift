// Where functions begin and end, found by counting braces in code without comments and strings.
//
// A function is `func`, `init`, `deinit` or `subscript` with a body, or a computed property. Its length
// counts from the line of that word to the line of the closing brace.

struct Functions {
  struct Found: Equatable {
    let name: String
    let firstLine: Int
    let lineCount: Int
  }

  private struct Open {
    let name: String
    let line: Int
    let depth: Int
  }

  /// A declaration whose body has not begun.
  private struct Pending {
    let name: String
    let line: Int
    let depth: Int
  }

  private static let bodied: Set<String> = ["func", "init", "deinit", "subscript", "var"]
  /// Words that cannot stand between a declaration and its body: it has none.
  private static let others: Set<String> = [
    "let", "case", "struct", "class", "enum", "protocol", "extension", "typealias", "associatedtype", "if",
    "for", "while",
    "guard", "switch", "return", "public", "private", "fileprivate", "static", "mutating", "override",
    "import",
  ]

  private var found: [Found] = []
  private var open: [Open] = []
  private var pending: Pending?
  private var braces = 0
  /// Depth of parentheses and brackets.
  private var nesting = 0
  private var previousWord = ""
  private var afterDot = false

  /// The functions in `code`, in the order of their ends.
  static func find(in code: [String]) -> [Found] {
    var scan = Functions()
    for (i, line) in code.enumerated() { scan.line(Array(line.utf8), i + 1) }
    return scan.found
  }

  private mutating func line(_ text: [UInt8], _ number: Int) {
    var i = 0
    while i < text.count {
      let byte = text[i]
      if Self.isName(byte) {
        var end = i
        while end < text.count, Self.isName(text[end]) { end += 1 }
        word(String(decoding: text[i..<end], as: UTF8.self), number)
        afterDot = false
        i = end
        continue
      }
      switch byte {
      case UInt8(ascii: "("), UInt8(ascii: "["): nesting += 1
      case UInt8(ascii: ")"), UInt8(ascii: "]"): nesting -= 1
      case UInt8(ascii: "{"): begin()
      case UInt8(ascii: "}"): end(number)
      // A stored property with a value; a default value stands inside parentheses, an operator has the word
      // before.
      case UInt8(ascii: "=") where nesting == pending?.depth && previousWord != "func":
        if pending?.name.hasPrefix("var ") == true { pending = nil }
      default: break
      }
      afterDot = byte == UInt8(ascii: ".") || byte == UInt8(ascii: "`") || byte == UInt8(ascii: "#")
      i += 1
    }
  }

  private mutating func word(_ word: String, _ line: Int) {
    defer { previousWord = word }
    if afterDot { return }
    if let waiting = pending, waiting.depth == nesting, previousWord == waiting.name {
      // The word behind `func` and `var` is the name, whatever it is.
      if word != "init", previousWord == "func" || previousWord == "var" {
        pending = Pending(name: "\(waiting.name) \(word)", line: waiting.line, depth: waiting.depth)
        return
      }
    }
    if Self.bodied.contains(word) {
      pending = Pending(name: word, line: line, depth: nesting)
    } else if Self.others.contains(word), pending?.depth == nesting {
      pending = nil
    }
  }

  private mutating func begin() {
    braces += 1
    guard let waiting = pending, waiting.depth == nesting else { return }
    open.append(Open(name: waiting.name, line: waiting.line, depth: braces))
    pending = nil
  }

  private mutating func end(_ line: Int) {
    if let last = open.last, last.depth == braces {
      open.removeLast()
      found.append(Found(name: last.name, firstLine: last.line, lineCount: line - last.line + 1))
    }
    if pending?.depth == nesting { pending = nil }
    braces -= 1
  }

  private static func isName(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || byte >= 128 || (48...57).contains(byte) || (65...90).contains(byte)
      || (97...122).contains(byte)
  }
}
