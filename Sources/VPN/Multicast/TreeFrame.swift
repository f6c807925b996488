// A packet for a group with many receivers on its way through the group's tree: a packet of the community
// that is no IP packet. It goes up to the root, and from there down to all receivers.
//
//  offset  size  field
//       0     1  0x20
//       1     1  steps so far
//       2     1  0 up, 1 down
//       3    32  the origin's key
//      35     8  sequence: rises with each packet of the origin for any tree, also over its restarts
//      43     1  1: an IP packet whose destination is the group
//      44     n  the packet
//    44+n    64  the origin's signature of what stands from offset 3 on

import Base
import Overlay
import Session

struct TreeFrame: BitwiseCopyable {
  static let kind: UInt8 = 0x20
  static let hopBytes = 3
  static let headerBytes = 44
  static let overhead = headerBytes + 64
  private static let content: UInt8 = 1

  let steps: UInt8
  let isDown: Bool
  let origin: PublicKey
  let sequence: UInt64
  let packet: IPPacket
  let payload: Frame
  let signed: Frame
  let signature: Signature

  /// Reads a frame; nil when it is none.
  init?(_ frame: Frame) {
    guard frame.count >= Self.overhead, frame[0] == Self.kind, frame[2] <= 1, frame[43] == Self.content else {
      return nil
    }
    let payload = frame.dropping(Self.headerBytes).prefix(frame.count - Self.overhead)
    guard let packet = IPPacket(payload), GroupScope(packet.destination) == .receivers,
      packet.source.isV4 == packet.destination.isV4
    else { return nil }
    var reader = WireReader(frame.dropping(Self.hopBytes))
    var end = WireReader(frame.dropping(frame.count - 64))
    guard let origin = try? PublicKey(from: &reader), let signature = try? Signature(from: &end) else {
      return nil
    }
    steps = frame[1]
    isDown = frame[2] == 1
    self.origin = origin
    sequence = frame.big(35, as: UInt64.self)
    self.packet = packet
    self.payload = payload
    signed = frame.dropping(Self.hopBytes).prefix(frame.count - Self.hopBytes - 64)
    self.signature = signature
  }

  /// Writes the origin's part.
  /// - Parameter frame: as long as the packet and `overhead`.
  static func write(
    _ packet: Frame, sequence: UInt64, by identity: Identity, in community: Community, to frame: Frame
  ) {
    frame[0] = kind
    var writer = WireWriter(frame.dropping(hopBytes))
    identity.publicKey.encode(to: &writer)
    writer.integer(sequence)
    writer.byte(content)
    writer.bytes(packet)
    let signed = frame.dropping(hopBytes).prefix(writer.count)
    community.sign(signed, by: identity).encode(to: &writer)
  }

  /// Writes what concerns the next hop.
  static func address(_ frame: Frame, steps: UInt8, isDown: Bool) {
    frame[1] = steps
    frame[2] = isDown ? 1 : 0
  }
}
