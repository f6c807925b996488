// Handshakes that wait for the other side's next message.
//
// Two lists: those that this node began, and those of strangers who began an XX handshake. A full list of
// strangers lets go of one at random, so that a flood makes handshakes fail now and then instead of keeping
// everybody out.

import Base
import CSodium

/// A handshake under way.
struct Pending: BitwiseCopyable {
  var handshake: Handshake
  let localIndex: UInt32
  /// The other side's index; zero as long as it is unknown.
  let remoteIndex: UInt32
  /// Whom an init of IK is for.
  let peer: PublicKey?
  /// The key of mac1 in both directions.
  let macKey: Key
  /// What names a handshake with an unknown responder to the caller.
  let attempt: UInt32?
  let startedAt: Instant
  /// When the first of the inits that this one replaced was made.
  let firstAt: Instant
}

/// A bounded list of handshakes, in memory of their own, which is wiped when they go.
@safe struct PendingList: ~Copyable {
  private var entries: [UnsafeMutablePointer<Pending>] = []
  /// No entry is older: without it, each would have to be asked whenever time passes.
  private var oldestAt: Instant = .never
  let limit: Int

  init(limit: Int) { self.limit = limit }

  deinit { for entry in entries { Self.release(entry) } }

  var count: Int { entries.count }
  var isFull: Bool { entries.count >= limit }

  subscript(position: Int) -> Pending { entries[position].pointee }

  func position(localIndex: UInt32) -> Int? { entries.firstIndex { $0.pointee.localIndex == localIndex } }

  func position(peer: PublicKey) -> Int? { entries.firstIndex { $0.pointee.peer == peer } }

  mutating func append(_ pending: Pending) {
    precondition(!isFull)
    let entry = UnsafeMutablePointer<Pending>.allocate(capacity: 1)
    entry.initialize(to: pending)
    entries.append(entry)
    oldestAt = min(oldestAt, pending.startedAt)
  }

  mutating func remove(at position: Int) { Self.release(entries.remove(at: position)) }

  /// Lets go of all that are `life` old.
  mutating func expire(at now: Instant, life: Interval) {
    guard now - oldestAt >= life else { return }
    oldestAt = .never
    for position in entries.indices.reversed() {
      let startedAt = entries[position].pointee.startedAt
      if now - startedAt >= life { remove(at: position) } else { oldestAt = min(oldestAt, startedAt) }
    }
  }

  mutating func removeAll() {
    for entry in entries { Self.release(entry) }
    entries.removeAll()
  }

  private static func release(_ entry: UnsafeMutablePointer<Pending>) {
    sodium_memzero(entry, MemoryLayout<Pending>.stride)
    entry.deallocate()
  }
}
