// A map with a fixed capacity and a fixed order: open addressing, linear probing, backward-shift deletion.
//
// The core uses no `Dictionary`: its order differs from process to process, its growth allocates, its
// elements are reference counted. Here the capacity is a bound, a full map refuses, and the same history
// gives the same layout.

/// A key that brings its own hash, the same in every process.
public protocol FlatKey: Equatable, BitwiseCopyable {
  var flatHash: UInt64 { get }
}

/// Up to `limit` pairs in flat memory.
@safe public struct FlatMap<Key: FlatKey, Value: BitwiseCopyable>: ~Copyable {
  public let limit: Int
  public private(set) var count = 0
  private let mask: Int
  private let keys: UnsafeMutablePointer<Key>
  private let values: UnsafeMutablePointer<Value>
  private let used: UnsafeMutablePointer<Bool>

  /// - Parameter limit: the most pairs it will hold; the tables are at most ¾ full.
  public init(limit: Int) {
    precondition(limit > 0)
    self.limit = limit
    var size = 8
    while size * 3 / 4 < limit { size *= 2 }
    mask = size - 1
    keys = .allocate(capacity: size)
    values = .allocate(capacity: size)
    used = .allocate(capacity: size)
    used.initialize(repeating: false, count: size)
  }

  deinit {
    keys.deallocate()
    values.deallocate()
    used.deallocate()
  }

  public subscript(key: Key) -> Value? {
    let i = slot(key)
    return used[i] ? values[i] : nil
  }

  /// Sets the value of `key`.
  /// - Returns: false, and nothing changes, when the map is full and has no such key.
  @discardableResult
  public mutating func set(_ key: Key, _ value: Value) -> Bool {
    let i = slot(key)
    if !used[i] {
      guard count < limit else { return false }
      used[i] = true
      keys[i] = key
      count += 1
    }
    values[i] = value
    return true
  }

  @discardableResult
  public mutating func remove(_ key: Key) -> Value? {
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
    count -= 1
    return value
  }

  /// Visits the pairs in the order of the table.
  public func visit(_ body: (Key, Value) -> Void) {
    for i in 0...mask where used[i] { body(keys[i], values[i]) }
  }

  private func slot(_ key: Key) -> Int {
    var i = Int(truncatingIfNeeded: key.flatHash) & mask
    while used[i], keys[i] != key { i = (i + 1) & mask }
    return i
  }
}

/// Spreads the bits of `x` (the finalizer of SplitMix64).
public func mixed(_ x: UInt64) -> UInt64 {
  var z = x
  z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z &>> 31)
}

extension UInt32: FlatKey {
  public var flatHash: UInt64 { mixed(UInt64(self)) }
}

extension IPAddress: FlatKey {
  public var flatHash: UInt64 { mixed(high ^ mixed(low)) }
}

extension Endpoint: FlatKey {
  public var flatHash: UInt64 { mixed(address.flatHash ^ UInt64(port)) }
}

extension OverlayID: FlatKey {
  public var flatHash: UInt64 { mixed(high ^ middle ^ UInt64(low)) }
}
