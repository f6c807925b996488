// Which leases this node keeps: what decides about them, in memory; their bytes are in the store.

import Base
import Session

/// What the directory must know of a stored lease to judge another.
public struct LeaseEntry: Sendable, BitwiseCopyable {
  public let owner: PublicKey
  public let epoch: UInt64
  public let sequence: UInt32
  /// When it ends here.
  public let expires: Instant
  /// Whether it is committed, and copied if it is this node's to copy: only then may a put be called granted.
  public var isKept = false
  /// Whether it was sent on to the owner of its key.
  public var isForwarded = false
}

/// How a lease compares with what is stored under its key.
enum LeaseVerdict: Equatable {
  /// Nothing live is stored, or an older lease of the same owner: it takes the place.
  case accept
  /// The very lease is stored already.
  case known
  /// Another owner was there first.
  case taken
  /// The same owner has a newer one.
  case stale
}

/// The table of stored leases, bounded.
struct LeaseIndex: ~Copyable {
  static let limit = 8_192
  var entries = FlatMap<OverlayID, LeaseEntry>(limit: limit)

  var count: Int { entries.count }

  func live(_ key: OverlayID, at now: Instant) -> LeaseEntry? {
    guard let entry = entries[key], entry.expires > now else { return nil }
    return entry
  }

  func judge(_ lease: Lease, at now: Instant) -> LeaseVerdict {
    guard let entry = live(lease.key, at: now) else { return .accept }
    guard entry.owner == lease.owner else { return .taken }
    if lease.epoch == entry.epoch && lease.sequence == entry.sequence { return .known }
    return lease.isNewer(than: entry.epoch, entry.sequence) ? .accept : .stale
  }

  /// Whether `lease`, met while two nodes compare what they keep, has the older right to the key: a total
  /// order on what stands in the leases, the same everywhere.
  func prefers(_ lease: Lease, over entry: LeaseEntry) -> Bool {
    if lease.owner == entry.owner { return lease.isNewer(than: entry.epoch, entry.sequence) }
    return lease.owner.id < entry.owner.id
  }

  /// - Returns: false when the table is full.
  mutating func put(_ lease: Lease, remaining: UInt32, at now: Instant) -> Bool {
    let seconds = min(remaining, lease.timeToLive)
    return entries.set(
      lease.key,
      LeaseEntry(
        owner: lease.owner, epoch: lease.epoch, sequence: lease.sequence,
        expires: now + .seconds(UInt64(seconds))))
  }

  /// The lease under `key` is safe now.
  mutating func keep(_ key: OverlayID) {
    guard var entry = entries[key] else { return }
    entry.isKept = true
    entries.set(key, entry)
  }

  /// The lease under `key` was sent on.
  mutating func forwarded(_ key: OverlayID) {
    guard var entry = entries[key] else { return }
    entry.isForwarded = true
    entries.set(key, entry)
  }

  /// Whole seconds that the lease under `key` has left.
  func remaining(_ key: OverlayID, at now: Instant) -> UInt32 {
    guard let entry = live(key, at: now) else { return 0 }
    return UInt32((entry.expires - now).ns / 1_000_000_000)
  }

  /// The keys for which `condition` holds, at most `limit` of them.
  func keys(limit: Int, where condition: (OverlayID, LeaseEntry) -> Bool) -> [OverlayID] {
    var keys: [OverlayID] = []
    entries.visit { key, entry in
      if keys.count < limit, condition(key, entry) { keys.append(key) }
    }
    return keys
  }
}
