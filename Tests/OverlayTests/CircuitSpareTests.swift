// Two circuits to a peer with traffic: failing over, choosing, switching without a loss, and letting go.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct CircuitSpareTests {
  @Test func peerWithTrafficHasASpareThroughAnotherRelay() throws {
    let scene = try CircuitScene.withSpare()
    for (one, other) in [(scene.a, scene.b), (scene.b, scene.a)] {
      let relays = Peer.circuitSlots.compactMap { one.peer(other)?.path($0)?.relay }
      #expect(relays.count == 2 && relays[0] != relays[1])
    }
    for relay in scene.relays { #expect(relay.links.relayed.count == 1) }
    for side in scene.wires.sides { #expect(side.available == 256) }
  }

  @Test func spareIsLetGoWhenTheTrafficHasEnded() throws {
    let scene = try CircuitScene.withSpare()
    scene.wires.run(for: CircuitTiming.idle + .seconds(20))
    #expect(scene.a.links.circuitEnds.count == 1 && scene.b.links.circuitEnds.count == 1)
    #expect(scene.relays.map { $0.links.relayed.count }.sorted() == [0, 1])
    #expect(scene.isJoined)
  }

  @Test func spareTakesOverWithinTwoSecondsUnderTraffic() throws {
    let scene = try CircuitScene.withSpare()
    let (used, spare) = try scene.relaysInUse()
    scene.cut(used)
    let begin = scene.wires.now
    var took: Interval?
    while took == nil, scene.wires.now - begin < .seconds(6) {
      let before = (scene.a.packets.count, scene.b.packets.count)
      scene.exchange(1, every: .milliseconds(20))
      if scene.a.packets.count > before.0, scene.b.packets.count > before.1 {
        took = scene.wires.now - begin
      }
    }
    #expect(try #require(took) < .seconds(2))
    #expect(scene.relay(of: scene.a, scene.b) == spare.id && scene.relay(of: scene.b, scene.a) == spare.id)
    #expect(scene.wires.sides.allSatisfy { $0.available > 240 })
  }

  @Test func lossOfTheRelaysOwnLinkEndsItsCircuitAtOnce() throws {
    let scene = try CircuitScene.withSpare()
    let (used, spare) = try scene.relaysInUse()
    scene.wires.act(scene.a) { scene.a.links.forget(scene.a.slot(used), &scene.a.context) }
    scene.wires.run(for: .milliseconds(1))
    #expect(scene.relay(of: scene.a, scene.b) == spare.id)
  }

  @Test func quickerCircuitTakesOverOnlyForAClearGain() throws {
    let scene = try CircuitScene.withSpare()
    let (used, spare) = try scene.relaysInUse()
    func choose() {
      scene.wires.act(scene.a) {
        scene.a.links.chooseBest(scene.a.slot(scene.b), &scene.a.context)
      }
    }
    scene.pretend(scene.a, scene.b, through: used, .milliseconds(100))
    scene.pretend(scene.a, scene.b, through: spare, .milliseconds(96))
    choose()
    #expect(scene.relay(of: scene.a, scene.b) == used.id, "4 % are not worth it")
    scene.pretend(scene.a, scene.b, through: spare, .milliseconds(70))
    choose()
    #expect(scene.relay(of: scene.a, scene.b) == spare.id)
    scene.pretend(scene.a, scene.b, through: used, .milliseconds(67))
    choose()
    #expect(scene.relay(of: scene.a, scene.b) == spare.id, "nor are these worth going back")
  }

  @Test func leavingACircuitLosesNothingThatIsOnItsWay() throws {
    let scene = try CircuitScene.withSpare()
    let (used, spare) = try scene.relaysInUse()
    let before = (scene.a.packets.count, scene.b.packets.count)
    for n in 0..<100 {
      if n == 50 {
        let index = try #require(
          scene.a.links.circuitEnds.find(peer: scene.a.slot(scene.b), relay: used.id))
        scene.wires.act(scene.a) { scene.a.links.leaveCircuit(index, &scene.a.context) }
      }
      scene.exchange(1, every: .milliseconds(2))
      // The way is four datagrams long: some are on it all the time.
      scene.wires.send([1], from: scene.a, to: scene.b)
      scene.wires.send([2], from: scene.b, to: scene.a)
    }
    scene.wires.run(for: .seconds(1))
    #expect(scene.a.packets.count == before.0 + 200 && scene.b.packets.count == before.1 + 200)
    #expect(scene.relay(of: scene.b, scene.a) == spare.id)
  }

  @Test func leftEndIsForgottenAndItsLabelWithIt() throws {
    let scene = try CircuitScene.withSpare()
    let (used, _) = try scene.relaysInUse()
    let index = try #require(scene.a.links.circuitEnds.find(peer: scene.a.slot(scene.b), relay: used.id))
    let label = scene.a.links.circuitEnds[index]!.label
    scene.wires.act(scene.a) { scene.a.links.leaveCircuit(index, &scene.a.context) }
    #expect(scene.a.links.circuitEnds.hasLabel(label))
    scene.wires.run(for: CircuitTiming.linger + .milliseconds(10))
    #expect(!scene.a.links.circuitEnds.hasLabel(label))
    #expect(used.links.relayed.count <= 1)
  }

  @Test func datagramsThroughTheLosingCircuitDoNotReplayAgainstTheOther() throws {
    let scene = try CircuitScene.withSpare()
    let (used, spare) = try scene.relaysInUse()
    // Far ahead on one circuit, then back on the other: each has a window of its own.
    scene.exchange(100, every: .milliseconds(1))
    scene.pretend(scene.a, scene.b, through: used, .seconds(1))
    scene.pretend(scene.a, scene.b, through: spare, .milliseconds(10))
    scene.wires.act(scene.a) { scene.a.links.chooseBest(scene.a.slot(scene.b), &scene.a.context) }
    let before = scene.b.packets.count
    scene.exchange(20)
    #expect(scene.b.packets.count == before + 20)
  }
}
