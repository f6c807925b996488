// A subring of the daemon's own code, grown until it stands, and one broadcast over it: the tree that the
// tables of links promise, beside the one that really was.

import Base
import Node
import Simulator

/// What one real broadcast did.
public struct LiveBroadcast: Sendable {
  /// Members that had it in the end, and how many there are beside its origin.
  public fileprivate(set) var heard = 0
  public fileprivate(set) var meant = 0
  /// The most copies that one member sent, and the most steps that it went.
  public fileprivate(set) var sendsMost = 0
  public fileprivate(set) var stepsMost = 0
  /// Seconds until the last member had it.
  public fileprivate(set) var seconds = 0.0
  /// Members that stood as many steps from the origin, and sent as many copies, as the tables say.
  public fileprivate(set) var asReckoned = 0
}

/// A network all of whose nodes are members of one community.
final class LiveSubring {
  /// The subring must stand by then; then its members look for far links for a while.
  private static let formingMax = 120
  private static let ripening = Interval.seconds(60)
  /// Longer than the last copy of a broadcast is repeated.
  private static let broadcasting = Interval.seconds(10)

  let stage: Stage
  /// Seconds from the first start until every member had its true neighbours; nil when that never was so.
  let formedSeconds: Int?
  let tables: LinkTables

  init(members: Int, seed: UInt64) {
    var settings = Settings(scenario: "trees", nodes: members, seed: seed)
    settings.members = 1
    settings.community = 1_000_000
    stage = Stage(settings, Conditions(settings), slots: members)
    stage.play(.layOut(members))
    var formed: Int?
    for second in 1...Self.formingMax where formed == nil {
      stage.world.run(for: .seconds(1))
      let found = Subrings.inspect(stage)
      if found.members == members, found.isWhole { formed = second }
    }
    formedSeconds = formed
    stage.world.run(for: Self.ripening)
    tables = LinkTables(stage)
  }

  /// Lets a member say something to all. *Precondition:* it is the first time.
  func broadcast(from origin: Int) -> LiveBroadcast {
    let world = stage.world
    let reckoned = Tree(.bothWays, from: origin, over: tables)
    let nodes = stage.census.living.map(\.node)
    var live = LiveBroadcast()
    live.meant = nodes.count - 1
    let begin = world.now
    world.onDelivery = { _, packet in
      guard Shouts.number(of: packet) != nil else { return }
      live.heard += 1
      live.seconds = (world.now - begin).seconds
    }
    world.send(Shouts.packet(from: nodes[origin], number: 1, stage), from: nodes[origin])
    world.run(for: Self.broadcasting)
    world.onDelivery = nil
    for (member, node) in nodes.enumerated() {
      guard let counters = world.hosts[node].core.broadcasts else { continue }
      let sends = Int(counters.sent + counters.resent + counters.handedOn)
      live.sendsMost = max(live.sendsMost, sends)
      live.stepsMost = max(live.stepsMost, Int(counters.deepest))
      if sends == reckoned.sends[member], Int(counters.deepest) == reckoned.steps[member] {
        live.asReckoned += 1
      }
    }
    return live
  }
}
