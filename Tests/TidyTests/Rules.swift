// The rules of the sources, as far as a program can check them.
//
// The modules that decide must give the same effects for the same inputs, so they may not reach anything that
// differs from run to run: clocks, the system's randomness, the order of hash tables, threads. What they may
// import is the picture of the architecture. The limits on files, functions and lines hold everywhere.

/// A place that breaks a rule.
struct Finding: Equatable, CustomStringConvertible {
  let path: String
  let line: Int
  let reason: String

  var description: String { "\(path):\(line): \(reason)" }
}

enum Rules {
  static let fileLinesMax = 600
  static let functionLinesMax = 70
  static let columnsMax = 110

  /// What each module may import. A module that is not here may import anything.
  static let imports: [String: Set<String>] = [
    "Sources/Base": ["CPrefetch"],
    "Sources/Session": ["Base", "CAEAD", "CSodium"],
    "Sources/Overlay": ["Base", "Session"],
    "Sources/DHT": ["Base", "Session", "Overlay"],
    "Sources/VPN": ["Base", "Session", "Overlay", "DHT"],
    "Sources/Node": ["Base", "Session", "Overlay", "DHT", "VPN"],
    "Sources/Platform": ["Base", "CLinux", "CLMDB", "Glibc"],
    // A simulation is as deterministic as what it drives; only its command may see the machine.
    "Simulations/Simulator": ["Base", "Session", "Overlay", "DHT", "VPN", "Node"],
    "Simulations/Scenarios": ["Base", "Session", "Overlay", "DHT", "VPN", "Node", "Simulator"],
    "Simulations/p2psim": [
      "Base", "Session", "Overlay", "DHT", "VPN", "Node", "Simulator", "Scenarios", "ArgumentParser", "Glibc",
    ],
  ]

  /// The modules that decide everything and touch nothing.
  static let pure: Set<String> = [
    "Sources/Base", "Sources/Session", "Sources/Overlay", "Sources/DHT", "Sources/VPN", "Sources/Node",
  ]

  /// What does not occur in the code of a pure module.
  struct Ban {
    /// Names, matched as whole words.
    let word: String
    /// What has to follow the word directly; empty when nothing has to.
    let suffix: String
    let reason: String

    init(_ word: String, _ suffix: String = "", _ reason: String) {
      self.word = word
      self.suffix = suffix
      self.reason = reason
    }
  }

  static let bans: [Ban] = [
    Ban("Task", "", "no concurrency: a driver calls the machine"),
    Ban("async", "", "no concurrency: a driver calls the machine"),
    Ban("await", "", "no concurrency: a driver calls the machine"),
    Ban("actor", " ", "no concurrency: a driver calls the machine"),
    Ban("Date", "(", "no clock: the moment is an input"),
    Ban("ContinuousClock", "", "no clock: the moment is an input"),
    Ban("SuspendingClock", "", "no clock: the moment is an input"),
    Ban("SystemRandomNumberGenerator", "", "randomness comes from the context's `Random`"),
    Ban("random", "(", "randomness comes from the context's `Random`"),
    Ban("randomElement", "(", "randomness comes from the context's `Random`"),
    Ban("shuffled", "(", "randomness comes from the context's `Random`"),
    Ban("shuffle", "(", "randomness comes from the context's `Random`"),
    Ban("Hasher", "", "its seed differs from process to process"),
    Ban("hashValue", "", "it differs from process to process"),
    Ban("Dictionary", "", "its order differs from process to process: use `FlatMap`"),
    Ban("Set", "<", "its order differs from process to process: use `FlatMap` or a sorted list"),
    Ban("Set", "(", "its order differs from process to process: use `FlatMap` or a sorted list"),
    Ban("print", "(", "a machine does not print: notify an `Event`"),
    Ban("debugPrint", "(", "a machine does not print: notify an `Event`"),
    Ban("try!", "", "handle the error or show that there is none"),
    Ban("fatalError", "", "use `preconditionFailure` with the state"),
  ]

  /// Stub cryptography is for simulations. Session has it, drivers of simulations ask for it, and nothing in
  /// between may name it: what the daemon is made of cannot come to it.
  private static let stubBan = Ban("stub", "", "only Session and simulations know of stub cryptography")

