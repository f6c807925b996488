// The commands that show the local API as it is: any call, the stream of events, the level of the log.

import ArgumentParser
import Glibc
import Logging

struct CallCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "call", abstract: "Make a call of the local API, and print its result as JSON.",
    discussion: """
      `p2pvpn call help` describes all calls, `p2pvpn call help call=peers` one of them. A value is a text \
      unless the call wants something else: p2pvpn call peers limit=10. What a call says while it is under \
      way goes to stderr.
      """)

  @Argument(help: ArgumentHelp("The call.", valueName: "METHOD"))
  var method: String

  @Argument(help: ArgumentHelp("Its parameters.", valueName: "KEY=VALUE"), transform: Self.pair)
  var parameters: [Pair] = []

  @Option(name: .long, help: ArgumentHelp("Seconds to wait for an answer.", valueName: "SECONDS"))
  var timeout = 60

  @OptionGroup var node: NodeChoice

  /// A parameter as it was typed.
  struct Pair: Sendable {
    let key: String
    let value: String
  }

  @Sendable private static func pair(_ text: String) throws -> Pair {
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw ValidationError("give parameters as KEY=VALUE")
    }
    return Pair(key: String(text[..<equals]), value: String(text[text.index(after: equals)...]))
  }

  func validate() throws {
    guard (1...86_400).contains(timeout) else {
      throw ValidationError("--timeout is from 1 to 86400 seconds")
    }
  }

  func run() throws {
    let values = Self.values(parameters, of: method)
    let result = try node.client().call(method, values, patience: timeout) { $0.text.toStandardError() }
    print(result.text)
  }

  /// The parameters in the form that the call wants. What it does not know is sent as it is: the node says
  /// what is wrong with it.
  static func values(_ parameters: [Pair], of method: String) -> JSON {
    let fields = Catalogue.calls.first { $0.name == method }?.parameters ?? []
    return .object(
      parameters.map { pair in
        let shape = fields.first { $0.name == pair.key }?.shape
        return JSON.Member(key: pair.key, value: value(pair.value, shape))
      })
  }

  private static func value(_ text: String, _ shape: Shape?) -> JSON {
    switch shape {
    case .text, .choice, nil: .string(text)
    default: (try? JSONParser.parse(Array(text.utf8))) ?? .string(text)
    }
  }
}

struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events", abstract: "Print what happens to the node, until interrupted or until it leaves.",
    discussion: "Topics: " + Topic.allCases.map { "\($0.rawValue) (\($0.text))" }.joined(separator: "; ")
      + ".")

  @Argument(help: ArgumentHelp("What to print (default: everything).", valueName: "TOPIC"))
  var topics: [Topic] = []

  @OptionGroup var node: NodeChoice

  @Flag(name: .long, help: "Print JSON, one object a line.")
  var json = false

  func run() throws {
    // That is how one ends it.
    signal(SIGINT) { _ in _exit(ExitStatus.ok.rawValue) }
    var hasLeft = false
    try node.client().events(topics.map(\.rawValue)) { event in
      hasLeft = event["event"].asString == "ends"
      print(json ? event.text : Presentation.event(event))
      fflush(nil)
    }
    guard hasLeft else { throw Failure(.notRunning, "the node ended without a word: see its log") }
  }
}

extension Topic: ExpressibleByArgument {}

struct LogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Show or change how much the running node writes to its log.")

  @Option(
    name: .long,
    help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "LEVEL"),
    transform: Arguments.logLevel)
  var level: Logger.Level?

  @OptionGroup var node: NodeChoice

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let parameters: JSON = level.map { ["level": .string($0.rawValue)] } ?? [:]
    let answer = try node.client().call("log", parameters)
    print(json ? answer.text : answer["level"].asString ?? "?")
  }
}
