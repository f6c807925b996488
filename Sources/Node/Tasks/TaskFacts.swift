// What tasks ask of a node: its places and links on the ring that is asked about.

import Base
import Overlay

extension NodeCore {
  /// Its place on one of the rings; nil on a seed that is asked about members.
  func view(of ring: RingKind) -> RingView? { ring == .main ? ringView : subringView }

  /// Nodes on other parts of a ring that it is about to link with.
  func foreignCount(on ring: RingKind) -> Int {
    ring == .main ? network.links.main.foreignCount : network.links.members.foreignCount
  }

  /// Visits the slots of the peers with which a link is up and that are on the ring.
  func forEachLink(on ring: RingKind, _ body: (Int) -> Void) {
    if ring == .main { network.links.main.visit(body) } else { network.links.members.visit(body) }
  }

  /// How a peer is reached.
  func pathKind(_ slot: Int) -> PathKind { network.links.peers[slot].bestPath?.kind ?? .idle }
}
