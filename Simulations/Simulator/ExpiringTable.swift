// What a box remembers for a while: pairs of words with a time at which they end.
//
// Open addressing with linear probing. An entry whose time is over stays where it is until the table is laid
// out anew, which happens when three quarters are taken; so nothing has to be swept by a timer, and looking
// up costs one cache line in most cases. The layout depends on the history alone.

import Base

/// A bounded table from two words to two words, each entry with its end.
struct ExpiringTable {
  struct Entry {
    var key: UInt64
    var scope: UInt64
    var value: UInt64
    var extra: UInt64
    /// Nanoseconds; 0 marks a place that was never used.
    var expires: UInt64
  }

  let entriesMax: Int
  private var entries: [Entry] = []
  private var taken = 0
  private static let empty = Entry(key: 0, scope: 0, value: 0, extra: 0, expires: 0)

  init(entriesMax: Int) { self.entriesMax = entriesMax }

  subscript(index: Int) -> Entry {
    get { entries[index] }
    set { entries[index] = newValue }
  }

  /// The place of a live entry.
  func find(_ key: UInt64, _ scope: UInt64, at now: UInt64) -> Int? {
    guard !entries.isEmpty else { return nil }
    let i = place(key, scope)
    return entries[i].expires > now ? i : nil
  }

  /// Puts an entry in, in place of an older one of the same key.
  /// - Returns: false when the table is full of live ones.
  mutating func set(_ entry: Entry, at now: UInt64) -> Bool {
    if taken >= min(entries.count * 3 / 4, entriesMax), !makeRoom(now) { return false }
    let i = place(entry.key, entry.scope)
    if entries[i].expires == 0 { taken += 1 }
    entries[i] = entry
    return true
  }

  mutating func removeAll() {
    entries = []
    taken = 0
  }

  private func place(_ key: UInt64, _ scope: UInt64) -> Int {
    let mask = entries.count - 1
    var i = Int(truncatingIfNeeded: mixed(key ^ mixed(scope))) & mask
    while entries[i].expires != 0, entries[i].key != key || entries[i].scope != scope { i = (i + 1) & mask }
    return i
  }

  /// Lays the table out anew without what is over, with half of it free.
  private mutating func makeRoom(_ now: UInt64) -> Bool {
    let live = entries.filter { $0.expires > now }
    guard live.count < entriesMax else { return false }
    var size = 8
    while size < (live.count + 1) * 2 { size *= 2 }
    entries = [Entry](repeating: Self.empty, count: size)
    taken = live.count
    for entry in live { entries[place(entry.key, entry.scope)] = entry }
    return true
  }
}
