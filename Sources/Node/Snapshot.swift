// The state of a node as people ask for it. Read-only, made on request.

import Base
import DHT
import Overlay
import Session
import VPN

/// One look at a node.
public struct Snapshot: Sendable {
  public var id: OverlayID
  public var key: PublicKey
  public var isSettled: Bool
  /// The ring position is taken and, for a member, an address is held.
  public var isReady: Bool
  public var sizeEstimate: Int
  public var successor: OverlayID?
  public var predecessor: OverlayID?
  public var leases: Int
  public var community: CommunitySnapshot?
  public var reach: ReachSnapshot
  public var peers: [PeerSnapshot]
  public var links: LinkCounters
  public var tunnel: TunnelCounters?
  public var multicast: MulticastCounters?
  public var broadcasts: BroadcastCounters?
}

/// How this node stands towards the rest of the underlay.
public struct ReachSnapshot: Sendable {
  /// How the box in front of it maps.
  public var mapping: Mapping
  /// Where others see it.
  public var seenAt: [Endpoint]
  public var udp: UDPPassage
}

/// A membership.
public struct CommunitySnapshot: Sendable {
  public var name: String
  public var isOpen: Bool
  public var address: IPPrefix?
  public var address6: IPAddress
  public var pool: IPPrefix?
  public var isAlone: Bool
  /// Members as far as this one can tell, itself among them.
  public var size = 1
  /// Whether both neighbours on the subring name this node as theirs, and how many neighbours it has.
  public var isSettled = true
  public var neighbours = 0
}

/// A peer to which a link is up.
public struct PeerSnapshot: Sendable {
  public var id: OverlayID
  public var key: PublicKey
  public var isMember: Bool
  public var isSeed: Bool
  /// What it calls itself.
  public var name: String?
  public var address: IPAddress?
  public var address6: IPAddress?
  public var path: PathKind
  public var endpoint: Endpoint?
  /// The relay of a circuit, or the node that carries an overlay path when it is known.
  public var via: OverlayID?
  public var roundTrip: Interval?
  public var pingsSent: UInt32
  public var pingsLost: UInt32
  public var receivedBytes: UInt64
  public var sentBytes: UInt64
  /// Why it is not reached directly.
  public var obstacle: Obstacle?
  /// When that is tried again.
  public var retryIn: Interval?
  public var roles: Roles
  /// How the box in front of it maps, as it says.
  public var mapping = Mapping.unknown
}

extension NodeCore {
  public func snapshot(at now: Instant) -> Snapshot {
    var peers: [PeerSnapshot] = []
    network.links.forEachUp { peers.append(peer($0, at: now)) }
    let near = network.links.neighbourhood
    let isSettled = network.ring.isSettled
    return Snapshot(
      id: id, key: network.links.identity.publicKey, isSettled: isSettled,
      isReady: network.isReady && (reading { $0.address != nil } ?? true),
      sizeEstimate: network.ring.sizeEstimate(network.links),
      successor: near.successor.map { network.links.peers[$0].id },
      predecessor: near.predecessor.map { network.links.peers[$0].id }, leases: network.directory.count,
      community: community, reach: reach, peers: peers, links: network.links.counters,
      tunnel: reading { $0.counters }, multicast: reading { $0.multicastCounters },
      broadcasts: broadcasts)
  }

  public var reach: ReachSnapshot {
    let underlay = network.links.underlay
    var seen: [Endpoint] = []
    for isV4 in [true, false] {
      let list = underlay.reflection.reflexive(isV4: isV4)
      for i in 0..<list.count { seen.append(list[i]) }
    }
    return ReachSnapshot(mapping: underlay.mapping, seenAt: seen, udp: network.links.udpPassage)
  }

  /// What was said to all members of the community; nil on a seed.
  public var broadcasts: BroadcastCounters? { reading { $0.broadcasts } }

  private var community: CommunitySnapshot? {
    reading { tunnel in
      CommunitySnapshot(
        name: tunnel.community.name, isOpen: tunnel.community.isOpen, address: tunnel.address,
        address6: tunnel.ula,
        pool: tunnel.pool, isAlone: tunnel.isAlone, size: tunnel.memberEstimate(network.links),
        isSettled: tunnel.isSubringSettled, neighbours: memberNeighbours)
    }
  }

  /// Near members, each once: those of both sides may be the same.
  private var memberNeighbours: Int {
    let near = network.links.members.neighbourhood
    var count = near.left.count
    for i in 0..<near.right.count where !near.left.contains(where: { $0 == near.right[i] }) { count += 1 }
    return count
  }

  private func peer(_ slot: Int, at now: Instant) -> PeerSnapshot {
    let isMember = reading { $0.isMember(slot) } ?? false
    let path = network.links.peers[slot].bestPath
    let id = network.links.peers[slot].id
    let vias = network.links.peers[slot].vias
    let session = network.links.peers[slot].session
    return PeerSnapshot(
      id: id, key: network.links.peers[slot].key, isMember: isMember,
      isSeed: session.map { network.links.sessions.capabilities(of: $0).contains(.seed) } ?? false,
      name: isMember ? reading { $0.name(of: id) } ?? nil : nil,
      address: isMember ? reading { $0.address(ofPeer: slot) } ?? nil : nil,
      address6: isMember ? reading { $0.community.ula(of: id) } : nil, path: path?.kind ?? .idle,
      endpoint: path?.endpoint,
      via: path?.relay ?? (path?.kind == .overlay && !vias.isEmpty ? vias[0] : nil),
      roundTrip: path.flatMap { $0.roundTrip.samples > 0 ? $0.roundTrip.smoothed : nil },
      pingsSent: network.links.peers[slot].pingsSent, pingsLost: network.links.peers[slot].pingsLost,
      receivedBytes: network.links.peers[slot].receivedBytes, sentBytes: network.links.peers[slot].sentBytes,
      obstacle: network.links.obstacle(slot),
      retryIn: network.links.directRetry(slot).map { max($0, now) - now },
      roles: network.links.peers[slot].roles, mapping: network.links.peers[slot].mapping)
  }
}
