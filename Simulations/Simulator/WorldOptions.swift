// All that decides a simulated run beside what is done in it.

import Base
import Session
import VPN

/// What a node is.
public enum NodeRole: Sendable {
  /// Keeps the ring and belongs to no community.
  case seed
  /// A member of a community, with the address and the pool its user insists on.
  case member(Community, address: IPPrefix? = nil, pool: IPPrefix? = nil)
}

/// The options of a world. The same options and the same calls give the same run.
public struct WorldOptions: Sendable {
  /// Decides everything that is left to chance.
  public var seed: UInt64
  /// Real cryptography, or the stub of the same sizes that costs next to nothing.
  public var cryptography = Suite.stub
  /// How long datagrams take.
  public var latency = LatencyModel.constant(.milliseconds(10))
  /// Which datagrams are lost, doubled and delayed.
  public var loss = LossModel()
  /// What nodes stand behind for which no site is named; nil puts them all into the open.
  public var mix: SiteMix?
  /// How many nodes are to be expected: sizes tables, and the slots of the event queue. Not a bound.
  public var nodesExpected = 1_000
  /// Slots of the packet pool that all nodes share.
  public var packets = 16_384
  /// Effects of one call.
  public var effects = 4_096
  /// The most bytes of datagrams in flight.
  public var arenaBytesMax = 1 << 30
  /// How long a commit of a store takes.
  public var commit = Interval.milliseconds(1)
  /// The most bytes that one node's store holds.
  public var storeBytesMax = 4 << 20
  /// Data of others that a node forwards, in bytes a second.
  public var relayBytesPerSecond: UInt64 = 1 << 31
  /// Small worlds: all nodes stand in one private network (10/8), each has a packet pool of its own, and what
  /// reaches programs and observers is kept (`Host.delivered`, `Host.events`).
  public var isLaboratory = false

  public init(seed: UInt64) { self.seed = seed }
}
