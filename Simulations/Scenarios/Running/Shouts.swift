// Members that say something to all others of their community: who hears it, how often, and when.
//
// One random member at a time says something. It shall come once to every member that was there for a while
// and stays; of those who have just come, or go meanwhile, nothing is demanded.

import Base
import Node
import Overlay
import Simulator

/// Something that one member said, and what became of it.
public struct Shout: Sendable {
  /// Members that were there before, and stayed.
  public fileprivate(set) var meant = 0
  /// Of these have heard it once; more often.
  public fileprivate(set) var heard = 0
  public fileprivate(set) var twice = 0
  /// Seconds until the last of them heard it.
  public fileprivate(set) var seconds = 0.0
}

/// What all members sent for all broadcasts together.
public struct ShoutTotals: Sendable {
  /// Copies of broadcasts, first ones and others.
  public var copies: UInt64 = 0
  public var acknowledged: UInt64 = 0
  public var handedOn: UInt64 = 0
  public var abandoned: UInt64 = 0
  /// The most children that one member had of one broadcast, and the most steps that one went.
  public var widest: UInt64 = 0
  public var deepest: UInt64 = 0

  public init() {}

  mutating func add(_ counters: BroadcastCounters) {
    copies += counters.sent + counters.resent + counters.handedOn
    handedOn += counters.handedOn
    abandoned += counters.abandoned
    widest = max(widest, counters.widest)
    deepest = max(deepest, counters.deepest)
  }
}

/// Lets members speak, and counts.
final class Shouts {
  /// Between one and the next.
  static let beat = Interval.milliseconds(500)
  /// Who has been there for so long belongs to those who shall hear.
  static let settling = Interval.seconds(30)
  /// Nobody hears anything after so long.
  static let patience = Interval.seconds(5)

  private struct Open {
    let number: Int
    let at: Instant
    /// Members that shall hear it, by node, and how often they have.
    var heard: [(node: Int, count: Int)]

    /// Where the node stands among those who shall hear, who are sorted.
    func place(of node: Int) -> Int? {
      var low = 0
      var high = heard.count
      while low < high {
        let middle = (low + high) / 2
        if heard[middle].node < node { low = middle + 1 } else { high = middle }
      }
      return low < heard.count && heard[low].node == node ? low : nil
    }
  }

  private let stage: Stage
  private let most: Int
  private let endAt: Instant
  private var random: Random
  private(set) var shouts: [Shout] = []
  private var open: [Open] = []
  private(set) var nextAt: Instant

  init(_ stage: Stage, _ plan: Plan, most: Int) {
    self.stage = stage
    self.most = most
    random = Random(seed: stage.settings.seed).split(0x5A07)
    endAt = .start + .milliseconds(plan.end)
    nextAt = most > 0 ? .start + .milliseconds(plan.measureFrom) : .never
  }

  func onTime(_ now: Instant) {
    close(before: now)
    nextAt = now + Self.beat
    guard shouts.count < most, now + Self.patience < endAt else { return }
    let members = stage.census.living.filter { isSettled($0.node, now) }.map(\.node).sorted()
    guard members.count > 1 else { return }
    let speaker = members[Int(random.below(UInt64(members.count)))]
    open.append(
      Open(number: shouts.count, at: now, heard: members.filter { $0 != speaker }.map { ($0, 0) }))
    shouts.append(Shout())
    stage.world.send(Self.packet(from: speaker, number: shouts.count - 1, stage), from: speaker)
  }

  /// Judges what was said so long ago that nobody hears of it any more.
  func close(before now: Instant) {
    while let first = open.first, first.at + Self.patience <= now {
      for (node, count) in first.heard where stage.isAwake(node) && stage.startedAt[node] < first.at {
        shouts[first.number].meant += 1
        if count == 1 { shouts[first.number].heard += 1 }
        if count > 1 { shouts[first.number].twice += 1 }
      }
      open.removeFirst()
    }
  }

  private func isSettled(_ node: Int, _ now: Instant) -> Bool {
    stage.isAwake(node) && stage.startedAt[node] + Self.settling <= now
      && stage.world.hosts[node].configuration.tunnel != nil
  }

  /// A device was given a packet.
  func onDelivery(_ node: Int, _ packet: Frame) {
    guard let number = Self.number(of: packet), let place = open.firstIndex(where: { $0.number == number }),
      let at = open[place].place(of: node)
    else { return }
    open[place].heard[at].count += 1
    shouts[number].seconds = max(shouts[number].seconds, (stage.world.now - open[place].at).seconds)
  }

  /// An IPv6 packet with a number, to a group that everybody is told of.
  static func packet(from node: Int, number: Int, _ stage: Stage) -> [UInt8] {
    guard let community = stage.world.hosts[node].configuration.tunnel?.community else { return [] }
    var bytes: [UInt8] = [0x60, 0, 0, 0, 0, 4, 59, 64]
    let source = community.ula(of: stage.ids[node])
    for word in [source.high, source.low, 0xFF02 << 48, 0x7741] {
      bytes += (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
    }
    return bytes + (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
  }

  /// The number of such a packet; nil when it is none.
  static func number(of packet: Frame) -> Int? {
    packet.count == 44 && packet[24] == 0xFF ? Int(packet.big(40, as: UInt32.self)) : nil
  }
}
