// A list with a fixed capacity inside its owner: the lists of messages and of small machine states.
//
// No allocation and no reference count. Copied as a whole wherever it is copied, so keep it to a few hundred
// bytes. All of it can be seen by other modules (`@inlinable`, as in the other containers): generic code
// behind a module's wall looks its own type up at run time for each element.

/// At most `capacity` elements, stored inline.
public struct BoundedArray<let capacity: Int, Element: BitwiseCopyable>: BitwiseCopyable {
  @usableFromInline var storage: InlineArray<capacity, Element>
  /// How many of the places are taken; those behind hold zeros.
  @usableFromInline var length = 0

  @inlinable public init() { storage = Self.zeros }

  @inlinable public var count: Int { length }
  @inlinable public var isEmpty: Bool { length == 0 }
  @inlinable public var isFull: Bool { length == capacity }

  @inlinable public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < length)
      return storage[index]
    }
    set {
      precondition(index >= 0 && index < length)
      storage[index] = newValue
    }
  }

  /// Places without a value: plain memory, never read as elements.
  @inlinable static var zeros: InlineArray<capacity, Element> {
    withUnsafeTemporaryAllocation(of: InlineArray<capacity, Element>.self, capacity: 1) { memory in
      let raw = UnsafeMutableRawBufferPointer(memory)
      raw.initializeMemory(as: UInt8.self, repeating: 0)
      return raw.loadUnaligned(as: InlineArray<capacity, Element>.self)
    }
  }

  /// Appends `element`. A full list drops it.
  /// - Returns: whether it was taken.
  @discardableResult
  @inlinable public mutating func append(_ element: Element) -> Bool {
    guard length < capacity else { return false }
    storage[length] = element
    length += 1
    return true
  }

  /// Puts `element` before `index`. A full list lets go of its last one.
  @inlinable public mutating func insert(_ element: Element, at index: Int) {
    precondition(index >= 0 && index <= count)
    guard index < capacity else { return }
    if length < capacity { length += 1 }
    var i = length - 1
    while i > index {
      storage[i] = storage[i - 1]
      i -= 1
    }
    storage[index] = element
  }

  @discardableResult
  @inlinable public mutating func remove(at index: Int) -> Element {
    let element = self[index]
    for i in index..<(count - 1) { storage[i] = storage[i + 1] }
    length -= 1
    return element
  }

  @inlinable public mutating func removeAll() {
    length = 0
  }

  @inlinable public func firstIndex(where predicate: (Element) -> Bool) -> Int? {
    for i in 0..<count where predicate(self[i]) { return i }
    return nil
  }

  @inlinable public func contains(where predicate: (Element) -> Bool) -> Bool {
    firstIndex(where: predicate) != nil
  }
}

extension BoundedArray: Sendable where Element: Sendable {}

extension BoundedArray: Equatable where Element: Equatable {
  @inlinable public static func == (a: Self, b: Self) -> Bool {
    guard a.count == b.count else { return false }
    for i in 0..<a.count where a[i] != b[i] { return false }
    return true
  }
}
