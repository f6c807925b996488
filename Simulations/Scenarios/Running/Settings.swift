// Everything that decides a run beside its schedule, under the names that the command line and schedule files
// use.
//
// One table (`fields`) says how each setting is written and read, so that a file, the line that repeats a run
// and the report cannot differ.

import Base
import Session

/// How latencies arise.
public enum LatencyChoice: Sendable, Equatable {
  /// The same one-way time between all, in milliseconds.
  case constant(UInt64)
  /// Cities in a plane.
  case clusters
  /// A matrix of one-way times: the name of the file and its text.
  case file(String, String)
}

/// How nodes come into being.
public enum StartChoice: String, Sendable, CaseIterable {
  /// Each joins through a bootstrap.
  case joined
  /// The simulator lays out a ring in which everybody is settled.
  case settled
}

/// How long sessions last.
public enum SessionLengths: String, Sendable, CaseIterable {
  case exponential
  case lognormal
}

/// Which NATs the nodes are behind.
public enum NATMix: String, Sendable, CaseIterable {
  case none
  case home
  case mobile
  case enterprise
}

/// The settings of a run.
public struct Settings: Sendable, Equatable {
  public var scenario: String
  public var nodes: Int
  public var seed: UInt64
  public var isRealCrypto = false
  public var latency = LatencyChoice.clusters
  /// Datagrams lost, of a thousand.
  public var lossPerMille: UInt32 = 0
  /// Share of the nodes that are members of a community, and how many of them one community has.
  public var members = 0.1
  public var community = 10
  public var start = StartChoice.joined
  /// The length of the run in virtual seconds; nil: what the scenario needs.
  public var until: Double?
  /// How often the ring is looked at, in virtual seconds; nil: by the number of nodes.
  public var interval: Double?
  /// Look-ups a second, of all nodes together; nil: by the number of nodes.
  public var lookups: Double?
  /// Median length of a session, in seconds.
  public var session = 600.0
  public var sessionLengths = SessionLengths.exponential
  /// Share of the departures that are announced.
  public var graceful = 0.0
  /// Share of the nodes, or pairs, to which the scenario does something.
  public var fraction = 0.3
  public var mix = NATMix.none

  public init(scenario: String, nodes: Int, seed: UInt64) {
    self.scenario = scenario
    self.nodes = nodes
    self.seed = seed
  }

  /// How often the ring is looked at.
  public var sampleSeconds: Double { interval ?? (nodes <= 2_000 ? 0.5 : 1) }

  /// Look-ups a second: few, so that they do not hide what the ring itself costs.
  public var lookupsPerSecond: Double { lookups ?? min(max(Double(nodes) / 20, 5), 300) }

  /// Look-ups a second in the audit at the end of a run.
  public var auditsPerSecond: Double { lookups ?? min(max(Double(nodes), 100), 1_000) }
}

/// How one setting is written and read.
struct SettingField: Sendable {
  let name: String
  /// Nil: it has its default and need not be written.
  let write: @Sendable (Settings) -> String?
  /// Whether the text was understood.
  let read: @Sendable (inout Settings, String) -> Bool
}

extension Settings {
  static let fields: [SettingField] = [
    SettingField(
      name: "scenario", write: { $0.scenario },
      read: { settings, text in
        settings.scenario = text
        return true
      }),
    whole("nodes", \.nodes, 1...1_000_000),
    SettingField(
      name: "seed", write: { "\($0.seed)" },
      read: { settings, text in
        guard let seed = UInt64(text) else { return false }
        settings.seed = seed
        return true
      }),
    SettingField(
      name: "crypto", write: { $0.isRealCrypto ? "real" : nil },
      read: { settings, text in
        settings.isRealCrypto = text == "real"
        return text == "real" || text == "stub"
      }),
    SettingField(name: "latency", write: writeLatency, read: readLatency),
    SettingField(
      name: "loss", write: { $0.lossPerMille == 0 ? nil : "\(Double($0.lossPerMille) / 1_000)" },
      read: { settings, text in
        guard let share = Double(text), (0...1).contains(share) else { return false }
        settings.lossPerMille = UInt32((share * 1_000).rounded())
        return true
      }),
    share("members", \.members, 0.1),
    SettingField(
      name: "community", write: { $0.community == 10 ? nil : "\($0.community)" },
      read: { settings, text in
        guard let size = Int(text), (1...1_000_000).contains(size) else { return false }
        settings.community = size
        return true
      }),
    choice("start", \.start, .joined),
    seconds("until", \.until),
    seconds("interval", \.interval),
    seconds("lookups", \.lookups),
    number("session", \.session, 600, 1...1e7),
    choice("lengths", \.sessionLengths, .exponential),
    share("graceful", \.graceful, 0),
    share("fraction", \.fraction, 0.3),
    choice("mix", \.mix, .none),
  ]

