// Where a datagram comes from or goes to on the underlay.

/// An IP address and a UDP port.
public struct Endpoint: Hashable, Sendable, BitwiseCopyable {
  public var address: IPAddress
  public var port: UInt16

  public static let none = Endpoint(.unspecified, port: 0)

  public init(_ address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }
}

extension Endpoint: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    self.init(try IPAddress(from: &reader), port: try reader.integer())
  }

  public func encode(to writer: inout WireWriter) {
    address.encode(to: &writer)
    writer.integer(port)
  }
}

extension Endpoint: CustomStringConvertible {
  public var description: String { address.isV4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

  /// Reads `A.B.C.D:PORT` or `[V6]:PORT`; nil when it is not one.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"),
      let port = Decimal.parse(text[text.index(after: colon)...], as: UInt16.self)
    else {
      return nil
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard let address = IPAddress(String(host)) else { return nil }
    self.init(address, port: port)
  }
}
