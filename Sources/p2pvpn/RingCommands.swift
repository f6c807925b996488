// `p2pvpn mapreduce` and `p2pvpn crawl`: what the network says of itself.

import ArgumentParser
import Base
import Node

/// What both ask for.
struct RingChoice: ParsableArguments {
  @Flag(name: .long, help: "Ask the members of the community on their subring, and not all nodes.")
  var community = false

  @Flag(name: .long, help: "Exit with 7 when the ring is not whole, or not all have answered.")
  var check = false

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  @OptionGroup var node: NodeChoice

  /// The exit code that a script can go by.
  func judge(_ isGood: Bool, _ what: String) throws {
    guard check, !isGood else { return }
    throw Failure(.notReady, what)
  }
}

struct MapReduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mapreduce", abstract: "Ask all nodes something at once, and show the folded answer.",
    discussion: """
      Tasks:
      \(RingTasks.all.map { "  \($0.name): \($0.abstract)" }.joined(separator: "\n"))
      Everybody may ask all nodes for count, consistency and consistency-calls; the other tasks are answered \
      by nodes that were started with --operator and this node's key. Members may ask their community \
      (--community) anything.
      """)

  @Argument(help: ArgumentHelp("What is asked.", valueName: "TASK"), transform: Self.task)
  var task: String

  @OptionGroup var ring: RingChoice

  @Option(
    name: .long,
    help: ArgumentHelp("Seconds within which the answer is there, partial or not.", valueName: "SECONDS"))
  var timeout: Double = 5

  @Sendable private static func task(_ text: String) throws -> String {
    guard RingTasks.named(text) == nil else { return text }
    let names = RingTasks.names
    let advice = Spelling.nearest(to: text, in: names).map { "did you mean \($0)?" }
    throw ValidationError("no task is called \(text): \(advice ?? names.joined(separator: ", "))")
  }

  func validate() throws {
    guard (0.1...60).contains(timeout) else { throw ValidationError("--timeout is from 0.1 to 60 seconds") }
  }

  func run() throws {
    let progress = RingProgress()
    let parameters: JSON = [
      "task": .string(task), "of_community": .bool(ring.community),
      "timeout_ms": .integer(Int64(timeout * 1_000)),
    ]
    let answer = try ring.node.client().call("mapreduce", parameters, patience: Int(timeout) + 10) {
      progress.show($0)
    }
    progress.clear()
    if ring.json { print(answer.text) } else { Presentation.show(TaskPresentation.lines(answer)) }
    let isWhole = answer["whole"].asBool ?? true
    try ring.judge(
      isWhole && answer["complete"].asBool == true, "the answer is not complete, or the ring is not whole")
  }
}

struct CrawlCommand: ParsableCommand {
  /// How the nodes are printed.
  enum Format: String, CaseIterable, ExpressibleByArgument {
    case table
    case ndjson
    case dot
  }

  static let configuration = CommandConfiguration(
    commandName: "crawl", abstract: "Walk the ring from node to node, and say whether it is whole.",
    discussion: """
      Every node that is named as somebody's neighbour is asked what it sees of its place. A ring of \
      thousands of nodes is asked sooner by `p2pvpn mapreduce consistency`; a crawl says more of each node.
      """)

  @OptionGroup var ring: RingChoice

  @Option(name: .long, help: ArgumentHelp("Nodes asked at a time; 1 walks link by link.", valueName: "N"))
  var width = 16

  @Flag(name: .long, help: "Say of each node that stands out what it and its neighbours believe, and why.")
  var explain = false

  @Option(name: .long, help: "The verdict as a table, the nodes as lines of JSON, or the graph for graphviz.")
  var format = Format.table

  @Option(name: .long, help: ArgumentHelp("Draw the ring into this file.", valueName: "FILE"))
  var svg: String?

  @Option(
    name: .long, help: ArgumentHelp("Seconds after which what was found is shown.", valueName: "SECONDS"))
  var timeout: Double = 600

  func validate() throws {
    guard (1...256).contains(width) else { throw ValidationError("--width is from 1 to 256") }
    guard (1...86_400).contains(timeout) else {
      throw ValidationError("--timeout is from 1 to 86400 seconds")
    }
    guard !ring.json || format == .table else { throw ValidationError("--json or --format, not both") }
  }

  func run() throws {
    let client = try ring.node.client()
    let progress = RingProgress()
    let parameters: JSON = [
      "of_community": .bool(ring.community), "width": .integer(Int64(width)), "explain": .bool(explain),
      "timeout_ms": .integer(Int64(timeout * 1_000)),
    ]
    let answer = try client.call("crawl", parameters, patience: 60) { progress.show($0) }
    progress.clear()
    if let svg { try PictureFile.write(try picture("svg", answer, client), to: svg) }
    switch format {
    case .table where ring.json: print(answer.text)
    case .table: Presentation.show(CrawlPresentation.lines(answer))
    case .ndjson: try printNodes(answer, client)
    case .dot: print(try picture("dot", answer, client), terminator: "")
    }
    try ring.judge(answer["whole"].asBool == true, answer["verdict"].asString ?? "the ring is not whole")
  }

  private func picture(_ form: String, _ answer: JSON, _ client: ControlClient) throws(Failure) -> String {
    let drawn = try client.call(
      "crawl-picture", ["crawl": answer["crawl"], "form": .string(form)], patience: 60)
    return drawn["picture"].asString ?? ""
  }

  private func printNodes(_ answer: JSON, _ client: ControlClient) throws(Failure) {
    var after: JSON = nil
    repeat {
      let page = try client.call(
        "crawl-nodes", ["crawl": answer["crawl"], "limit": 500, "after": after], patience: 60)
      for node in page["nodes"].asArray { print(node.text) }
      after = page["next"]
    } while after != nil
  }
}
