// The calls of the local API, each declared once: its parameters, what it answers, and what it asks of the
// node. From these declarations requests are checked, and `help` is written.
//
// A new call is a line in `calls`, a case of `Question`, and its answer in `DaemonQuestions`.

import Base
import Logging
import Node

/// A call of the local API.
struct Call: Sendable {
  /// What it needs: something of the node, or nothing but the program.
  enum Errand: Sendable {
    case ask(Question)
    case answered(JSON)
  }

  let name: String
  /// One line for people.
  let text: String
  var parameters: [Field] = []
  /// What it answers, beside `schema`.
  let result: [Field]
  /// What it says while it is under way, to who wants to hear it; empty if it is quick.
  var progress: [Field] = []
  /// Handed parameters of the declared form.
  let errand: @Sendable (Parameters) throws(RemoteCall.Refusal) -> Errand
}

/// The parameters of a call, of the form that was declared.
struct Parameters: Sendable {
  private let values: JSON
  private let fields: [Field]

  /// - Throws: what is wrong with them.
  init(_ values: JSON, of call: Call) throws(RemoteCall.Refusal) {
    let object = values == nil ? [:] : values
    guard case .object = object else { throw .parameters("params is to be an object of named parameters") }
    if let complaint = Shape.object(call.parameters).complaint(about: object, called: call.name) {
      throw .parameters(complaint)
    }
    self.values = object
    fields = call.parameters
  }

  /// The value, or what is taken instead when it was left out.
  subscript(name: String) -> JSON {
    let given = values[name]
    return given == nil ? fields.first { $0.name == name }?.standard ?? nil : given
  }

  /// A required text.
  func text(_ name: String) -> String { self[name].asString ?? "" }
}

enum Catalogue {
  /// The longest time that a ping may wait, in milliseconds.
  static let patienceMax: Int64 = 30_000
  /// The longest name of a node that a call takes: a full ID has 40 bytes, an IPv6 address fewer.
  private static let targetBytesMax = 64
  private static let whom = "A virtual address, a full ID, or the beginning of the ID of a peer."
  private static let target = Field("target", .text(bytesMax: targetBytesMax), whom)
  private static let peer = Field("peer", .text(bytesMax: targetBytesMax), whom)

  private static let ofCommunity = Field.optional(
    "of_community", .truth, "Whether the members are asked, and not all nodes.", standard: false)
  private static let crawl = Field(
    "crawl", .integer(1...Int64(UInt32.max)), "The number of a crawl, of a minute ago at most.")

