// Small worlds for tests of whole nodes.

import Base
import Node
import Session
import VPN

extension World {
  /// A world of few nodes in one private network, with 10 ms between all of them, in which everything can be
  /// looked at.
  public convenience init(seed: UInt64) {
    var options = WorldOptions(seed: seed)
    options.isLaboratory = true
    options.cryptography = .real
    options.nodesExpected = 32
    self.init(options)
  }

  /// Adds and starts a node.
  /// - Parameters:
  ///   - community: nil makes a seed.
  ///   - bootstraps: numbers of the nodes through which it comes in.
  @discardableResult
  public func add(
    community: Community? = nil, address: IPPrefix? = nil, pool: IPPrefix? = nil, bootstraps: [Int] = [],
    relay: UInt64 = 1 << 31
  ) -> Host {
    let tunnel = community.map { TunnelConfiguration(community: $0, address: address, pool: pool) }
    return add(tunnel, bootstraps: bootstraps, relay: relay)
  }

  /// The same with all that a member may be told.
  @discardableResult
  public func add(_ tunnel: TunnelConfiguration?, bootstraps: [Int], relay: UInt64 = 1 << 31) -> Host {
    add(tunnel, bootstraps: bootstraps, relay: relay, site: Site())
  }

  /// Of a thousand datagrams, so many are lost.
  public var lossPerMille: UInt64 {
    get { UInt64(loss.uniform / 1_000) }
    set { loss.uniform = UInt32(newValue * 1_000) }
  }
}
