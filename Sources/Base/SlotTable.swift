// A table of records in flat memory, addressed by small numbers.
//
// Elements are read and changed in place through their address: no copy of a large element for one of its
// fields, no uniqueness check. A slot's serial number changes with each tenant, so that a stale reference is
// noticed. The capacity is a bound and costs nothing: the memory grows with the most slots that were ever
// used at a time, by half of itself, because elements may be large and nodes many. Insertion alone allocates,
// and moves elements.

/// A table whose slots have one tenant after the other.
public protocol Tenanted: ~Copyable {
  func isUsed(_ slot: Int) -> Bool
  /// The serial number of the slot's tenant.
  func serial(_ slot: Int) -> UInt32
}

/// Up to `capacity` elements in slots `0 ..< capacity`.
@safe public struct SlotTable<Element: BitwiseCopyable>: Tenanted, ~Copyable {
  public let capacity: Int
  @usableFromInline var used = 0
  @usableFromInline var top = 0
  /// For how many slots there is memory.
  @usableFromInline var room = 0
  @usableFromInline var elements: UnsafeMutablePointer<Element>
  /// Odd while the slot is used.
  @usableFromInline var serials: UnsafeMutablePointer<UInt32>

  public init(capacity: Int) {
    self.capacity = capacity
    elements = .allocate(capacity: 0)
    serials = .allocate(capacity: 0)
  }

  deinit {
    elements.deallocate()
    serials.deallocate()
  }

  @inlinable public var count: Int { used }
  /// No slot at or beyond this number was ever used.
  @inlinable public var highWater: Int { top }
  @inlinable public var isEmpty: Bool { used == 0 }

  @inlinable public func isUsed(_ slot: Int) -> Bool { slot >= 0 && slot < top && serials[slot] & 1 == 1 }

  /// The serial number of the slot's tenant; 0 when it never had one.
  @inlinable public func serial(_ slot: Int) -> UInt32 { slot >= 0 && slot < top ? serials[slot] : 0 }

  /// *Precondition:* the slot is used.
  @inlinable public subscript(slot: Int) -> Element {
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
  @inlinable public mutating func insert(_ element: Element) -> Int? {
    guard used < capacity else { return nil }
    var slot = 0
    if used == top {
      slot = top
      if slot == room { grow() }
      serials[slot] = 0
      top += 1
    } else {
      while serials[slot] & 1 == 1 { slot += 1 }
    }
    (elements + slot).initialize(to: element)
    serials[slot] &+= 1
    used += 1
    return slot
  }

  @inlinable public mutating func remove(_ slot: Int) {
    precondition(isUsed(slot))
    serials[slot] &+= 1
    used -= 1
  }

  @usableFromInline mutating func grow() {
    let larger = Swift.min(capacity, room + Swift.max(4, room / 2))
    elements = moved(elements, count: room, to: larger)
    serials = moved(serials, count: room, to: larger)
    room = larger
  }
}

/// Memory for `capacity` elements that begins with the first `count` of `elements`, which is freed.
@usableFromInline func moved<Element: BitwiseCopyable>(
  _ elements: UnsafeMutablePointer<Element>, count: Int, to capacity: Int
) -> UnsafeMutablePointer<Element> {
  let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
  larger.moveInitialize(from: elements, count: count)
  elements.deallocate()
  return larger
}
