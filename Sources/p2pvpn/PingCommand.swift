// `p2pvpn ping`: one question after the other inside the session with a peer, each answer with the path it
// took.

import ArgumentParser
import Glibc

struct PingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ping", abstract: "Ask a peer whether it is there, and show by which path the answer came.")

  @Argument(
    help: ArgumentHelp("A virtual address or the beginning of an ID.", valueName: "PEER"),
    transform: Arguments.peer)
  var peer: String

  @Option(
    name: .long,
    help: ArgumentHelp("How many questions: 4, or with --until-direct 30 at most.", valueName: "N"))
  var count: Int?

  @Flag(name: .long, help: "Ask until an answer has come directly; exit code 5 when none has.")
  var untilDirect = false

  @Option(name: .long, help: ArgumentHelp("Seconds from one question to the next.", valueName: "SECONDS"))
  var interval = 1.0

  @Option(name: .long, help: ArgumentHelp("Seconds to wait for an answer.", valueName: "SECONDS"))
  var timeout = 5.0

  @OptionGroup var node: NodeChoice

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  /// Words for paths on which nobody stands between.
  private static let direct = ["lan", "direct", "tcp"]

  func validate() throws {
    guard (1...1_000_000).contains(count ?? 4) else { throw ValidationError("--count is a number from 1 on") }
    guard (0.01...3_600).contains(interval) else {
      throw ValidationError("--interval is from 0.01 to 3600 seconds")
    }
    let most = Double(Catalogue.patienceMax) / 1_000
    guard (0.01...most).contains(timeout) else {
      throw ValidationError("--timeout is from 0.01 to \(most) seconds")
    }
  }

  func run() throws {
    let client = try node.client()
    let parameters: JSON = ["target": .string(peer), "timeout_ms": .integer(Int64(timeout * 1_000))]
    var answers: [(milliseconds: Double, path: String)] = []
    var sent = 0
    let count = count ?? (untilDirect ? 30 : 4)
    for number in 1...count {
      let began = Self.now()
      sent += 1
      do throws(Failure) {
        let answer = try client.call("ping", parameters, patience: Int(timeout) + 10)
        let path = answer["path"].asString ?? "?"
        let milliseconds = answer["rtt_ms"].asNumber ?? 0
        answers.append((milliseconds, path))
        if !json {
          print("\(peer): \(number) answered after \(Presentation.milliseconds(milliseconds)) ms, \(path)")
        }
        if untilDirect, Self.direct.contains(path) { break }
      } catch {
        guard error.status == .timedOut else { throw error }
        if !json { print("\(peer): \(number) not answered within \(timeout) s") }
      }
      fflush(nil)
      if number < count { usleep(UInt32(max(0, interval - (Self.now() - began)) * 1e6)) }
    }
    summarise(sent, answers)
    if !answers.isEmpty, untilDirect, !Self.direct.contains(answers.last?.path ?? "") {
      let paths = try client.call("paths", ["peer": .string(peer)])
      throw Failure(
        .timedOut,
        "not direct after \(sent) questions: \(Presentation.chosen(paths)); see `p2pvpn trace \(peer)`")
    }
    if answers.isEmpty {
      throw Failure(.timedOut, "no answer from \(peer): see `p2pvpn lookup \(peer)` and `p2pvpn peers`")
    }
  }

  private func summarise(_ sent: Int, _ answers: [(milliseconds: Double, path: String)]) {
    let times = answers.map(\.milliseconds)
    let mean = times.reduce(0, +) / Double(max(times.count, 1))
    if json {
      let summary: JSON = [
        "schema": 1, "target": .string(peer), "sent": .integer(Int64(sent)),
        "answered": .integer(Int64(times.count)),
        "answers": .array(answers.map { ["rtt_ms": .number($0.milliseconds), "path": .string($0.path)] }),
        "min_ms": times.min().map { .number($0) } ?? nil, "mean_ms": times.isEmpty ? nil : .number(mean),
        "max_ms": times.max().map { .number($0) } ?? nil,
      ]
      return print(summary.text)
    }
    print(
      "\(sent) sent, \(times.count) answered, \(100 * (sent - times.count) / sent) % lost", terminator: "")
    guard let least = times.min(), let most = times.max(), let path = answers.last?.path else {
      return print()
    }
    let three = [least, mean, most].map { Presentation.milliseconds($0) }.joined(separator: "/")
    print("; least/mean/most \(three) ms; last path: \(path)")
  }

  /// Seconds since some moment.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
