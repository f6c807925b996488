// Goal: all that a peer names is probed when the peer probes too, in the right order, within the budget, and
// nothing but an answer from the very endpoint proves a path.
// Method: two machines and a relay; each datagram in the test's hands.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct PunchTests {
  private let v6 = Endpoint("[2001:db8:9::1]:7741")!
  private let v4 = Endpoint("9.9.9.9:7741")!

  /// Gives a side candidates of another one.
  private func tell(
    _ wires: Wires, _ a: Side, of b: Side, _ endpoints: [Endpoint], _ mapping: Mapping = .unknown
  ) {
    var list = BoundedArray<8, Endpoint>()
    for endpoint in endpoints { list.append(endpoint) }
    let message = Candidates(wantsAnswer: false, mapping: mapping, endpoints: list, vias: BoundedArray())
    wires.act(a) { a.links.receive(message, from: a.slot(b), &a.context) }
  }

  @Test(arguments: [UInt64(5), 20, 80]) func firstProbesOfBothSidesCross(delay: UInt64) throws {
    let wires = try Wires.relayed(delay: .milliseconds(delay))
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.act(b) { b.links.peers[b.slot(a)].isIntroduced = true }
    let begin = wires.now
    wires.act(a) { a.links.sendCandidates(a.slot(b), wantsAnswer: true, &a.context) }
    wires.run(for: .seconds(2))
    func first(_ from: Side, _ to: Side) -> Instant? {
      wires.sent.first { $0.at > begin && $0.from == from.endpoint && $0.to == to.endpoint }?.at
    }
    let (there, back) = (try #require(first(a, b)), try #require(first(b, a)))
    let apart = max(there, back) - min(there, back)
    #expect(apart <= .milliseconds(delay), "\(apart.seconds) s apart, a way of \(delay * 2) ms")
  }

  @Test func allCandidatesAreProbedIPv6First() throws {
    let wires = try Wires.relayed(delay: .milliseconds(10))
    let (a, b) = (wires.sides[0], wires.sides[1])
    a.links.underlay.interfaces.append(IPPrefix("2001:db8:1::20/64")!)
    let begin = wires.now
    let before = a.counters.punchPings
    let many = (1...6).map { Endpoint(IPAddress(v4: 0x0909_0900 + $0), port: 7_741) }
    tell(wires, a, of: b, many + [v4, v6, Endpoint("8.8.8.8:80")!])
    wires.run(for: .milliseconds(1_900))
    let probes = wires.sent.filter { $0.at > begin && (many + [v4, v6]).contains($0.to) }
    #expect(probes.first?.to == v6)
    for endpoint in many + [v4, v6] { #expect(probes.count { $0.to == endpoint } == 5) }
    #expect(probes.allSatisfy { $0.bytes.count <= 64 })
    #expect(a.counters.punchPings == before + 40, "all are counted")
    #expect(a.endpoints(b).isEmpty, "none has taken a path's place")
    // More of them within half a minute are not tried.
    tell(wires, a, of: b, [Endpoint("7.7.7.7:7741")!])
    wires.run(for: .seconds(2))
    #expect(!wires.sent.contains { $0.to == Endpoint("7.7.7.7:7741")! })
  }

  @Test func manyPeersShareTheRateOfProbes() throws {
    let wires = try Wires.relayed(delay: .milliseconds(10))
    let (a, b) = (wires.sides[0], wires.sides[1])
    let begin = wires.now
    for n in 0..<UInt32(20) {
      let list = (1...8).map { Endpoint(IPAddress(v4: 0x0909_0000 + n * 256 + $0), port: 7_741) }
      a.links.peers[a.slot(b)].candidates = (0, .start)
      tell(wires, a, of: b, list)
    }
    wires.run(for: .seconds(1))
    let probes = wires.sent.count { $0.at > begin && $0.to.address.v4 >> 16 == 0x0909 }
    #expect(probes <= 201, "\(probes) in a second, with a burst of 100")
  }

  @Test func answerFromAnotherEndpointProvesNothing() throws {
    let wires = try Wires.relayed(delay: .milliseconds(10))
    let (a, b) = (wires.sides[0], wires.sides[1])
    // What goes from `b` to `a` straight is heard on the way, and comes from another place that `a` asks too.
    wires.passes = { datagram in
      if datagram.from == b.endpoint, datagram.to == a.endpoint {
        wires.inject(datagram.bytes, from: self.v4, to: a.endpoint)
        return false
      }
      return true
    }
    let begin = wires.now
    tell(wires, a, of: b, [b.endpoint, v4])
    wires.run(for: .seconds(4))
    #expect(wires.sent.contains { $0.at > begin && $0.from == b.endpoint && $0.to == a.endpoint })
    #expect(a.path(b, v4)?.isValid != true && a.peer(b)?.hasDirectPath == false)
  }

  @Test func repetitionFromElsewhereMovesNothingThoughTheOldPathIsAsked() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .onDemand)
    // Somebody on the way holds every third datagram back and sends it from another address.
    var count = 0
    wires.passes = { datagram in
      guard datagram.from == a.endpoint, datagram.to == b.endpoint else { return true }
      count += 1
      guard count % 3 == 0 else { return true }
      wires.inject(datagram.bytes, from: self.v4, to: b.endpoint, after: .milliseconds(1))
      return false
    }
    for n in 0..<300 {
      wires.send([UInt8(n % 250)], from: a, to: b)
      wires.send([UInt8(n % 250)], from: b, to: a)
      wires.run(for: .milliseconds(100))
      #expect(b.best(a) == a.endpoint && b.path(a, v4)?.isValid != true)
    }
    #expect(a.packets.count == 300 && b.packets.count == 300)
    #expect(!b.told.contains { if case .pathChanged(_, _, v4) = $0 { true } else { false } })
  }

  // MARK: - Choice

  /// Which of two proven paths is taken; the first is in use.
  private func choice(_ first: (String, ms: UInt64), _ second: (String, ms: UInt64)) -> Int? {
    let side = Side(0)
    let slot = side.find(Fixed.identities[1].publicKey, at: .start)!
    side.links.peers[slot].isUp = true
    for (i, path) in [(1, first), (2, second)] {
      side.links.peers[slot].paths[i] = Path(way: .endpoint(Endpoint(path.0)!), isLAN: false, at: .start)
      side.links.peers[slot].paths[i]!.isValid = true
      side.links.peers[slot].paths[i]!.roundTrip.add(.milliseconds(path.ms))
    }
    side.links.peers[slot].best = 1
    side.links.chooseBest(slot, &side.context)
    return side.links.peers[slot].best
  }

  @Test func newerFamilyIsPreferredUnlessItIsClearlySlower() {
    let (v4, v6) = ("9.9.9.9:7741", "[2001:db8:9::1]:7741")
    #expect(choice((v4, 50), (v6, 50)) == 2)
    #expect(choice((v4, 50), (v6, 54)) == 2, "hardly slower")
    #expect(choice((v4, 100), (v6, 120)) == 1, "slower")
    #expect(choice((v6, 120), (v4, 100)) == 1, "but not left for that")
    #expect(choice((v6, 150), (v4, 100)) == 2, "clearly slower")
    #expect(choice((v6, 14), (v4, 10)) == 1, "4 ms")
  }

  @Test func pathWithTwoUnansweredQuestionsGivesWay() {
    let side = Side(0)
    let slot = side.find(Fixed.identities[1].publicKey, at: .start)!
    side.links.peers[slot].isUp = true
    for (i, text) in [(1, "9.9.9.9:7741"), (2, "8.8.8.8:7741")] {
      side.links.peers[slot].paths[i] = Path(way: .endpoint(Endpoint(text)!), isLAN: i == 1, at: .start)
      side.links.peers[slot].paths[i]!.isValid = true
      side.links.peers[slot].paths[i]!.roundTrip.add(.milliseconds(10))
    }
    side.links.peers[slot].best = 1
    for (tries, best) in [(UInt8(2), 1), (3, 2), (0, 1)] {
      side.links.peers[slot].paths[1]!.probe.tries = tries
      side.links.chooseBest(slot, &side.context)
      #expect(side.links.peers[slot].best == best, "\(tries) tries")
    }
  }

  // MARK: - Many ports

  @Test func nobodyIsMadeToTryManyPorts() throws {
    let wires = try Wires.relayed(delay: .milliseconds(10))
    let (a, b) = (wires.sides[0], wires.sides[1])
    a.links.peers[a.slot(b)].isIntroduced = true
    var isTalking = true
    func ask(_ endpoint: Endpoint) -> Int {
      let begin = wires.now
      wires.act(a) {
        a.links.peers[a.slot(b)].usedAt = isTalking ? wires.now : .start
        a.links.receive(BirthdayMessage.ask(endpoint), from: a.slot(b), &a.context)
      }
      wires.run(for: .milliseconds(500))
      return wires.sent.count { $0.at > begin && $0.to.address == endpoint.address }
    }
    #expect(ask(v4) == 0, "we do not know whether our own box is easy")
    for n in 0..<UInt32(2) {
      _ = a.links.underlay.observe(
        Endpoint("5.5.5.5:5000")!, by: Endpoint(IPAddress(v4: 0x0707_0700 + n), port: 7_741))
    }
    #expect(ask(v4) == 0, "the peer's is not hard, as far as we know")
    tell(wires, a, of: b, [], .varies)
    for text in ["127.0.0.1:5000", "172.16.9.9:5000", "224.0.0.1:5000", "[2001:db8::9]:5000"] {
      #expect(ask(Endpoint(text)!) == 0, "\(text)")
    }
    isTalking = false
    #expect(ask(v4) == 0, "nothing is said to the peer")
    isTalking = true
    #expect(ask(v4) > 20)
    wires.run(for: .seconds(20))
    let probes = wires.sent.filter { $0.to.address == v4.address }
    #expect(probes.count == Birthday.questionsMax && Set(probes.map(\.to.port)).count == probes.count)
    #expect(probes.allSatisfy { $0.to.port >= 1_024 })
    let took = try #require(probes.last).at - probes[0].at
    #expect(took >= .seconds(14), "within the rate")
    #expect(ask(v4) == 0, "not again so soon")
    #expect(a.available == 256)
  }

  @Test func walkTakesEveryPortOnce() {
    var walk = PortWalk(start: .max)
    var seen = Set<UInt16>()
    for _ in 1_024...65_535 { seen.insert(walk.next()) }
    #expect(seen.count == 64_512 && seen.min() == 1_024)
    // Any row of 256 ports is met within a few hundred steps.
    for start in [UInt64(0), 777, 50_000] {
      var walk = PortWalk(start: start)
      var first: [Int: Int] = [:]
      for step in 0..<700 {
        let row = Int(walk.next() - 1_024) / 256
        first[row] = first[row] ?? step
      }
      #expect(first.count == 252)
    }
  }

  // MARK: - Without a network

  @Test func machineWithoutAddressesWaitsAndIsBackAtOnce() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .onDemand)
    let interfaces = a.links.underlay.interfaces
    func change(_ list: [IPPrefix]) {
      wires.act(a) {
        a.links.underlay.interfaces = list
        a.links.underlay.isOffline = list.isEmpty
        a.links.underlayChanged(hasMoved: true, &a.context)
      }
    }
    wires.passes = { _ in false }
    change([])
    wires.run(for: .seconds(20))
    #expect(a.isUp(b))
    wires.passes = { _ in true }
    change(interfaces)
    let begin = wires.now
    while b.packets.isEmpty, wires.now - begin < .seconds(5) {
      wires.send([1], from: a, to: b)
      wires.run(for: .milliseconds(100))
    }
    #expect(!b.packets.isEmpty && wires.now - begin <= .seconds(1))
  }
}
