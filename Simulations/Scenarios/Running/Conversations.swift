// Members that talk: pairs of one community that send each other a packet and a ping every second.
//
// What is wanted of a pair is a direct path, if the boxes in front of the two allow one, and that every ping
// is answered meanwhile, by whatever path. The pairs begin one after the other when measuring begins.

import Base
import Node
import Simulator

/// Two members that talk.
public struct Talk: Sendable {
  public let first: Int
  public let second: Int
  public let reach: (Reach, Reach)
  /// Whether a direct path is possible.
  public let isFeasible: Bool
  /// Whether there was one before the first packet.
  public fileprivate(set) var wasDirect = false
  public fileprivate(set) var isDirect = false
  /// From the first packet to the first direct path.
  public fileprivate(set) var seconds: Double?
  public fileprivate(set) var pings = 0
  public fileprivate(set) var answers = 0

  /// Whether one side is hard.
  public var isHard: Bool { reach.0 == .hard || reach.1 == .hard }
}

/// Lets pairs talk, and counts.
final class Conversations {
  static let beat = Interval.seconds(1)
  /// Over which the pairs begin.
  private static let spread = 10
  private static let patience = Interval.seconds(8)

  private let stage: Stage
  private let beginAt: Instant
  private let endAt: Instant
  private let most: Int
  private(set) var talks: [Talk] = []
  private var begins: [Instant] = []
  private(set) var nextAt: Instant

  init(_ stage: Stage, _ plan: Plan, most: Int) {
    self.stage = stage
    self.most = most
    beginAt = .start + .milliseconds(plan.measureFrom)
    endAt = .start + .milliseconds(plan.end)
    nextAt = most > 0 ? beginAt : .never
  }

  func onTime(_ now: Instant) {
    if begins.isEmpty { choose() }
    nextAt = talks.isEmpty ? .never : now + Self.beat
    for number in talks.indices where begins[number] <= now { speak(number, now) }
  }

  /// Random pairs of members that live; each once.
  private func choose() {
    var random = Random(seed: stage.settings.seed).split(0x7A1C)
    var circles: [String: [Int]] = [:]
    var names: [String] = []
    for entry in stage.census.living {
      guard let community = stage.world.hosts[entry.node].configuration.tunnel?.community else { continue }
      if circles[community.name] == nil { names.append(community.name) }
      circles[community.name, default: []].append(entry.node)
    }
    names.sort()
    var pairs: [(Int, Int)] = []
    for name in names {
      let circle = circles[name, default: []].sorted()
      for (i, a) in circle.enumerated() {
        for b in circle[..<i] { pairs.append(random.below(2) == 0 ? (a, b) : (b, a)) }
      }
    }
    let members = names.reduce(0) { $0 + circles[$1, default: []].count }
    while !pairs.isEmpty, talks.count < min(most, members) {
      let (a, b) = pairs.remove(at: Int(random.below(UInt64(pairs.count))))
      let world = stage.world
      talks.append(
        Talk(
          first: a, second: b, reach: (world.reach(of: a), world.reach(of: b)),
          isFeasible: world.canBeDirect(a, b)))
      begins.append(beginAt + Self.beat * UInt64(talks.count % Self.spread))
    }
  }

  private func speak(_ number: Int, _ now: Instant) {
    let (a, b) = (talks[number].first, talks[number].second)
    guard stage.isAwake(a), stage.isAwake(b) else { return }
    if begins[number] == now {
      let peers = stage.world.hosts[a].snapshot.peers
      let path = peers.first { $0.id == stage.ids[b] }?.path
      talks[number].wasDirect = path == .lan || path == .direct
      talks[number].isDirect = talks[number].wasDirect
    }
    stage.world.send(packet(from: a, to: b), from: a)
    stage.world.send(packet(from: b, to: a), from: b)
    guard now + Self.patience < endAt else { return }
    talks[number].pings += 1
    let id = stage.ids[b]
    stage.world.withCore(a) { core, context in
      core.ping(.id(id), ticket: UInt32(number), patience: Self.patience, &context)
    }
  }

  /// An IPv6 packet without a payload, between the addresses that follow from the nodes' keys.
  private func packet(from a: Int, to b: Int) -> [UInt8] {
    var bytes: [UInt8] = [0x60, 0, 0, 0, 0, 0, 59, 64]
    for node in [a, b] {
      guard let community = stage.world.hosts[node].configuration.tunnel?.community else { return [] }
      let address = community.ula(of: stage.ids[node])
      for word in [address.high, address.low] {
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
      }
    }
    return bytes
  }

  /// A node has moved a peer's traffic to another path.
  func onPath(_ node: Int, _ id: OverlayID, _ kind: PathKind) {
    for number in talks.indices where talks[number].first == node && stage.ids[talks[number].second] == id {
      talks[number].isDirect = kind == .lan || kind == .direct
      guard talks[number].isDirect, talks[number].seconds == nil, !talks[number].wasDirect,
        begins[number] <= stage.world.now
      else { continue }
      talks[number].seconds = (stage.world.now - begins[number]).seconds
    }
  }

  func onAnswer(_ node: Int, ticket: UInt32) {
    let number = Int(ticket)
    if number < talks.count, talks[number].first == node { talks[number].answers += 1 }
  }
}
