// A map with a fixed capacity and a fixed order: open addressing, linear probing, backward-shift deletion.
//
// The core uses no `Dictionary`: its order differs from process to process, and its elements are reference
// counted. Here the limit is a bound, a full map refuses, and the same history gives the same layout. The
// limit costs nothing: an empty map has no memory, and the table doubles as it fills.

/// A key that brings its own hash, the same in every process.
public protocol FlatKey: Equatable, BitwiseCopyable {
  var flatHash: UInt64 { get }
}

/// Up to `limit` pairs in flat memory.
@safe public struct FlatMap<Key: FlatKey, Value: BitwiseCopyable>: ~Copyable {
  public let limit: Int
  /// One less than the places of the table, which are a power of two or none.
  @usableFromInline var mask = -1
  @usableFromInline var places: UnsafeMutablePointer<Place>
  @usableFromInline var pairs = 0

  /// A place of the table: what is compared and what is found lie beside each other.
  @usableFromInline struct Place: BitwiseCopyable {
    @usableFromInline let key: Key
    @usableFromInline var value: Value
    @usableFromInline let isUsed: Bool

    @inlinable init(_ key: Key, _ value: Value) {
      self.key = key
      self.value = value
      isUsed = true
    }
  }

  /// - Parameter limit: the most pairs it will hold; the table is at most ¾ full.
  public init(limit: Int) {
    precondition(limit > 0)
    self.limit = limit
    places = .allocate(capacity: 0)
  }

  deinit { places.deallocate() }

  @inlinable public var count: Int { pairs }

  @inlinable public subscript(key: Key) -> Value? {
    guard pairs > 0 else { return nil }
    let i = slot(key)
    return isUsed(i) ? places[i].value : nil
  }

  /// Sets the value of `key`.
  /// - Returns: false, and nothing changes, when the map is full and has no such key.
  @inlinable @discardableResult
  public mutating func set(_ key: Key, _ value: Value) -> Bool {
    if pairs > 0 {
      let i = slot(key)
      if isUsed(i) {
        places[i].value = value
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
    guard isUsed(hole) else { return nil }
    let value = places[hole].value
    var i = hole
    while true {
      i = (i + 1) & mask
      guard isUsed(i) else { break }
      let home = Int(truncatingIfNeeded: places[i].key.flatHash) & mask
      if (i - home) & mask >= (i - hole) & mask {
        places[hole] = places[i]
        hole = i
      }
    }
    empty(hole)
    pairs -= 1
    return value
  }

  /// Visits the pairs in the order of the table.
  @inlinable public func visit(_ body: (Key, Value) -> Void) {
    for i in 0..<(mask + 1) where isUsed(i) { body(places[i].key, places[i].value) }
  }

  @usableFromInline mutating func grow() {
    let (old, oldSize) = (places, mask + 1)
    let size = Swift.max(8, 2 * oldSize)
    mask = size - 1
    places = .allocate(capacity: size)
    for i in 0..<size { empty(i) }
    for i in 0..<oldSize where Self.isUsed(old + i) { place(old[i].key, old[i].value) }
    old.deallocate()
  }

  /// Writes a pair whose key is not in the table.
  @inlinable func place(_ key: Key, _ value: Value) {
    (places + slot(key)).initialize(to: Place(key, value))
  }

  @inlinable func slot(_ key: Key) -> Int {
    var i = Int(truncatingIfNeeded: key.flatHash) & mask
    while isUsed(i), places[i].key != key { i = (i + 1) & mask }
    return i
  }

  @inlinable func isUsed(_ i: Int) -> Bool { Self.isUsed(places + i) }

  // An empty place holds no key and no value, only the flag: it is read and written as the byte it is.
  @inlinable static func isUsed(_ place: UnsafeMutablePointer<Place>) -> Bool {
    UnsafeRawPointer(place).load(fromByteOffset: flagOffset, as: UInt8.self) & 1 == 1
  }

  @inlinable func empty(_ i: Int) {
    UnsafeMutableRawPointer(places + i).storeBytes(of: 0, toByteOffset: Self.flagOffset, as: UInt8.self)
  }

  @inlinable static var flagOffset: Int { MemoryLayout<Place>.size - 1 }
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
