// What will be wanted soon, for a driver of many nodes that knows what comes next: each step fetches into the
// cache what the one before has shown the way to, and nobody waits for memory. Nothing is changed.

import Base

/// How far a way through memory has been followed.
public enum Foresight: Sendable {
  case first, second, third
}

extension SessionTable {
  /// A record with this index will be opened.
  public func foresee(record index: UInt32, _ step: Foresight) {
    guard step != .first else { return indices.foresee(index) }
    guard let generation = indices.find(index) else { return }
    if step == .second { return fetch(generation) }
    prefetch(generation.pointee.windows)
    prefetch(generation.pointee.windows.map { UnsafeRawPointer($0) + 64 })
    if let slot = slot(ofIndex: index), let session = slots[slot] { prefetch(session) }
  }

  /// The slot of the session to which an index belongs.
  public func slot(ofIndex index: UInt32) -> Int? { indices.find(index)?.pointee.slot.map(Int.init) }

  /// The keys of a session will be looked at.
  public func foresee(_ id: SessionID, _ step: Foresight) {
    guard Int(id.slot) < slotCount, let session = slots[Int(id.slot)] else { return }
    if step == .second { return prefetch(session) }
    if let generation = session.pointee.sealing { fetch(generation) }
  }

  private func fetch(_ generation: GenerationPointer) {
    prefetch(generation)
    prefetch(UnsafeRawPointer(generation) + 64)
    prefetch(generation.openingKey)
  }
}
