// Which addresses a community has, and which of them a node tries first.

import Base
import Session

/// What the members of a community agree on, as the directory has it.
public struct AddressPlan: Equatable, Sendable, BitwiseCopyable, WireCodable {
  /// The IPv4 prefix from which members get their addresses.
  public let pool: IPPrefix

  public init(pool: IPPrefix) { self.pool = pool.network }

  public init(from reader: inout WireReader) throws(WireError) {
    let address = try IPAddress(from: &reader)
    let length = try reader.byte()
    try reader.require(address.isV4 && Self.lengths.contains(length))
    self.init(pool: IPPrefix(address, length: length))
    try reader.require(pool.address == address)
  }

  public func encode(to writer: inout WireWriter) {
    pool.address.encode(to: &writer)
    writer.byte(pool.length)
  }

  /// Prefix lengths a pool may have: room for at least two members, and not a quarter of the Internet.
  public static let lengths: ClosedRange<UInt8> = 8...29

  /// The pool of a community whose members name none: a /16 of 100.80.0.0/12 (in the space that RFC 6598 sets
  /// aside for carriers, and far from where home networks and other VPNs are), by the name.
  public static func standard(for community: Community) -> AddressPlan {
    let choice = UInt32(Hash.blake2b160(Array("pool".utf8), Array(community.name.utf8)).low & 15)
    return AddressPlan(pool: IPPrefix(IPAddress(v4: 0x6450_0000 + choice << 16), length: 16))
  }

  /// The address that the node with this ID tries at its n-th attempt: the same at every start. The first two
  /// and the last address of the pool stay free.
  public func address(for id: OverlayID, attempt: UInt32) -> IPAddress {
    let scratch = Scratch(capacity: OverlayID.byteCount + 4)
    id.write(to: scratch.frame)
    scratch.frame.setBig(OverlayID.byteCount, attempt)
    let hash = Hash.blake2b160(Array("address".utf8), scratch.frame.bytes)
    return IPAddress(v4: pool.address.v4 + 2 + UInt32(hash.high % (pool.size - 3)))
  }

  /// Whether a member may have this address.
  public func admits(_ address: IPAddress) -> Bool {
    pool.contains(address) && address != pool.address && address != pool.broadcast
  }
}
