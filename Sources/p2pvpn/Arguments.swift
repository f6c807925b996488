// What people type behind the options: read, checked, and explained when it is wrong.
//
// Each function is the `transform` of an option; what it throws becomes part of the parser's message.

import ArgumentParser
import Base
import Logging
import Platform
import Session
import VPN

/// A node through which one comes in.
struct Bootstrap: Sendable, Equatable {
  let host: String
  let port: UInt16
  /// Whom it has to be; nil: whoever answers there.
  let key: PublicKey?

  /// The endpoint, when `host` is an address and not a name.
  var literal: Endpoint? { IPAddress(host).map { Endpoint($0, port: port) } }
}

enum Arguments {
  /// The port of every node unless something else is said.
  static let defaultPort: UInt16 = 7741

  /// `HOST[:PORT]`, `[V6]:PORT`, `KEY@HOST[:PORT]`.
  static func bootstrap(_ text: String) throws -> Bootstrap {
    var rest = Substring(text)
    var key: PublicKey?
    if let at = text.firstIndex(of: "@") {
      guard let parsed = PublicKey(String(text[..<at])) else {
        throw ValidationError("before @ stands the node's public key, 64 hexadecimal digits")
      }
      key = parsed
      rest = text[text.index(after: at)...]
    }
    let (host, port) = try hostAndPort(rest)
    guard !host.isEmpty else { throw ValidationError("give HOST, HOST:PORT, [V6]:PORT or KEY@HOST:PORT") }
    guard host.utf8.count <= 253, host.utf8.allSatisfy({ $0 > 32 && $0 != 127 }) else {
      throw ValidationError("a host is a name of up to 253 characters without spaces, or an address")
    }
    return Bootstrap(host: host, port: port ?? defaultPort, key: key)
  }

