// Schedule files: a run as text.
//
// Lines `name value` hold the settings and the phases; lines that begin with a number of seconds are steps.
// What is behind `#` is for people. Everything that a plan says can be written and read back; a file says
// enough to repeat its run on any machine.
//
//     scenario suddenDeath
//     nodes 3
//     seed 7
//     measure 20
//     quiet 30
//     end 50
//     excused 0 20
//     check whole_s
//     0.000 start 0
//     0.100 start 1 via 0
//     30.000 crash 1 back 5.000

/// A file that cannot be read as a schedule.
public struct ScheduleError: Error, Equatable, CustomStringConvertible {
  public let line: Int
  public let reason: String

  public var description: String { "line \(line): \(reason)" }
}

/// Settings and plan of a run.
public struct Schedule: Sendable, Equatable {
  public var settings: Settings
  public var plan: Plan

  public init(_ settings: Settings, _ plan: Plan) {
    self.settings = settings
    self.plan = plan
  }

  // MARK: - Writing

  /// The text of the file.
  public var text: String {
    var lines = ["# A schedule of p2psim; repeat it with p2psim \(settings.scenario) --schedule FILE"]
    for (name, value) in settings.written { lines.append("\(name) \(value)") }
    lines.append("measure \(Self.time(plan.measureFrom))")
    lines.append("quiet \(Self.time(plan.quietFrom))")
    lines.append("end \(Self.time(plan.end))")
    for range in plan.excused {
      lines.append("excused \(Self.time(range.lowerBound)) \(Self.time(range.upperBound))")
    }
    for name in plan.judged { lines.append("check \(name)") }
    for step in plan.steps { lines.append("\(Self.time(step.at)) \(Self.words(step.action))") }
    return lines.joined(separator: "\n") + "\n"
  }

  static func time(_ milliseconds: UInt64) -> String {
    let rest = String(milliseconds % 1_000)
    return "\(milliseconds / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }

  /// The words of an action, as they stand in a file.
  static func words(_ action: Action) -> String {
    switch action {
    case .layOut(let count): "layOut \(count)"
    case .start(let slot, let via):
      via.isEmpty ? "start \(slot)" : "start \(slot) via \(via.map(String.init).joined(separator: ","))"
    case .crash(let slot, let back): "crash \(slot)" + (back.map { " back \(time($0))" } ?? "")
    case .leave(let slot): "leave \(slot)"
    case .replace(let slot, let isGraceful, let via):
      "replace \(slot) \(isGraceful ? "leave" : "crash") via \(via)"
    case .pause(let slot, let length): "pause \(slot) for \(time(length))"
    case .clock(let slot, let rate): "clock \(slot) ppm \(rate)"
    case .slow(let slot, let delay, let length): "slow \(slot) by \(time(delay)) for \(time(length))"
    case .loss(let perMille, let length): "loss \(perMille) for \(time(length))"
    case .partition(let ranges, let length): "partition \(list(ranges)) for \(time(length))"
    case .mute(let ranges, let length): "mute \(list(ranges)) for \(time(length))"
    case .roam(let slot): "roam \(slot)"
    case .reboot(let slot): "reboot \(slot)"
    case .introduce(let slot, let other): "introduce \(slot) to \(other)"
    }
  }

  private static func list(_ ranges: [ClosedRange<Int>]) -> String {
    ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }

  // MARK: - Reading

  /// Reads a file.
  public init(text: String) throws(ScheduleError) {
    settings = Settings(scenario: "", nodes: 1, seed: 0)
    plan = Plan()
    for (i, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let bare = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)[0]
      let words = bare.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" }).map(String.init)
      guard let first = words.first else { continue }
      guard read(first, Array(words.dropFirst())) else {
        throw ScheduleError(line: i + 1, reason: "cannot read \"\(words.joined(separator: " "))\"")
      }
    }
    guard !settings.scenario.isEmpty else { throw ScheduleError(line: 1, reason: "no scenario is named") }
    plan.sort()
  }

