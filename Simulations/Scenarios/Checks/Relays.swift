// How good the relays are that members use who cannot reach each other directly: the time through the one in
// use by the time through the best one that there is.
//
// The best one is sought among all living nodes that both can reach directly, as the simulated network knows
// it; the times are those of the wires, without jitter. An end behind a firewall that lets no UDP through
// reaches open nodes over TCP. What it measures there includes what TCP sends again, so pairs with such an
// end are told by themselves.

import Base
import Simulator

/// What became of the pairs that talk and can have no direct path.
public struct Relays: Sendable {
  /// The time through the circuit in use, by the time through the best single relay.
  public fileprivate(set) var stretch = Sample()
  /// The same, where an end has TCP only.
  public fileprivate(set) var stretchTCP = Sample()
  public fileprivate(set) var pairs = 0
  /// Those of which both use circuits; those with two relays in a row.
  public fileprivate(set) var circuits = 0
  public fileprivate(set) var chains = 0

  public init() {}

  static func judge(_ talks: [Talk], _ stage: Stage) -> Relays {
    var relays = Relays()
    for talk in talks where !talk.isFeasible && stage.isAwake(talk.first) && stage.isAwake(talk.second) {
      relays.pairs += 1
      guard let near = relay(of: talk.first, to: talk.second, stage),
        let far = relay(of: talk.second, to: talk.first, stage)
      else { continue }
      relays.circuits += 1
      // Each side may prefer another one: then each way is judged by itself.
      let isChain = !(reaches(talk.second, near, stage) && reaches(talk.first, far, stage))
      if isChain { relays.chains += 1 }
      guard !isChain, let best = best(talk, stage) else { continue }
      let isTCP = talk.reach.0 == .blocked || talk.reach.1 == .blocked
      for relay in [near, far] {
        let stretch = through(relay, talk, stage) / best
        if isTCP { relays.stretchTCP.add(stretch) } else { relays.stretch.add(stretch) }
      }
    }
    return relays
  }

  /// The node through which one member sends to another; nil when it uses no circuit.
  private static func relay(of node: Int, to other: Int, _ stage: Stage) -> Int? {
    let peer = stage.world.hosts[node].snapshot.peers.first { $0.id == stage.ids[other] }
    guard let peer, peer.path == .proxy, let via = peer.via else { return nil }
    let rank = stage.census.position(of: via)
    guard rank < stage.census.living.count, stage.census.living[rank].id == via else { return nil }
    return stage.census.living[rank].node
  }

  private static func through(_ relay: Int, _ talk: Talk, _ stage: Stage) -> Double {
    stage.world.oneWay(talk.first, relay).seconds + stage.world.oneWay(relay, talk.second).seconds
  }

  private static func best(_ talk: Talk, _ stage: Stage) -> Double? {
    stage.census.living.lazy.map(\.node).filter { node in
      node != talk.first && node != talk.second && reaches(talk.first, node, stage)
        && reaches(talk.second, node, stage)
    }.map { through($0, talk, stage) }.min()
  }

  /// Whether an end can have a direct path to a relay, over UDP or over TCP.
  private static func reaches(_ end: Int, _ relay: Int, _ stage: Stage) -> Bool {
    if stage.world.canBeDirect(end, relay) { return true }
    let reaches = [stage.world.reach(of: end), stage.world.reach(of: relay)]
    return reaches.contains(.blocked) && reaches.contains(.open)
  }

  /// What a scenario with conversations tells of them.
  static func figures(_ record: Record) -> [Figure] {
    var stretch = record.relays.stretch
    var stretchTCP = record.relays.stretchTCP
    return [
      Figure("relayed", "pairs of members that can have no direct path", Double(record.relays.pairs)),
      Figure("circuits", "of these use a circuit", Double(record.relays.circuits)),
      Figure("chains", "of these through two relays", Double(record.relays.chains)),
      Figure("relay_stretch_p50", "time through the relay by that of the best one, median", stretch.median()),
      Figure("relay_stretch_p90", "the same, 90th percentile", stretch.quantile(0.9)),
      Figure("relay_stretch_tcp_p50", "the same where an end has TCP only, median", stretchTCP.median()),
      Figure("relay_stretch_tcp_p90", "the same, 90th percentile", stretchTCP.quantile(0.9)),
    ]
  }
}
