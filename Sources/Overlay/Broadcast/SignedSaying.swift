// What a member says to many others, whichever way it goes to them: nobody on the way can change it, or say
// anything in the member's name.
//
//  offset  size  field
//       0    32  the origin's key
//      32     8  sequence: rises with all that the origin says this way, also over its restarts
//      40     1  what the payload is
//      41     n  payload
//    41+n    64  the origin's signature of what stands before it

import Base
import Session

/// The part of a frame that is its origin's; before it stands what concerns the next hop.
public struct SignedSaying: BitwiseCopyable {
  static let headerBytes = 41
  /// More than the payload, in bytes.
  public static let overhead = headerBytes + Signature.byteCount

  public let origin: PublicKey
  public let sequence: UInt64
  /// What the payload is, as those who speak this way have agreed.
  public let content: UInt8
  public let payload: Frame
  private let signed: Frame
  private let signature: Signature

  /// Reads the part; nil when it is none. The signature is not looked at.
  public init?(_ frame: Frame) {
    guard frame.count >= Self.overhead else { return nil }
    signed = frame.prefix(frame.count - Signature.byteCount)
    var reader = WireReader(frame)
    var end = WireReader(frame.dropping(signed.count))
    guard let origin = try? PublicKey(from: &reader), let sequence: UInt64 = try? reader.integer(),
      let content = try? reader.byte(), let signature = try? Signature(from: &end)
    else { return nil }
    self.origin = origin
    self.sequence = sequence
    self.content = content
    payload = signed.dropping(Self.headerBytes)
    self.signature = signature
  }

  /// Whether the origin has said this, in this community, and its key is one that a node may have: those cost
  /// something to make.
  public func isAuthentic(in community: Community, under suite: Suite) -> Bool {
    suite.admits(origin) && community.verifies(signature, of: signed, by: origin, suite)
  }

  /// Writes the part.
  /// - Parameter frame: as long as the payload and `overhead`.
  public static func write(
    _ content: UInt8, _ payload: Frame, sequence: UInt64, by identity: Identity, in community: Community,
    to frame: Frame
  ) {
    var writer = WireWriter(frame)
    identity.publicKey.encode(to: &writer)
    writer.integer(sequence)
    writer.byte(content)
    writer.bytes(payload)
    community.sign(frame.prefix(writer.count), by: identity).encode(to: &writer)
  }
}
