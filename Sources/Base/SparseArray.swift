// A few places for large records, most of which are empty most of the time.
//
// Places are numbered from the start, but memory is taken only for those that were ever filled. So the owner
// stays small and can be copied, and lives in a flat table; the memory is given back by hand (`release`),
// because plain data has nobody who would do it. Elements are read and changed where they are.

/// `capacity` optional elements in memory of their own. *Invariant:* of all copies one is the owner's; the
/// others are looked at for a moment.
@safe public struct SparseArray<let capacity: Int, Element: BitwiseCopyable>: BitwiseCopyable {
  /// One more than the position in memory; 0 for a place that was never filled.
  @usableFromInline var positions: InlineArray<capacity, UInt8>
  @usableFromInline var room: UInt8 = 0
  @usableFromInline var memory: UnsafeMutablePointer<Element?>

  public init() {
    positions = InlineArray(repeating: 0)
    memory = .allocate(capacity: 1)
    memory.initialize(to: nil)
  }

  /// Gives the memory back; nothing may be asked afterwards.
  public func release() { memory.deallocate() }

  /// Empties all places.
  public mutating func removeAll() {
    for i in 0..<Int(room) { memory[i + 1] = nil }
  }

  /// The element in a place. The first one that is set takes memory.
  @inlinable public subscript(index: Int) -> Element? {
    unsafeAddress {
      // Position 0 always holds nothing.
      UnsafePointer(memory + Int(positions[index]))
    }
    unsafeMutableAddress {
      if positions[index] == 0 { grow(for: index) }
      return memory + Int(positions[index])
    }
  }

  @usableFromInline mutating func grow(for index: Int) {
    let larger = UnsafeMutablePointer<Element?>.allocate(capacity: Int(room) + 2)
    larger.initialize(from: memory, count: Int(room) + 1)
    memory.deallocate()
    memory = larger
    room += 1
    positions[index] = room
    (memory + Int(room)).initialize(to: nil)
  }
}

extension SparseArray: @unchecked Sendable where Element: Sendable {}
