// IP addresses of both families in one type, with their text forms.
//
// An IPv4 address is kept as the IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2), so tables have one kind of
// key. The text is that of RFC 5952; it is read and written here because the pure modules know no C library.

/// An IPv4 or IPv6 address: 128 bits.
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
  public var high: UInt64
  public var low: UInt64

  public static let unspecified = IPAddress(high: 0, low: 0)

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The IPv4 address whose four bytes are `v4`, most significant first.
  public init(v4: UInt32) {
    high = 0
    low = 0xFFFF_0000_0000 | UInt64(v4)
  }

  public var isV4: Bool { high == 0 && low >> 32 == 0xFFFF }
  /// The four bytes of an IPv4 address; of an IPv6 address its last four.
  public var v4: UInt32 { UInt32(truncatingIfNeeded: low) }

  public var isLoopback: Bool { isV4 ? v4 >> 24 == 127 : high == 0 && low == 1 }
  /// 255.255.255.255: everybody on this link (RFC 919).
  public static let broadcast = IPAddress(v4: .max)

  public var isMulticast: Bool { isV4 ? v4 >> 28 == 14 : high >> 56 == 0xFF }
  public var isUnspecified: Bool { isV4 ? v4 == 0 : high == 0 && low == 0 }
  public var isLinkLocal: Bool { isV4 ? v4 >> 16 == 0xA9FE : high >> 54 == 0xFE80 >> 6 }
  /// RFC 1918, RFC 6598 (shared by carriers) and RFC 4193 (ULA).
  public var isPrivate: Bool { privateRange != nil }

  /// Which private range it is of: two of one number may be of one network. For IPv4 the range's first byte,
  /// for a ULA its /48; nil for a public address.
  public var privateRange: UInt64? {
    guard isV4 else { return high >> 57 == 0xFC >> 1 ? high >> 16 : nil }
    let isPrivate =
      v4 >> 24 == 10 || v4 >> 20 == 0xAC1 || v4 >> 16 == 0xC0A8 || v4 >> 22 == 0x6440 >> 6
    return isPrivate ? UInt64(v4 >> 24) : nil
  }

  /// Whether the two are of one /24, or /48 for IPv6: the least that is routed by itself, and the most that
  /// one customer is given (RFC 6177).
  public func isOneNetwork(with other: IPAddress) -> Bool {
    if isV4 || other.isV4 { return isV4 && other.isV4 && v4 >> 8 == other.v4 >> 8 }
    return high >> 16 == other.high >> 16
  }
}

/// An address and how many of its leading bits count.
public struct IPPrefix: Hashable, Sendable, BitwiseCopyable {
  public var address: IPAddress
  /// 0 ... 32 for IPv4, 0 ... 128 for IPv6.
  public var length: UInt8

  public init(_ address: IPAddress, length: UInt8) {
    precondition(length <= (address.isV4 ? 32 : 128))
    self.address = address
    self.length = length
  }

  public func contains(_ other: IPAddress) -> Bool {
    guard address.isV4 == other.isV4 else { return false }
    let bits = Int(length) + (address.isV4 ? 96 : 0)
    let (highMask, lowMask) = Self.masks(bits)
    return (address.high ^ other.high) & highMask == 0 && (address.low ^ other.low) & lowMask == 0
  }

  /// The prefix with all bits behind it zero.
  public var network: IPPrefix {
    let (highMask, lowMask) = Self.masks(Int(length) + (address.isV4 ? 96 : 0))
    return IPPrefix(IPAddress(high: address.high & highMask, low: address.low & lowMask), length: length)
  }

  /// The last address of an IPv4 prefix: its directed broadcast (RFC 919).
  public var broadcast: IPAddress {
    IPAddress(v4: network.address.v4 | (length == 0 ? .max : ~(UInt32.max << (32 - UInt32(length)))))
  }

  /// How many addresses an IPv4 prefix spans.
  public var size: UInt64 { 1 << (32 - UInt64(min(length, 32))) }

