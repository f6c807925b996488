// A lease: the signed, expiring record of the directory.
//
// Holders see an envelope only: under which blinded key it stands, which blinded owner made it, how new it is
// and how long it lives. Both keys sign it, so that a holder can check who may write what without knowing
// what. The body is sealed for the members of a community.
//
//  offset  size  field
//       0    32  record key P (Ed25519); the lease lives at BLAKE2b-160(P) on the ring
//      32    32  owner key O (Ed25519, blinded)
//      64     8  epoch: the owner's incarnation
//      72     4  sequence, rising within an epoch
//      76     4  time to live, in seconds
//      80     2  body length, at most 512
//      82     n  body
//    82+n    64  signature by P of the first 82+n bytes
//   146+n    64  signature by O of the same bytes

import Base
import Session

/// A lease as bytes in a frame, and the envelope's fields.
public struct Lease: Sendable, BitwiseCopyable {
  public static let bodyMax = 512
  /// Envelope and signatures without the body.
  public static let overhead = 82 + 128
  public static let bytesMax = overhead + bodyMax
  /// Longest life of any lease, in seconds: that of a community's plan.
  public static let timeToLiveMax: UInt32 = 3_600

  public let recordKey: PublicKey
  public let owner: PublicKey
  public let epoch: UInt64
  public let sequence: UInt32
  /// Seconds, counted by a holder from the receipt.
  public let timeToLive: UInt32
  public let body: Frame
  private let recordSignature: Signature
  private let ownerSignature: Signature
  private let signed: Frame

  /// Where it lives on the ring.
  public var key: OverlayID { recordKey.id }

  /// Whether both keys signed it.
  /// - Parameter suite: of the identity that wants to know, whatever the lease is.
  public func isAuthentic(under suite: Suite) -> Bool {
    suite.verifies(recordSignature, of: signed, by: recordKey)
      && suite.verifies(ownerSignature, of: signed, by: owner)
  }

  /// The order among leases of one owner.
  public func isNewer(than epoch: UInt64, _ sequence: UInt32) -> Bool {
    (self.epoch, self.sequence) > (epoch, sequence)
  }

  /// Makes and signs a lease.
  /// - Returns: its bytes. *Precondition:* the body has at most `bodyMax` bytes.
  public static func make(
    recordKey: SigningKey, owner: SigningKey, epoch: UInt64, sequence: UInt32, timeToLive: UInt32,
    body: [UInt8]
  ) -> [UInt8] {
    precondition(body.count <= bodyMax && timeToLive <= timeToLiveMax)
    let scratch = Scratch(capacity: bytesMax)
    var writer = WireWriter(scratch.frame)
    recordKey.publicKey.encode(to: &writer)
    owner.publicKey.encode(to: &writer)
    writer.integer(epoch)
    writer.integer(sequence)
    writer.integer(timeToLive)
    writer.integer(UInt16(body.count))
    writer.reserve(body.count)?.write(body)
    let signed = scratch.frame.prefix(writer.count)
    recordKey.sign(signed).encode(to: &writer)
    owner.sign(signed).encode(to: &writer)
    return scratch.frame.prefix(writer.count).bytes
  }
}

extension Lease: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    var ahead = reader
    recordKey = try PublicKey(from: &reader)
    owner = try PublicKey(from: &reader)
    epoch = try reader.integer()
    sequence = try reader.integer()
    timeToLive = try reader.integer()
    try reader.require(timeToLive > 0 && timeToLive <= Self.timeToLiveMax)
    let length = Int(try reader.integer(UInt16.self))
    try reader.require(length <= Self.bodyMax)
    body = try reader.take(length)
    signed = try ahead.take(82 + length)
    recordSignature = try Signature(from: &reader)
    ownerSignature = try Signature(from: &reader)
  }

  public func encode(to writer: inout WireWriter) {
    writer.bytes(signed)
    recordSignature.encode(to: &writer)
    ownerSignature.encode(to: &writer)
  }
}

extension Lease: Equatable {
  public static func == (a: Lease, b: Lease) -> Bool {
    a.signed.bytes == b.signed.bytes && a.recordSignature == b.recordSignature
      && a.ownerSignature == b.ownerSignature
  }
}
