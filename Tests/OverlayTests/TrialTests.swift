// Goal: what became of each endpoint of a peer is known afterwards, within bounds.
// Method: two machines and a relay; each datagram in the test's hands.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct TrialTests {
  private let nowhere = Endpoint("9.9.9.9:7741")!

  private func tell(_ wires: Wires, _ a: Side, of b: Side, _ endpoints: [Endpoint]) {
    var list = BoundedArray<8, Endpoint>()
    for endpoint in endpoints { list.append(endpoint) }
    let message = Candidates(wantsAnswer: false, mapping: .unknown, endpoints: list, vias: BoundedArray())
    wires.act(a) { a.links.receive(message, from: a.slot(b), &a.context) }
  }

  private func trials(_ a: Side, of b: Side) -> [Trial] {
    let list = a.links.trials(a.slot(b))
    return (0..<list.count).map { list[$0] }
  }

  private func trial(_ a: Side, of b: Side, _ text: String) -> Trial? {
    trials(a, of: b).first { $0.endpoint == Endpoint(text)! && $0.source != .manyPorts }
  }

  @Test func everyCandidateHasItsOutcome() throws {
    let wires = try Wires.relayed()
    let (a, b) = (wires.sides[0], wires.sides[1])
    a.links.peers[a.slot(b)].candidates = (6, wires.now)
    let names = ["8.8.8.8:80", "172.16.1.1:7741", "[2001:db8:9::1]:7741", "9.9.9.9:7741", "7.7.7.7:7741"]
    tell(wires, a, of: b, (names + ["6.6.6.6:7741"]).map { Endpoint($0)! })
    wires.run(for: .seconds(4))
    #expect(trial(a, of: b, names[0])?.refusal == .port)
    #expect(trial(a, of: b, names[1])?.refusal == .elsewhere)
    #expect(trial(a, of: b, names[2])?.refusal == .family, "this side has IPv4 only")
    for i in 3..<5 {
      let tried = try #require(trial(a, of: b, names[i]))
      #expect(tried.refusal == nil && tried.asked == 5 && tried.roundTrip == nil)
    }
    #expect(trial(a, of: b, "6.6.6.6:7741")?.refusal == .budget)
    #expect(trials(a, of: b).allSatisfy { $0.asked == 0 || $0.refusal == nil })
  }

  @Test func answerAndSilenceAreKept() throws {
    let wires = try Wires.relayed()
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.passes = { _ in true }
    tell(wires, a, of: b, [nowhere, b.endpoint])
    wires.run(for: .seconds(2))
    let answered = try #require(trial(a, of: b, "\(b.endpoint)"))
    #expect(a.path(b, b.endpoint)?.isValid == true)
    #expect(answered.asked >= 1 && answered.source == .told && !answered.fellSilent)
    #expect(answered.roundTrip == .milliseconds(20))
    let ends = [a.endpoint, b.endpoint]
    wires.passes = { !(ends.contains($0.from) && ends.contains($0.to)) }
    for _ in 0..<50 {
      wires.send([1], from: a, to: b)
      wires.run(for: .milliseconds(200))
    }
    #expect(a.path(b, b.endpoint)?.isValid != true && trial(a, of: b, "\(b.endpoint)")?.fellSilent == true)
  }

  @Test func onlyPeersWithTrafficAreKeptAndFewOfThem() throws {
    let wires = try Wires.relayed()
    let (a, b, relay) = (wires.sides[0], wires.sides[1], wires.sides[2])
    tell(wires, a, of: relay, [nowhere])
    #expect(trials(a, of: relay).isEmpty, "a ring link without traffic")
    var table = Trials()
    for n in 0..<UInt64(200) {
      let id = OverlayID(high: n, middle: 0, low: 0)
      for port in 0..<UInt16(30) {
        table.note(Endpoint(nowhere.address, port: 2_000 + port), .heard, of: id) { $0.asked += 1 }
      }
      #expect(table[id].count == 10 && table[id][9].endpoint.port == 2_029)
    }
    let kept = (0..<UInt64(200)).filter { !table[OverlayID(high: $0, middle: 0, low: 0)].isEmpty }
    #expect(kept == Array(136..<200))
    _ = b
  }

  @Test func namesAnewKeepWhatIsKnown() {
    var table = Trials()
    let id = OverlayID(high: 1, middle: 0, low: 0)
    var list = BoundedArray<8, Endpoint>()
    list.append(nowhere)
    table.name(list, by: id)
    for _ in 0..<3 { table.note(nowhere, .told, of: id) { $0.asked += 1 } }
    table.note(nowhere, .manyPorts, of: id) { $0.asked += 9 }
    list.insert(Endpoint("8.8.8.8:7741")!, at: 0)
    table.name(list, by: id)
    let known = table[id]
    #expect(known.count == 3 && known[0].asked == 0 && known[1].asked == 3 && known[2].asked == 9)
  }
}
