// A table of large records, addressed by small numbers as in a `SlotTable`, each in memory of its own.
//
// Of a table that was fuller once, many slots in the middle may be empty: what is large takes no memory
// there, and never moves. A record begins at a cache line, so its owner decides with the order of its fields
// what is read together. Insertion allocates and removal frees, so this is not for what comes and goes with
// packets.

/// Up to `capacity` records in slots `0 ..< capacity`.
@safe public struct RecordTable<Element: BitwiseCopyable>: Tenanted, ~Copyable {
  public let capacity: Int
  @usableFromInline var used = 0
  @usableFromInline var top = 0
  /// For how many slots there are places and serial numbers.
  @usableFromInline var room = 0
  @usableFromInline var places: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>
  /// Odd while the slot is used.
  @usableFromInline var serials: UnsafeMutablePointer<UInt32>

  public init(capacity: Int) {
    self.capacity = capacity
    places = .allocate(capacity: 0)
    serials = .allocate(capacity: 0)
  }

  deinit {
    for slot in 0..<top { places[slot]?.deallocate() }
    places.deallocate()
    serials.deallocate()
  }

  @inlinable public var count: Int { used }
  /// No slot at or beyond this number is used.
  @inlinable public var highWater: Int { top }
  @inlinable public var isEmpty: Bool { used == 0 }

  @inlinable public func isUsed(_ slot: Int) -> Bool { slot >= 0 && slot < top && places[slot] != nil }

  /// The serial number of the slot's tenant; 0 when it never had one.
  @inlinable public func serial(_ slot: Int) -> UInt32 { slot >= 0 && slot < room ? serials[slot] : 0 }

  /// *Precondition:* the slot is used.
  @inlinable public subscript(slot: Int) -> Element {
    unsafeAddress { UnsafePointer(record(slot)) }
    unsafeMutableAddress { record(slot) }
  }

  @inlinable func record(_ slot: Int) -> UnsafeMutablePointer<Element> {
    guard slot >= 0, slot < top, let record = places[slot] else { preconditionFailure("an empty slot") }
    return record
  }

  /// Begins to fetch the record of a slot.
  public func foresee(_ slot: Int) {
    guard isUsed(slot), let record = places[slot] else { return }
    for line in 0..<Swift.min(6, MemoryLayout<Element>.size / 64) {
      prefetch(UnsafeRawPointer(record) + 64 * line)
    }
  }

  /// Puts `element` into the lowest free slot; nil when none is left.
  public mutating func insert(_ element: Element) -> Int? {
    guard used < capacity else { return nil }
    var slot = top
    if used < top {
      slot = 0
      while places[slot] != nil { slot += 1 }
    } else {
      if slot == room { grow() }
      top += 1
    }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<Element>.size, alignment: 64)
    places[slot] = memory.initializeMemory(as: Element.self, to: element)
    serials[slot] &+= 1
    used += 1
    return slot
  }

  public mutating func remove(_ slot: Int) {
    record(slot).deallocate()
    places[slot] = nil
    serials[slot] &+= 1
    used -= 1
    while top > 0, places[top - 1] == nil { top -= 1 }
  }

  private mutating func grow() {
    let larger = Swift.min(capacity, Swift.max(8, room + room / 2))
    places = moved(places, count: room, to: larger)
    serials = moved(serials, count: room, to: larger)
    (places + room).initialize(repeating: nil, count: larger - room)
    (serials + room).initialize(repeating: 0, count: larger - room)
    room = larger
  }
}
