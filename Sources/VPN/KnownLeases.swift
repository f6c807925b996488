// Claims of other members that this node can pass on: those that linked members have shown, and those that
// the directory, or a roll call, has brought of late. Whoever reads one checks its signatures himself.
//
// What another member has passed on is not kept: a lease that is handed round would never grow old.

import Base
import Session

/// Leases that prove whose an address is.
struct KnownLeases {
  /// Of more, the one that ends first goes.
  static let limit = 256
  /// How long one is passed on whose owner is not linked, at most: for twice as long a dead member is named
  /// by the directory.
  static let lifeMax = Interval.seconds(60)

  private struct Known {
    let address: IPAddress
    let owner: OverlayID
    let bytes: [UInt8]
    /// `.never` while its owner is linked.
    let until: Instant
  }

  private var all: [Known] = []

  var count: Int { all.count }

  /// A linked member has shown its claim.
  mutating func show(_ bytes: Frame, of address: IPAddress, by owner: OverlayID) {
    keep(Known(address: address, owner: owner, bytes: bytes.bytes, until: .never))
  }

  /// The owner of a claim has shown it in a roll call. The directory was not asked: it counts only where no
  /// other owner is known.
  mutating func hear(
    _ bytes: Frame, of address: IPAddress, by owner: OverlayID, life: Interval, at now: Instant
  ) {
    if all.contains(where: { $0.address == address && $0.owner != owner && $0.until > now }) { return }
    read(bytes, of: address, by: owner, life: life, at: now)
  }

  /// The directory has brought a claim that lives for so long.
  mutating func read(
    _ bytes: Frame, of address: IPAddress, by owner: OverlayID, life: Interval, at now: Instant
  ) {
    if let i = all.firstIndex(where: { $0.address == address }), all[i].until == .never,
      all[i].owner == owner
    {
      return
    }
    keep(
      Known(address: address, owner: owner, bytes: bytes.bytes, until: now + min(life, Self.lifeMax)))
  }

  private mutating func keep(_ known: Known) {
    all.removeAll { $0.address == known.address }
    if all.count == Self.limit {
      var first = 0
      for i in all.indices where all[i].until < all[first].until { first = i }
      all.remove(at: first)
    }
    all.append(known)
  }

  /// The claim of an address.
  func lease(of address: IPAddress, at now: Instant) -> [UInt8]? {
    all.first { $0.address == address && $0.until > now }?.bytes
  }

  /// The address is not its owner's any more.
  mutating func forget(_ address: IPAddress) { all.removeAll { $0.address == address } }

  /// The link to a member is lost.
  mutating func forget(shownBy owner: OverlayID) { all.removeAll { $0.owner == owner && $0.until == .never } }
}
