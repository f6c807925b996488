// Goal: neighbours' lists travel when they are news, and until they have arrived; in quiet a node says
// little.
// Method: two rings over one link, each message handed on by the test; a quiet ring of whole nodes whose
// bytes are counted.

import Base
import Node
import Session
import Simulator
import Testing

@testable import Overlay

/// A ring on top of the links of a side.
private final class Speaker {
  let side: Side
  var ring = Ring(isFounder: true, at: .start)
  /// Messages that were heard, and whether they had lists.
  var heard: [Stabilise] = []

  init(_ side: Side) { self.side = side }

  var isSettled: Bool { ring.isSettled }

  func reassess() { ring.reassess(&side.links, &side.context) }

  func ask(_ other: Speaker) {
    ring.sendStabilise(to: side.slot(other.side), wantsAnswer: true, &side.links, &side.context)
  }

  /// Takes in what came from the other.
  func hear(_ other: Speaker) {
    let list = side.messages
    side.messages.removeAll()
    for (type, body) in list where type == .stabilise {
      let scratch = Scratch(capacity: body.count)
      scratch.frame.write(body)
      guard let message = try? Stabilise(decoding: scratch.frame.prefix(body.count)) else {
        Issue.record("a message that cannot be read")
        continue
      }
      heard.append(message)
      ring.receive(message, from: side.slot(other.side), &side.links, &side.context)
    }
  }
}

@Suite struct StabilisingTests {
  /// Two that are linked, and time.
  private func pair() throws -> (Wires, Speaker, Speaker) {
    let wires = Wires(count: 2)
    try wires.link(wires.sides[0], wires.sides[1])
    let (a, b) = (Speaker(wires.sides[0]), Speaker(wires.sides[1]))
    for one in [a, b] { wires.act(one.side) { one.reassess() } }
    return (wires, a, b)
  }

  /// Both hear what is said, until nobody says anything any more.
  private func talk(_ wires: Wires, _ a: Speaker, _ b: Speaker) {
    for _ in 0..<6 {
      wires.run(for: .milliseconds(11))
      wires.act(a.side) { a.hear(b) }
      wires.act(b.side) { b.hear(a) }
    }
  }

  private func lists(_ speaker: Speaker) -> [Bool] {
    let lists = speaker.heard.map { $0.lists != nil }
    speaker.heard.removeAll()
    return lists
  }

  @Test func listsTravelOnceAndThenOnlyTheirFingerprints() throws {
    let (wires, a, b) = try pair()
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(lists(b).filter { $0 }.count == 1 && lists(a).filter { $0 }.count == 1)
    #expect(a.isSettled && b.isSettled)
    for _ in 0..<3 {
      wires.act(a.side) { a.ask(b) }
      talk(wires, a, b)
      #expect(lists(b) == [false] && lists(a) == [false], "one question, one answer, no lists")
    }
    #expect(a.side.available == 256 && b.side.available == 256)
  }

  @Test func lostListIsSentAgain() throws {
    let (wires, a, b) = try pair()
    wires.passes = { $0.from != a.side.endpoint }
    wires.act(a.side) { a.ask(b) }
    wires.run(for: .milliseconds(11))
    wires.passes = { _ in true }
    // For all that `a` knows, `b` has its lists now. The next question shows that it has not.
    wires.run(for: RoundTrip.timeoutInitial)
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(lists(b) == [false, true])
    #expect(b.isSettled)
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(lists(b) == [false])
  }

  @Test func allNamesAreToldNotMoreThanOnceASecondForLong() throws {
    let (wires, a, b) = try pair()
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    _ = (lists(a), lists(b))
    var question = Stabilise(
      wantsAnswer: false, settled: true, view: 1, seen: 0, bearings: Bearings(), lists: nil)
    question.lacksNames = true
    for _ in 0..<50 {
      wires.act(b.side) {
        b.ring.receive(question, from: b.side.slot(a.side), &b.side.links, &b.side.context)
      }
      talk(wires, a, b)
    }
    // Fifty times 66 ms: the burst, and one for each second that has begun.
    #expect((8...12).contains(lists(a).filter { $0 }.count))
  }

