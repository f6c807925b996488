// Other members of the community, as far as this node has met them.

import Base
import Session

/// A member to which a link is up.
public struct Member: BitwiseCopyable, Sendable {
  /// The IPv4 address whose claim it has shown.
  public internal(set) var address: IPAddress?
  /// Whether it has seen our claim.
  var knowsOurs = false
  var tries: UInt8 = 0
  /// When it was last asked to show its claim because it used an address that is not known to be its own.
  var askedAt: Instant = .start
  /// The address about which the directory is asked, how often it knew nothing, and when it is asked again.
  var asked: IPAddress?
  /// An address that it has shown, and about which the directory is asked when there is traffic.
  var unverified: IPAddress?
  var doubts: UInt8 = 0
  var verifyAt: Instant = .never
  /// When it is shown our claim again, unless it has seen it.
  var nextAt: Instant
}

/// What a member shows in a session: its name, and the lease that proves its address. The slot says for which
/// community: it is the one on which the receiver takes data.
struct ClaimMessage: Equatable {
  var wantsAnswer: Bool
  var slot: UInt8
  var name: MemberName?
  /// A lease, or nothing while the sender has no IPv4 address.
  var lease: Frame

  /// Whether it is more than word that the other's claim has come.
  var saysAnything: Bool { wantsAnswer || name != nil || !lease.isEmpty }

  static func == (a: ClaimMessage, b: ClaimMessage) -> Bool {
    a.wantsAnswer == b.wantsAnswer && a.slot == b.slot && a.name == b.name
      && a.lease.bytes == b.lease.bytes
  }
}

extension ClaimMessage: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    let flags = try reader.byte()
    try reader.require(flags <= 3)
    let slot = try reader.byte()
    let name = flags & 2 != 0 ? try MemberName(from: &reader) : nil
    self.init(wantsAnswer: flags & 1 != 0, slot: slot, name: name, lease: reader.rest())
  }

  func encode(to writer: inout WireWriter) {
    writer.byte((wantsAnswer ? 1 : 0) | (name == nil ? 0 : 2))
    writer.byte(slot)
    name?.encode(to: &writer)
    writer.bytes(lease)
  }
}
