// The members of the community that this node has met: who they are, what they call themselves, which address
// they have proved, and when they were last there.
//
// It is for people. Nothing is decided by it but that the end of a link is the loss of a member; nobody is
// told of it, and it ends with the process. A member comes in with its link or with its answer to a roll
// call, and stays when it is gone.

import Base
import Session

/// A member that was met.
public struct RosterEntry: BitwiseCopyable, Sendable {
  public let id: OverlayID
  public internal(set) var name: MemberName?
  /// The IPv4 address that it has proved last.
  public internal(set) var address: IPAddress?
  /// When it was last there; of a linked one, when the link came up.
  public internal(set) var seenAt: Instant
  public internal(set) var isLinked = false
  /// Whether it was linked or answered since the last roll call, and has not said good-bye since. A link that
  /// ends says nothing: most are let go because nobody needs them.
  public internal(set) var isPresent = false
  /// The roll call that it has answered last.
  var answered: UInt64?
}

/// Who was met.
struct Roster: ~Copyable {
  /// Of more, the one that was not seen longest is forgotten.
  static let limit = 1_024

  private(set) var entries = SlotTable<RosterEntry>(capacity: limit)
  private var byID = FlatMap<OverlayID, UInt32>(limit: limit)

  subscript(id: OverlayID) -> RosterEntry? { byID[id].map { entries[Int($0)] } }

  /// A link to the member is up.
  mutating func onLinked(_ id: OverlayID, at now: Instant) {
    guard let slot = slot(of: id, at: now) else { return }
    entries[slot].isLinked = true
    entries[slot].isPresent = true
  }

  /// The link is lost.
  mutating func onLost(_ id: OverlayID, at now: Instant) {
    guard let slot = byID[id].map(Int.init), entries[slot].isLinked else { return }
    entries[slot].seenAt = now
    entries[slot].isLinked = false
  }

  /// The member says that it goes. Its link ends by itself.
  mutating func onLeave(_ id: OverlayID, at now: Instant) {
    guard let slot = byID[id].map(Int.init) else { return }
    entries[slot].seenAt = now
    entries[slot].isPresent = false
  }

  /// A linked member has said what it is called.
  mutating func name(_ id: OverlayID, _ name: MemberName?) {
    if let slot = byID[id].map(Int.init) { entries[slot].name = name }
  }

  /// A linked member has proved its address, or lost it.
  mutating func address(_ id: OverlayID, _ address: IPAddress?) {
    if let slot = byID[id].map(Int.init) { entries[slot].address = address }
  }

  /// The roll is called: who is not linked is there only if it answers.
  mutating func onCall() {
    for slot in 0..<entries.highWater where entries.isUsed(slot) && !entries[slot].isLinked {
      entries[slot].isPresent = false
    }
  }

  /// A member has answered the roll call with that nonce.
  mutating func onAnswer(
    _ id: OverlayID, _ name: MemberName?, _ address: IPAddress?, to nonce: UInt64, at now: Instant
  ) {
    guard let slot = slot(of: id, at: now) else { return }
    entries[slot].answered = nonce
    entries[slot].name = name
    // One that has proved its address on its link, or earlier, may have none to show just now.
    if let address { entries[slot].address = address }
    entries[slot].seenAt = now
    entries[slot].isPresent = true
  }

  /// The entry of a member; nil when all that there is room for are linked.
  private mutating func slot(of id: OverlayID, at now: Instant) -> Int? {
    if let slot = byID[id].map(Int.init) { return slot }
    if entries.count == Self.limit { forgetOne() }
    guard let slot = entries.insert(RosterEntry(id: id, seenAt: now)) else { return nil }
    byID.set(id, UInt32(slot))
    return slot
  }

  /// Forgets the one that was not seen longest.
  private mutating func forgetOne() {
    var longest: Int?
    for slot in 0..<entries.highWater where !entries[slot].isLinked {
      if longest == nil || entries[slot].seenAt < entries[longest!].seenAt { longest = slot }
    }
    guard let longest else { return }
    byID.remove(entries[longest].id)
    entries.remove(longest)
  }
}
