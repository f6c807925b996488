// When links go over TCP: datagrams that a test stops, connections that it lets through or ends.

import Base
import Session
import Testing

@testable import Overlay

/// Nodes with public addresses; a firewall stops the datagrams of the first.
private final class Scene {
  let wires: Wires
  var a: Side { wires.sides[0] }
  var b: Side { wires.sides[1] }

  init(count: Int = 2) {
    let sides = (0..<count).map { Side($0) }
    for (number, side) in sides.enumerated() {
      side.endpoint = Endpoint(IPAddress(v4: 0xC633_6401 + UInt32(number) << 8), port: 7_741)
      side.links.underlay.interfaces = [IPPrefix(side.endpoint.address, length: 24)]
    }
    wires = Wires(sides)
    block()
  }

  func block() {
    let blocked = a.endpoint
    wires.passes = { $0.isFrame || ($0.from != blocked && $0.to != blocked) }
  }

  func comeIn(key: PublicKey? = nil) {
    wires.act(a) { a.links.addBootstrap(b.endpoint, key: key, &a.context) }
  }

  func kind(_ one: Side, _ other: Side) -> PathKind? { one.peer(other)?.bestPath?.kind }
}

@Suite struct StreamTests {
  @Test(arguments: [false, true]) func bootstrapThatAnswersOverTCPOnlyIsReached(_ isKeyKnown: Bool) throws {
    let scene = Scene()
    let (a, b) = (scene.a, scene.b)
    scene.comeIn(key: isKeyKnown ? b.key : nil)
    let took = try #require(scene.wires.run(upTo: .seconds(5)) { a.isUp(b) && b.isUp(a) })
    #expect(took > .milliseconds(1_200) && took < .milliseconds(2_500), "\(took)")
    scene.wires.run(for: .seconds(2))
    #expect(scene.kind(a, b) == .tcp && scene.kind(b, a) == .tcp)
    #expect(a.best(b)?.listening == b.endpoint && b.best(a)?.listening == Endpoint.none)
    guard case .stopped(let at, _) = a.links.udpPassage else {
      Issue.record("UDP does not get through, and that is not seen")
      return
    }
    #expect(at == b.endpoint)
    #expect(b.links.udpPassage == .unknown, "the other side knows nothing of UDP by that")
    #expect(a.told.contains { if case .bootstrapReached(_, b.endpoint) = $0 { true } else { false } })
    let packet = [UInt8](repeating: 3, count: 1_400)
    scene.wires.send(packet, from: a, to: b)
    scene.wires.run(for: .seconds(1))
    #expect(b.packets.map(\.bytes) == [packet], "in one piece")
    #expect(a.counters.streamsBegun == 1)
  }

  @Test func whoReachesOthersOverUDPConnectsToNobody() throws {
    let scene = Scene(count: 3)
    let (a, c) = (scene.a, scene.wires.sides[2])
    let dead = scene.b.endpoint
    scene.wires.passes = { $0.from != dead && $0.to != dead }
    scene.comeIn()
    scene.wires.act(a) { a.links.addBootstrap(c.endpoint, key: nil, &a.context) }
    try #require(scene.wires.run(upTo: .seconds(1)) { a.isUp(c) && c.isUp(a) } != nil)
    c.links.peers[c.slot(a)].roles.insert(.near)
    scene.wires.run(for: .seconds(60))
    #expect(a.isUp(c) && scene.kind(a, c) == .direct)
    #expect(a.links.udpPassage == .open && a.counters.streamsBegun == 0)
  }

  @Test(arguments: [SocketNumber(7), .ownStream(place: 3, life: 1), .acceptedStream(place: 9, life: 1)])
  func socketOfAPathThatGoesIsClosedAlsoWhenNothingElseIsCarriedOut(_ socket: SocketNumber) {
    let node = LoneNode()
    let slot = node.raise(Identity.stub(number: 2).publicKey)
    let index = node.links.addPath(slot, Endpoint("5.5.5.5:7741")!.through(socket), &node.context)!
    while node.context.effects.append(.notify(.noLongerAlone)) {}
    node.links.dropPath(slot, index, &node.context)
    var last: Effect?
    node.context.effects.drain { last = $0 }
    guard case .close(socket) = last else {
      Issue.record("the socket stays open for ever")
      return
    }
  }

