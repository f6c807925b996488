// Places on the ring.
//
// An overlay ID is a 160-bit number; the ring is the circle of all of them. Clockwise means rising. Who is
// whose successor, and which neighbour is nearer to a target, is arithmetic modulo 2^160 and stands here.

/// A place on the ring: 160 bits, as three words from the most significant on.
public struct OverlayID: Hashable, Sendable, BitwiseCopyable {
  @inlinable public static var byteCount: Int { 20 }

  public var high: UInt64
  public var middle: UInt64
  public var low: UInt32

  @inlinable public static var zero: OverlayID { OverlayID(high: 0, middle: 0, low: 0) }

  @inlinable public init(high: UInt64, middle: UInt64, low: UInt32) {
    self.high = high
    self.middle = middle
    self.low = low
  }

  /// The ID that the first 20 bytes of `frame` spell, most significant first.
  @inlinable public init(_ frame: Frame) {
    high = frame.big(0, as: UInt64.self)
    middle = frame.big(8, as: UInt64.self)
    low = frame.big(16, as: UInt32.self)
  }

  /// Writes the 20 bytes to the beginning of `frame`.
  @inlinable public func write(to frame: Frame) {
    frame.setBig(0, high)
    frame.setBig(8, middle)
    frame.setBig(16, low)
  }

  /// `a − b` modulo 2^160: how far one walks clockwise from `b` to `a`.
  @inlinable public static func &- (a: OverlayID, b: OverlayID) -> OverlayID {
    let (low, borrow0) = a.low.subtractingReportingOverflow(b.low)
    let (middle1, borrow1) = a.middle.subtractingReportingOverflow(b.middle)
    let (middle, borrow2) = middle1.subtractingReportingOverflow(borrow0 ? 1 : 0)
    return OverlayID(high: a.high &- b.high &- (borrow1 || borrow2 ? 1 : 0), middle: middle, low: low)
  }

  /// `a + b` modulo 2^160: where one arrives walking `b` clockwise from `a`.
  public static func &+ (a: OverlayID, b: OverlayID) -> OverlayID {
    let (low, carry0) = a.low.addingReportingOverflow(b.low)
    let (middle1, carry1) = a.middle.addingReportingOverflow(b.middle)
    let (middle, carry2) = middle1.addingReportingOverflow(carry0 ? 1 : 0)
    return OverlayID(high: a.high &+ b.high &+ (carry1 || carry2 ? 1 : 0), middle: middle, low: low)
  }

  /// How far one walks clockwise from here to `other`.
  @inlinable public func clockwise(to other: OverlayID) -> OverlayID { other &- self }

  /// The shorter way round between here and `other`, whichever direction it has.
  @inlinable public func distance(to other: OverlayID) -> OverlayID {
    let forth = other &- self
    let back = self &- other
    return min(forth, back)
  }

  /// Whether this ID lies on the arc that begins behind `start` and ends with `end`, walked clockwise.
  /// The arc from an ID to itself is the whole ring.
  @inlinable public func isIn(after start: OverlayID, through end: OverlayID) -> Bool {
    if start == end { return true }
    let reach = start.clockwise(to: end)
    let here = start.clockwise(to: self)
    return here != .zero && here <= reach
  }
}

extension OverlayID: Comparable {
  @inlinable public static func < (a: OverlayID, b: OverlayID) -> Bool {
    (a.high, a.middle, a.low) < (b.high, b.middle, b.low)
  }
}

extension OverlayID: CustomStringConvertible {
  /// 40 hexadecimal digits.
  public var description: String {
    Hex.string(high, digits: 16) + Hex.string(middle, digits: 16) + Hex.string(UInt64(low), digits: 8)
  }

  /// The first digits, as people see it in lists.
  public var short: String { String(description.prefix(10)) }
}

extension OverlayID: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) { self.init(try reader.take(Self.byteCount)) }

  public func encode(to writer: inout WireWriter) {
    if let room = writer.reserve(Self.byteCount) { write(to: room) }
  }
}
