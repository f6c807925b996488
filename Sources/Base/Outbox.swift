// What a machine wants done, in order.

/// A queue with a bound that the driver drains after every input. A full one drops and counts. The memory
/// grows to the most that ever stood in it.
@safe public struct Outbox<Effect: BitwiseCopyable>: ~Copyable {
  public let capacity: Int
  public private(set) var count = 0
  public private(set) var dropped: UInt64 = 0
  private var room = 0
  private var storage: UnsafeMutablePointer<Effect>

  public init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
    storage = .allocate(capacity: 0)
  }

  deinit { storage.deallocate() }

  /// - Returns: false when the outbox was full and the effect was dropped.
  @discardableResult
  public mutating func append(_ effect: Effect) -> Bool {
    guard count < capacity else {
      dropped &+= 1
      return false
    }
    if count == room {
      let larger = Swift.min(capacity, Swift.max(4, 2 * room))
      storage = moved(storage, count: room, to: larger)
      room = larger
    }
    (storage + count).initialize(to: effect)
    count += 1
    return true
  }

  /// Hands out all effects in order, also those that `body` causes to be appended, and empties the outbox.
  public mutating func drain(_ body: (Effect) -> Void) {
    var i = 0
    while i < count {
      body(storage[i])
      i += 1
    }
    count = 0
  }

  public subscript(index: Int) -> Effect {
    precondition(index >= 0 && index < count)
    return storage[index]
  }

  public mutating func removeAll() { count = 0 }
}