  @Test func connectionIsLetGoWhenUDPWorksAgain() throws {
    let scene = Scene()
    let (a, b) = (scene.a, scene.b)
    scene.comeIn()
    try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp } != nil)
    scene.wires.run(for: .seconds(40))
    #expect(scene.kind(a, b) == .tcp)
    scene.wires.passes = { _ in true }
    let took = scene.wires.run(upTo: .minutes(3)) {
      scene.kind(a, b) == .direct && scene.kind(b, a) == .direct
    }
    try #require(took != nil)
    #expect(a.links.udpPassage == .open)
    scene.wires.run(for: .seconds(15))
    #expect(a.endpoints(b) == [b.endpoint] && b.endpoints(a) == [a.endpoint])
    #expect(scene.wires.streamCount == 0)
    #expect(a.isUp(b) && b.isUp(a))
  }

  @Test func endedConnectionIsLeftAtOnceAndMadeAgain() throws {
    let scene = Scene()
    let (a, b) = (scene.a, scene.b)
    scene.comeIn()
    try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp } != nil)
    scene.wires.run(for: .seconds(1))
    scene.wires.endStreams()
    #expect(!a.isUp(b) && !b.isUp(a), "there is no other way")
    let took = scene.wires.run(upTo: .seconds(15)) { a.isUp(b) && b.isUp(a) }
    #expect(took != nil && scene.kind(a, b) == .tcp)
  }

  @Test func silentConnectionIsLeftWithinFiveSeconds() throws {
    let scene = Scene()
    let (a, b) = (scene.a, scene.b)
    scene.comeIn()
    try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp } != nil)
    scene.wires.run(for: .seconds(1))
    scene.wires.passes = { _ in false }
    scene.wires.send([1], from: a, to: b)
    #expect(scene.wires.run(upTo: .seconds(5)) { !a.isUp(b) } != nil)
    #expect(a.links.streams.count == 0)
  }

  @Test func publicPeerIsConnectedToByTheBlockedSideOnly() throws {
    let scene = Scene(count: 3)
    let (a, b, c) = (scene.a, scene.b, scene.wires.sides[2])
    try scene.wires.link(b, c)
    scene.comeIn()
    try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp } != nil)
    let via = b.id
    scene.wires.act(c) { c.links.connect(a.key, role: .near, via: via, firstHand: true, &c.context) }
    try #require(scene.wires.run(upTo: .seconds(5)) { a.isUp(c) && c.isUp(a) } != nil)
    a.links.peers[a.slot(c)].roles.insert(.near)
    scene.wires.act(a) { a.links.introduce(a.slot(c), &a.context) }
    scene.wires.act(c) { c.links.introduce(c.slot(a), &c.context) }
    let took = scene.wires.run(upTo: .seconds(5)) { scene.kind(a, c) == .tcp && scene.kind(c, a) == .tcp }
    #expect(took != nil)
    #expect(a.best(c)?.socket.isOwnStream == true && c.best(a)?.socket.isAcceptedStream == true)
    #expect(c.counters.streamsBegun == 0 && a.counters.streamsBegun == 2)
  }

  @Test func twoThatReachARelayOverTCPHaveACircuitThroughIt() throws {
    let scene = Scene(count: 3)
    let (a, b, c) = (scene.a, scene.b, scene.wires.sides[2])
    let ends = [a.endpoint, c.endpoint]
    // Both are behind firewalls that let nobody in.
    scene.wires.passes = { $0.isFrame || (!ends.contains($0.from) && !ends.contains($0.to)) }
    scene.wires.accepts = { $0 == b.endpoint }
    scene.comeIn()
    scene.wires.act(c) { c.links.addBootstrap(b.endpoint, key: nil, &c.context) }
    try #require(
      scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp && scene.kind(c, b) == .tcp } != nil)
    scene.wires.run(for: .seconds(1))
    scene.wires.act(a) { a.links.connect(c.key, role: .near, via: b.id, firstHand: true, &a.context) }
    try #require(scene.wires.run(upTo: .seconds(5)) { a.isUp(c) && c.isUp(a) } != nil)
    c.links.peers[c.slot(a)].roles.insert(.near)
    for _ in 0..<100 where scene.kind(a, c) != .proxy || scene.kind(c, a) != .proxy {
      scene.wires.send([1], from: a, to: c)
      scene.wires.send([2], from: c, to: a)
      scene.wires.run(for: .milliseconds(100))
    }
    #expect(scene.kind(a, c) == .proxy && scene.kind(c, a) == .proxy)
    let before = c.packets.count
    scene.wires.send([9, 9], from: a, to: c)
    scene.wires.run(for: .seconds(1))
    #expect(c.packets.count == before + 1)
  }

  @Test func offeredRelayIsMetOverTCPAtOnce() throws {
    let scene = Scene(count: 4)
    let (a, b, relay, peer) = (scene.a, scene.b, scene.wires.sides[2], scene.wires.sides[3])
    try scene.wires.link(b, relay)
    try scene.wires.link(b, peer)
    scene.wires.accepts = { $0 != peer.endpoint }
    scene.comeIn()
    try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp } != nil)
    let via = b.id
    scene.wires.act(a) { a.links.connect(peer.key, role: .onDemand, via: via, firstHand: true, &a.context) }
    try #require(scene.wires.run(upTo: .seconds(5)) { a.isUp(peer) && peer.isUp(a) } != nil)
    var offers = BoundedArray<4, RelayOffer>()
    offers.append(
      RelayOffer(
        node: NamedNode(key: relay.key, endpoint: relay.endpoint), roundTrip: 20_000, coordinate: .unknown))
    scene.wires.act(a) { a.links.receiveOffer(offers, from: a.slot(peer), &a.context) }
    let took = try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, relay) == .tcp })
    #expect(took < .milliseconds(300), "\(took)")
    #expect(a.peer(relay)?.roles == .proxy)
    #expect(a.best(relay)?.listening == relay.endpoint)
  }

  @Test func privateAddressesAndForbiddenPortsAreNotConnectedTo() throws {
    let scene = Scene(count: 3)
    let (a, b, c) = (scene.a, scene.b, scene.wires.sides[2])
    try scene.wires.link(b, c)
    scene.comeIn()
    try #require(scene.wires.run(upTo: .seconds(5)) { scene.kind(a, b) == .tcp } != nil)
    let via = b.id
    scene.wires.act(a) { a.links.connect(c.key, role: .near, via: via, firstHand: true, &a.context) }
    try #require(scene.wires.run(upTo: .seconds(5)) { a.isUp(c) && c.isUp(a) } != nil)
    let slot = a.slot(c)
    a.links.peers[slot].isIntroduced = true
    var list = BoundedArray<8, Endpoint>()
    for text in [
      "192.168.7.7:7741", "10.0.0.9:7741", "127.0.0.1:7741", "198.51.100.200:22", "198.51.103.7:0",
    ] {
      list.append(Endpoint(text)!)
    }
    scene.wires.act(a) { a.links.connectIfStopped(slot, to: list, &a.context) }
    #expect(a.counters.streamsBegun == 1)
    // One a peer at a time, and after one in vain a wait.
    list.append(Endpoint("203.0.113.9:7741")!)
    for _ in 0..<5 { scene.wires.act(a) { a.links.connectIfStopped(slot, to: list, &a.context) } }
    #expect(a.counters.streamsBegun == 2)
    scene.wires.run(for: .milliseconds(100))
    for _ in 0..<5 { scene.wires.act(a) { a.links.connectIfStopped(slot, to: list, &a.context) } }
    #expect(a.counters.streamsBegun == 2)
  }
}

