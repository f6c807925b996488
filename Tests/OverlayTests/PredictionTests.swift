// Goal: three reflections say whether a box counts and where it stands, and nobody's word makes a node ask
// more than a few endpoints.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct PredictionTests {
  private func survey(_ seen: [String]) -> Survey {
    var survey = Survey(
      observer: Party(slot: 0, serial: 0, upAt: .start), at: Endpoint("9.9.9.9:7741")!, number: .max,
      proposal: nil)
    for (i, text) in seen.enumerated() {
      let isTaken = survey.note(Reflect(number: UInt64.max &+ UInt64(i), seen: Endpoint(text)!))
      #expect(isTaken)
    }
    return survey
  }

  private func step(_ ports: Int...) -> Int? { survey(ports.map { "5.5.5.5:\($0)" }).step }

  @Test func portsInARowAreFound() {
    #expect(step(5_000, 5_001, 5_002) == 1)
    #expect(step(5_000, 5_002, 5_004) == 2 && step(5_000, 5_008, 5_016) == 8)
    #expect(step(5_000, 5_002, 5_003) == 1, "somebody else had one between")
    #expect(step(5_000, 5_002, 5_008) == 2 && step(5_000, 5_002, 5_005) == 1)
    #expect(step(5_000, 5_009, 5_018) == nil && step(5_000, 5_017, 5_018) == nil, "too far apart")
    #expect(step(5_000, 5_001, 5_001) == nil && step(5_000, 4_999, 4_998) == nil)
    #expect(step(40_000, 9_000, 23_456) == nil && step(5_000, 5_001) == nil)
    #expect(survey(["5.5.5.5:5000", "5.5.5.6:5001", "5.5.5.5:5002"]).step == nil, "several addresses")
  }

  @Test func meetingIsAsFarAheadAsThereAreSockets() {
    let survey = survey(["5.5.5.5:5000", "5.5.5.5:5002", "5.5.5.5:5004"])
    let own = Endpoint("5.5.5.5:1")!.address
    #expect(survey.meeting(at: own) == Endpoint("5.5.5.5:5052")!)
    #expect(survey.meeting(at: Endpoint("5.5.5.6:1")!.address) == nil && survey.meeting(at: nil) == nil)
    let last = self.survey(["5.5.5.5:65520", "5.5.5.5:65521", "5.5.5.5:65522"])
    #expect(last.meeting(at: own) == nil, "no such port")
  }

  @Test func onlyAnswersToItsQuestionsCount() {
    var survey = survey(["5.5.5.5:5000"])
    for number in [UInt64.max &- 1, 2, 1 << 63] {
      let isTaken = survey.note(Reflect(number: number, seen: Endpoint("5.5.5.5:5001")!))
      #expect(!isTaken)
    }
    for seen in [Endpoint.none, Endpoint("[2001:db8::1]:5001")!] {
      let isTaken = survey.note(Reflect(number: 0, seen: seen))
      #expect(!isTaken)
    }
    #expect(survey.isOpen(1) && !survey.isOpen(0) && !survey.isComplete)
  }

  @Test func lookIsAnsweredAndMakesNoPath() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b)
    let spare = Endpoint(a.endpoint.address, port: 40_000)
    let begin = wires.now
    var question: [UInt8]?
    wires.passes = { datagram in
      guard datagram.from == a.endpoint, question == nil else { return true }
      question = datagram.bytes
      return false
    }
    wires.act(a) {
      let message = Reflect(number: 7, seen: .none)
      a.links.send(.reflect, to: a.slot(b), &a.context) { message.encode(to: &$0) }
    }
    wires.inject(try #require(question), from: spare, to: b.endpoint)
    wires.run(for: .seconds(1))
    #expect(b.endpoints(a) == [a.endpoint], "the fresh socket is no path")
    let answers = wires.sent.filter { $0.at > begin && $0.from == b.endpoint && $0.to == spare }
    #expect(answers.count == 1 && answers[0].bytes.count == question?.count, "no more than was asked")
  }

  @Test func proposalMakesNobodyAskMuch() throws {
    let wires = try Wires.relayed()
    let (a, b) = (wires.sides[0], wires.sides[1])
    let victim = Endpoint("9.9.9.9:5000")!
    func propose(_ endpoint: Endpoint) -> Int {
      let begin = wires.now
      wires.act(a) {
        a.links.peers[a.slot(b)].isIntroduced = true
        a.links.peers[a.slot(b)].usedAt = wires.now
        a.links.receive(BirthdayMessage.propose(endpoint), from: a.slot(b), &a.context)
      }
      wires.run(for: .seconds(3))
      return wires.sent.count { $0.at > begin && $0.to.address == endpoint.address }
    }
    #expect(propose(victim) == 0, "we do not know what our own box is like")
    for n in 0..<UInt32(2) {
      _ = a.links.underlay.observe(
        Endpoint("5.5.5.5:5000")!, by: Endpoint(IPAddress(v4: 0x0707_0700 + n), port: 7_741))
    }
    for text in ["127.0.0.1:5000", "172.16.9.9:5000", "224.0.0.1:5000", "9.9.9.9:22"] {
      #expect(propose(Endpoint(text)!) == 0, "\(text)")
    }
    let asked = (0..<10).map { propose(Endpoint(victim.address, port: 5_000 + $0)) }
    #expect(asked[0] == 5 && asked.reduce(0, +) == 5, "\(asked): once in three quarters of a minute")
    #expect(a.available == 256)
  }
}
