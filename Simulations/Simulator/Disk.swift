// The store of a simulated node: what is committed outlives its process, what is not is lost with it.
//
// Pairs lie packed and sorted by (table, key) in one array: a node keeps some tens of them, and a hundred
// thousand nodes shall fit into memory. A store is bounded in bytes and refuses what does not fit, as a full
// disk does.

import Base

/// Pairs of keys and values in named tables, and writes that are not committed yet.
struct Disk {
  struct Write {
    let table: StoreTable
    let ticket: UInt32
    let key: [UInt8]
    /// Nothing deletes the key.
    let value: [UInt8]
  }

  private let bytesMax: Int
  /// For each pair: one byte table, one byte key length, two bytes value length, key, value.
  private var packed: [UInt8] = []
  private var pending: [Write] = []
  private(set) var refused: UInt64 = 0

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  /// What it takes in memory.
  var bytes: Int { packed.capacity + pending.capacity * MemoryLayout<Write>.stride }

  /// Plans a write; `commit` carries out the oldest one.
  mutating func plan(_ write: Write) { pending.append(write) }

  /// Writes the oldest planned pair.
  /// - Returns: what was written; nil when nothing was planned.
  mutating func commit() -> Write? {
    guard !pending.isEmpty else { return nil }
    let write = pending.removeFirst()
    set(write)
    return write
  }

  /// The process is gone: so is what was not committed.
  mutating func crash() { pending.removeAll() }

  /// The value of a key, as its process sees it: planned writes count.
  func value(_ table: StoreTable, _ key: [UInt8]) -> [UInt8]? {
    for write in pending.reversed() where write.table == table && write.key == key {
      return write.value.isEmpty ? nil : write.value
    }
    guard let (at, length) = find(table, key), length > 0 else { return nil }
    return Array(packed[(at + 4 + key.count)..<(at + length)])
  }

  /// Whether a table has no committed pair.
  func isEmpty(_ table: StoreTable) -> Bool {
    var isEmpty = true
    visit(table) { _, _ in isEmpty = false }
    return isEmpty
  }

  /// Visits the committed pairs of a table in the order of their keys.
  func visit(_ table: StoreTable, _ body: ([UInt8], [UInt8]) -> Void) {
    var at = 0
    while at < packed.count {
      let (key, end) = bounds(at)
      if packed[at] == table.rawValue { body(Array(packed[(at + 4)..<key]), Array(packed[key..<end])) }
      at = end
    }
  }

  private mutating func set(_ write: Write) {
    guard let (at, length) = find(write.table, write.key) else { return }
    var pair: [UInt8] = []
    if !write.value.isEmpty {
      pair = [write.table.rawValue, UInt8(write.key.count)]
      pair += [UInt8(write.value.count >> 8), UInt8(write.value.count & 255)]
      pair += write.key + write.value
    }
    guard packed.count - length + pair.count <= bytesMax else {
      refused &+= 1
      return
    }
    // No more than that: there are many stores.
    packed.reserveCapacity(packed.count - length + pair.count)
    packed.replaceSubrange(at..<(at + length), with: pair)
  }

  /// Where a pair begins, and its length; where it would begin and 0 when there is none. Nil for keys and
  /// tables that cannot be.
  private func find(_ table: StoreTable, _ key: [UInt8]) -> (at: Int, length: Int)? {
    guard key.count <= 255 else { return nil }
    var at = 0
    while at < packed.count {
      let (keyEnd, end) = bounds(at)
      if packed[at] > table.rawValue { return (at, 0) }
      if packed[at] == table.rawValue {
        if packed[(at + 4)..<keyEnd].elementsEqual(key) { return (at, end - at) }
        if key.lexicographicallyPrecedes(packed[(at + 4)..<keyEnd]) { return (at, 0) }
      }
      at = end
    }
    return (at, 0)
  }

  private func bounds(_ at: Int) -> (keyEnd: Int, end: Int) {
    let key = at + 4 + Int(packed[at + 1])
    return (key, key + Int(packed[at + 2]) << 8 + Int(packed[at + 3]))
  }
}
