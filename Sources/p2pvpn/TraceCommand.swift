// `p2pvpn trace`: how packets get to a peer, step by step, each with its time: who has the address, which
// nodes lead there over the ring, what came of each endpoint of the peer, and which way data takes.

import ArgumentParser
import Glibc

struct TraceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace",
    abstract: "Show how packets get to a peer, and what was tried to get there directly.")

  @Argument(
    help: ArgumentHelp("A virtual address or the beginning of an ID.", valueName: "PEER"),
    transform: Arguments.peer)
  var peer: String

  @OptionGroup var node: NodeChoice

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let client = try node.client()
    let (found, resolved) = try Self.timed { () throws(Failure) in
      try client.call("lookup", ["target": .string(peer)])
    }
    let id = found["id"].asString ?? peer
    show(["resolve", "\(id), \(Presentation.milliseconds(resolved)) ms"])
    let route = try? client.call("route", ["target": .string(id)])
    if let route { show(Presentation.route(route)) } else { show(["ring", "no answer over the ring"]) }
    // Makes a link where there is none, and tries all ways.
    let answer = try? client.call("ping", ["target": .string(peer)], patience: 15)
    let paths = try client.call("paths", ["peer": .string(id)])
    if json {
      let trace: JSON = [
        "schema": 1, "target": .string(peer), "id": .string(id), "resolve_ms": .number(resolved),
        "ring": route ?? nil, "ping": answer ?? nil, "path": paths["path"], "via": paths["via"],
        "rtt_ms": paths["rtt_ms"], "reason": paths["reason"], "nat": paths["nat"],
        "peer_nat": paths["peer_nat"], "ways": paths["ways"], "candidates": paths["candidates"],
      ]
      return print(trace.text)
    }
    show(Presentation.boxes(paths))
    Presentation.show(Presentation.ways(paths))
    show(["chosen", Presentation.chosen(paths)])
  }

  /// One step: what it is, and what came of it.
  private func show(_ row: [String]) {
    if json { return }
    let name = row[0] + String(repeating: " ", count: max(0, 9 - row[0].count))
    print(name + row[1])
    fflush(nil)
  }

  /// What `body` returns, and how many milliseconds it took.
  private static func timed<Result>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> (Result, Double) {
    let began = PingCommand.now()
    let result = try body()
    return (result, ((PingCommand.now() - began) * 1e6).rounded() / 1e3)
  }
}
