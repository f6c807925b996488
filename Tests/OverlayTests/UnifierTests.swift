// Goal: two rings that meet become one, soon, and without a flood: strangers wait in a short queue, are
// looked up at a pace, and not again and again.
// Method: the queue on a clock of its own; two small rings of whole nodes, of which one learns of the other.

import Base
import Node
import Session
import Simulator
import Testing

@testable import Overlay

@Suite struct UnifierTests {
  private func stranger(_ random: inout Random) -> NamedNode {
    NamedNode(key: random.publicKey(), endpoint: .none)
  }

  private func at(_ milliseconds: UInt64) -> Instant { .start + .milliseconds(milliseconds) }

  @Test func strangersAreLookedUpOneByOneInOrder() {
    var random = Random(seed: 1)
    var unifier = Unifier()
    let strangers = (0..<4).map { _ in stranger(&random) }
    #expect(unifier.nextAt == .never)
    for node in strangers { unifier.push(node, fanOut: 1, via: .zero, at: at(100)) }
    #expect(unifier.nextAt == at(120))
    #expect(unifier.pop(at: at(119)) == nil)
    for (i, node) in strangers.enumerated() {
      let now = at(120 + 20 * UInt64(i))
      #expect(unifier.pop(at: now)?.node == node)
      #expect(unifier.pop(at: now) == nil, "one at a time")
    }
    #expect(unifier.nextAt == .never && unifier.queue.isEmpty)
  }

  @Test func queueIsBoundedAndSoIsWhatFollows() {
    var random = Random(seed: 2)
    var unifier = Unifier()
    let strangers = (0..<100).map { _ in stranger(&random) }
    for node in strangers { unifier.push(node, fanOut: 255, via: .zero, at: .start) }
    #expect(unifier.queue.map(\.node) == Array(strangers.prefix(Unifier.queueMax)))
    #expect(unifier.queue.allSatisfy { $0.fanOut == Unifier.fanOut })
    // Also who drains the queue at once cannot be made to look up more than so many in that time.
    var taken = 0
    for n in 0..<490 as Range<UInt64> {
      unifier.push(stranger(&random), fanOut: 1, via: .zero, at: at(n * 10))
      if unifier.pop(at: at(n * 10)) != nil { taken += 1 }
    }
    #expect(taken == Unifier.queueMax)
  }

  @Test func sameStrangerIsNotLookedUpAgainSoon() {
    var random = Random(seed: 3)
    var unifier = Unifier()
    let node = stranger(&random)
    unifier.push(node, fanOut: 3, via: .zero, at: .start)
    unifier.push(node, fanOut: 3, via: .zero, at: at(1))
    #expect(unifier.queue.count == 1)
    #expect(unifier.pop(at: at(20))?.node == node)
    for n in 1...50 as ClosedRange<UInt64> { unifier.push(node, fanOut: 3, via: .zero, at: at(n * 100)) }
    #expect(unifier.queue.isEmpty)
    unifier.push(node, fanOut: 3, via: .zero, at: at(5_001))
    #expect(unifier.queue.count == 1)
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

  @Test(arguments: [UInt64(4)]) func largerRingsAreJoinedLikeAZip(seed: UInt64) throws {
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