@Suite struct OwnStreamTests {
  @Test func numbersAreBoundedAndTellLivesApart() {
    var streams = OwnStreams()
    let endpoint = Endpoint("203.0.113.9:7741")!
    var numbers: [SocketNumber] = []
    for _ in 0..<200 {
      guard let stream = streams.insert(endpoint, for: nil, at: .start) else { continue }
      #expect(stream.endpoint.socket.isOwnStream && stream.endpoint.listening == endpoint)
      numbers.append(stream.endpoint.socket)
      streams[stream.endpoint.socket.place]!.isPath = true
    }
    #expect(numbers.count == SocketNumber.ownStreamsMax && Set(numbers).count == numbers.count)
    let gone = numbers[5]
    #expect(streams.remove(gone) && !streams.remove(gone))
    let again = streams.insert(endpoint, for: nil, at: .start)!.endpoint.socket
    #expect(again.place == gone.place && again != gone)
    #expect(!streams.remove(gone) && streams.count == SocketNumber.ownStreamsMax)
  }

  @Test func fewAreMadeAtATime() {
    var streams = OwnStreams()
    for i in 0..<20 {
      let endpoint = Endpoint(IPAddress(v4: 0xCB00_7100 + UInt32(i)), port: 7_741)
      #expect((streams.insert(endpoint, for: nil, at: .start) != nil) == (i < OwnStreams.openingMax))
    }
  }

  @Test func nodesBehindBoxesLeavePlacesForOthers() {
    var streams = OwnStreams()
    for i in 0..<20 {
      let endpoint = Endpoint(IPAddress(v4: 0xCB00_7100 + UInt32(i)), port: 7_741)
      let isBegun = streams.insert(endpoint, for: nil, isBoxed: true, at: .start) != nil
      #expect(isBegun == (i < OwnStreams.boxedOpeningMax))
    }
    #expect(streams.insert(Endpoint("5.5.5.5:7741")!, for: nil, at: .start) != nil)
  }
}
