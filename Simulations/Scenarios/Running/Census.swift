// The truth about the nodes: who lives, who has lived, and who is whose neighbour.
//
// The living are kept sorted by ID; a change moves what is behind it, which for ten thousand nodes is
// microseconds.

import Base

/// Who lives and who did.
struct Census {
  struct Entry {
    let id: OverlayID
    let node: Int
  }

  /// Sorted by ID.
  private(set) var living: [Entry] = []
  /// When the last node with an ID died; sorted by ID.
  private var graves: [(id: OverlayID, at: Instant)] = []

  /// - Returns: the rank of the first living node whose ID is not below `id`.
  func position(of id: OverlayID) -> Int {
    var low = 0
    var high = living.count
    while low < high {
      let middle = (low + high) / 2
      if living[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  mutating func add(_ id: OverlayID, node: Int) {
    living.insert(Entry(id: id, node: node), at: position(of: id))
  }

  mutating func bury(_ id: OverlayID, at now: Instant) {
    let at = position(of: id)
    if at < living.count, living[at].id == id { living.remove(at: at) }
    let grave = gravePosition(of: id)
    if grave < graves.count, graves[grave].id == id {
      graves[grave].at = now
    } else {
      graves.insert((id, now), at: grave)
    }
  }

  /// What became of an ID that nobody alive has.
  func fate(of id: OverlayID) -> Fate {
    let grave = gravePosition(of: id)
    return grave < graves.count && graves[grave].id == id ? .died(graves[grave].at) : .ghost
  }

  private func gravePosition(of id: OverlayID) -> Int {
    var low = 0
    var high = graves.count
    while low < high {
      let middle = (low + high) / 2
      if graves[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