  @Test func lostAnswerIsSentAgain() throws {
    let (wires, a, b) = try pair()
    wires.passes = { $0.from != b.side.endpoint }
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(lists(b) == [true] && lists(a) == [])
    wires.passes = { _ in true }
    wires.run(for: RoundTrip.timeoutInitial)
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(lists(a).contains(true) && a.isSettled)
  }

  /// Whether `a` asks `b` at once when that becomes one of its nearest, after so long.
  private func asksNewNeighbour(after silence: Interval) throws -> Bool {
    let (wires, a, b) = try pair()
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    wires.run(for: silence)
    var isAsked = false
    wires.act(a.side) {
      let slot = a.side.slot(b.side)
      a.side.links.peers[slot].roles.remove(.near)
      a.side.links.assignNear(on: .main, at: wires.now)
      isAsked = a.side.links.peers[slot].bestPath!.probe.isUrgent
    }
    return isAsked
  }

  @Test func quietLinkThatMovesUpIsAsked() throws {
    #expect(try asksNewNeighbour(after: .seconds(3)))
    #expect(try !asksNewNeighbour(after: .milliseconds(100)), "it was heard a moment ago")
  }

  @Test func whoSleptBelievesOnlyNewWords() throws {
    let (wires, a, b) = try pair()
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(a.isSettled)
    wires.run(for: RoundTrip.timeoutInitial)
    // Lists of which `a` needs nothing but its own place wait in the socket while it sleeps.
    wires.act(b.side) {
      b.side.links.main[b.side.slot(a.side)].viewSent = 0
      b.ask(a)
    }
    wires.run(for: .milliseconds(11))
    a.heard.removeAll()
    wires.act(a.side) {
      a.ring.wakeUp(&a.side.links, &a.side.context)
      a.hear(b)
    }
    #expect(a.heard.first?.lists?.right.isEmpty == false && !a.isSettled)
    wires.run(for: RoundTrip.timeoutInitial)
    wires.act(a.side) { a.ask(b) }
    talk(wires, a, b)
    #expect(a.isSettled)
  }

  @Test func sleepIsSilenceWithSomethingOverdue() {
    let due = Instant.start + .seconds(10)
    func hasSlept(_ silence: UInt64, late: UInt64) -> Bool {
      let now = due + .milliseconds(late)
      return Ring.hasSlept(since: .start + .milliseconds(10_000 + late - silence), due: due, at: now)
    }
    #expect(hasSlept(2_600, late: 300))
    #expect(!hasSlept(2_600, late: 200), "a quiet moment, and a busy machine")
    #expect(!hasSlept(2_400, late: 2_400), "too short for anybody to notice")
    #expect(!Ring.hasSlept(since: .start, due: .never, at: due))
  }

  @Test func fingerprintTellsListsApart() {
    var random = Random(seed: 1)
    let ring = Ring(isFounder: true, at: .start)
    var seen = [ring.fingerprint(NeighbourLists())]
    for _ in 0..<100 {
      let nodes = (0..<2).map { _ in random.next() }
      var lists = NeighbourLists()
      lists.left.append(nodes[0])
      seen.append(ring.fingerprint(lists))
      lists.left.append(nodes[1])
      seen.append(ring.fingerprint(lists))
      // The order matters, and which of the lists it is.
      var other = NeighbourLists()
      other.left.append(nodes[1])
      other.left.append(nodes[0])
      seen.append(ring.fingerprint(other))
      other.left.removeAll()
      other.right = lists.left
      seen.append(ring.fingerprint(other))
      other.right = lists.right
      other.nearReceiver = lists.left
      seen.append(ring.fingerprint(other))
    }
    #expect(!seen.contains(0))
    seen.sort()
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0 != $1 })
  }

  @Test func quietRingSaysLittle() throws {
    let world = World(stub: 5)
    for i in 0..<12 { world.add(.seed, bootstraps: i == 0 ? [] : [0]) }
    let all = Array(0..<12)
    try #require(world.untilTrue([all], .seconds(30)) != nil)
    world.run(for: .seconds(60))
    let before = all.map { world.sent($0).bytes }
    world.run(for: .minutes(2))
    let rates = all.map { Double(world.sent($0).bytes - before[$0]) / 120 }
    let mean = rates.reduce(0, +) / 12
    #expect(mean < 350, "\(rates.map { Int($0) }) B/s")
    #expect(world.isTrue(all))
  }
}
