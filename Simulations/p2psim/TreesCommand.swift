// Trees of broadcasts on subrings of several sizes, side by side with those of another rule.

import ArgumentParser
import Scenarios

/// Whole numbers between commas.
struct SizesText: ExpressibleByArgument {
  let sizes: [Int]
  var defaultValueDescription: String { sizes.map(String.init).joined(separator: ",") }

  init(_ sizes: [Int]) { self.sizes = sizes }

  init?(argument: String) {
    let numbers = argument.split(separator: ",").map { Int($0) }
    guard !numbers.isEmpty, numbers.allSatisfy({ $0.map { (2...100_000).contains($0) } ?? false }) else {
      return nil
    }
    sizes = numbers.compactMap { $0 }
  }
}

/// `p2psim trees`.
struct TreesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trees", abstract: TreeReport.abstract.sentence)

  @Option(help: ArgumentHelp("How many members the subrings have.", valueName: "n,n,…"))
  var members = SizesText([10, 100, 1_000])

  @Option(help: ArgumentHelp("Decides everything that is left to chance.", valueName: "number"))
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("Share of the pointers that is wrong. (default: 1%)", valueName: "share"))
  var wrong: ShareText?

  @Option(help: ArgumentHelp("Write a page about it.", valueName: "file.html"))
  var report: String?

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() throws {
    var study = TreeStudy(seed: seed, wrongPerMille: UInt32(((wrong?.share ?? 0.01) * 1_000).rounded()))
    let line = ProgressLine()
    for size in members.sizes {
      line.show("trees: \(size) members")
      study.measure(members: size)
    }
    line.clear()
    if json {
      print(TreeReport.json(study).text)
    } else {
      for text in TreeReport.table(study, paint: Terminal.paint) { print(text) }
    }
    if let report { try HostMachine.write(TreeReport.page(study), to: report) }
    if !study.checks.allSatisfy(\.isMet) { throw ChecksFailed() }
  }
}