  private mutating func read(_ first: String, _ rest: [String]) -> Bool {
    if first.first?.isNumber == true {
      guard let at = Self.milliseconds(first), let action = Self.action(rest) else { return false }
      plan.steps.append(Step(at: at, action))
      return true
    }
    let times = rest.compactMap(Self.milliseconds)
    switch first {
    case "measure" where times.count == 1: plan.measureFrom = times[0]
    case "quiet" where times.count == 1: plan.quietFrom = times[0]
    case "end" where times.count == 1: plan.end = times[0]
    case "excused" where times.count == 2 && times[0] <= times[1]: plan.excused.append(times[0]...times[1])
    case "check" where rest.count == 1: plan.judged.append(rest[0])
    default: return rest.count == 1 && settings.read(first, rest[0])
    }
    return true
  }

  /// Seconds with at most three places, as whole milliseconds.
  static func milliseconds(_ text: String) -> UInt64? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, let seconds = UInt64(parts[0]), seconds < 1_000_000_000 else { return nil }
    guard parts.count == 2 else { return seconds * 1_000 }
    guard (1...3).contains(parts[1].count), let rest = UInt64(parts[1]) else { return nil }
    return seconds * 1_000 + rest * [100, 10, 1][parts[1].count - 1]
  }

  private static func action(_ words: [String]) -> Action? {
    guard words.count >= 2 else { return nil }
    let slot = Int(words[1]).flatMap { $0 >= 0 ? $0 : nil }
    /// The time behind a word.
    func time(_ at: Int, _ name: String) -> UInt64? {
      words.count == at + 2 && words[at] == name ? milliseconds(words[at + 1]) : nil
    }
    switch words[0] {
    case "partition":
      return ranges(words[1]).flatMap { r in time(2, "for").map { .partition(r, milliseconds: $0) } }
    case "mute": return ranges(words[1]).flatMap { r in time(2, "for").map { .mute(r, milliseconds: $0) } }
    case "loss":
      guard let perMille = UInt32(words[1]), perMille <= 1_000 else { return nil }
      return time(2, "for").map { .loss(perMille: perMille, milliseconds: $0) }
    default: return slot.flatMap { slotAction(words, $0, time) }
    }
  }

  private static func slotAction(
    _ words: [String], _ slot: Int, _ time: (Int, String) -> UInt64?
  ) -> Action? {
    switch words[0] {
    case "layOut" where words.count == 2: return .layOut(slot)
    case "start" where words.count == 2: return .start(slot, via: [])
    case "start" where words.count == 4 && words[2] == "via":
      let via = words[3].split(separator: ",").map { Int($0) ?? -1 }
      return via.contains { $0 < 0 } ? nil : .start(slot, via: via)
    case "crash" where words.count == 2: return .crash(slot, back: nil)
    case "crash": return time(2, "back").map { .crash(slot, back: $0) }
    case "leave" where words.count == 2: return .leave(slot)
    case "replace" where words.count == 5 && ["crash", "leave"].contains(words[2]) && words[3] == "via":
      return Int(words[4]).map { .replace(slot, isGraceful: words[2] == "leave", via: $0) }
    case "pause": return time(2, "for").map { .pause(slot, milliseconds: $0) }
    case "clock" where words.count == 4 && words[2] == "ppm":
      return Int(words[3]).map { .clock(slot, partsPerMillion: $0) }
    case "slow" where words.count == 6 && words[2] == "by":
      guard let delay = milliseconds(words[3]) else { return nil }
      return time(4, "for").map { .slow(slot, byMilliseconds: delay, milliseconds: $0) }
    case "roam" where words.count == 2: return .roam(slot)
    case "reboot" where words.count == 2: return .reboot(slot)
    case "introduce" where words.count == 4 && words[2] == "to":
      return Int(words[3]).map { .introduce(slot, to: $0) }
    default: return nil
    }
  }

  private static func ranges(_ text: String) -> [ClosedRange<Int>]? {
    var result: [ClosedRange<Int>] = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-").compactMap { Int($0) }
      guard ends.count == part.split(separator: "-").count, let low = ends.first, let high = ends.last,
        ends.count <= 2, low <= high
      else { return nil }
      result.append(low...high)
    }
    return result.isEmpty ? nil : result
  }
}