  /// All calls.
  static let calls: [Call] = [
    Call(name: "status", text: "How the node is.", result: Answers.status) { _ in .ask(.status) },
    Call(
      name: "peers", text: "The members of the community, and other linked nodes, in the order of their IDs.",
      parameters: [
        .optional("limit", .integer(1...10_000), "The most peers of an answer; all if it is left out."),
        .optional("after", .text(bytesMax: targetBytesMax), "The `next` of the answer before."),
      ], result: Answers.peers
    ) { (parameters) throws(RemoteCall.Refusal) in
      .ask(.peers(try page(parameters)))
    },
    Call(
      name: "ping", text: "Asks a peer whether it is there.",
      parameters: [
        target,
        .optional(
          "timeout_ms", .integer(1...patienceMax), "How long to wait for an answer.", standard: 5_000),
      ], result: Answers.ping
    ) { parameters in
      let patience = UInt64(clamping: parameters["timeout_ms"].asInteger ?? 0)
      return .ask(.ping(target: parameters.text("target"), patience: .milliseconds(patience)))
    },
    Call(
      name: "lookup", text: "Which node has an address, or whether an ID exists.", parameters: [target],
      result: Answers.lookup
    ) { .ask(.lookup(target: $0.text("target"))) },
    Call(
      name: "route", text: "The way over the ring to an ID.", parameters: [target], result: Answers.route
    ) { .ask(.route(target: $0.text("target"))) },
    Call(
      name: "paths", text: "All ways to a linked peer, and what came of each.", parameters: [peer],
      result: Answers.pathsOfPeer
    ) { .ask(.paths(peer: $0.text("peer"))) },
    Call(
      name: "path", text: "Keeps a peer's traffic on the ring, or lets it choose its path again.",
      parameters: [peer, Field("mode", .choice(["auto", "overlay"]), "Where its traffic goes.")],
      result: Answers.path
    ) { .ask(.path(peer: $0.text("peer"), toOverlay: $0.text("mode") == "overlay")) },
    Call(
      name: "mapreduce", text: "Asks all nodes of a ring something at once, and folds their answers.",
      parameters: [
        Field("task", .choice(RingTasks.names), "What is asked."), ofCommunity,
        .optional(
          "timeout_ms", .integer(100...60_000), "When the answer is there, partial or not.", standard: 5_000),
      ], result: Answers.mapreduce, progress: Answers.progress
    ) { parameters in
      .ask(.survey(wish(.task(parameters.text("task")), parameters)))
    },
    Call(
      name: "crawl", text: "Walks a ring from node to node, and judges whether it is whole.",
      parameters: [
        ofCommunity,
        .optional(
          "width", .integer(1...256), "Nodes asked at a time; 1 walks link by link.", standard: 16),
        .optional("explain", .truth, "Whether to say why nodes stand out.", standard: false),
        .optional(
          "timeout_ms", .integer(1_000...86_400_000), "When what was found is judged.", standard: 600_000),
      ], result: Answers.crawl, progress: Answers.progress
    ) { parameters in
      .ask(.survey(wish(.crawl(width: Int(parameters["width"].asInteger ?? 16)), parameters)))
    },
    Call(
      name: "crawl-nodes", text: "What the nodes of a crawl have said, in the order of their IDs.",
      parameters: [
        crawl, .optional("limit", .integer(1...1_000), "The most nodes of an answer.", standard: 200),
        .optional("after", .text(bytesMax: targetBytesMax), "The `next` of the answer before."),
      ], result: Answers.crawlNodes
    ) { (parameters) throws(RemoteCall.Refusal) in
      .ask(.crawlPart(.nodes(try page(parameters)), crawl: number(parameters)))
    },
    Call(
      name: "crawl-picture", text: "A picture of a crawled ring: SVG, or a graph for graphviz.",
      parameters: [crawl, Field("form", .choice(["svg", "dot"]), "Which.")],
      result: [Field("picture", .text, "Its text.")]
    ) { parameters in
      .ask(.crawlPart(parameters.text("form") == "svg" ? .svg : .dot, crawl: number(parameters)))
    },
    Call(
      name: "log", text: "The level of the log; sets it if one is given.",
      parameters: [.optional("level", .choice(levels), "The new level.")],
      result: [Field("level", .choice(levels), "The level from now on.")]
    ) { .ask(.log(level: $0["level"].asString.flatMap { Logger.Level(rawValue: $0) })) },
    Call(
      name: "leave", text: "Makes the node say good-bye and end.",
      result: [Field("left", .truth, "True.")]
    ) { _ in .ask(.leave) },
    Call(
      name: "help", text: "What this API can do: its calls, and the events of GET /events.",
      parameters: [.optional("call", .text(bytesMax: 64), "The only call to describe.")], result: Answers.help
    ) { (parameters) throws(RemoteCall.Refusal) in
      .answered(try Help.text(about: parameters["call"].asString))
    },
  ]

  private static let levels = Logger.Level.allCases.map(\.rawValue)

  /// The call of this name.
  static func call(_ name: String) throws(RemoteCall.Refusal) -> Call {
    if let call = calls.first(where: { $0.name == name }) { return call }
    throw .method(Spelling.shortened(name), Spelling.nearest(to: name, in: calls.map(\.name)))
  }

  private static func wish(_ kind: RingWish.Kind, _ parameters: Parameters) -> RingWish {
    RingWish(
      kind: kind, isOfCommunity: parameters["of_community"].asBool == true,
      explains: parameters["explain"].asBool == true,
      patience: .milliseconds(UInt64(clamping: parameters["timeout_ms"].asInteger ?? 0)))
  }

  private static func number(_ parameters: Parameters) -> UInt32 {
    UInt32(clamping: parameters["crawl"].asInteger ?? 0)
  }

  private static func page(_ parameters: Parameters) throws(RemoteCall.Refusal) -> Page {
    var page = Page()
    if let limit = parameters["limit"].asInteger { page.limit = Int(limit) }
    guard let after = parameters["after"].asString else { return page }
    guard let id = OverlayID(digits: after) else {
      throw .parameters("after is to be the `next` of the answer before, the ID of a node")
    }
    page.after = id
    return page
  }
}