  static func check(_ source: SourceText) -> [Finding] {
    var findings = limits(source) + leftovers(source) + forbiddenImports(source)
    if source.path.hasPrefix("Sources/"), folder(source) != "Sources/Session" {
      findings += bannedWords(source, [stubBan])
    }
    if pure.contains(folder(source)) { findings += bannedWords(source, bans) + hashTables(source) }
    return findings.sorted { $0.line < $1.line }
  }

  private static func folder(_ source: SourceText) -> String {
    source.path.split(separator: "/").prefix(2).joined(separator: "/")
  }

  private static func limits(_ source: SourceText) -> [Finding] {
    var findings: [Finding] = []
    if source.lines.count > fileLinesMax {
      let reason = "a file of \(source.lines.count) lines; \(fileLinesMax) at most, one idea a file"
      findings.append(Finding(path: source.path, line: fileLinesMax + 1, reason: reason))
    }
    for (i, line) in source.lines.enumerated() where line.count > columnsMax {
      let reason = "a line of \(line.count) columns; \(columnsMax) at most"
      findings.append(Finding(path: source.path, line: i + 1, reason: reason))
    }
    for function in Functions.find(in: source.code) where function.lineCount > functionLinesMax {
      let reason = "\(function.name) has \(function.lineCount) lines; \(functionLinesMax) at most"
      findings.append(Finding(path: source.path, line: function.firstLine, reason: reason))
    }
    return findings
  }

  private static func leftovers(_ source: SourceText) -> [Finding] {
    // Put together here, or this file would break its own rule.
    let words = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    return source.lines.enumerated().flatMap { i, line in
      words.filter { contains(line, word: $0, suffix: "") }.map {
        Finding(path: source.path, line: i + 1, reason: "\($0): do it or leave it")
      }
    }
  }

  private static func forbiddenImports(_ source: SourceText) -> [Finding] {
    guard let allowed = imports[folder(source)] else { return [] }
    return source.code.enumerated().compactMap { i, line in
      guard let module = importedModule(line), !allowed.contains(module) else { return nil }
      let list = allowed.isEmpty ? "nothing" : allowed.sorted().joined(separator: ", ")
      return Finding(
        path: source.path, line: i + 1, reason: "imports \(module); \(source.room) may import \(list)")
    }
  }

  /// The module of an import declaration: `@testable import struct A.B` names A.
  private static func importedModule(_ line: String) -> String? {
    let words = line.split(separator: " ").drop {
      $0.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains($0)
    }
    guard words.first == "import" else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
    guard let name = words.dropFirst().first(where: { !kinds.contains($0) }) else { return nil }
    return name.split(whereSeparator: { $0 == "." || $0 == ";" }).first.map(String.init)
  }

  private static func bannedWords(_ source: SourceText, _ bans: [Ban]) -> [Finding] {
    source.code.enumerated().flatMap { i, line in
      bans.filter { contains(line, word: $0.word, suffix: $0.suffix) }.map { ban in
        let shown = (ban.word + ban.suffix).split(separator: " ").joined()
        return Finding(path: source.path, line: i + 1, reason: "\(shown) is forbidden here: \(ban.reason)")
      }
    }
  }

  /// `[Key: Value]` as a type, and the empty dictionary literal.
  private static func hashTables(_ source: SourceText) -> [Finding] {
    source.code.enumerated().compactMap { i, line in
      let isTable =
        line.contains(#/\[\s*:\s*\]/#) || line.contains(#/\[\s*[A-Z][A-Za-z0-9_.<>?]*\s*:\s*[\[(A-Z]/#)
      guard isTable else { return nil }
      return Finding(
        path: source.path, line: i + 1,
        reason: "a dictionary is forbidden here: its order differs from process to process: use `FlatMap`")
    }
  }

  /// Whether `word` stands in `line` as a whole word with `suffix` directly behind it.
  private static func contains(_ line: String, word: String, suffix: String) -> Bool {
    let text = Array(line.utf8)
    let wanted = Array((word + suffix).utf8)
    guard text.count >= wanted.count else { return false }
    func isName(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: "_") || byte >= 128 || (48...57).contains(byte) || (65...90).contains(byte)
        || (97...122).contains(byte)
    }
    return (0...(text.count - wanted.count)).contains { start in
      guard text[start..<(start + wanted.count)].elementsEqual(wanted) else { return false }
      if start > 0, isName(text[start - 1]) { return false }
      let end = start + wanted.count
      return !suffix.isEmpty || !isName(wanted[wanted.count - 1]) || end == text.count || !isName(text[end])
    }
  }
}
