// All ways to one peer, as people ask for them. Read-only, made on request.

import Base
import Overlay

/// One way to a peer.
public struct PathSnapshot: Sendable {
  public var kind: PathKind
  public var endpoint: Endpoint?
  /// The relay of a circuit.
  public var via: OverlayID?
  /// Data takes it at present.
  public var isBest: Bool
  /// Whether a nonce came back over it; otherwise it is being tried.
  public var isProved: Bool
  public var roundTrip: Interval?
  /// The largest datagram that is known to get through, in bytes.
  public var size: UInt16
}

extension NodeCore {
  /// The ways to a peer that exist or are being tried, in the order of their slots.
  public func paths(of id: OverlayID, at now: Instant) -> [PathSnapshot] {
    guard let slot = network.links.peer(id) else { return [] }
    var list: [PathSnapshot] = []
    for index in 0..<Peer.pathSlots {
      guard let path = network.links.peers[slot].path(index) else { continue }
      list.append(
        PathSnapshot(
          kind: path.kind, endpoint: path.endpoint, via: path.relay,
          isBest: network.links.peers[slot].best == index, isProved: path.isValid,
          roundTrip: path.roundTrip.samples > 0 ? path.roundTrip.smoothed : nil, size: path.size))
    }
    return list
  }

  /// What became of the endpoints at which a peer was looked for: what it names first.
  public func trials(of id: OverlayID) -> [Trial] {
    guard let slot = network.links.peer(id) else { return [] }
    let trials = network.links.trials(slot)
    return (0..<trials.count).map { trials[$0] }
  }
}
