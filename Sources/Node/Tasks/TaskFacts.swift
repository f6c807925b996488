// What tasks ask of a node: its places and links on the ring that is asked about.

import Base
import Overlay

extension NodeCore {
  /// Its place on one of the rings; nil on a seed that is asked about members.
  func view(of ring: RingKind) -> RingView? { ring == .main ? ringView : subringView }

  /// How long a look into another ring says that there is one.
  static let foreignFor = Interval.seconds(10)

  /// Whether a look from outside came to another ring of late: one whose nodes do not know this one.
  func hasMetForeign(on ring: RingKind, at now: Instant) -> Bool {
    let metAt = ring == .main ? network.ring.metForeignAt : reading { $0.metForeignAt } ?? .never
    return metAt <= now && now - metAt < Self.foreignFor
  }

  /// Visits the slots of the peers with which a link is up and that are on the ring.
  func forEachLink(on ring: RingKind, _ body: (Int) -> Void) {
    if ring == .main { network.links.main.visit(body) } else { network.links.members.visit(body) }
  }

  /// How a peer is reached.
  func pathKind(_ slot: Int) -> PathKind { network.links.peers[slot].bestPath?.kind ?? .idle }
}
