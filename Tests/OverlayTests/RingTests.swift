// Goal: whatever nodes there are, each comes to know its true neighbours, and who leaves leaves no gap.
// Method: whole nodes in a simulated network, compared with the sorted list of their IDs.

import Base
import Node
import Session
import Simulator
import Testing

@testable import Overlay

@Suite struct RingTests {
  /// A seed and `count - 1` more that come in through it.
  private func network(_ count: Int, seed: UInt64) -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 1..<count { world.add(bootstraps: [0]) }
    return world
  }

  /// The IDs that each list of neighbours ought to have.
  private func isTrue(_ world: World) -> Bool {
    let alive = world.hosts.filter(\.isAlive)
    let ring = alive.map { $0.core.id }.sorted()
    return alive.allSatisfy { host in
      let place = ring.firstIndex(of: host.core.id)!
      let others = min(ring.count - 1, Neighbourhood.side)
      let (left, right) = neighbours(host)
      return right == (1...max(others, 1)).prefix(others).map { ring[(place + $0) % ring.count] }
        && left == (1...max(others, 1)).prefix(others).map { ring[(place - $0 + ring.count) % ring.count] }
        && host.snapshot.isSettled
    }
  }

  /// Looks again every 20 ms.
  private func untilTrue(_ world: World, _ limit: Interval) -> Interval? {
    let begin = world.now
    while !isTrue(world) {
      if world.now - begin > limit { return nil }
      world.run(for: .milliseconds(20))
    }
    return world.now - begin
  }

  private func neighbours(_ host: Host) -> (left: [OverlayID], right: [OverlayID]) {
    let near = host.core.network.links.neighbourhood
    func ids(_ list: BoundedArray<4, Int32>) -> [OverlayID] {
      (0..<list.count).map { host.core.network.links.peers[Int(list[$0])].id }
    }
    return (ids(near.left), ids(near.right))
  }

  @Test(arguments: [3, 4, 5, 6, 9, 12]) func convergesToTheTrueRing(count: Int) {
    let world = network(count, seed: 31)
    let took = untilTrue(world, .seconds(30))
    #expect(took != nil && took! < .seconds(10), "took \(String(describing: took?.seconds)) s")
    // And stays so.
    for _ in 0..<4 {
      world.run(for: .seconds(10))
      #expect(isTrue(world))
    }
    if count == 12 { #expect(world.hosts.allSatisfy { (6...40).contains($0.snapshot.sizeEstimate) }) }
  }

  @Test(arguments: [UInt64(41), 42]) func convergesInSpiteOfLosses(seed: UInt64) {
    let world = network(8, seed: seed)
    world.lossPerMille = 50
    #expect(untilTrue(world, .seconds(60)) != nil)
  }

  @Test func leaveHealsAtOnce() throws {
    let world = network(8, seed: 51)
    try #require(untilTrue(world, .seconds(30)) != nil)
    world.run(for: .seconds(5))
    let host = world.hosts[3]
    world.act(host) { host.core.leave(&host.context) }
    world.kill(3)
    let took = untilTrue(world, .seconds(5))
    #expect(took != nil && took! < .milliseconds(500), "took \(String(describing: took?.seconds)) s")
  }

  @Test func deathHealsWithinHalfAMinute() throws {
    let world = network(8, seed: 61)
    try #require(untilTrue(world, .seconds(30)) != nil)
    world.run(for: .seconds(5))
    world.kill(3)
    world.kill(5)
    let took = untilTrue(world, .seconds(60))
    #expect(took != nil && took! < .seconds(30), "took \(String(describing: took?.seconds)) s")
  }

  @Test func everyKeyHasExactlyOneSpeaker() throws {
    let world = network(7, seed: 71)
    try #require(untilTrue(world, .seconds(30)) != nil)
    var random = Random(seed: 1)
    for _ in 0..<200 {
      let key = OverlayID(
        high: random.next(), middle: random.next(), low: UInt32(truncatingIfNeeded: random.next()))
      let speakers = world.hosts.filter { $0.core.network.ring.owns(key, $0.core.network.links) }
      let ring = world.hosts.map { $0.core.id }.sorted()
      #expect(speakers.map { $0.core.id } == [ring.first { $0 >= key } ?? ring[0]])
    }
  }

  @Test func goodByeOfAPeerThatHadToGiveWayIsHarmless() {
    let side = Side(0)
    let other = Side(1)
    var random = Random(seed: 3)
    // Farther away, on both sides, than those that the peer will name.
    func stranger() -> PublicKey {
      while true {
        let key = PublicKey(bytes: (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) })!
        if key.id.isIn(after: Fixed.identities[2].id, through: Fixed.identities[3].id) { return key }
      }
    }
    let slot = side.find(other.key, at: .start)!
    for _ in 1..<Links.peersMax {
      let slot = side.find(stranger(), at: .start)!
      side.links.peers[slot].roles = .near
      side.links.peers[slot].isUp = true
    }
    // The table is full, and the peer that goes is the only one that may be replaced by those it names.
    side.links.peers[slot].isUp = true
    side.context.now = .start + .seconds(1)
    side.links.main.neighbourhood = Neighbourhood()
    var ring = Ring(isFounder: true, at: .start)
    var leave = Leave()
    for n in 2..<4 { leave.left.append(NamedNode(key: Fixed.identities[n].publicKey, endpoint: .none)) }
    ring.receive(leave, from: slot, &side.links, &side.context)
    #expect(side.links.peer(other.id) == nil)
    let named = (0..<2).filter { side.links.peer(leave.left[$0].key.id) != nil }
    #expect(!named.isEmpty, "its place belongs to another peer now")
  }
}
