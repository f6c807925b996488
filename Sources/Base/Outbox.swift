// What a machine wants done, in order.

/// A queue with a bound that the driver drains after every input. A full one drops and counts. The memory
/// grows to the most that ever stood in it.
@safe public struct Outbox<Effect: BitwiseCopyable>: ~Copyable {
  public let capacity: Int
  @usableFromInline var used = 0
  @usableFromInline var refused: UInt64 = 0
  @usableFromInline var room = 0
  @usableFromInline var storage: UnsafeMutablePointer<Effect>

  public init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
    storage = .allocate(capacity: 0)
  }

  @inlinable public var count: Int { used }
  /// How many effects found no room.
  @inlinable public var dropped: UInt64 { refused }

  deinit { storage.deallocate() }

  /// - Parameter reserve: places beyond the capacity that this effect may take, because its loss could not be
  ///   made good.
  /// - Returns: false when the outbox was full and the effect was dropped.
  @inlinable @discardableResult
  public mutating func append(_ effect: Effect, reserve: Int = 0) -> Bool {
    guard used < capacity + reserve else {
      refused &+= 1
      return false
    }
    if used == room { grow(upTo: capacity + reserve) }
    (storage + used).initialize(to: effect)
    used += 1
    return true
  }

  /// Hands out all effects in order, also those that `body` causes to be appended, and empties the outbox.
  @inlinable public mutating func drain(_ body: (Effect) -> Void) {
    var i = 0
    while i < used {
      body(storage[i])
      i += 1
    }
    used = 0
  }

  @inlinable public subscript(index: Int) -> Effect {
    precondition(index >= 0 && index < used)
    return storage[index]
  }

  @inlinable public mutating func removeAll() { used = 0 }

  @usableFromInline mutating func grow(upTo limit: Int) {
    let larger = Swift.min(limit, Swift.max(4, 2 * room))
    storage = moved(storage, count: room, to: larger)
    room = larger
  }
}
