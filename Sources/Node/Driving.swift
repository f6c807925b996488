// What a driver asks and sets beside the inputs.

import Base
import Overlay
import Session

extension NodeCore {
  /// The prefixes of our own virtual networks.
  public var virtualNetworks: [IPPrefix] { network.links.underlay.virtualNetworks }

  /// No path may run through these: packets would be carried by what they shall carry.
  public mutating func setVirtualNetworks(_ prefixes: [IPPrefix]) {
    network.links.underlay.virtualNetworks = prefixes
  }

  /// Nodes on a ring, as far as this one can tell.
  public func sizeEstimate(of ring: RingKind) -> Int {
    switch ring {
    case .main: network.ring.sizeEstimate(network.links)
    case .members: reading { $0.memberEstimate(network.links) } ?? 0
    }
  }

  /// How many peers have a link.
  public var linkCount: Int { network.links.upCount }

  /// Keeps the traffic of a peer on the ring, or lets it choose its path again.
  /// - Returns: false when there is no link to it.
  public mutating func pin(_ id: OverlayID, toOverlay: Bool, _ context: inout Context) -> Bool {
    guard let slot = network.links.peer(id), network.links.peers[slot].isUp else { return false }
    pin(slot, toOverlay: toOverlay, &context)
    return true
  }

  /// A record with this index will come: what it needs is fetched into the cache.
  public func foresee(record index: UInt32, _ step: Foresight) {
    network.links.foresee(record: index & 0xFF_FFFF, step)
  }

  /// Time will pass up to `moment`.
  public func foresee(_ moment: Instant, _ step: Foresight) { network.links.foresee(moment, step) }
}
