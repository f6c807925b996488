// Bytes in a slot: the one currency of datagrams, packets and messages.
//
// A frame is a pointer and a count without ownership. It points into memory that its driver keeps for as long
// as it runs (the packet pool, a receive buffer), so it never dangles; each access checks the bounds. It
// costs no reference count, and that is why it exists.

/// A view of mutable bytes. *Invariant:* every access is checked against `count`.
@safe public struct Frame: @unchecked Sendable, BitwiseCopyable {
  /// For calls into C only; at least `count` bytes may be read and written there.
  public let base: UnsafeMutableRawPointer
  public let count: Int

  /// - Parameter base: at least `count` bytes that outlive every use of the frame.
  @_transparent @unsafe public init(base: UnsafeMutableRawPointer, count: Int) {
    precondition(count >= 0)
    self.base = base
    self.count = count
  }

  public var isEmpty: Bool { count == 0 }

  public subscript(offset: Int) -> UInt8 {
    @_transparent get {
      precondition(offset >= 0 && offset < count)
      return base.load(fromByteOffset: offset, as: UInt8.self)
    }
    @_transparent nonmutating set {
      precondition(offset >= 0 && offset < count)
      base.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self)
    }
  }

  /// An integer in network byte order at `offset`.
  @_transparent public func big<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
    precondition(offset >= 0 && offset &+ MemoryLayout<T>.size <= count)
    return T(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  @_transparent public func setBig<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ value: T) {
    precondition(offset >= 0 && offset &+ MemoryLayout<T>.size <= count)
    base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
  }

  /// An integer in little-endian byte order at `offset`.
  @_transparent public func little<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type)
    -> T
  {
    precondition(offset >= 0 && offset &+ MemoryLayout<T>.size <= count)
    return T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  @_transparent public func setLittle<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ value: T) {
    precondition(offset >= 0 && offset &+ MemoryLayout<T>.size <= count)
    base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
  }

  /// The bytes from `offset` on, `length` of them.
  @_transparent public func slice(_ offset: Int, _ length: Int) -> Frame {
    precondition(offset >= 0 && length >= 0 && offset &+ length <= count)
    return Frame(base: base + offset, count: length)
  }

  /// The bytes from `offset` to the end.
  @_transparent public func dropping(_ offset: Int) -> Frame { slice(offset, count &- offset) }

  /// The first `length` bytes.
  @_transparent public func prefix(_ length: Int) -> Frame { slice(0, length) }

  /// Copies all of `source` to the beginning of this frame; the two may overlap.
  @_transparent public func copy(_ source: Frame) {
    precondition(source.count <= count)
    base.copyMemory(from: source.base, byteCount: source.count)
  }

  /// Sets every byte to zero.
  @_transparent public func clear() {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: count)
  }

  /// A copy of the bytes; allocates, so for tests and cold paths.
  public var bytes: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: base, count: count)) }

  /// Writes `bytes` to the beginning. *Precondition:* they fit.
  public func write(_ bytes: [UInt8]) {
    precondition(bytes.count <= count)
    bytes.withUnsafeBytes {
      if let from = $0.baseAddress { base.copyMemory(from: from, byteCount: bytes.count) }
    }
  }
}

/// Memory of its own behind a frame, freed with it: scratch space of a machine.
@safe public struct Scratch: ~Copyable {
  public let frame: Frame

  public init(capacity: Int) {
    let base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
    frame = Frame(base: base, count: capacity)
  }

  deinit { frame.base.deallocate() }
}
