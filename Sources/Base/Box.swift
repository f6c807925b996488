// A value in memory of its own.
//
// An optional of a large struct without copies is moved out and in again by every call through `?.`; an
// optional box is one pointer, and the value stays where it is.

/// Owns one value, which is used in place.
@safe public struct Box<Value: ~Copyable>: ~Copyable {
  @usableFromInline let storage: UnsafeMutablePointer<Value>

  public init(_ value: consuming Value) {
    storage = .allocate(capacity: 1)
    storage.initialize(to: value)
  }

  deinit {
    storage.deinitialize(count: 1)
    storage.deallocate()
  }

  @inlinable public var value: Value {
    unsafeAddress { UnsafePointer(storage) }
    unsafeMutableAddress { storage }
  }
}
