// Where a datagram comes from or goes to on the underlay, and which of our own sockets has to do with it.
//
// An endpoint is written to the wire without the socket, which means nothing to anybody else.

/// One of a node's own sockets.
///
/// The core numbers the sockets it asks for; the driver numbers the connections that others begin.
public struct SocketNumber: Hashable, Sendable, BitwiseCopyable {
  public let value: UInt16

  /// The UDP socket that the node listens on.
  public static let main = SocketNumber(0)
  /// UDP sockets beside it, on ports of the system's choice: 1 … 256.
  public static let sparesMax: UInt16 = 256
  /// TCP connections that the core has begun: from here up to the next limit.
  public static let firstOwnStream: UInt16 = 0x4000
  /// TCP connections that others have begun: from here on.
  public static let firstAcceptedStream: UInt16 = 0x8000
  /// So many of each kind at a time. The low bits of a number are the connection's place among them, the
  /// others tell connections apart that have it one after the other.
  public static let ownStreamsMax = 64
  public static let acceptedStreamsMax = 256
  /// All that a node has open beside the main one.
  public static let openMax = Int(sparesMax) + ownStreamsMax + acceptedStreamsMax

  public init(_ value: UInt16) { self.value = value }

  /// A connection that the core begins.
  public static func ownStream(place: Int, life: UInt16) -> SocketNumber {
    precondition(place >= 0 && place < ownStreamsMax)
    return SocketNumber(firstOwnStream | life &<< 6 & 0x3FFF | UInt16(place))
  }

  /// A connection that somebody else has begun.
  public static func acceptedStream(place: Int, life: UInt16) -> SocketNumber {
    precondition(place >= 0 && place < acceptedStreamsMax)
    return SocketNumber(firstAcceptedStream | life &<< 8 & 0x7FFF | UInt16(place))
  }

  public var isStream: Bool { value >= Self.firstOwnStream }
  public var isAcceptedStream: Bool { value >= Self.firstAcceptedStream }
  public var isOwnStream: Bool { isStream && !isAcceptedStream }
  /// The place of a connection among those of its kind.
  public var place: Int {
    Int(value) & ((isAcceptedStream ? Self.acceptedStreamsMax : Self.ownStreamsMax) - 1)
  }
  public var isSpare: Bool { value >= 1 && value <= Self.sparesMax }
}

/// An IP address and a UDP port, or a TCP port if the socket is a connection.
public struct Endpoint: Hashable, Sendable, BitwiseCopyable {
  public var address: IPAddress
  public var port: UInt16
  /// The socket of this node that it is reached through, or was heard on.
  public var socket: SocketNumber

  public static let none = Endpoint(.unspecified, port: 0)

  public init(_ address: IPAddress, port: UInt16, socket: SocketNumber = .main) {
    self.address = address
    self.port = port
    self.socket = socket
  }

  /// The same address and port through another socket.
  public func through(_ socket: SocketNumber) -> Endpoint { Endpoint(address, port: port, socket: socket) }

  /// Where the peer listens, as others may be told; `.none` at the far end of a connection that it has begun.
  public var listening: Endpoint {
    socket.isAcceptedStream ? .none : through(.main)
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
