// What a node can do, told inside the encrypted part of the handshake.

import Base

/// One bit each; unknown bits are kept and mean nothing.
public struct Capabilities: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The processor has AES instructions. A session uses AES-256-GCM when both sides have them.
  public static let aes256gcm = Capabilities(rawValue: 1 << 0)
  /// The node only bootstraps and relays: it carries no community.
  public static let seed = Capabilities(rawValue: 1 << 1)
  /// Records may say that the checksum of their packet is partial, and that it is one of a train.
  public static let offload = Capabilities(rawValue: 1 << 2)
}

extension Capabilities: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) { self.init(rawValue: try reader.integer()) }

  public func encode(to writer: inout WireWriter) { writer.integer(rawValue) }
}
