// A random network with a random choice of faults for each seed (Groce, Zhang, Eide, Chen and Regehr, "Swarm
// testing", ISSTA 2012): leaving kinds of faults out lets the others do what they otherwise could not.

import Base

/// Random faults of random kinds.
public enum Swarm: Scenario {
  public static let name = "swarm"
  public static let abstract =
    "random subsets of all faults, one network a seed: finds what nobody thought of"
  public static let nodesUsual = 40

  /// What can go wrong.
  private enum Kind: CaseIterable {
    case crash, restart, leave, replace, pause, clock, slow, loss, partition, mute, roam
  }

  public static func plan(_ settings: Settings, _ random: inout Random) -> Plan {
    var plan = Plan()
    var settings = settings
    settings.nodes = max(3, settings.nodes / 4 + Int(random.below(UInt64(max(settings.nodes * 3 / 4, 1)))))
    let begin = plan.raise(settings, over: random.happens(0.5) ? 0.1 : nil, &random) + 5
    let quiet = begin + 60
    let kinds = Kind.allCases.filter { _ in random.happens(0.4) }
    if !kinds.isEmpty {
      for _ in 0..<(5 + Int(random.below(40))) {
        let kind = kinds[Int(random.below(UInt64(kinds.count)))]
        // The last faults end before quiet begins.
        let at = begin + 40 * random.unit()
        plan.add(at, action(kind, settings.nodes, &random))
      }
    }
    plan.excuse(begin, quiet + 30)
    plan.phases(measureFrom: begin, quietFrom: quiet, end: settings.until ?? quiet + 60)
    return plan
  }

  private static func action(_ kind: Kind, _ nodes: Int, _ random: inout Random) -> Action {
    // The first slot stays: it is through what the others come in.
    let slot = 1 + Int(random.below(UInt64(nodes - 1)))
    let length = 1_000 + random.below(18_000)
    switch kind {
    case .crash: return .crash(slot, back: nil)
    case .restart: return .crash(slot, back: length)
    case .leave: return .leave(slot)
    case .replace: return .replace(slot, isGraceful: random.happens(0.5), via: 0)
    case .pause: return .pause(slot, milliseconds: length)
    case .clock: return .clock(slot, partsPerMillion: Int(random.below(60_001)) - 30_000)
    case .slow: return .slow(slot, byMilliseconds: 100 + random.below(900), milliseconds: length)
    case .loss: return .loss(perMille: UInt32(50 + random.below(350)), milliseconds: length)
    case .partition, .mute:
      let first = Int(random.below(UInt64(nodes)))
      let last = first + Int(random.below(UInt64(nodes - first)))
      return kind == .partition
        ? .partition([first...last], milliseconds: length) : .mute([first...last], milliseconds: length)
    case .roam: return .roam(slot)
    }
  }

  /// Dead ones are asked again after ten seconds at first and twice as late each time: a partition of twenty
  /// seconds has to be found within thirty.
  public static func convergenceSeconds(_ settings: Settings) -> Double { 30 }

  public static func checks(_ record: Record) -> [Check] {
    [Demands.lookups(record, atLeast: 0.9999, from: record.quietFrom + 35)]
  }
}
