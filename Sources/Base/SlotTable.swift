// A table of records in flat memory, addressed by small numbers.
//
// Elements are read and changed in place through their address: no copy of a large element for one of its
// fields, no uniqueness check, no allocation after the start. A slot's serial number changes with each
// tenant, so that a stale reference is noticed.

/// Up to `capacity` elements in slots `0 ..< capacity`.
@safe public struct SlotTable<Element: BitwiseCopyable>: ~Copyable {
  public let capacity: Int
  public private(set) var count = 0
  /// No slot at or beyond this number was ever used.
  public private(set) var highWater = 0
  private let elements: UnsafeMutablePointer<Element>
  /// Odd while the slot is used.
  private let serials: UnsafeMutablePointer<UInt32>

  public init(capacity: Int) {
    self.capacity = capacity
    elements = .allocate(capacity: capacity)
    serials = .allocate(capacity: capacity)
    serials.initialize(repeating: 0, count: capacity)
  }

  deinit {
    elements.deallocate()
    serials.deallocate()
  }

  public var isEmpty: Bool { count == 0 }

  public func isUsed(_ slot: Int) -> Bool { slot >= 0 && slot < highWater && serials[slot] & 1 == 1 }

  /// The serial number of the slot's tenant.
  public func serial(_ slot: Int) -> UInt32 { serials[slot] }

  /// *Precondition:* the slot is used.
  public subscript(slot: Int) -> Element {
    unsafeAddress {
      precondition(isUsed(slot))
      return UnsafePointer(elements + slot)
    }
    unsafeMutableAddress {
      precondition(isUsed(slot))
      return elements + slot
    }
  }

  /// Puts `element` into the lowest free slot; nil when none is left.
  public mutating func insert(_ element: Element) -> Int? {
    guard count < capacity else { return nil }
    var slot = 0
    if count == highWater {
      slot = highWater
      highWater += 1
    } else {
      while serials[slot] & 1 == 1 { slot += 1 }
    }
    (elements + slot).initialize(to: element)
    serials[slot] &+= 1
    count += 1
    return slot
  }

  public mutating func remove(_ slot: Int) {
    precondition(isUsed(slot))
    serials[slot] &+= 1
    count -= 1
  }
}
