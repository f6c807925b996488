// What a peer's datagram, or the time, will want of the links soon (`Session.Foresight`).

import Base
import Session

extension Links {
  /// A record with this index will come.
  public func foresee(record index: UInt32, _ step: Foresight) {
    sessions.foresee(record: index, step)
    guard step == .third, let session = sessions.slot(ofIndex: index),
      let slot = bySession[UInt32(session)]
    else { return }
    peers.foresee(Int(slot))
  }

  /// Time will pass up to `moment`.
  public func foresee(_ moment: Instant, _ step: Foresight) {
    guard step != .first, let slot = alarms.first(upTo: moment, below: peers.highWater), peers.isUsed(slot)
    else { return }
    if step == .second { return peers.foresee(slot) }
    if let session = peers[slot].session { sessions.foresee(session, .third) }
  }
}
