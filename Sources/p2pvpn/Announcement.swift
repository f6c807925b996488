// What happens to a node, in the words of the log and of the event stream: one table for both.
//
// The log has the message and the facts. The stream has topic, name and the same facts by the same keys, with
// IDs in full.

import Base
import Logging

/// What somebody who reads the event stream may be interested in.
enum Topic: String, CaseIterable, Sendable {
  case peers
  case paths
  case ring
  case claims
  case warnings

  /// One line for people.
  var text: String {
    switch self {
    case .peers: "links that come up and are lost, members that are found"
    case .paths: "how each peer is reached, whenever that changes"
    case .ring: "the node's place on the ring, its way in and its end"
    case .claims: "the virtual address: granted, lost, refused"
    case .warnings: "what is not as it should be, from its beginning to its end; `status` lists the same"
    }
  }
}

/// A kind of thing that happens.
enum Announcement: String, CaseIterable, Sendable {
  case linkUp = "link-up"
  case linkLost = "link-lost"
  case memberFound = "member-found"
  case pathChanged = "path-changed"
  case bootstrapReached = "bootstrap-reached"
  case joined
  case foreignRing = "foreign-ring"
  case underlayChanged = "underlay-changed"
  case left
  case addressGranted = "address-granted"
  case addressTaken = "address-taken"
  case addressLost = "address-lost"
  case poolDiffers = "pool-differs"
  case warningSet = "warning-set"
  case warningCleared = "warning-cleared"

  /// How it is told.
  struct Terms {
    let topic: Topic
    /// Of the log, which says nothing of it if there is none.
    let level: Logger.Level?
    let message: String
    let facts: [Field]

    init(_ topic: Topic, _ level: Logger.Level?, _ message: String, _ facts: [Field] = []) {
      (self.topic, self.level, self.message, self.facts) = (topic, level, message, facts)
    }
  }

  var terms: Terms {
    switch self {
    case .linkUp: Terms(.peers, .info, "link up", [.peer])
    case .linkLost: Terms(.peers, .info, "link lost", [.peer])
    case .memberFound: Terms(.peers, .info, "found a member", [.peer])
    case .pathChanged: Terms(.paths, .info, "path changed", [.peer, .path, .endpoint])
    case .bootstrapReached: Terms(.ring, .info, "reached a bootstrap", [.peer, .endpoint])
    case .joined: Terms(.ring, .notice, "joined the ring", [.neighbours])
    case .foreignRing: Terms(.ring, .notice, "met another ring: joining the two", [.node])
    case .underlayChanged: Terms(.ring, .info, "addresses of this machine", [.count])
    case .left: Terms(.ring, .notice, "left")
    case .addressGranted: Terms(.claims, .notice, "address granted", [.address])
    case .addressTaken: Terms(.claims, .warning, "the address is in use by another member", [.address])
    case .addressLost:
      Terms(.claims, .warning, "lost the address to another member: taking another one", [.address])
    case .poolDiffers:
      Terms(.claims, .warning, "the pool of the community is another than was asked for", [.pool])
    // Each has a line of its own in the log, with what is known of it.
    case .warningSet: Terms(.warnings, nil, "something is not as it should be", [.warning, .text])
    case .warningCleared: Terms(.warnings, nil, "that has passed", [.warning])
    }
  }
}

extension Field {
  fileprivate static let peer = Field("peer", .text, "The peer's ID.")
  fileprivate static let node = Field("node", .text, "The ID of a node that is no peer.")
  fileprivate static let path = Field("path", .choice(Answers.paths), "How the peer is reached now.")
  fileprivate static let endpoint = Field(
    "endpoint", .nullable(.text), "The address and port on the underlay.")
  fileprivate static let neighbours = Field("neighbours", .count, "How many neighbours on the ring it has.")
  fileprivate static let count = Field("count", .count, "How many addresses this machine has.")
  fileprivate static let address = Field("address", .text, "The virtual address.")
  fileprivate static let pool = Field("pool", .text, "The community's pool.")
  fileprivate static let warning = Field(
    "warning", .choice(Concern.allCases.map(\.rawValue)), "Which trouble; each is there once or not at all.")
  fileprivate static let text = Field("text", .text, "The sentence that `status` shows.")
}

/// A value that is told with an announcement.
enum Fact: Sendable {
  case id(OverlayID)
  case text(String)
  case endpoint(Endpoint)
  case count(Int)

  /// For programs.
  var json: JSON {
    switch self {
    case .id(let id): JSON(id)
    case .text(let text): .string(text)
    case .endpoint(let endpoint): JSON(endpoint == .none ? nil : endpoint)
    case .count(let count): .integer(Int64(count))
    }
  }

  /// For people.
  var logged: String {
    switch self {
    case .id(let id): id.short
    case .text(let text): text
    case .endpoint(let endpoint): endpoint == .none ? "none" : "\(endpoint)"
    case .count(let count): "\(count)"
    }
  }
}

extension Announcement {
  /// The event of the stream.
  /// - Parameter facts: in the order of the table.
  func event(_ facts: [Fact], at time: String) -> JSON {
    let terms = self.terms
    precondition(facts.count == terms.facts.count, "\(self) has other facts")
    var members = Self.head(terms.topic.rawValue, rawValue, at: time)
    for (field, fact) in zip(terms.facts, facts) {
      members.append(JSON.Member(key: field.name, value: fact.json))
    }
    return .object(members)
  }

  /// What every event of the stream begins with.
  static func head(_ topic: String, _ event: String, at time: String) -> [JSON.Member] {
    [
      JSON.Member(key: "schema", value: 1), JSON.Member(key: "topic", value: .string(topic)),
      JSON.Member(key: "event", value: .string(event)), JSON.Member(key: "time", value: .string(time)),
    ]
  }

  /// The metadata of the log.
  func metadata(_ facts: [Fact]) -> Logger.Metadata {
    Logger.Metadata(
      zip(terms.facts, facts).map { ($0.name, "\($1.logged)") }, uniquingKeysWith: { first, _ in first })
  }
}
