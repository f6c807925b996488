// The options of the commands: those of all scenarios, and those of some. Each only says under which name a
// text goes into `Settings`, which reads and checks it.

import ArgumentParser
import Scenarios

/// A length of time as people type it: seconds, or a number with s, m or h.
struct TimeText: ExpressibleByArgument {
  let seconds: Double

  init?(argument: String) {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3_600]
    let factor = argument.last.flatMap { units[$0] }
    guard let number = Double(factor == nil ? argument : String(argument.dropLast())), number >= 0,
      number <= 1e7
    else { return nil }
    seconds = number * (factor ?? 1)
  }
}

/// A share: 0.01 or 1%.
struct ShareText: ExpressibleByArgument {
  let share: Double

  init?(argument: String) {
    let isPercent = argument.last == "%"
    guard let number = Double(isPercent ? String(argument.dropLast()) : argument) else { return nil }
    share = isPercent ? number / 100 : number
    guard (0...1).contains(share) else { return nil }
  }
}

/// The options of all scenarios.
struct CommonChoice: ParsableArguments {
  @Option(help: ArgumentHelp("How many nodes.", valueName: "n"))
  var nodes: Int?

  @Option(
    help: ArgumentHelp("Decides the whole run; random when absent, and printed.", valueName: "number|random"))
  var seed = "random"

  @Option(help: ArgumentHelp("Virtual time at which the run ends, such as 90 or 10m.", valueName: "time"))
  var until: TimeText?

  @Option(help: ArgumentHelp("Write a page about the run.", valueName: "file.html"))
  var report: String?

  @Flag(help: "Print the result as JSON.")
  var json = false

  @Option(help: "Stub cryptography is checksums: the same messages, much faster.")
  var crypto: CryptoChoice?

  @Option(
    help: ArgumentHelp(
      "constant[:MS], clusters, or a file with a matrix of one-way microseconds. (default: clusters)",
      valueName: "model"))
  var latency: String?

  @Option(help: ArgumentHelp("Share of the datagrams that is lost.", valueName: "share"))
  var loss: ShareText?

  @Option(
    help: ArgumentHelp(
      "Share of the nodes that are members of communities; others only keep the ring. (default: 10%)",
      valueName: "share"))
  var members: ShareText?

  @Option(help: ArgumentHelp("Members of one community. (default: 10)", valueName: "n"))
  var community: Int?

  @Option(help: "Whether each node joins, or a settled ring is laid out. (default: joined)")
  var start: StartChoice?

  @Option(help: ArgumentHelp("Look-ups a second, of all nodes together.", valueName: "n"))
  var lookups: Double?

  @Option(help: ArgumentHelp("Virtual time from one look at the ring to the next.", valueName: "time"))
  var interval: TimeText?

  @Option(help: ArgumentHelp("Repeat a schedule instead of making one.", valueName: "file"))
  var schedule: String?

  @Option(
    help: ArgumentHelp(
      "When a check fails, look so long for a smaller schedule that fails it too.", valueName: "time"))
  var shrink: TimeText?

  @Option(help: ArgumentHelp("Write the schedule of the run, or the smaller one.", valueName: "file"))
  var save: String?

  @Flag(help: "Say more about what was seen.")
  var verbose = false

  /// Applies what was typed.
  func apply(to settings: inout Settings) throws {
    try settings.take("nodes", nodes.map(String.init))
    try settings.take("until", until.map { "\($0.seconds)" })
    try settings.take("crypto", crypto?.rawValue)
    try settings.take("loss", loss.map { "\($0.share)" })
    try settings.take("members", members.map { "\($0.share)" })
    try settings.take("community", community.map(String.init))
    try settings.take("start", start?.rawValue)
    try settings.take("lookups", lookups.map { "\($0)" })
    try settings.take("interval", interval.map { "\($0.seconds)" })
    if let latency, !settings.read("latency", latency) {
      settings.latency = .file(latency, try HostMachine.read(latency))
    }
    if settings.start == .settled, Catalogue.named(settings.scenario)?.canBeLaidOut != true {
      throw ValidationError("--start settled: in \(settings.scenario) every node has to join")
    }
    if settings.interval == 0 { throw ValidationError("--interval is more than nothing") }
  }

  func seedNumber() throws -> UInt64 {
    if seed == "random" { return UInt64.random(in: 1...999_999_999) }
    guard let number = UInt64(seed) else { throw ValidationError("--seed is a number, or random") }
    return number
  }
}

enum CryptoChoice: String, ExpressibleByArgument, CaseIterable { case real, stub }
extension StartChoice: ExpressibleByArgument {}
extension SessionLengths: ExpressibleByArgument {}
extension NATMix: ExpressibleByArgument {}

extension Settings {
  mutating func take(_ name: String, _ text: String?) throws {
    guard let text else { return }
    if !read(name, text) { throw ValidationError("--\(name) cannot be \(text)") }
  }
}

/// Options that only some scenarios have.
protocol ExtraChoice: ParsableArguments {
  func apply(to settings: inout Settings) throws
}

struct NoChoice: ExtraChoice {
  func apply(to settings: inout Settings) {}
}

struct SessionChoice: ExtraChoice {
  @Option(help: ArgumentHelp("Median length of a session. (default: 10m)", valueName: "time"))
  var session: TimeText?

  @Option(help: "How lengths of sessions are distributed. (default: exponential)")
  var lengths: SessionLengths?

  @Option(help: ArgumentHelp("Share of the departures that are announced. (default: 0)", valueName: "share"))
  var graceful: ShareText?

  func apply(to settings: inout Settings) throws {
    try settings.take("session", session.map { "\($0.seconds)" })
    try settings.take("lengths", lengths?.rawValue)
    try settings.take("graceful", graceful.map { "\($0.share)" })
  }
}

struct FractionChoice: ExtraChoice {
  @Option(help: ArgumentHelp("Share of the nodes (or pairs) to which it happens.", valueName: "share"))
  var fraction: ShareText?

  func apply(to settings: inout Settings) throws {
    try settings.take("fraction", fraction.map { "\($0.share)" })
  }
}

struct MixChoice: ExtraChoice {
  @Option(help: "Which boxes the nodes are behind. (default: home)")
  var mix: NATMix?

  func apply(to settings: inout Settings) throws { try settings.take("mix", mix?.rawValue) }
}
