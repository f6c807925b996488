// What one member sends to all others, as it goes from member to member: a packet of the community that is no
// IP packet.
//
//  offset  size  field
//       0     1  0x10
//       1     1  steps from the origin
//       2     4  ticket: under which the receiver acknowledges
//       6    16  the arc that the receiver has to see to (from, to)
//      22     n  what the origin says, signed (`SignedSaying`)

import Base
import Session

/// What a broadcast carries. (1 is what goes by the tree of a group: a signature holds for one way only.)
public enum BroadcastContent: UInt8, Sendable, BitwiseCopyable {
  /// An IP packet for a broadcast or multicast address.
  case packet = 0
  /// "Who is there?"
  case rollCall = 2
}

/// A broadcast in a frame.
struct BroadcastFrame: BitwiseCopyable {
  static let kind: UInt8 = 0x10
  private static let hopBytes = 22
  static let overhead = hopBytes + SignedSaying.overhead

  let steps: UInt8
  let ticket: UInt32
  let arc: Arc
  let saying: SignedSaying
  let content: BroadcastContent

  /// Reads a frame; nil when it is none.
  init?(_ frame: Frame) {
    guard frame.count >= Self.overhead, frame[0] == Self.kind,
      let saying = SignedSaying(frame.dropping(Self.hopBytes)),
      let content = BroadcastContent(rawValue: saying.content)
    else { return nil }
    steps = frame[1]
    ticket = frame.big(2, as: UInt32.self)
    arc = Arc(from: frame.big(6, as: UInt64.self), to: frame.big(14, as: UInt64.self))
    self.saying = saying
    self.content = content
  }

  /// Writes the origin's part.
  /// - Parameter frame: as long as the payload and `overhead`.
  static func write(
    _ content: BroadcastContent, _ payload: Frame, sequence: UInt64, by identity: Identity,
    in community: Community, to frame: Frame
  ) {
    frame[0] = kind
    SignedSaying.write(
      content.rawValue, payload, sequence: sequence, by: identity, in: community, to: frame.dropping(hopBytes)
    )
  }

  /// Writes what concerns the next hop.
  static func address(_ frame: Frame, steps: UInt8, ticket: UInt32, _ arc: Arc) {
    frame[1] = steps
    frame.setBig(2, ticket)
    frame.setBig(6, arc.from)
    frame.setBig(14, arc.to)
  }
}
