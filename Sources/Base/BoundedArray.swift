// A list with a fixed capacity inside its owner: the lists of messages and of small machine states.
//
// No allocation and no reference count. Copied as a whole wherever it is copied, so keep it to a few hundred
// bytes.

/// At most `capacity` elements, stored inline.
public struct BoundedArray<let capacity: Int, Element: BitwiseCopyable>: BitwiseCopyable {
  private var storage: InlineArray<capacity, Element?>
  public private(set) var count = 0

  public init() { storage = InlineArray(repeating: nil) }

  public var isEmpty: Bool { count == 0 }
  public var isFull: Bool { count == capacity }

  public subscript(index: Int) -> Element {
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
  @discardableResult
  public mutating func append(_ element: Element) -> Bool {
    guard count < capacity else { return false }
    storage[count] = element
    count += 1
    return true
  }

  /// Puts `element` before `index`. A full list lets go of its last one.
  public mutating func insert(_ element: Element, at index: Int) {
    precondition(index >= 0 && index <= count)
    guard index < capacity else { return }
    if count < capacity { count += 1 }
    var i = count - 1
    while i > index {
      storage[i] = storage[i - 1]
      i -= 1
    }
    storage[index] = element
  }

  @discardableResult
  public mutating func remove(at index: Int) -> Element {
    let element = self[index]
    for i in index..<(count - 1) { storage[i] = storage[i + 1] }
    count -= 1
    storage[count] = nil
    return element
  }

  public mutating func removeAll() {
    while count > 0 {
      count -= 1
      storage[count] = nil
    }
  }

  public func firstIndex(where predicate: (Element) -> Bool) -> Int? {
    for i in 0..<count where predicate(self[i]) { return i }
    return nil
  }

  public func contains(where predicate: (Element) -> Bool) -> Bool { firstIndex(where: predicate) != nil }
}

extension BoundedArray: Sendable where Element: Sendable {}

extension BoundedArray: Equatable where Element: Equatable {
  public static func == (a: Self, b: Self) -> Bool {
    guard a.count == b.count else { return false }
    for i in 0..<a.count where a[i] != b[i] { return false }
    return true
  }
}
