// What the node says about itself, in the form that other programs rely on: keys may be added, those here
// stay.

import Base
import Node
import Overlay

enum Report {
  /// What the core does not know.
  struct Facts {
    let uptime: Interval
    let interface: String?
    let port: UInt16
    /// Whose code encrypts, and what the kernel takes and gives in trains.
    let encryption: String
    let deviceOffload: [String]
    let runs: (sent: Bool, received: Bool)
    /// Packets of the device that could not be sent, and datagrams that could not be taken.
    let refused: UInt64
    let dropped: UInt64
    let warnings: [String]
  }

  static func status(_ node: Snapshot, _ facts: Facts) -> JSON {
    let ring: JSON = [
      "size_estimate": .integer(Int64(node.sizeEstimate)), "successor": JSON(node.successor),
      "predecessor": JSON(node.predecessor), "settled": .bool(node.isSettled),
    ]
    return [
      "schema": 1, "id": JSON(node.id), "key": JSON(node.key), "version": .string(Program.version),
      "uptime_s": .integer(Int64(facts.uptime.seconds)), "ready": .bool(node.isReady),
      "port": .integer(Int64(facts.port)), "ring": ring,
      "communities": .array(node.community.map { [community($0, dropped(node), facts)] } ?? []),
      "reach": reach(node.reach), "peers": counts(node.peers), "leases": .integer(Int64(node.leases)),
      "data": [
        "aead": .string(facts.encryption),
        "device_offload": .array(facts.deviceOffload.map { .string($0) }),
        "sends_runs": .bool(facts.runs.sent), "receives_runs": .bool(facts.runs.received),
        "refused": JSON(facts.refused), "dropped": JSON(facts.dropped),
      ],
      "warnings": .array(facts.warnings.map { .string($0) }),
    ]
  }

  /// Where others see this node, and what stands in front of it.
  private static func reach(_ reach: ReachSnapshot) -> JSON {
    let udp =
      switch reach.udp {
      case .unknown: "unknown"
      case .open: "open"
      case .stopped: "blocked"
      }
    return [
      "nat": .string(nat(reach.mapping)), "udp": .string(udp),
      "seen_at": .array(reach.seenAt.map { .string("\($0)") }),
    ]
  }

  private static func nat(_ mapping: Mapping) -> String {
    switch mapping {
    case .unknown: "unknown"
    case .open: "none"
    case .independent: "easy"
    case .varies: "hard"
    case .counts: "sequential"
    case .stopped: "no UDP"
    }
  }

  /// Packets of the community that went no further, by the reason.
  private static func dropped(_ node: Snapshot) -> JSON {
    guard let tunnel = node.tunnel, let toAll = node.broadcasts, let groups = node.multicast else {
      return nil
    }
    return [
      "foreign_source": JSON(tunnel.foreignSource), "spoofed": JSON(tunnel.spoofed),
      "forged": JSON(toAll.forged &+ groups.forged), "limited": JSON(toAll.limited &+ groups.limited),
      "congested": JSON(tunnel.congested),
      "malformed": JSON(tunnel.malformed &+ toAll.malformed &+ groups.malformed),
      "no_room": JSON(toAll.noRoom &+ groups.noRoom), "unresolved": JSON(tunnel.unresolved),
    ]
  }

  private static func community(_ community: CommunitySnapshot, _ dropped: JSON, _ facts: Facts) -> JSON {
    [
      "name": .string(community.name), "open": .bool(community.isOpen),
      "address": JSON(community.address?.address),
      "address6": JSON(community.address6), "pool": JSON(community.pool), "interface": JSON(facts.interface),
      "members": .integer(Int64(community.size)),
      "subring": [
        "settled": .bool(community.isSettled), "neighbours": .integer(Int64(community.neighbours)),
      ],
      "dropped": dropped,
    ]
  }

  /// How many peers are reached by each kind of path.
  static func counts(_ peers: [PeerSnapshot]) -> JSON {
    let kinds: [PathKind] = [.lan, .direct, .tcp, .proxy, .overlay, .idle, .offline]
    return .object(
      kinds.map { kind in
        JSON.Member(key: "\(kind)", value: .integer(Int64(peers.count { $0.path == kind })))
      })
  }

  /// - Parameters:
  ///   - others: members that are not linked.
  ///   - page: the part that is wanted.
  static func peers(
    _ node: Snapshot, _ others: MembersSnapshot = MembersSnapshot(), _ page: Page = Page()
  ) -> JSON {
    let name = node.community?.name
    // The ID of each, and its place in one of the two lists.
    let linked = node.peers.indices.map { (id: node.peers[$0].id, isLinked: true, index: $0) }
    let unlinked = others.members.indices.map { (id: others.members[$0].id, isLinked: false, index: $0) }
    let (part, next) = page.cut(linked + unlinked) { $0.id }
    return [
      "schema": 1, "members": node.community.map { .integer(Int64($0.size)) } ?? nil,
      "whole": .bool(others.isWhole),
      "peers": .array(
        part.map { entry in
          entry.isLinked ? peer(node.peers[entry.index], name) : member(others.members[entry.index], name)
        }), "next": JSON(next),
    ]
  }

  /// A member that is not linked.
  private static func member(_ member: MemberSnapshot, _ community: String?) -> JSON {
    [
      "id": JSON(member.id), "name": JSON(member.name), "community": JSON(community),
      "address": JSON(member.address), "address6": JSON(member.address6), "seed": false,
      "path": JSON("\(member.path)"), "via": nil, "hops": nil, "endpoint": nil, "rtt_ms": nil, "loss": nil,
      "rx_bytes": 0, "tx_bytes": 0, "reason": nil,
      "last_seen_s": .integer(Int64(member.lastSeen.seconds)),
    ]
  }

