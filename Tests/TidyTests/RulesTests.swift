// The checker itself, on small samples: what it must find, and what it must leave alone.
import Testing

@Suite struct RulesTests {
  private func findings(_ text: String, in path: String = "Sources/Overlay/Sample.swift") -> [Finding] {
    Rules.check(SourceText(path: path, text: text))
  }

  @Test(arguments: [
    "import Foundation", "import Glibc", "import Dispatch", "import Synchronization", "import Logging",
    "import DHT",
    "@preconcurrency import Foundation", "public import Platform", "import struct Foundation.Data",
    "  import _Concurrency",
    "import Base; import Dispatch",
  ])
  func forbiddenImportIsFound(_ line: String) {
    let list = findings("// A sample.\n\(line)\n")
    if line.contains(";") {
      // Two declarations on a line are against the format, which another tool checks; the first one is seen.
      #expect(list.isEmpty)
    } else {
      #expect(list.map(\.line) == [2], "\(list)")
      #expect(list.first?.reason.contains("may import Base, Session") == true)
    }
  }

  @Test(arguments: [
    ("Sources/Overlay/A.swift", "import Base\nimport Session"), ("Sources/Session/A.swift", "import CSodium"),
    ("Sources/Node/A.swift", "import VPN\nimport DHT"),
    ("Sources/Platform/A.swift", "import Glibc\nimport CLMDB"),
    ("Sources/p2pvpn/A.swift", "import Foundation"), ("Simulations/Simulator/A.swift", "import Node"),
    ("Sources/Base/A.swift", "// import Foundation"), ("Sources/Base/A.swift", "let important = 1"),
  ])
  func allowedImportIsLeftAlone(_ path: String, _ text: String) { #expect(findings(text, in: path) == []) }

  @Test(arguments: [
    ("Sources/Base/A.swift", "import Glibc", "may import CPrefetch"),
    ("Sources/Platform/A.swift", "import Foundation", "Platform may import Base, CLMDB, CLinux, Glibc"),
    ("Sources/Platform/A.swift", "import Session", "Platform"),
    ("Simulations/Simulator/A.swift", "import Platform", "Node"),
    ("Simulations/Simulator/A.swift", "import Dispatch", "Node"),
    ("Sources/Session/A.swift", "import Overlay", "CSodium"),
  ])
  func arrowsPointDownwards(_ path: String, _ text: String, _ reason: String) {
    let list = findings(text, in: path)
    #expect(list.count == 1)
    #expect(list.first?.reason.contains(reason) == true, "\(list)")
  }

  @Test(arguments: [
    "Task { }", "func f() async {}", "await f()", "let d = Date()", "let c = ContinuousClock()",
    "SuspendingClock.now",
    "SystemRandomNumberGenerator()", "Int.random(in: 0..<3)", "list.shuffled()", "list.randomElement()",
    "var m: Dictionary<Int, Int>", "var m: [String: Int] = x", "var m = [OverlayID: [Int]]()", "x = [:]",
    "var s: Set<Int>", "let s = Set([1])", "print(1)", "try! f()", "fatalError()", "x.hashValue",
    "actor A {}",
    "let text = \"\\(Int.random(in: 0..<3))\"",
  ])
  func forbiddenWordIsFound(_ line: String) {
    let list = findings("let a = 1\n\(line)\n")
    #expect(!list.isEmpty)
    #expect(list.allSatisfy { $0.line == 2 && $0.path == "Sources/Overlay/Sample.swift" })
    #expect(findings(line, in: "Sources/p2pvpn/A.swift") == [], "the executable may")
    #expect(findings(line, in: "Sources/Platform/A.swift") == [], "Platform may")
  }

  @Test(arguments: [
    "// Task, async, print(1), [String: Int]", "/* await /* Date() */ fatalError */ let a = 1",
    "let a = \"print(1)\"",
    "let a = #\"\"Task\" \\(await)\"#", "let a = \"\"\"\n  fatalError() \"quoted\"\n  \"\"\"",
    "let subTask = 1",
    "struct OptionSet<T> {}", "func update(_ x: Int) {}", "var random = context.random", "let x = a[b: c]",
    "func f(_ list: [Int], by: (Int) -> Int) {}", "let asyncronous = 1", "case fingerprint(Int)",
    "let updated = 1",
    "let a = [1: 2][1]", "let x = condition ? [A.b] : [B.c]", "let a = \"\\(f(\"print(1)\"))\"",
  ])
  func harmlessCodeIsLeftAlone(_ line: String) { #expect(findings(line) == []) }

  @Test func longFileIsFound() {
    let line = "let a = 1\n"
    #expect(findings(String(repeating: line, count: 600)) == [])
    let list = findings(String(repeating: line, count: 601))
    #expect(list.map(\.line) == [601])
  }

  @Test func longLineIsFound() {
    #expect(findings("// " + String(repeating: "é", count: 107)) == [])
    let list = findings("let a = 1\n// " + String(repeating: "x", count: 108))
    #expect(
      list == [
        Finding(path: "Sources/Overlay/Sample.swift", line: 2, reason: "a line of 111 columns; 110 at most")
      ])
  }

  @Test(arguments: [
    "func f() {", "init?(a: Int) {", "deinit {", "subscript(i: Int) -> Int {", "var x: Int {",
  ])
  func longFunctionIsFound(_ head: String) {
    func text(_ lines: Int) -> String {
      "struct A {\n  \(head)\n" + String(repeating: "    f { \"}\" }\n", count: lines - 2)
        + "  }\n\n  let b = 1\n}\n"
    }
    #expect(findings(text(70)) == [])
    let list = findings(text(71))
    #expect(list.map(\.line) == [2])
    #expect(list.first?.reason.contains("has 71 lines; 70 at most") == true)
  }

  @Test func functionsEndWhereTheyEnd() {
    let text = """
      protocol P {
        func a()
        var b: Int { get }
        init()
      }
      struct S {
        let c = { 1 }()
        var d = [1].map { $0 }
        static func == (x: S, y: S) -> Bool { x.d == y.d }
        func e(_ f: () -> Int = { 2 }) -> Int
        where Int: Equatable {
          func inner() { g() }
          self.init()
          return 1
        }
      }
      """
    let found = Functions.find(in: SourceText(path: "a/b/c", text: text).code)
    #expect(found.map(\.name) == ["var b", "func", "func inner", "func e"])
    #expect(found.map(\.firstLine) == [3, 9, 12, 10])
    #expect(found.map(\.lineCount) == [1, 1, 1, 6])
  }

  @Test func stubCryptographyIsOutOfReachOfTheDaemon() {
    let line = "let identity = Identity.stub(number: 1)"
    for folder in ["p2pvpn", "Platform", "Node", "Overlay"] {
      #expect(findings(line, in: "Sources/\(folder)/A.swift").map(\.line) == [1])
    }
    for path in ["Sources/Session/A.swift", "Simulations/Simulator/A.swift", "Tests/NodeTests/A.swift"] {
      #expect(findings(line, in: path) == [])
    }
  }

  @Test func leftoversAreFoundEverywhere() {
    for word in ["TO" + "DO", "FIX" + "ME"] {
      #expect(findings("// \(word): later", in: "Tests/NodeTests/A.swift").map(\.line) == [1])
      #expect(findings("let x = \"\(word)\"", in: "Sources/p2pvpn/A.swift").count == 1)
      #expect(findings("let \(word)s = 1") == [])
    }
  }

  @Test func findingNamesPlaceAndReason() {
    let finding = Finding(path: "Sources/Base/A.swift", line: 7, reason: "imports Glibc")
    #expect(finding.description == "Sources/Base/A.swift:7: imports Glibc")
  }

  @Test func blankingKeepsLinesAndColumns() {
    let text = "let a = \"x\" // c\n/* 1\n2 */ let b = 2\n"
    let source = SourceText(path: "Sources/Base/A.swift", text: text)
    #expect(source.code == ["let a = \" \"     ", "    ", "     let b = 2"])
    #expect(source.lines.count == source.code.count)
    #expect(source.room == "Base")
  }
}
