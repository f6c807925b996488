// Goal: a look at the way over the ring names the nodes that messages go through, and ends in any case.

import Base
import Node
import Session
import Simulator
import Testing

@Suite struct RouteTraceTests {
  private struct Answer {
    var hops: [OverlayID] = []
    var end: RouteAnswer?
  }

  private func trace(_ world: World, from node: Int, to target: OverlayID) -> Answer {
    let host = world.hosts[node]
    let before = host.events.count
    world.act(host) { host.core.traceRoute(to: target, ticket: 7, &host.context) }
    world.run(for: .seconds(8))
    var answer = Answer()
    for event in host.events[before...] {
      switch event {
      case .routeHop(7, let id, let after):
        answer.hops.append(id)
        #expect(after >= .milliseconds(20) && after < .seconds(1))
      case .routeTraced(7, let end):
        #expect(answer.end == nil)
        answer.end = end
      default: break
      }
    }
    return answer
  }

  @Test func wayThroughOthersIsNamed() throws {
    let world = World(seed: 3)
    world.add()
    for _ in 0..<27 { world.add(bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    world.run(for: .seconds(60))
    let ids = world.hosts.map(\.snapshot.id)
    var farAway = 0
    for node in 2..<world.nodeCount {
      let answer = trace(world, from: 1, to: ids[node])
      guard case .reached(let hops, _) = answer.end else {
        Issue.record("node \(node) was not reached")
        continue
      }
      #expect(answer.hops.count == Int(hops) - 1)
      #expect(answer.hops.allSatisfy { ids.contains($0) && $0 != ids[1] && $0 != ids[node] })
      farAway += hops > 1 ? 1 : 0
    }
    #expect(farAway > 0)
  }

  @Test func nobodyIsNotReached() throws {
    let world = World(seed: 4)
    for n in 0..<4 { world.add(bootstraps: n == 0 ? [] : [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let answer = trace(world, from: 1, to: OverlayID(high: 5, middle: 6, low: 7))
    guard case .notReached = answer.end else {
      Issue.record("somebody answered for an ID that nobody has")
      return
    }
    #expect(answer.hops.isEmpty)
  }
}