  private static func peer(_ peer: PeerSnapshot, _ community: String?) -> JSON {
    let isDirect = [.lan, .direct, .tcp].contains(peer.path)
    let loss: JSON = peer.pingsSent == 0 ? nil : .number(Double(peer.pingsLost) / Double(peer.pingsSent))
    return [
      "id": JSON(peer.id), "name": JSON(peer.name), "community": JSON(peer.isMember ? community : nil),
      "address": JSON(peer.address), "address6": JSON(peer.address6), "seed": .bool(peer.isSeed),
      "path": JSON("\(peer.path)"), "via": JSON(peer.via), "hops": isDirect ? 1 : nil,
      "endpoint": JSON(peer.endpoint),
      "rtt_ms": peer.roundTrip.map { .number(rounded($0.milliseconds)) } ?? nil,
      "loss": loss, "rx_bytes": JSON(peer.receivedBytes), "tx_bytes": JSON(peer.sentBytes),
      "reason": JSON(reason(peer)), "last_seen_s": nil,
    ]
  }

  /// All ways to a peer, and what became of the endpoints at which it was looked for.
  static func paths(
    _ peer: PeerSnapshot, _ paths: [PathSnapshot], _ trials: [Trial], _ mapping: Mapping
  ) -> JSON {
    [
      "schema": 1, "id": JSON(peer.id), "path": JSON("\(peer.path)"), "via": JSON(peer.via),
      "endpoint": JSON(peer.endpoint),
      "rtt_ms": peer.roundTrip.map { .number(rounded($0.milliseconds)) } ?? nil,
      "reason": JSON(reason(peer)),
      "nat": .string(nat(mapping)), "peer_nat": .string(nat(peer.mapping)),
      "ways": .array(paths.map(way)), "candidates": .array(trials.map { candidate($0, peer, paths) }),
    ]
  }

  private static func candidate(_ trial: Trial, _ peer: PeerSnapshot, _ paths: [PathSnapshot]) -> JSON {
    let (endpoint, isOneSocket) = (trial.endpoint, trial.source != .manyPorts)
    let index = isOneSocket ? paths.firstIndex { $0.endpoint == endpoint } : nil
    let path = index.map { paths[$0] }
    let source =
      switch trial.source {
      case .told: "told"
      case .heard: "heard"
      case .manyPorts: "many ports"
      case .expected: "predicted"
      }
    let isTrying = peer.obstacle == .trying || (!isOneSocket && peer.obstacle == .tryingManyPorts)
    var (state, reason): (String, String?) = ("not asked", nil)
    if let path, path.isBest || path.isProved {
      state = path.isBest ? "chosen" : "works"
    } else if trial.fellSilent {
      state = "fell silent"
    } else if path != nil || (isTrying && trial.asked > 0) {
      state = "being tried"
    } else if trial.roundTrip != nil {
      state = "answered"
    } else if trial.asked > 0 {
      state = "no answer"
    } else {
      let hasDirectPath = paths.contains { $0.endpoint != nil && $0.isProved }
      reason =
        trial.refusal.map { refusal($0, trial.endpoint) }
        ?? (hasDirectPath ? "a better path is there" : "its turn has not come")
    }
    let roundTrip = path?.roundTrip ?? trial.roundTrip
    return [
      "endpoint": JSON(trial.endpoint), "source": .string(source), "asked": .integer(Int64(trial.asked)),
      "state": .string(state), "reason": JSON(reason), "way": index.map { .integer(Int64($0)) } ?? nil,
      "rtt_ms": roundTrip.map { .number(rounded($0.milliseconds)) } ?? nil,
    ]
  }

  /// Why an endpoint was not asked.
  private static func refusal(_ refusal: Refusal, _ endpoint: Endpoint) -> String {
    switch refusal {
    case .port: "a port of the system's services"
    case .address: "no address of a machine out there"
    case .virtual: "inside a virtual network of this node"
    case .own: "this node's own"
    case .elsewhere: "a private address of another network"
    case .family: "this machine has no IPv\(endpoint.address.isV4 ? 4 : 6) address"
    case .budget: "eight others were tried within 30 s"
    }
  }

  private static func way(_ path: PathSnapshot) -> JSON {
    [
      "path": JSON("\(path.kind)"), "endpoint": JSON(path.endpoint), "via": JSON(path.via),
      "state": path.isBest ? "chosen" : path.isProved ? "works" : "being tried",
      "rtt_ms": path.roundTrip.map { .number(rounded($0.milliseconds)) } ?? nil,
      "size_bytes": .integer(Int64(path.size)),
    ]
  }

  /// Why the peer is not reached directly.
  private static func reason(_ peer: PeerSnapshot) -> String? {
    let retry = peer.retryIn.map { "; trying again in \($0.ns / 1_000_000_000) s" } ?? ""
    switch peer.obstacle {
    case nil where peer.path == .idle || peer.path == .offline: return "no way to it is known at present"
    case nil: return nil
    case .pinned: return "pinned by the user"
    case .datagramsStopped: return "UDP does not get out of this network"
    case .datagramsStoppedThere: return "UDP does not get out of its network"
    case .notIntroduced: return "a link of the ring only, without traffic"
    case .bothVary: return "both NATs use a new port for each destination"
    case .predicting: return "a NAT uses a new port for each destination: predicting the next"
    case .tryingManyPorts: return "a NAT uses a new port for each destination: trying many ports"
    case .trying: return "trying its addresses"
    case .unanswered: return "none of its addresses has answered\(retry)"
    }
  }

  /// Microseconds are enough.
  private static func rounded(_ milliseconds: Double) -> Double { (milliseconds * 1_000).rounded() / 1_000 }
}
