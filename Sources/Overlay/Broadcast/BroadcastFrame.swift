// What one member sends to all others, as it goes from member to member: a packet of the community that is no
// IP packet.
//
//  offset  size  field
//       0     1  0x10
//       1     1  steps from the origin
//       2     4  ticket: under which the receiver acknowledges
//       6    16  the arc that the receiver has to see to (from, to)
//      22    32  the origin's key
//      54     8  sequence: rises with each broadcast of the origin, also over its restarts
//      62     1  what the payload is
//      63     n  payload
//    63+n    64  the origin's signature of what stands from offset 22 on
//
// What stands before the origin's key is the hop's; the rest is never changed.

import Base
import Session

/// What a broadcast carries.
public enum BroadcastContent: UInt8, Sendable, BitwiseCopyable {
  /// An IP packet for a broadcast or multicast address.
  case packet = 0
  /// "Who is there?"
  case rollCall = 1
}

/// A broadcast in a frame.
struct BroadcastFrame: BitwiseCopyable {
  static let kind: UInt8 = 0x10
  static let hopBytes = 22
  static let headerBytes = 63
  static let overhead = headerBytes + 64

  let steps: UInt8
  let ticket: UInt32
  let arc: Arc
  let origin: PublicKey
  let sequence: UInt64
  let content: BroadcastContent
  let payload: Frame
  let signed: Frame
  let signature: Signature

  /// Reads a frame; nil when it is none.
  init?(_ frame: Frame) {
    guard frame.count >= Self.overhead, frame[0] == Self.kind,
      let content = BroadcastContent(rawValue: frame[62])
    else { return nil }
    var reader = WireReader(frame.dropping(Self.hopBytes))
    var end = WireReader(frame.dropping(frame.count - 64))
    guard let origin = try? PublicKey(from: &reader), let signature = try? Signature(from: &end) else {
      return nil
    }
    steps = frame[1]
    ticket = frame.big(2, as: UInt32.self)
    arc = Arc(from: frame.big(6, as: UInt64.self), to: frame.big(14, as: UInt64.self))
    self.origin = origin
    sequence = frame.big(54, as: UInt64.self)
    self.content = content
    payload = frame.dropping(Self.headerBytes).prefix(frame.count - Self.overhead)
    signed = frame.dropping(Self.hopBytes).prefix(frame.count - Self.hopBytes - 64)
    self.signature = signature
  }

  /// Writes the origin's part.
  /// - Parameter frame: as long as the payload and `overhead`.
  static func write(
    _ content: BroadcastContent, _ payload: Frame, sequence: UInt64, by identity: Identity,
    in community: Community, to frame: Frame
  ) {
    frame[0] = kind
    var writer = WireWriter(frame.dropping(hopBytes))
    identity.publicKey.encode(to: &writer)
    writer.integer(sequence)
    writer.byte(content.rawValue)
    writer.bytes(payload)
    let signed = frame.dropping(hopBytes).prefix(writer.count)
    community.sign(signed, by: identity).encode(to: &writer)
  }

  /// Writes what concerns the next hop.
  static func address(_ frame: Frame, steps: UInt8, ticket: UInt32, _ arc: Arc) {
    frame[1] = steps
    frame.setBig(2, ticket)
    frame.setBig(6, arc.from)
    frame.setBig(14, arc.to)
  }
}
