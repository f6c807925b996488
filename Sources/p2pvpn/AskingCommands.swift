// The commands that ask a running node about itself or about others.

import ArgumentParser

/// Which node is asked.
struct NodeChoice: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("The state directory of the node to ask.", valueName: "DIR"))
  var state: String?

  @Option(name: .long, help: ArgumentHelp("The API socket of the node to ask.", valueName: "PATH"))
  var socket: String?

  func client() throws(Failure) -> ControlClient {
    ControlClient(path: try Locations.socketToAsk(state: state, socket: socket))
  }
}

struct StatusCommand: ParsableCommand {
  /// What can be asked for with an exit code.
  enum Check: String, ExpressibleByArgument, CaseIterable {
    /// The node runs and answers.
    case live
    /// It has its place on the ring and, if it is a member, its address.
    case ready
  }

  static let configuration = CommandConfiguration(commandName: "status", abstract: "Show how the node is.")

  @OptionGroup var node: NodeChoice

  @Option(
    name: .long, help: ArgumentHelp("Only check; exit code 7 when it is not so.", valueName: "live|ready"))
  var check: Check?

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let status = try node.client().call("status")
    if json { print(status.text) }
    guard let check else {
      if !json { Presentation.show(Presentation.status(status)) }
      return
    }
    if check == .ready, status["ready"].asBool != true {
      let isSettled = status["ring"]["settled"].asBool == true
      throw Failure(
        .notReady,
        "not ready: the node has no \(isSettled ? "address" : "place on the ring") yet, see `p2pvpn status`")
    }
    if !json { print(check.rawValue) }
  }
}

struct PeersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peers", abstract: "List the members of the community, and other linked nodes.",
    discussion: """
      Members that are not linked are asked whether they are there, which takes a few seconds at most. Of a \
      community of more than a thousand only those are listed that this node has met.
      """)

  @OptionGroup var node: NodeChoice

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let peers = try all(node.client())
    if json { return print(peers.text) }
    Presentation.show(Presentation.peers(peers))
  }

  /// The whole list, page by page; what is said beside it is that of the last page.
  private func all(_ client: ControlClient) throws(Failure) -> JSON {
    var (peers, next): ([JSON], JSON) = ([], nil)
    while true {
      let page = try client.call("peers", ["limit": 500, "after": next])
      peers += page["peers"].asArray
      next = page["next"]
      guard next == nil, case .object(let members) = page else { continue }
      return .object(members.map { $0.key == "peers" ? JSON.Member(key: "peers", value: .array(peers)) : $0 })
    }
  }
}

struct LookupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lookup", abstract: "Find out which node has an address, or whether an ID exists.")

  @Argument(
    help: ArgumentHelp("A virtual address or an ID.", valueName: "ADDRESS|ID"), transform: Arguments.peer)
  var target: String

  @OptionGroup var node: NodeChoice

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let found = try node.client().call("lookup", ["target": .string(target)])
    if json { return print(found.text) }
    Presentation.show(Presentation.lookup(found))
  }
}

struct PathCommand: ParsableCommand {
  /// Which way traffic takes.
  enum Mode: String, ExpressibleByArgument, CaseIterable {
    case auto
    case overlay
  }

  static let configuration = CommandConfiguration(
    commandName: "path",
    abstract: "Keep a peer's traffic on the ring, for diagnosis, or let it choose its path again.")

  @Argument(
    help: ArgumentHelp("A virtual address or the beginning of an ID.", valueName: "PEER"),
    transform: Arguments.peer)
  var peer: String

  @Argument(help: ArgumentHelp("auto or overlay.", valueName: "auto|overlay"))
  var mode: Mode

  @OptionGroup var node: NodeChoice

  func run() throws {
    _ = try node.client().call("path", ["peer": .string(peer), "mode": .string(mode.rawValue)])
  }
}

struct LeaveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leave", abstract: "Make the node say good-bye and end.")

  @OptionGroup var node: NodeChoice

  func run() throws {
    let client = try node.client()
    do throws(Failure) {
      _ = try client.call("leave")
    } catch {
      // It was there and closed the connection: it has gone faster than its answer.
      guard error.isCutShort else { throw error }
    }
  }
}
