// Which versions of the program nodes run.
//
//  offset  size  field
//       0     1  how many versions follow, 32 at most
//       1     …  for each, rising: its name (`ProgramVersion`), 4 how many nodes, not 0
//       …     4  nodes with others
//
// Where there are more, those that fewest nodes run are counted together.

import Base
import Overlay

/// How many nodes run each version.
struct VersionsAnswer: Equatable, Sendable {
  static let versionsMax = 32

  struct Count: Equatable, Sendable {
    let version: ProgramVersion
    var nodes: UInt32
  }

  private(set) var versions: [Count] = []
  private(set) var others: UInt32 = 0

  init() {}

  init(_ version: ProgramVersion) { versions = [Count(version: version, nodes: 1)] }

  /// The most frequent first; of those that are as frequent, by name.
  var ranked: [Count] {
    versions.sorted { ($1.nodes, $0.version) < ($0.nodes, $1.version) }
  }

  /// One answer for many.
  init(folding answers: [VersionsAnswer]) {
    for answer in answers { others.grow(by: answer.others) }
    for count in answers.flatMap(\.versions).sorted(by: { $0.version < $1.version }) {
      if versions.last?.version == count.version {
        versions[versions.count - 1].nodes.grow(by: count.nodes)
      } else {
        versions.append(count)
      }
    }
    let ranked = ranked
    for count in ranked.dropFirst(Self.versionsMax) { others.grow(by: count.nodes) }
    versions = ranked.prefix(Self.versionsMax).sorted { $0.version < $1.version }
  }
}

extension VersionsAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    let count = Int(try reader.byte())
    try reader.require(count <= Self.versionsMax)
    for _ in 0..<count {
      let entry = Count(version: try ProgramVersion(from: &reader), nodes: try reader.integer())
      try reader.require(entry.nodes > 0 && versions.last.map { $0.version < entry.version } ?? true)
      versions.append(entry)
    }
    others = try reader.integer()
  }

  func encode(to writer: inout WireWriter) {
    writer.byte(UInt8(versions.count))
    for entry in versions {
      entry.version.encode(to: &writer)
      writer.integer(entry.nodes)
    }
    writer.integer(others)
  }
}

/// The task `versions`.
enum VersionsTask: RingTask {
  static let name = "versions"
  static let abstract = "which versions of the program nodes run"
  static let audience = TaskAudience.theOperator

  static func map(_ node: borrowing NodeCore, _ inquiry: Inquiry) -> VersionsAnswer {
    VersionsAnswer(node.version)
  }

  static func reduce(_ answers: [VersionsAnswer], in arc: Arc, isWhole: Bool) -> VersionsAnswer {
    VersionsAnswer(folding: answers)
  }

  static func findings(of answer: VersionsAnswer, _ tally: TaskTally) -> [NamedFinding] {
    [
      NamedFinding(
        "versions",
        .list(
          answer.ranked.map {
            .record([
              NamedFinding("version", .text($0.version.description)), NamedFinding("nodes", .count($0.nodes)),
            ])
          })),
      NamedFinding("others", .count(answer.others)),
    ]
  }
}
