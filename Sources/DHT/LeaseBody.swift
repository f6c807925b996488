// What members of a community read in a lease: who really made it, and what it says.
//
// The plain body is the owner's identity key, its signature over (blinded owner key, record key), and the
// content. It is sealed with the community's directory key, and bound to the envelope by associated data.
// Reading it again proves that the identity stands behind the blinded owner, so nobody can point an address
// at another node.

import Base
import Session

/// Names under which leases stand.
public enum LeaseKind: UInt8, Sendable {
  /// A virtual address → the identity that has it. Name: the 16 bytes of the address.
  case claim = 1
  /// An identity → its endpoints. Name: the 20 bytes of the overlay ID.
  case endpoints = 2
  /// The community's own settings. No name.
  case network = 3
  /// A member that others may come in by. Name: the place, one byte, 0 … 15. No content.
  case rendezvous = 4
}

/// The opened body of a lease.
public struct LeaseBody: Equatable, Sendable {
  public let identity: PublicKey
  public let content: [UInt8]

  public init(identity: PublicKey, content: [UInt8]) {
    self.identity = identity
    self.content = content
  }

  /// Makes a signed and sealed lease in the name of `identity`.
  public static func makeLease(
    _ kind: LeaseKind, name: [UInt8], content: [UInt8], community: Community, identity: Identity,
    epoch: UInt64,
    sequence: UInt32, timeToLive: UInt32, _ random: inout SecureRandom
  ) -> [UInt8] {
    let recordKey = community.recordKey(kind: kind.rawValue, name: name, suite: identity.suite)
    let owner = community.ownerKey(of: identity)
    let bound = binding(owner.publicKey, recordKey.publicKey)
    let plain = identity.publicKey.bytes + identity.signing.sign(bound).bytes + content
    let sealed = SealedBody.seal(plain, key: community.sealKey, associated: bound, &random)
    return Lease.make(
      recordKey: recordKey, owner: owner, epoch: epoch, sequence: sequence, timeToLive: timeToLive,
      body: sealed)
  }

  /// Opens the body of an authentic lease.
  /// - Parameter suite: of the identity that reads it.
  /// - Returns: nil when it is not sealed for this community or the identity did not sign it.
  public static func open(_ lease: Lease, community: Community, under suite: Suite) -> LeaseBody? {
    let bound = binding(lease.owner, lease.recordKey)
    guard let plain = SealedBody.open(lease.body, key: community.sealKey, associated: bound),
      plain.count >= 96
    else {
      return nil
    }
    let scratch = Scratch(capacity: plain.count)
    scratch.frame.write(plain)
    var reader = WireReader(scratch.frame)
    guard let identity = try? PublicKey(from: &reader), let signature = try? Signature(from: &reader),
      suite.admits(identity), suite.verifies(signature, of: bound, by: identity)
    else { return nil }
    return LeaseBody(identity: identity, content: Array(plain.dropFirst(96)))
  }

  private static func binding(_ owner: PublicKey, _ recordKey: PublicKey) -> [UInt8] {
    owner.bytes + recordKey.bytes
  }
}
