// Links tell each other whom else they are linked with, so that a hop can be chosen by where it leads next.
//
// Half of 64 bits of each ID is enough: on a ring of a million nodes neighbours differ in the first 20 bits,
// and a mistake costs a hop at most. The list goes out soon after a node came up, and again when it changed,
// ever more rarely: what is stale misleads, but nobody follows it away from the destination.
// Whoever gets one says so; a list that was lost is sent again in the next round.

import Base
import Session

/// Whom the sender is linked with: the leading 32 bits of each ID.
public struct Acquaintances: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public static let limit = 28

  public var prefixes = BoundedArray<28, UInt32>()

  public init() {}

  public init(from reader: inout WireReader) throws(WireError) {
    prefixes = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }

  public func encode(to writer: inout WireWriter) {
    writer.list(prefixes) { $1.integer($0) }
  }

  /// 32 bits that differ between different lists, in whatever order; never 0.
  var fingerprint: UInt32 {
    var sum: UInt64 = 0
    for i in 0..<prefixes.count { sum &+= mixed(UInt64(prefixes[i])) }
    return UInt32(truncatingIfNeeded: mixed(sum)) | 1
  }
}

/// "I have the list with this fingerprint of yours."
public struct Acquainted: Equatable, Sendable, WireCodable {
  public var fingerprint: UInt32

  public init(fingerprint: UInt32) { self.fingerprint = fingerprint }

  public init(from reader: inout WireReader) throws(WireError) { fingerprint = try reader.integer() }

  public func encode(to writer: inout WireWriter) { writer.integer(fingerprint) }
}

extension Links {
  mutating func receive(_ message: Acquaintances, from slot: Int, _ context: inout Context) {
    routes.learn(slot, message.prefixes)
    let answer = Acquainted(fingerprint: message.fingerprint)
    send(.acquainted, to: slot, &context) { answer.encode(to: &$0) }
  }

  /// Those with a lasting link, the nearest first.
  var acquaintances: Acquaintances {
    var list = Acquaintances()
    let near = neighbourhood.all
    for i in 0..<near.count { list.prefixes.append(peers[Int(near[i])].id.leading) }
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      guard peers[slot].roles.contains(.shortcut) || peers[slot].isGuest, !neighbourhood.contains(slot) else {
        continue
      }
      list.prefixes.append(peers[slot].id.leading)
    }
    return list
  }

  /// Tells those to whom it is news.
  mutating func tellAcquaintances(_ context: inout Context) {
    let list = acquaintances
    let fingerprint = list.fingerprint
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      guard peers[slot].acquaintancesHeld != fingerprint, peers[slot].isLasting else { continue }
      send(.acquaintances, to: slot, &context) { list.encode(to: &$0) }
    }
  }
}

extension OverlayID {
  /// The first 32 bits.
  var leading: UInt32 { UInt32(truncatingIfNeeded: high &>> 32) }
}

extension Ring {
  /// At first a node has much news, later little: the wait is twice as long as the node is old.
  mutating func expireAcquaintances(_ links: inout Links, _ context: inout Context) {
    guard acquaintancesAt <= context.now else { return }
    let age = context.now - startedAt
    let wait = min(max(age * 2, Timing.newsSoon), Timing.news)
    acquaintancesAt = context.now + context.random.jittered(wait)
    // A small ring is a full mesh: everybody is one hop away.
    if sizeEstimate(links) > 2 * Neighbourhood.side + 1 { links.tellAcquaintances(&context) }
    // Hops are chosen by the times of links as well, and these change slowly.
    links.routesAreStale = true
  }
}
