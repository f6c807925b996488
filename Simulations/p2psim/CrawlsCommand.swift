// Crawls and tasks that ask whole rings of several sizes, side by side.

import ArgumentParser
import Scenarios

/// `p2psim crawls`.
struct CrawlsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crawls", abstract: CrawlComparison.abstract.sentence)

  @Option(help: ArgumentHelp("How many nodes the rings have.", valueName: "n,n,…"))
  var nodes = SizesText([100, 1_000])

  @Option(help: ArgumentHelp("Decides everything that is left to chance.", valueName: "number"))
  var seed: UInt64 = 1

  @Option(
    help: ArgumentHelp(
      "How long a walk is followed in virtual time; the rest is reckoned from it. (default: 30m)",
      valueName: "time"))
  var walk: TimeText?

  @Option(help: ArgumentHelp("Write a page about it.", valueName: "file.html"))
  var report: String?

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() throws {
    var study = CrawlStudy(seed: seed, walkMax: walk?.seconds ?? 1_800)
    let line = ProgressLine()
    for size in nodes.sizes {
      line.show("crawls: \(size) nodes")
      study.measure(nodes: size)
    }
    line.clear()
    if json {
      print(CrawlComparison.json(study).text)
    } else {
      for text in CrawlComparison.table(study) { print(text) }
    }
    if let report { try HostMachine.write(CrawlComparison.page(study), to: report) }
  }
}
