// A list with a fixed capacity inside its owner: the lists of messages and of small machine states.
//
// No allocation and no reference count. Copied as a whole wherever it is copied, so keep it to a few hundred
// bytes. All of it can be seen by other modules (`@inlinable`, as in the other containers): generic code
// behind a module's wall looks its own type up at run time for each element.

/// At most `capacity` elements, stored inline.
public struct BoundedArray<let capacity: Int, Element: BitwiseCopyable>: BitwiseCopyable {
  @usableFromInline var storage: InlineArray<capacity, Element?>
  @usableFromInline var used = 0

  @inlinable public init() { storage = InlineArray(repeating: nil) }

  @inlinable public var count: Int { used }
  @inlinable public var isEmpty: Bool { count == 0 }
  @inlinable public var isFull: Bool { count == capacity }

  @inlinable public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count)
      return storage[index]!
    }
    set {
      precondition(index >= 0 && index < count)
      storage[index] = newValue
    }
  }

  /// Appends `element`. A full list drops it.
  /// - Returns: whether it was taken.
  @inlinable @discardableResult
  public mutating func append(_ element: Element) -> Bool {
    guard count < capacity else { return false }
    storage[count] = element
    used += 1
    return true
  }

  /// Puts `element` before `index`. A full list lets go of its last one.
  @inlinable public mutating func insert(_ element: Element, at index: Int) {
    precondition(index >= 0 && index <= count)
    guard index < capacity else { return }
    if count < capacity { used += 1 }
    var i = count - 1
    while i > index {
      storage[i] = storage[i - 1]
      i -= 1
    }
    storage[index] = element
  }

  @inlinable @discardableResult
  public mutating func remove(at index: Int) -> Element {
    let element = self[index]
    for i in index..<(count - 1) { storage[i] = storage[i + 1] }
    used -= 1
    storage[count] = nil
    return element
  }

  @inlinable public mutating func removeAll() {
    while count > 0 {
      used -= 1
      storage[count] = nil
    }
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
