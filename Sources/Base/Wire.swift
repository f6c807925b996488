// Reading and writing of control messages: fixed layouts, network byte order, bounds checked, nothing
// allocated.
//
// A reader never reads past its frame, and a message is accepted only when all of it was read (`finish`), so
// that each message has one encoding. What a remote sends is rejected with a reason and an offset, never
// asserted.

/// Why bytes are not a message.
public enum WireError: Error, Equatable, Sendable {
  /// The message ends before `offset` + what was to be read there.
  case truncated(offset: Int)
  /// Bytes are left after the message.
  case trailing(offset: Int)
  /// A field has a value that the protocol does not allow.
  case invalid(offset: Int)
}

/// A message with one encoding.
public protocol WireCodable {
  /// Reads the message from where the reader stands. Throws, and reads no further, when the bytes are not
  /// one.
  init(from reader: inout WireReader) throws(WireError)
  /// Writes exactly what `init(from:)` reads.
  func encode(to writer: inout WireWriter)
}

extension WireCodable {
  /// The message that `frame` holds from its first to its last byte.
  @inlinable public init(decoding frame: Frame) throws(WireError) {
    var reader = WireReader(frame)
    try self.init(from: &reader)
    try reader.finish()
  }

  /// Writes the message to the beginning of `frame`.
  /// - Returns: its length in bytes; nil when it does not fit.
  @inlinable public func encode(into frame: Frame) -> Int? {
    var writer = WireWriter(frame)
    encode(to: &writer)
    return writer.overflowed ? nil : writer.count
  }
}

/// A cursor over received bytes.
public struct WireReader {
  private let frame: Frame
  public private(set) var offset = 0

  public init(_ frame: Frame) { self.frame = frame }

  public var remaining: Int { frame.count - offset }

  @inlinable public mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self
  ) throws(WireError) -> T {
    try take(MemoryLayout<T>.size).big(0, as: T.self)
  }

  public mutating func byte() throws(WireError) -> UInt8 { try integer(UInt8.self) }

  /// The next `count` bytes, in place.
  public mutating func take(_ count: Int) throws(WireError) -> Frame {
    guard count >= 0, count <= remaining else { throw .truncated(offset: offset) }
    defer { offset += count }
    return frame.slice(offset, count)
  }

  /// All bytes that are left.
  public mutating func rest() -> Frame {
    defer { offset = frame.count }
    return frame.dropping(offset)
  }

  /// Reads one byte per element count (`0 ... limit`), then the elements.
  @inlinable public mutating func list<Element, let capacity: Int>(
    _ read: (inout WireReader) throws(WireError) -> Element
  ) throws(WireError) -> BoundedArray<capacity, Element> {
    let count = Int(try byte())
    try require(count <= capacity)
    var list = BoundedArray<capacity, Element>()
    for _ in 0..<count { list.append(try read(&self)) }
    return list
  }

  /// Rejects the field that was just read unless `condition` holds.
  public func require(_ condition: Bool) throws(WireError) {
    if !condition { throw .invalid(offset: offset) }
  }

  /// Rejects bytes behind the message.
  public func finish() throws(WireError) {
    if remaining > 0 { throw .trailing(offset: offset) }
  }
}

/// A cursor that fills a frame; writing past its end sets `overflowed` and changes nothing.
public struct WireWriter {
  private let frame: Frame
  public private(set) var count = 0
  public private(set) var overflowed = false

  public init(_ frame: Frame) { self.frame = frame }

  public mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    reserve(MemoryLayout<T>.size)?.setBig(0, value)
  }

  public mutating func byte(_ value: UInt8) { integer(value) }

  public mutating func bytes(_ source: Frame) { reserve(source.count)?.copy(source) }

  public mutating func zeros(_ count: Int) { reserve(count)?.clear() }

  /// The next `count` bytes for the caller to fill; nil when they do not fit.
  public mutating func reserve(_ count: Int) -> Frame? {
    guard !overflowed, count <= frame.count - self.count else {
      overflowed = true
      return nil
    }
    defer { self.count += count }
    return frame.slice(self.count, count)
  }

  /// Writes the count in one byte, then the elements.
  @inlinable public mutating func list<Element, let capacity: Int>(
    _ list: BoundedArray<capacity, Element>, _ write: (Element, inout WireWriter) -> Void
  ) {
    byte(UInt8(list.count))
    for i in 0..<list.count { write(list[i], &self) }
  }
}
