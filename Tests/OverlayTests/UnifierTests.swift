// Goal: two rings that meet become one, soon, and without a flood: a node asks for few places at a time, and
// seldom; who is told of a stranger that does not stand next to it does nothing.
// Method: the questions on a clock of their own, and the choice of far links by a lone node; small rings of
// whole nodes, of which one learns of the other.

import Base
import Session
import Simulator
import Testing

@testable import Node
@testable import Overlay

@Suite struct UnifierTests {
  private func at(_ milliseconds: UInt64) -> Instant { .start + .milliseconds(milliseconds) }

  @Test func lookIsAnsweredOnceAndUnderItsNonceOnly() {
    var context = Context(packets: 1, effects: 1, seed: 1)
    var unifier = Unifier()
    let places = [OverlayID.zero, OverlayID(high: 1, middle: 0, low: 0)]
    let contact = OverlayID(high: 2, middle: 0, low: 0)
    let nonces = places.map { unifier.begin(at: $0, through: contact, &context)?.nonce ?? 0 }
    #expect(nonces[0] != nonces[1] && !nonces.contains(0))
    let unknown = unifier.end(nonces[0] &+ 1)
    #expect(unknown == nil)
    let ended = unifier.end(nonces[1])
    #expect(ended?.place == places[1] && ended?.contact == contact)
    let again = unifier.end(nonces[1])
    #expect(again == nil)
    let other = unifier.end(nonces[0])
    #expect(other?.place == places[0])
  }

  @Test func fewLooksAreUnderWayAndOneAtEachPlace() {
    var context = Context(packets: 1, effects: 1, seed: 2)
    var unifier = Unifier()
    let places = (0..<10).map { OverlayID(high: $0, middle: 0, low: 0) }
    func begin(_ places: [OverlayID]) -> [Bool] {
      places.map { unifier.begin(at: $0, through: .zero, &context) != nil }
    }
    #expect(begin(places) == places.indices.map { $0 < 4 })
    #expect(begin(places) == places.map { _ in false })
    // Who has not answered by then does not count any more.
    context.now = at(3_000)
    #expect(begin(places) == places.map { _ in false })
    context.now = at(3_001)
    #expect(begin(places) == places.indices.map { $0 < 4 })
  }

  @Test func othersAreAskedForNowAndThen() {
    var unifier = Unifier()
    let moments = (0..<200 as Range<UInt64>).map { at($0 * 100) }.filter { unifier.mayAsk(at: $0) }
    #expect(moments == [at(0), at(5_000), at(10_000), at(15_000)])
  }

  @Test(arguments: [UInt64(1), 2, 3]) func farLinksAreDrawnWithoutNeighboursAndTheContact(seed: UInt64) {
    let node = LoneNode()
    var random = Random(seed: seed)
    node.raise(20, &random)
    let near = node.links.neighbourhood
    let far = (0..<20).filter { !near.contains($0) }
    for slot in 0..<20 { node.links.peers[slot].roles.insert(near.contains(slot) ? .near : .shortcut) }
    node.links.peers[far[1]].roles.remove(.shortcut)
    var drawn: [Int] = []
    for _ in 0..<200 {
      let chosen = node.links.randomFarLinks(on: .main, other: far[0], &node.context)
      let slots = (0..<chosen.count).map { Int(chosen[$0]) }
      #expect(slots.count == Unifier.fanOut && Set(slots).count == slots.count)
      drawn += slots
    }
    #expect(Set(drawn) == Set(far.dropFirst(2)), "all but the contact and a link without a reason")
    for slot in far.dropFirst(2) {
      // 600 draws of ten.
      #expect((30...90).contains(drawn.count { $0 == slot }))
    }
  }

  // MARK: - Whole rings

  /// Two rings of so many nodes each: the even numbers and the odd ones.
  private func twoRings(_ size: Int, seed: UInt64) throws -> World {
    let world = World(stub: seed)
    for i in 0..<2 * size { world.add(.seed, bootstraps: i < 2 ? [] : [i & 1]) }
    let rings = [0, 1].map { first in (0..<2 * size).filter { $0 & 1 == first } }
    let took = world.untilTrue([rings[0], rings[1]], .seconds(30))
    try #require(took != nil)
    world.run(for: .seconds(5))
    try #require(world.isTrue(rings[0]) && world.isTrue(rings[1]))
    return world
  }

  @Test(arguments: [UInt64(1), 2, 3]) func ringsThatMeetBecomeOne(seed: UInt64) throws {
    let world = try twoRings(8, seed: seed)
    let endpoint = world.endpoint(of: 7)
    world.withCore(4) { core, context in core.addBootstrap(endpoint, key: nil, &context) }
    let all = Array(0..<16)
    let took = world.untilTrue([all], .seconds(30))
    #expect(took != nil)
    for _ in 0..<3 {
      world.run(for: .seconds(5))
      #expect(world.isTrue(all))
    }
  }

  @Test(arguments: [UInt64(4)]) func contactMayStandAnywhere(seed: UInt64) throws {
    let world = try twoRings(16, seed: seed)
    // The contact stands on the other side of the other ring, as far from its place as can be.
    let own = world.view(4).id
    let contact = (0..<16).map { 2 * $0 + 1 }.max {
      world.view($0).id.distance(to: own) < world.view($1).id.distance(to: own)
    }!
    let endpoint = world.endpoint(of: contact)
    world.withCore(4) { core, context in core.addBootstrap(endpoint, key: nil, &context) }
    let took = world.untilTrue([Array(0..<32)], .seconds(30))
    #expect(took != nil)
  }

  /// A zip from one place would take several seconds for so many.
  @Test func largeRingsAreJoinedFromManyPlaces() throws {
    let world = try twoRings(150, seed: 5)
    let endpoint = world.endpoint(of: 101)
    world.withCore(100) { core, context in core.addBootstrap(endpoint, key: nil, &context) }
    let took = try #require(world.untilTrue([Array(0..<300)], .seconds(30)))
    #expect(took < .seconds(3))
  }

  @Test func whoIsToldOfStrangersElsewhereLinksNobody() throws {
    let world = try twoRings(16, seed: 6)
    // A node of the first ring tells another one of nodes of the second that are far from it.
    let told = world.view(0).id
    let far = (0..<16).map { 2 * $0 + 1 }.sorted {
      world.view($0).id.distance(to: told) > world.view($1).id.distance(to: told)
    }
    let links = world.view(0).links
    for other in far.prefix(2) {
      let stranger = world.withCore(other) { core, _ in core.network.links.own }
      world.withCore(0) { core, context in
        core.network.ring.receive(Unify(stranger), from: 0, &core.network.links, &context)
      }
    }
    world.run(for: .seconds(3))
    #expect(world.view(0).links == links)
  }

  @Test func partitionThatHealsLeavesOneRing() throws {
    let world = World(stub: 9)
    for i in 0..<10 { world.add(.seed, bootstraps: i == 0 ? [] : [0]) }
    let all = Array(0..<10)
    try #require(world.untilTrue([all], .seconds(30)) != nil)
    world.run(for: .seconds(5))
    let half = Array(5..<10)
    world.apply(.cut(0, .nodes(half), from: .not(.nodes(half)), .both))
    try #require(world.untilTrue([Array(0..<5), half], .seconds(60)) != nil)
    world.apply(.heal(cut: 0))
    // The dead are asked every ten seconds.
    let took = world.untilTrue([all], .seconds(40))
    #expect(took != nil)
  }
}