  private static func masks(_ bits: Int) -> (UInt64, UInt64) {
    let high: UInt64 = bits >= 64 ? .max : (bits == 0 ? 0 : .max << UInt64(64 - bits))
    let low: UInt64 = bits <= 64 ? 0 : (bits >= 128 ? .max : .max << UInt64(128 - bits))
    return (high, low)
  }
}

extension IPAddress: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    self.init(high: try reader.integer(), low: try reader.integer())
  }

  public func encode(to writer: inout WireWriter) {
    writer.integer(high)
    writer.integer(low)
  }
}

extension IPAddress: CustomStringConvertible, LosslessStringConvertible {
  public var description: String {
    if isV4 { return (0..<4).map { String(v4 >> (24 - 8 * UInt32($0)) & 255) }.joined(separator: ".") }
    let groups = (0..<8).map {
      UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * UInt64($0 % 4)))
    }
    guard let gap = Self.longestZeros(groups) else {
      return groups.map { String($0, radix: 16) }.joined(separator: ":")
    }
    let head = groups[..<gap.lowerBound].map { String($0, radix: 16) }.joined(separator: ":")
    let tail = groups[gap.upperBound...].map { String($0, radix: 16) }.joined(separator: ":")
    return head + "::" + tail
  }

  /// The longest run of at least two zero groups, the first of equals (RFC 5952 §4.2).
  private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
    var best: Range<Int>?
    var start = 0
    while start < groups.count {
      var end = start
      while end < groups.count, groups[end] == 0 { end += 1 }
      if end - start >= 2, end - start > (best?.count ?? 0) { best = start..<end }
      start = max(end, start + 1)
    }
    return best
  }

  public init?(_ text: String) {
    if text.utf8.contains(UInt8(ascii: ":")) {
      guard let groups = Self.groups(text) else { return nil }
      self.init(high: Self.join(groups[0..<4]), low: Self.join(groups[4..<8]))
    } else {
      guard let v4 = Self.dotted(text) else { return nil }
      self.init(v4: v4)
    }
  }

  private static func join(_ groups: ArraySlice<UInt16>) -> UInt64 {
    groups.reduce(0) { $0 << 16 | UInt64($1) }
  }

  private static func dotted(_ text: some StringProtocol) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard let byte = Decimal.parse(part, as: UInt8.self) else { return nil }
      value = value << 8 | UInt32(byte)
    }
    return value
  }

  private static func groups(_ text: String) -> [UInt16]? {
    let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
    guard halves.count <= 2 else { return nil }
    var parts: [[UInt16]] = []
    for (i, half) in halves.enumerated() {
      guard let groups = run(half, mayEndInV4: i == halves.count - 1) else { return nil }
      parts.append(groups)
    }
    if parts.count == 1 { return parts[0].count == 8 ? parts[0] : nil }
    let missing = 8 - parts[0].count - parts[1].count
    guard missing >= 1 else { return nil }
    return parts[0] + [UInt16](repeating: 0, count: missing) + parts[1]
  }

  private static func run(_ text: Substring, mayEndInV4: Bool) -> [UInt16]? {
    if text.isEmpty { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (i, part) in parts.enumerated() {
      if mayEndInV4, i == parts.count - 1, part.contains("."), let v4 = dotted(part) {
        groups += [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]
      } else {
        guard (1...4).contains(part.utf8.count), part.first != "+", part.first != "-",
          let group = UInt16(part, radix: 16)
        else { return nil }
        groups.append(group)
      }
    }
    return groups
  }
}

extension IPPrefix: CustomStringConvertible {
  public var description: String { "\(address)/\(length)" }

  /// Reads `ADDRESS/LENGTH`; nil when it is not one.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPAddress(String(parts[0])),
      let length = Decimal.parse(parts[1], as: UInt8.self),
      length <= (address.isV4 ? 32 : 128)
    else { return nil }
    self.init(address, length: length)
  }
}
