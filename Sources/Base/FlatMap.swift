// A map with a fixed capacity and a fixed order: open addressing, linear probing, backward-shift deletion.
//
// The core uses no `Dictionary`: its order differs from process to process, and its elements are reference
// counted. Here the limit is a bound, a full map refuses, and the same history gives the same layout. The
// limit costs nothing: an empty map has no memory, and the tables double as they fill.

/// A key that brings its own hash, the same in every process.
public protocol FlatKey: Equatable, BitwiseCopyable {
  var flatHash: UInt64 { get }
}

/// Up to `limit` pairs in flat memory.
@safe public struct FlatMap<Key: FlatKey, Value: BitwiseCopyable>: ~Copyable {
  public let limit: Int
  /// One less than the places of the tables, which are a power of two or none.
  @usableFromInline var mask = -1
  @usableFromInline var keys: UnsafeMutablePointer<Key>
  @usableFromInline var values: UnsafeMutablePointer<Value>
  @usableFromInline var used: UnsafeMutablePointer<Bool>
  @usableFromInline var pairs = 0

  /// - Parameter limit: the most pairs it will hold; the tables are at most ¾ full.
  public init(limit: Int) {
    precondition(limit > 0)
    self.limit = limit
    keys = .allocate(capacity: 0)
    values = .allocate(capacity: 0)
    used = .allocate(capacity: 0)
  }

  deinit {
    keys.deallocate()
    values.deallocate()
    used.deallocate()
  }

  @inlinable public var count: Int { pairs }

  @inlinable public subscript(key: Key) -> Value? {
    guard pairs > 0 else { return nil }
    let i = slot(key)
    return used[i] ? values[i] : nil
  }

  /// Sets the value of `key`.
  /// - Returns: false, and nothing changes, when the map is full and has no such key.
  @inlinable @discardableResult
  public mutating func set(_ key: Key, _ value: Value) -> Bool {
    if pairs > 0 {
      let i = slot(key)
      if used[i] {
        values[i] = value
        return true
      }
    }
    guard pairs < limit else { return false }
    if (pairs + 1) * 4 > (mask + 1) * 3 { grow() }
    place(key, value)
    pairs += 1
    return true
  }

  @inlinable @discardableResult
  public mutating func remove(_ key: Key) -> Value? {
    guard pairs > 0 else { return nil }
    var hole = slot(key)
    guard used[hole] else { return nil }
    let value = values[hole]
    var i = hole
    while true {
      i = (i + 1) & mask
      guard used[i] else { break }
      let home = Int(truncatingIfNeeded: keys[i].flatHash) & mask
      if (i - home) & mask >= (i - hole) & mask {
        keys[hole] = keys[i]
        values[hole] = values[i]
        hole = i
      }
    }
    used[hole] = false
    pairs -= 1
    return value
  }

  /// Visits the pairs in the order of the table.
  @inlinable public func visit(_ body: (Key, Value) -> Void) {
    for i in 0..<(mask + 1) where used[i] { body(keys[i], values[i]) }
  }

  @usableFromInline mutating func grow() {
    let (oldKeys, oldValues, oldUsed, oldSize) = (keys, values, used, mask + 1)
    let size = Swift.max(8, 2 * oldSize)
    mask = size - 1
    keys = .allocate(capacity: size)
    values = .allocate(capacity: size)
    used = .allocate(capacity: size)
    used.initialize(repeating: false, count: size)
    for i in 0..<oldSize where oldUsed[i] { place(oldKeys[i], oldValues[i]) }
    oldKeys.deallocate()
    oldValues.deallocate()
    oldUsed.deallocate()
  }

  /// Writes a pair whose key is not in the tables.
  @inlinable func place(_ key: Key, _ value: Value) {
    let i = slot(key)
    used[i] = true
    keys[i] = key
    values[i] = value
  }

  @inlinable func slot(_ key: Key) -> Int {
    var i = Int(truncatingIfNeeded: key.flatHash) & mask
    while used[i], keys[i] != key { i = (i + 1) & mask }
    return i
  }
}

/// Spreads the bits of `x` (the finalizer of SplitMix64).
@inlinable public func mixed(_ x: UInt64) -> UInt64 {
  var z = x
  z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z &>> 31)
}

extension UInt32: FlatKey {
  @inlinable public var flatHash: UInt64 { mixed(UInt64(self)) }
}

extension IPAddress: FlatKey {
  @inlinable public var flatHash: UInt64 { mixed(high ^ mixed(low)) }
}

extension Endpoint: FlatKey {
  @inlinable public var flatHash: UInt64 { mixed(address.flatHash ^ UInt64(port)) }
}

extension OverlayID: FlatKey {
  @inlinable public var flatHash: UInt64 { mixed(high ^ middle ^ UInt64(low)) }
}
