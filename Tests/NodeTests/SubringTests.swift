// Goal: the members of a community, and nobody else, come to stand on a ring of their own, and stay on one.
// Method: whole nodes on a virtual clock, compared with the sorted list of the members' IDs.

import Base
import Node
import Overlay
import Session
import Simulator
import Testing

@Suite struct SubringTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let work = Community.shared(name: "work", secret: [UInt8](33...64))

  /// A seed, and members that come in through it: these many of each community, by turns.
  private func network(_ counts: [Int], seeds: Int = 1, seed: UInt64) -> World {
    let world = World(seed: seed)
    world.add()
    for _ in 1..<max(seeds, 1) { world.add(bootstraps: [0]) }
    for turn in 0..<counts.max()! {
      for (community, count) in zip([home, work], counts) where turn < count {
        world.add(community: community, bootstraps: [0])
      }
    }
    return world
  }

  private func members(_ world: World, _ community: Community) -> [Host] {
    world.hosts.filter { $0.isAlive && $0.snapshot.community?.name == community.name }
  }

  /// Whether the members have each other as neighbours, in the order of their IDs, and agree on it.
  private func isTrue(_ members: [Host]) -> Bool {
    let ring = members.map { $0.core.id }.sorted()
    return members.allSatisfy { host in
      guard let view = host.core.subringView else { return false }
      let place = ring.firstIndex(of: view.id)!
      let others = min(ring.count - 1, Neighbourhood.side)
      guard others > 0 else { return view.left.isEmpty && view.right.isEmpty }
      func ids(_ list: BoundedArray<4, OverlayID>) -> [OverlayID] { (0..<list.count).map { list[$0] } }
      return view.isSettled && ids(view.right) == (1...others).map { ring[(place + $0) % ring.count] }
        && ids(view.left) == (1...others).map { ring[(place - $0 + ring.count) % ring.count] }
    }
  }

  @Test(arguments: [1, 2, 3, 9, 20]) func membersFormARing(count: Int) {
    let world = network([count], seeds: 4, seed: 31)
    let took = world.run(upTo: .seconds(30)) { isTrue(members(world, home)) }
    #expect(took != nil && took! < .seconds(8), "took \(String(describing: took?.seconds)) s")
    for _ in 0..<2 {
      world.run(for: .seconds(15))
      #expect(isTrue(members(world, home)), "and stay on it")
    }
    #expect(world.hosts.filter { $0.core.subringView == nil }.count == 4, "a seed has no part in it")
  }

  @Test func eachCommunityHasItsOwn() {
    let world = network([7, 8], seed: 32)
    let took = world.run(upTo: .seconds(30)) { isTrue(members(world, home)) && isTrue(members(world, work)) }
    #expect(took != nil)
  }

  @Test func whoLeavesLeavesNoGap() throws {
    let world = network([12], seed: 33)
    try #require(world.run(upTo: .seconds(30)) { isTrue(members(world, home)) } != nil)
    world.run(for: .seconds(20))
    let host = world.hosts[5]
    world.act(host) { host.core.leave(&host.context) }
    world.kill(5)
    let took = world.run(upTo: .seconds(5)) { isTrue(members(world, home)) }
    #expect(took != nil && took! < .seconds(1), "took \(String(describing: took?.seconds)) s")
  }

  @Test func deathOfThreeInARowIsHealed() throws {
    let world = network([14], seed: 34)
    try #require(world.run(upTo: .seconds(30)) { isTrue(members(world, home)) } != nil)
    world.run(for: .seconds(20))
    let inOrder = members(world, home).sorted { $0.core.id < $1.core.id }
    for host in inOrder[4..<7] { world.kill(host.number) }
    let took = world.run(upTo: .seconds(40)) { isTrue(members(world, home)) }
    #expect(took != nil && took! < .seconds(25), "took \(String(describing: took?.seconds)) s")
  }
}
