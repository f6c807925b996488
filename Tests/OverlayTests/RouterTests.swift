// Goal: each hop brings a message strictly nearer, nobody gets one who cannot pass it on, and the owner of a
// key is who the sorted list of IDs says.
// Method: tables of peers made by hand and by chance, compared with the naive model.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct RouterTests {
  /// Links with peers of random IDs, up by a proven direct path.
  private func crowd(_ count: Int, seed: UInt64, isUp: (Int) -> Bool = { _ in true }) -> Side {
    let side = Side(0)
    var random = Random(seed: seed)
    for _ in 0..<count {
      let key = PublicKey(bytes: (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) })!
      let slot = side.find(key, at: .start)!
      if isUp(slot) { raise(side, slot) }
    }
    return side
  }

  private func raise(_ side: Side, _ slot: Int) {
    side.links.raise(slot)
    side.links.peers[slot].paths[1] = Path(
      way: .endpoint(Endpoint(IPAddress(v4: 0x0A00_1000 + UInt32(slot)), port: 7_741)), isLAN: true,
      at: .start)
    side.links.peers[slot].paths[1]!.isValid = true
    side.links.peers[slot].best = 1
    side.links.routesAreStale = true
  }

  /// Only a way over the ring leads to the peer.
  private func relay(_ side: Side, _ slot: Int) {
    side.links.peers[slot].paths[1] = nil
    side.links.peers[slot].paths[0] = Path(way: .overlay, isLAN: false, at: .start)
    side.links.peers[slot].paths[0]!.isValid = true
    side.links.peers[slot].best = 0
    side.links.routesAreStale = true
  }

  private func id(_ random: inout Random) -> OverlayID {
    OverlayID(high: random.next(), middle: random.next(), low: UInt32(truncatingIfNeeded: random.next()))
  }

  private func header(
    _ mode: RoutingMode, _ destination: OverlayID, from source: OverlayID, _ payload: RoutedPayload = .ring,
    via: OverlayID? = nil
  ) -> RoutedHeader {
    RoutedHeader(
      mode: mode, hops: 56, payload: payload, destination: destination, source: source, destinationVia: via)
  }

  private func decide(_ side: Side, _ header: RoutedHeader, from hop: Int? = nil) -> RoutingDecision {
    var header = header
    return side.links.decide(&header, from: hop)
  }

  @Test(arguments: [UInt64(1), 2, 3]) func neighbourhoodIsTheNearestOfBothSides(seed: UInt64) {
    for count in [0, 1, 2, 3, 4, 5, 9, 40] {
      // Some are not up: they do not count.
      let side = crowd(count, seed: seed * 100 + UInt64(count)) { $0 % 5 != 4 }
      let up = (0..<count).filter { $0 % 5 != 4 }
      let forth = up.sorted {
        side.id.clockwise(to: side.links.peers[$0].id) < side.id.clockwise(to: side.links.peers[$1].id)
      }
      let near = side.links.neighbourhood
      #expect((0..<near.right.count).map { Int(near.right[$0]) } == Array(forth.prefix(4)))
      #expect((0..<near.left.count).map { Int(near.left[$0]) } == Array(forth.reversed().prefix(4)))
      #expect(near.successor == forth.first && near.predecessor == forth.last)
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func neighbourhoodWantsWhoWouldBeInIt(seed: UInt64) {
    let side = crowd(20, seed: seed)
    var random = Random(seed: seed + 50)
    let near = side.links.neighbourhood
    for _ in 0..<200 {
      var candidate = id(&random)
      // Often close by, also across zero.
      if random.below(2) == 0 { candidate.high = side.id.high &+ (random.next() >> 4) &- (1 << 59) }
      let forth = side.id.clockwise(to: candidate)
      let back = candidate.clockwise(to: side.id)
      let nearerForth = (0..<20).filter { side.id.clockwise(to: side.links.peers[$0].id) < forth }.count
      let nearerBack = (0..<20).filter { side.links.peers[$0].id.clockwise(to: side.id) < back }.count
      let wants = near.wants(candidate, around: side.id, side.links.peers)
      #expect(wants == (nearerForth < 4 || nearerBack < 4))
    }
  }

  @Test func exactMessageIsDeliveredOrHandedToItsReceiver() {
    let side = crowd(8, seed: 4)
    let source = side.links.peers[0].id
    #expect(decide(side, header(.exact, side.id, from: source), from: 0) == .deliver)
    for slot in 1..<8 {
      #expect(
        decide(side, header(.exact, side.links.peers[slot].id, from: source), from: 0) == .forward(slot))
    }
  }

  @Test(arguments: [RoutingMode.exact, .nearest, .owner], [UInt64(5), 6, 7])
  func everyHopIsStrictlyNearer(mode: RoutingMode, seed: UInt64) {
    let side = crowd(30, seed: seed) { $0 % 3 != 0 }
    var random = Random(seed: seed)
    for _ in 0..<300 {
      let target = id(&random)
      let hop = Int(random.below(30))
      let message = header(mode, target, from: id(&random))
      guard case .forward(let next) = decide(side, message, from: hop) else { continue }
      #expect(side.links.peers[next].isUp, "never to a peer that is not up")
      let isNearer = side.links.peers[next].id.distance(to: target) < side.id.distance(to: target)
      // The owner lies behind the key: the last step may lead past it. And who ought to be linked here and is
      // not may be looked for a step away.
      let isLast =
        mode == .owner
        && next == side.links.main.owner(of: target, around: side.id, side.links.peers)
      let isDetour =
        mode != .nearest && side.links.neighbourhood.covers(target, around: side.id, side.links.peers)
      #expect(isNearer || isLast || isDetour)
      if mode == .exact { #expect(next != hop) }
    }
  }

  @Test func sourceMayTakeOneStepAwayButNobodyElse() {
    let side = crowd(1, seed: 8)
    let peer = side.links.peers[0].id
    // This node is nearer to the target than its only peer is.
    var target = side.id
    target.low ^= 1
    #expect(decide(side, header(.exact, target, from: side.id)) == .forward(0))
    #expect(decide(side, header(.exact, target, from: peer), from: 0) == .undeliverable)
    #expect(decide(side, header(.nearest, target, from: side.id)) == .forward(0))
    #expect(decide(side, header(.nearest, target, from: peer), from: 0) == .deliver)
  }

  @Test func viaIsTheTargetUntilItIsReached() {
    let side = crowd(12, seed: 9)
    var random = Random(seed: 10)
    let stranger = id(&random)
    let via = side.links.peers[5].id
    let source = side.links.peers[2].id
    #expect(decide(side, header(.exact, stranger, from: source, via: via), from: 2) == .forward(5))
    #expect(
      decide(side, header(.exact, side.links.peers[3].id, from: source, via: side.id), from: 2) == .forward(3)
    )
    // The named via does not know the destination: the message goes on as if none had been named.
    var stale = header(.exact, stranger, from: source, via: side.id)
    let decision = side.links.decide(&stale, from: 2)
    #expect(decision == decide(side, header(.exact, stranger, from: source), from: 2))
    #expect(stale.destinationVia == nil && stale.detours == 1)
    // This node knows a via of a peer that it reaches over the ring only.
    relay(side, 7)
    side.links.peers[7].vias.append(via)
    var known = header(.exact, side.links.peers[7].id, from: source, .datagram)
    #expect(side.links.decide(&known, from: 2) == .forward(5))
    #expect(known.destinationVia == via)
    // A message needs none: the neighbours of the peer reach it in whatever way. Nor is the source named, or
    // anybody after vias have failed too often.
    var message = header(.exact, side.links.peers[7].id, from: source)
    _ = side.links.decide(&message, from: 2)
    #expect(message.destinationVia == nil)
    var own = header(.exact, side.links.peers[7].id, from: via, .datagram)
    _ = side.links.decide(&own, from: 2)
    #expect(own.destinationVia == nil)
    var tired = header(.exact, side.links.peers[7].id, from: source, .datagram)
    tired.detours = Links.detoursMax
    _ = side.links.decide(&tired, from: 2)
    #expect(tired.destinationVia == nil)
  }

  @Test(arguments: [RoutingMode.exact, .nearest, .owner]) func sourceIsNoHop(mode: RoutingMode) {
    let side = crowd(30, seed: 16)
    var random = Random(seed: 17)
    for _ in 0..<200 {
      let target = id(&random)
      let source = Int(random.below(30))
      let message = header(mode, target, from: side.links.peers[source].id)
      #expect(decide(side, message, from: (source + 1) % 30) != .forward(source))
    }
  }

  @Test func messagesAndDatagramsTakeCircuits() {
    let side = crowd(3, seed: 18)
    let source = side.links.peers[2].id
    side.links.peers[0].paths[1] = nil
    side.links.peers[0].paths[5] = Path(
      way: .circuit(relay: side.links.peers[1].id, label: 9), isLAN: false, at: .start)
    side.links.peers[0].paths[5]!.isValid = true
    side.links.peers[0].best = Peer.circuitSlot
    side.links.routesAreStale = true
    let target = side.links.peers[0].id
    #expect(decide(side, header(.exact, target, from: source, .ring), from: 2) == .forward(0))
    #expect(decide(side, header(.exact, target, from: source, .datagram), from: 2) == .forward(0))
  }

  @Test func noDatagramIsHandedToAPeerThatIsReachedOverTheRing() {
    let side = crowd(3, seed: 11)
    let source = side.links.peers[2].id
    relay(side, 0)
    side.links.peers[0].roles = .near
    let target = side.links.peers[0].id
    // A message may go to a neighbour that is reached over the ring, a datagram would go round and round.
    #expect(decide(side, header(.exact, target, from: source, .ring), from: 2) == .forward(0))
    #expect(decide(side, header(.exact, target, from: source, .datagram), from: 2) != .forward(0))
    side.links.peers[0].roles = []
    side.links.routesAreStale = true
    #expect(decide(side, header(.exact, target, from: source, .ring), from: 2) != .forward(0))
  }

  @Test(arguments: [UInt64(12), 13]) func ownerIsTheFirstAtOrBehindTheKey(seed: UInt64) {
    let side = crowd(20, seed: seed)
    var random = Random(seed: seed)
    var ids = (0..<20).map { side.links.peers[$0].id } + [side.id]
    ids.sort()
    for n in 0..<200 {
      var key = n < 21 ? ids[n] : id(&random)
      if n.isMultiple(of: 3) { key.high = side.id.high &+ (random.next() >> 5) &- (1 << 58) }
      let owner = ids.first { $0 >= key } ?? ids[0]
      let decision = decide(side, header(.owner, key, from: side.links.peers[0].id), from: 0)
      #expect((decision == .deliver) == (owner == side.id))
      if let near = side.links.main.owner(of: key, around: side.id, side.links.peers) {
        #expect(side.links.peers[near].id == owner && owner != side.id)
        #expect(near == 0 || decision == .forward(near))
      }
      let owns = side.links.ownsByPlace(key)
      #expect(owns == (owner == side.id))
    }
  }

  @Test(arguments: 0...4, 0...4) func listsEndWhereTheyNoLongerNameEachOther(left: Int, right: Int) {
    let side = crowd(20, seed: 19)
    let near = side.links.neighbourhood
    func key(_ slot: Int32) -> UInt64 { side.links.peers[Int(slot)].id.high }
    for i in 0..<4 {
      let (l, r) = (Int(near.left[i]), Int(near.right[i]))
      side.links.main[l].namesUsSuccessor = i == 0 && left > 0
      side.links.main[r].namesUsPredecessor = i == 0 && right > 0
      if i < 3 {
        // Whoever is the last without a gap knows another one behind itself.
        side.links.main[l].namedLeft = i + 1 == left ? 77 : key(near.left[i + 1])
        side.links.main[r].namedRight = i + 1 == right ? 77 : key(near.right[i + 1])
      }
    }
    let lengths = side.links.main.contiguous(side.links.peers)
    #expect(lengths == (left, right))
    // Keys on the contiguous stretch have an owner in sight, others have none; the successor is always asked.
    for i in 0..<4 {
      let (l, r) = (Int(near.left[i]), Int(near.right[i]))
      let onLeft = side.links.main.owner(of: side.links.peers[l].id, around: side.id, side.links.peers)
      let onRight = side.links.main.owner(of: side.links.peers[r].id, around: side.id, side.links.peers)
      #expect(onLeft == (i + 1 < left ? l : nil))
      #expect(onRight == (i < max(right, 1) ? r : nil))
    }
  }

  @Test func loneNodeOwnsEverythingAndReachesNobody() {
    let side = Side(0)
    var random = Random(seed: 14)
    let target = id(&random)
    #expect(decide(side, header(.owner, target, from: side.id)) == .deliver)
    #expect(decide(side, header(.exact, target, from: side.id)) == .undeliverable)
    #expect(decide(side, header(.nearest, target, from: side.id)) == .undeliverable)
    #expect(decide(side, header(.nearest, target, from: target)) == .deliver)
  }

  @Test func relayLimitPassesABurstAndThenItsRate() {
    var off = RelayLimit(bytesPerSecond: 0, at: .start)
    let isAllowed = off.allows(1, at: .start)
    #expect(off.isOff && !isAllowed)
    var limit = RelayLimit(bytesPerSecond: 100_000, at: .start)
    var passed = 0
    for ms in 0..<10_000 {
      if limit.allows(1_000, at: .start + .milliseconds(UInt64(ms))) { passed += 1_000 }
    }
    #expect((1_000_000...1_066_000).contains(passed), "\(passed) bytes in 10 s")
  }
}
