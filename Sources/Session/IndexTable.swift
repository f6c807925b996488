// Which keys an incoming record names: a hash table from receiver index to generation, in flat memory.
//
// Base's `FlatMap` would do, but the compiler cannot see through another module's generic code and would not
// let it into a function that is proved to allocate nothing. Indices are random, so they are their own hash;
// the low four bits are the receive lane and say nothing. The table starts small and doubles when a handshake
// fills it.

import Base

/// A growing map from 24-bit indices to generations.
@safe struct IndexTable: ~Copyable {
  private struct Entry: BitwiseCopyable {
    var index: UInt32
    var generation: GenerationPointer?
  }

  private(set) var count = 0
  private var mask: Int
  private var entries: UnsafeMutablePointer<Entry>

  init() {
    mask = 31
    entries = Self.allocate(32)
  }

  deinit { entries.deallocate() }

  /// The generation that `index` names.
  @_noAllocation @_noLocks
  func find(_ index: UInt32) -> GenerationPointer? {
    let entry = entries[slot(index)]
    return entry.generation
  }

  /// Begins to fetch the place where `index` ought to stand.
  func foresee(_ index: UInt32) { prefetch(entries + home(index)) }

  /// *Precondition:* `index` is not in the table.
  mutating func insert(_ index: UInt32, _ generation: GenerationPointer) {
    if count * 4 >= (mask + 1) * 3 { grow() }
    let i = slot(index)
    precondition(entries[i].generation == nil)
    entries[i] = Entry(index: index, generation: generation)
    count += 1
  }

  mutating func remove(_ index: UInt32) {
    var hole = slot(index)
    guard entries[hole].generation != nil else { return }
    var i = hole
    while true {
      i = (i + 1) & mask
      guard entries[i].generation != nil else { break }
      let home = self.home(entries[i].index)
      if (i - home) & mask >= (i - hole) & mask {
        entries[hole] = entries[i]
        hole = i
      }
    }
    entries[hole].generation = nil
    count -= 1
  }

  private mutating func grow() {
    let old = entries
    let size = mask + 1
    mask = 2 * size - 1
    entries = Self.allocate(2 * size)
    for i in 0..<size where old[i].generation != nil { entries[slot(old[i].index)] = old[i] }
    old.deallocate()
  }

  private static func allocate(_ size: Int) -> UnsafeMutablePointer<Entry> {
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: size)
    entries.initialize(repeating: Entry(index: 0, generation: nil), count: size)
    return entries
  }

  @_noAllocation @_noLocks
  private func home(_ index: UInt32) -> Int { Int(truncatingIfNeeded: index &>> 4) & mask }

  /// Where `index` stands, or would.
  @_noAllocation @_noLocks
  private func slot(_ index: UInt32) -> Int {
    var i = home(index)
    while entries[i].generation != nil, entries[i].index != index { i = (i &+ 1) & mask }
    return i
  }
}
