// Goal: the rules of `Rules.swift` hold in every file. A failure names file, line and reason.
import Testing

@Suite struct TidyTests {
  @Test(arguments: ["Sources", "Tests", "Simulations"]) func folderKeepsTheRules(_ folder: String) {
    let sources = Project.sources(under: [folder])
    #expect(
      !sources.isEmpty,
      "no Swift file under \(Project.root)/\(folder): are the sources not where they were built?")
    for finding in sources.flatMap(Rules.check) { Issue.record("\(finding)") }
  }

  @Test func headersAndShimsAreSmall() {
    let files = Project.files(under: "Sources").filter { $0.hasSuffix(".c") || $0.hasSuffix(".h") }
    #expect(!files.isEmpty)
    for path in files {
      let lines = (Project.contents(Project.root + "/" + path) ?? "").split(
        separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count < 300, "\(path): C is for what Swift cannot say")
      for (i, line) in lines.enumerated() where line.count > Rules.columnsMax {
        Issue.record("\(path):\(i + 1): a line of \(line.count) columns; \(Rules.columnsMax) at most")
      }
    }
  }
}