  private static func hostAndPort(_ text: Substring) throws -> (host: String, port: UInt16?) {
    if IPAddress(String(text)) != nil { return (String(text), nil) }
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else {
        throw ValidationError("the ] behind the address is missing")
      }
      let host = String(text[text.index(after: text.startIndex)..<end])
      guard IPAddress(host) != nil else { throw ValidationError("between [ and ] stands an IPv6 address") }
      let behind = text[text.index(after: end)...]
      if behind.isEmpty { return (host, nil) }
      guard behind.hasPrefix(":") else { throw ValidationError("behind ] stands nothing, or :PORT") }
      return (host, try port(behind.dropFirst(), from: 1))
    }
    guard let colon = text.lastIndex(of: ":") else { return (String(text), nil) }
    let host = text[..<colon]
    guard !host.contains(":") else { throw ValidationError("write an IPv6 address with a port as [V6]:PORT") }
    return (String(host), try port(text[text.index(after: colon)...], from: 1))
  }

  private static func port(_ text: Substring, from lowest: UInt16) throws -> UInt16 {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port >= lowest else {
      throw ValidationError("a port is a number from \(lowest) to 65535")
    }
    return port
  }

  /// `[ADDR]:PORT`; port 0 is any free one.
  static func listen(_ text: String) throws -> Endpoint {
    guard let colon = text.lastIndex(of: ":") else {
      throw ValidationError("give :PORT, A.B.C.D:PORT or [V6]:PORT")
    }
    let port = try port(text[text.index(after: colon)...], from: 0)
    var host = text[..<colon]
    if host.isEmpty { return Endpoint(.unspecified, port: port) }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw ValidationError("write an IPv6 address with a port as [V6]:PORT")
    }
    guard let address = IPAddress(String(host)) else {
      throw ValidationError(
        "before the port stands an IP address, or nothing for all of this machine's addresses")
    }
    return Endpoint(address, port: port)
  }

  /// `ADDRESS[:PORT]` or `[V6][:PORT]`: where others reach the node; port 0 is the one it listens on.
  static func advertised(_ text: String) throws -> Endpoint {
    let (host, port) = try hostAndPort(Substring(text))
    guard let address = IPAddress(host) else {
      throw ValidationError("give an IP address of this node, with a port if it is another than its own")
    }
    guard !address.isUnspecified, !address.isLoopback, !address.isMulticast, !address.isLinkLocal else {
      throw ValidationError("nobody else can reach \(address)")
    }
    guard port ?? 443 >= 1_024 || port ?? 443 == 443 else {
      throw ValidationError("other nodes do not try ports below 1024, except 443")
    }
    return Endpoint(address, port: port ?? 0)
  }

  /// `auto` (nil), or an address with the prefix length of the community's pool.
  static func address(_ text: String) throws -> IPPrefix? {
    if text == "auto" { return nil }
    guard let prefix = IPPrefix(text), prefix.address.isV4 else {
      throw ValidationError("give auto, or an IPv4 address with its prefix length, such as 10.77.0.1/16")
    }
    try checkLength(prefix)
    guard AddressPlan(pool: prefix).admits(prefix.address) else {
      throw ValidationError(
        "the first and the last address of \(prefix.network) are nobody's; choose another one")
    }
    return prefix
  }

  /// The IPv4 prefix from which members have their addresses.
  static func pool(_ text: String) throws -> IPPrefix {
    guard let prefix = IPPrefix(text), prefix.address.isV4 else {
      throw ValidationError("give an IPv4 prefix such as 10.77.0.0/16")
    }
    try checkLength(prefix)
    guard prefix == prefix.network else {
      throw ValidationError("\(prefix) has bits behind its prefix; did you mean \(prefix.network)?")
    }
    return prefix
  }

  private static func checkLength(_ prefix: IPPrefix) throws {
    guard AddressPlan.lengths.contains(prefix.length) else {
      let lengths = AddressPlan.lengths
      throw ValidationError(
        "a pool has a prefix length from /\(lengths.lowerBound) to /\(lengths.upperBound)")
    }
    let address = prefix.address
    guard !address.isMulticast, !address.isLoopback, address.v4 >> 24 != 0 else {
      throw ValidationError("\(prefix) cannot be used for hosts; choose a private range such as 10.77.0.0/16")
    }
  }

  static func interface(_ text: String) throws -> String {
    let isPlain = text.utf8.allSatisfy {
      (33...126).contains($0) && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":")
    }
    guard (1...TUNDevice.nameBytesMax).contains(text.utf8.count), isPlain, text != ".", text != ".." else {
      throw ValidationError(
        "a name has 1 to \(TUNDevice.nameBytesMax) letters, digits or signs, no slash, no colon")
    }
    return text
  }

  /// The public key of a node.
  static func operatorKey(_ text: String) throws -> PublicKey {
    guard let key = PublicKey(text) else {
      throw ValidationError(
        "the key of the operator's node has 64 hexadecimal digits: see its `p2pvpn status`")
    }
    return key
  }

  /// What a member is called.
  static func name(_ text: String) throws -> MemberName {
    guard let name = MemberName(text) else {
      throw ValidationError(
        "a name has 1 to 63 letters, digits and hyphens, and a hyphen at neither end: such as laptop-2")
    }
    return name
  }

  /// 1 to 63 bytes without control characters or spaces around them.
  static func community(_ text: String) throws -> String {
    let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
    guard (1...63).contains(text.utf8.count), isPlain, text.first != " ", text.last != " " else {
      throw ValidationError(
        "the name of a community has 1 to 63 bytes, no control characters, no spaces around it")
    }
    return text
  }

  /// `off`, or bits a second such as `2mbit`; the result is in bytes a second.
  static func relay(_ text: String) throws -> UInt64 {
    if text == "off" { return 0 }
    let lower = text.lowercased()
    let units: [(suffix: String, bits: Double)] = [
      ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1),
    ]
    for unit in units where lower.hasSuffix(unit.suffix) {
      let number = lower.dropLast(unit.suffix.utf8.count)
      guard number.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }),
        let value = Double(number), (8...1e12).contains(value * unit.bits)
      else { break }
      return UInt64(value * unit.bits / 8)
    }
    throw ValidationError("give off, or a rate such as 500kbit, 2mbit or 1gbit")
  }

  /// Bytes, such as `500MB` or `1.5TB`; the units are powers of a thousand.
  static func size(_ text: String) throws -> UInt64 {
    let lower = text.lowercased()
    let units: [(suffix: String, bytes: Double)] = [
      ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12),
    ]
    for unit in units where lower.hasSuffix(unit.suffix) {
      let number = lower.dropLast(unit.suffix.utf8.count)
      guard number.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }),
        let value = Double(number), (1...1e15).contains(value * unit.bytes)
      else { break }
      return UInt64(value * unit.bytes)
    }
    throw ValidationError("give a size such as 500MB, 10GB or 1.5TB")
  }

  static func logLevel(_ text: String) throws -> Logger.Level {
    if let level = Logger.Level(rawValue: text) { return level }
    throw ValidationError("give one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
  }

  /// A virtual address, or the beginning of an overlay ID.
  static func peer(_ text: String) throws -> String {
    let isPrefix = (4...2 * OverlayID.byteCount).contains(text.utf8.count) && text.utf8.allSatisfy(isHex)
    guard IPAddress(text) != nil || isPrefix else {
      throw ValidationError("give a virtual address, or at least 4 hexadecimal digits of an ID")
    }
    return text
  }

  private static func isHex(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...70).contains(byte) || (97...102).contains(byte)
  }
}
