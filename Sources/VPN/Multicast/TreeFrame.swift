// A packet for a group with many receivers on its way through the group's tree: a packet of the community
// that is no IP packet. It goes up to the root, and from there down to all receivers.
//
//  offset  size  field
//       0     1  0x20
//       1     1  steps so far
//       2     1  0 up, 1 down
//       3     n  what the origin says, signed (`SignedSaying`): content 1, an IP packet for the group

import Base
import Overlay
import Session

struct TreeFrame: BitwiseCopyable {
  static let kind: UInt8 = 0x20
  private static let hopBytes = 3
  static let overhead = hopBytes + SignedSaying.overhead
  /// No broadcast has it (`BroadcastContent`).
  private static let content: UInt8 = 1

  let steps: UInt8
  let isDown: Bool
  let saying: SignedSaying
  let packet: IPPacket

  /// Reads a frame; nil when it is none.
  init?(_ frame: Frame) {
    guard frame.count >= Self.overhead, frame[0] == Self.kind, frame[2] <= 1,
      let saying = SignedSaying(frame.dropping(Self.hopBytes)), saying.content == Self.content,
      let packet = IPPacket(saying.payload), GroupScope(packet.destination) == .receivers,
      packet.source.isV4 == packet.destination.isV4
    else { return nil }
    steps = frame[1]
    isDown = frame[2] == 1
    self.saying = saying
    self.packet = packet
  }

  /// Writes the origin's part.
  /// - Parameter frame: as long as the packet and `overhead`.
  static func write(
    _ packet: Frame, sequence: UInt64, by identity: Identity, in community: Community, to frame: Frame
  ) {
    frame[0] = kind
    SignedSaying.write(
      content, packet, sequence: sequence, by: identity, in: community, to: frame.dropping(hopBytes))
  }

  /// Writes what concerns the next hop.
  static func address(_ frame: Frame, steps: UInt8, isDown: Bool) {
    frame[1] = steps
    frame[2] = isDown ? 1 : 0
  }
}