  private static func writeLatency(_ settings: Settings) -> String? {
    switch settings.latency {
    case .clusters: nil
    case .constant(let milliseconds): "constant:\(milliseconds)"
    case .file(let name, _): name
    }
  }

  /// Files have to be read by the program; here their names are refused.
  private static func readLatency(_ settings: inout Settings, _ text: String) -> Bool {
    if text == "clusters" {
      settings.latency = .clusters
      return true
    }
    let parts = text.split(separator: ":")
    guard parts.first == "constant", parts.count <= 2 else { return false }
    guard parts.count == 2 else {
      settings.latency = .constant(40)
      return true
    }
    guard let milliseconds = UInt64(parts[1]), milliseconds <= 10_000 else { return false }
    settings.latency = .constant(milliseconds)
    return true
  }

  private static func whole(
    _ name: String, _ path: WritableKeyPath<Settings, Int> & Sendable, _ range: ClosedRange<Int>
  ) -> SettingField {
    SettingField(
      name: name, write: { "\($0[keyPath: path])" },
      read: { settings, text in
        guard let value = Int(text), range.contains(value) else { return false }
        settings[keyPath: path] = value
        return true
      })
  }

  private static func number(
    _ name: String, _ path: WritableKeyPath<Settings, Double> & Sendable, _ usual: Double,
    _ range: ClosedRange<Double>
  ) -> SettingField {
    SettingField(
      name: name, write: { $0[keyPath: path] == usual ? nil : "\($0[keyPath: path])" },
      read: { settings, text in
        guard let value = Double(text), range.contains(value) else { return false }
        settings[keyPath: path] = value
        return true
      })
  }

  private static func share(
    _ name: String, _ path: WritableKeyPath<Settings, Double> & Sendable, _ usual: Double
  ) -> SettingField { number(name, path, usual, 0...1) }

  private static func seconds(
    _ name: String, _ path: WritableKeyPath<Settings, Double?> & Sendable
  ) -> SettingField {
    SettingField(
      name: name, write: { $0[keyPath: path].map { "\($0)" } },
      read: { settings, text in
        guard let value = Double(text), (0...1e7).contains(value) else { return false }
        settings[keyPath: path] = value
        return true
      })
  }

  private static func choice<Choice: RawRepresentable & Equatable & Sendable>(
    _ name: String, _ path: WritableKeyPath<Settings, Choice> & Sendable, _ usual: Choice
  ) -> SettingField where Choice.RawValue == String {
    SettingField(
      name: name, write: { $0[keyPath: path] == usual ? nil : $0[keyPath: path].rawValue },
      read: { settings, text in
        guard let value = Choice(rawValue: text) else { return false }
        settings[keyPath: path] = value
        return true
      })
  }

  /// Names and values of all settings that differ from the defaults.
  public var written: [(name: String, value: String)] {
    Self.fields.compactMap { field in field.write(self).map { (field.name, $0) } }
  }

  /// Reads one setting.
  /// - Returns: whether there is such a setting and the text was understood.
  public mutating func read(_ name: String, _ text: String) -> Bool {
    guard let field = Self.fields.first(where: { $0.name == name }) else { return false }
    return field.read(&self, text)
  }

  /// The command that repeats the run.
  public var command: String {
    var words = ["p2psim", scenario]
    for (name, value) in written where name != "scenario" { words += ["--\(name)", value] }
    return words.joined(separator: " ")
  }
}
