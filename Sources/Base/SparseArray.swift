// A few places for large records, most of which are empty most of the time.
//
// Places are numbered from the start, but memory is taken only for those that were ever filled. So the owner
// stays small and can be copied, and lives in a flat table; the memory is given back by hand (`release`),
// because plain data has nobody who would do it. Elements are read and changed where they are; where none
// ever was, one empty place is read that all arrays of a kind have in common.

/// An element that may be missing from a `SparseArray`.
public protocol SparseElement: BitwiseCopyable {
  /// One for all: what is found in a place that was never filled.
  static var nothing: EmptyPlace<Self> { get }
}

/// Memory in which there is nothing, for good.
@safe public struct EmptyPlace<Element: BitwiseCopyable>: @unchecked Sendable {
  @usableFromInline let memory: UnsafeMutablePointer<Element?>

  public init() {
    memory = .allocate(capacity: 1)
    memory.initialize(to: nil)
  }
}

/// `capacity` optional elements in memory of their own. *Invariant:* of all copies one is the owner's; the
/// others are looked at for a moment.
@safe public struct SparseArray<let capacity: Int, Element: SparseElement>: BitwiseCopyable {
  /// One more than the position in memory; 0 for a place that was never filled.
  @usableFromInline var positions: InlineArray<capacity, UInt8>
  @usableFromInline var room: UInt8 = 0
  @usableFromInline var memory: UnsafeMutablePointer<Element?>?

  public init() { positions = InlineArray(repeating: 0) }

  /// Gives the memory back; nothing may be asked afterwards.
  public func release() { memory?.deallocate() }

  /// Empties all places.
  public mutating func removeAll() {
    guard let memory else { return }
    for i in 0..<Int(room) { memory[i] = nil }
  }

  /// The element in a place. The first one that is set takes memory.
  @inlinable public subscript(index: Int) -> Element? {
    unsafeAddress {
      let position = Int(positions[index])
      guard position > 0, let memory else { return UnsafePointer(Element.nothing.memory) }
      return UnsafePointer(memory + (position - 1))
    }
    unsafeMutableAddress {
      if positions[index] == 0 { grow(for: index) }
      return memory.unsafelyUnwrapped + (Int(positions[index]) - 1)
    }
  }

  @usableFromInline mutating func grow(for index: Int) {
    let count = Int(room)
    let larger = UnsafeMutablePointer<Element?>.allocate(capacity: count + 1)
    if let memory {
      larger.initialize(from: memory, count: count)
      memory.deallocate()
    }
    (larger + count).initialize(to: nil)
    memory = larger
    room += 1
    positions[index] = room
  }
}

extension SparseArray: @unchecked Sendable where Element: Sendable {}
