// The arena of datagrams and packets.
//
// A fixed number of equal slots, handed out by index from a free list: no allocation and no reference count
// per packet, and the size of the pool bounds what all queues together can hold. Every slot keeps headroom in
// front of its bytes, so that a header is put before a packet without moving it.

/// Owned bytes in a pool: 8 bytes, no reference count. Exactly one holder at a time.
public struct PacketRef: Sendable, BitwiseCopyable, Equatable {
  public var slot: UInt32
  /// Where the bytes begin in the slot.
  public var offset: UInt16
  public var length: UInt16

  public init(slot: UInt32, offset: UInt16, length: UInt16) {
    self.slot = slot
    self.offset = offset
    self.length = length
  }
}

/// A fixed set of slots of `PacketPool.slotBytes` each.
@safe public struct PacketPool: ~Copyable {
  /// Bytes in a slot: the largest datagram on a 1,500-byte underlay, and all headers around it.
  public static let slotBytes = 2_048
  /// Bytes left free before a packet: three record headers and two routed headers at their largest (216
  /// bytes).
  public static let headroom = 256
  /// The largest datagram or packet a slot takes behind its headroom, with 64 bytes left for tags.
  public static let payloadMax = slotBytes - headroom - 64

  public let capacity: Int
  private let arena: UnsafeMutableRawPointer
  private let free: UnsafeMutablePointer<UInt32>
  private let isTaken: UnsafeMutablePointer<Bool>
  private var freeCount: Int
  /// How often no slot was left.
  public private(set) var exhausted: UInt64 = 0

  /// - Parameter capacity: slots; the memory is touched, and so paid for, as slots come into use.
  public init(capacity: Int) {
    precondition(capacity > 0 && capacity <= Int(UInt32.max))
    self.capacity = capacity
    arena = .allocate(byteCount: capacity * Self.slotBytes, alignment: 64)
    free = .allocate(capacity: capacity)
    for i in 0..<capacity { free[i] = UInt32(capacity - 1 - i) }
    isTaken = .allocate(capacity: capacity)
    isTaken.initialize(repeating: false, count: capacity)
    freeCount = capacity
  }

  deinit {
    arena.deallocate()
    free.deallocate()
    isTaken.deallocate()
  }

  public var available: Int { freeCount }

  /// A slot of undefined bytes, `length` of them behind the headroom; nil (and counted) when all are in use.
  public mutating func take(length: Int) -> PacketRef? {
    precondition(length >= 0 && length <= Self.slotBytes - Self.headroom)
    guard freeCount > 0 else {
      exhausted &+= 1
      return nil
    }
    freeCount -= 1
    isTaken[Int(free[freeCount])] = true
    return PacketRef(slot: free[freeCount], offset: UInt16(Self.headroom), length: UInt16(length))
  }

  /// Gives the slot back. *Precondition:* it is not given back twice.
  public mutating func release(_ ref: PacketRef) {
    precondition(Int(ref.slot) < capacity && isTaken[Int(ref.slot)], "slot released twice")
    isTaken[Int(ref.slot)] = false
    free[freeCount] = ref.slot
    freeCount += 1
  }

  /// The bytes of `ref`.
  public func frame(_ ref: PacketRef) -> Frame {
    precondition(Int(ref.slot) < capacity && Int(ref.offset) + Int(ref.length) <= Self.slotBytes)
    return Frame(base: arena + Int(ref.slot) * Self.slotBytes + Int(ref.offset), count: Int(ref.length))
  }

  /// The bytes of `ref` and all the room behind them in the slot.
  public func room(_ ref: PacketRef) -> Frame {
    precondition(Int(ref.slot) < capacity && Int(ref.offset) <= Self.slotBytes)
    return Frame(
      base: arena + Int(ref.slot) * Self.slotBytes + Int(ref.offset), count: Self.slotBytes - Int(ref.offset))
  }

  /// A slot with a copy of `bytes`; nil when they are too many or no slot is left.
  public mutating func take(copying bytes: Frame) -> PacketRef? {
    guard bytes.count <= Self.slotBytes - Self.headroom, let ref = take(length: bytes.count) else {
      return nil
    }
    frame(ref).copy(bytes)
    return ref
  }
}
