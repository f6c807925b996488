// Another port, where ours is taken by somebody beside us.
//
// Many boxes keep the port of the inside (RFC 4787, §4.2.1), as long as nobody else behind them uses it with
// the same destination. Two members in one home have the same port. Wherever the one has been first, the
// other gets a port that nobody can foresee: its mapping varies, although the box is easy. On a port of its
// own it is easy as well. So a node whose mapping varies moves its main socket to another port, once in each
// place: what its observers say of the new one is the truth about the box.
//
// It does not wait for a proof that the port is what is wrong: only an observer could give it whom the other
// member has not met. Behind a hard box the move is in vain, and costs next to nothing: the first pong shows
// that the mapping varies, before there is anything to lose; what is on its way to the old port still comes
// in; and as long as there is traffic on a direct path to a peer whose box would not let the new port in, the
// node stays where it is.

import Base

extension Links {
  /// Moves to another port if that may make our box easy.
  /// - Returns: whether it was asked for.
  mutating func rebindIfOfUse(_ context: inout Context) -> Bool {
    guard underlay.mayRebind, !carriesDirectTraffic(context.now) else { return false }
    // A full outbox takes it with a later pong.
    underlay.hasRebound = context.effects.append(.rebind)
    return underlay.hasRebound
  }

  /// Whether packets would be lost on the way to somebody's box.
  private func carriesDirectTraffic(_ now: Instant) -> Bool {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      guard peers[slot].isForTraffic, isActive(slot, now), peers[slot].bestPath?.kind == .direct else {
        continue
      }
      if peers[slot].mapping != .open { return true }
    }
    return false
  }
}

extension Underlay {
  /// Whether another port may be of use: not where the operator has chosen it, nor on a machine that has a
  /// public address as well.
  var mayRebind: Bool {
    mapping == .varies && !keepsPort && !hasRebound
      && !interfaces.contains { $0.address.isV4 && isTold($0.address) && !$0.address.isPrivate }
  }
}
