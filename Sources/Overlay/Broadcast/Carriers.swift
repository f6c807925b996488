// The links over which what is for all goes, for whoever measures the trees that follow from them.

import Base

extension Links {
  /// The members that may carry on a broadcast, in the order of the ring.
  public var carriers: [OverlayID] {
    var carriers: [OverlayID] = []
    members.visit { slot in if isCarrier(slot) { carriers.append(peers[slot].id) } }
    return carriers
  }
}
