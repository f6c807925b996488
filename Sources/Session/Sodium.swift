// The way to libsodium, and the fixed-size values that cross it.
//
// Keys, signatures, tokens and digests are plain words without ownership: they live in flat tables, compare
// without a call and cost no reference count. libsodium wants pointers, so each of them lends its bytes as a
// `Frame` for the length of one call.

import Base
import CSodium

/// The library behind all cryptography of this module.
public enum Sodium {
  private static let started: Bool = {
    precondition(sodium_init() >= 0, "libsodium does not start")
    return true
  }()

  /// Prepares libsodium (it picks the code for this processor). Every entry point of the module calls it;
  /// repeated calls cost one comparison.
  public static func start() { precondition(started) }

  /// Whether this processor has the instructions that libsodium's AES-256-GCM needs.
  public static var hasAES: Bool {
    start()
    return crypto_aead_aes256gcm_is_available() == 1
  }
}

/// A value that is nothing but its bytes, in the order of memory.
public protocol FixedBytes: Hashable, Sendable, BitwiseCopyable, WireCodable {
  static var zero: Self { get }
}

extension FixedBytes {
  /// How many bytes such a value has.
  @inlinable public static var byteCount: Int { MemoryLayout<Self>.size }

  /// The value that the first bytes of `frame` spell.
  @inlinable public init(_ frame: Frame) {
    precondition(frame.count >= Self.byteCount)
    self = frame.base.loadUnaligned(as: Self.self)
  }

  /// The value that `bytes` spell; nil when their number is wrong.
  public init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self = bytes.withUnsafeBytes { $0.loadUnaligned(as: Self.self) }
  }

  /// Writes the bytes to the beginning of `frame`.
  @inlinable public func write(to frame: Frame) {
    precondition(frame.count >= Self.byteCount)
    frame.base.storeBytes(of: self, as: Self.self)
  }

  /// A copy of the bytes.
  public var bytes: [UInt8] { reading { $0.bytes } }

  @inlinable public init(from reader: inout WireReader) throws(WireError) {
    self.init(try reader.take(Self.byteCount))
  }

  @inlinable public func encode(to writer: inout WireWriter) {
    if let room = writer.reserve(Self.byteCount) { write(to: room) }
  }

  /// Lends a copy of the bytes to `body`.
  func reading<R>(_ body: (Frame) -> R) -> R {
    var copy = self
    return withUnsafeMutableBytes(of: &copy) { body(Frame(base: $0.baseAddress!, count: $0.count)) }
  }

  /// Lends the bytes themselves to `body`, to be filled.
  mutating func filling<R>(_ body: (Frame) -> R) -> R {
    withUnsafeMutableBytes(of: &self) { body(Frame(base: $0.baseAddress!, count: $0.count)) }
  }

  /// Whether both have the same bytes, found out in a time that does not depend on them.
  func matches(_ other: Self) -> Bool {
    reading { a in other.reading { b in sodium_memcmp(a.base, b.base, Self.byteCount) == 0 } }
  }
}

extension Frame {
  /// For libsodium's byte pointers.
  var pointer: UnsafeMutablePointer<UInt8> { base.assumingMemoryBound(to: UInt8.self) }

  /// Whether every byte is zero.
  var isZero: Bool { sodium_is_zero(pointer, count) == 1 }
}

extension [UInt8] {
  /// Lends a copy of the bytes to `body`.
  func reading<R>(_ body: (Frame) -> R) -> R {
    var copy = self
    return copy.withUnsafeMutableBytes { buffer in
      if let base = buffer.baseAddress { return body(Frame(base: base, count: buffer.count)) }
      var nothing: UInt8 = 0
      return Swift.withUnsafeMutableBytes(of: &nothing) { body(Frame(base: $0.baseAddress!, count: 0)) }
    }
  }
}
