// Goal: names can be printed as they are; whoever was met stays on the roster, up to its bound; roll calls
// are asked and answered no more often than they may be.
// Method: the parts alone, with the clock in the test's hands.

import Base
import Session
import Testing

@testable import VPN

@Suite struct RosterTests {
  private func id(_ n: Int) -> OverlayID { OverlayID(high: UInt64(n) << 32, middle: 0, low: 1) }

  @Test(arguments: ["a", "laptop-2", "NAS", "0", String(repeating: "x", count: 63)])
  func labelsAreNames(_ text: String) throws {
    #expect(try #require(MemberName(text)).description == text)
  }

  @Test(arguments: [
    "", "-", "-a", "a-", "a.b", "a b", "my_host", "é", "a\u{1B}[31m", "a\n",
    String(repeating: "x", count: 64),
  ]) func nothingElseIs(_ text: String) {
    #expect(MemberName(text) == nil)
    let scratch = Scratch(capacity: 80)
    scratch.frame.write([UInt8(text.utf8.count)] + Array(text.utf8))
    let name = try? MemberName(decoding: scratch.frame.prefix(1 + text.utf8.count))
    #expect(name == nil)
  }

  @Test func whoWasMetStays() throws {
    var roster = Roster()
    roster.onLinked(id(1), at: .start)
    roster.name(id(1), MemberName("laptop"))
    roster.address(id(1), IPAddress("100.80.0.9"))
    let first = roster[id(1)]
    let linked = try #require(first)
    #expect(linked.isLinked && linked.name == MemberName("laptop"))
    roster.onLost(id(1), at: .start + .seconds(9))
    let second = roster[id(1)]
    let lost = try #require(second)
    #expect(!lost.isLinked && lost.isPresent && lost.seenAt == .start + .seconds(9))
    #expect(lost.name == linked.name && lost.address == linked.address)
    roster.onAnswer(id(1), MemberName("desktop"), nil, to: 7, at: .start + .seconds(20))
    let third = roster[id(1)]
    let answered = try #require(third)
    #expect(answered.isPresent && answered.answered == 7 && answered.name == MemberName("desktop"))
    #expect(answered.address == linked.address, "it has none to show just now")
    roster.onCall()
    let fourth = roster[id(1)]
    let asked = try #require(fourth)
    #expect(!asked.isPresent && asked.seenAt == .start + .seconds(20))
    roster.onLost(id(1), at: .start + .seconds(30))
    let seenAt = roster[id(1)]?.seenAt
    #expect(seenAt == .start + .seconds(20), "there was no link to lose")
  }

  @Test func whoIsLetGoIsThereUntilItSaysGoodBye() throws {
    var roster = Roster()
    roster.onLinked(id(1), at: .start)
    roster.onLost(id(1), at: .start + .seconds(1))
    let first = roster[id(1)]
    let letGo = try #require(first)
    #expect(!letGo.isLinked && letGo.isPresent)
    roster.onLinked(id(1), at: .start + .seconds(2))
    roster.onLeave(id(1), at: .start + .seconds(3))
    roster.onCall()
    let second = roster[id(1)]
    let leaving = try #require(second)
    #expect(leaving.isLinked && !leaving.isPresent, "its link is not closed yet")
    roster.onLost(id(1), at: .start + .seconds(4))
    let third = roster[id(1)]
    let left = try #require(third)
    #expect(!left.isLinked && !left.isPresent && left.seenAt == .start + .seconds(4))
  }

  @Test func longestUnseenIsForgotten() {
    var roster = Roster()
    for n in 0..<Roster.limit {
      roster.onAnswer(id(n), nil, nil, to: 1, at: .start + .seconds(UInt64(n)))
    }
    roster.onLinked(id(0), at: .start + .minutes(60))
    roster.onAnswer(id(5_000), nil, nil, to: 1, at: .start + .minutes(60))
    let (linked, longest, next) = (roster[id(0)], roster[id(1)], roster[id(2)])
    let (count, last) = (roster.entries.count, roster[id(5_000)])
    #expect(count == Roster.limit && last != nil)
    #expect(linked != nil && longest == nil && next != nil)
  }

  @Test func rollIsCalledRarely() throws {
    var call = RollCall()
    var context = Context(packets: 1, effects: 8, seed: 1)
    let none = call.wait(1)
    #expect(!none)
    let begun = call.begin(size: 40, &context)
    let first = try #require(begun)
    #expect(first.spread == .milliseconds(200))
    let (waits, second, deadline) = (call.wait(7), call.begin(size: 40, &context), call.deadline)
    let isAsked = call.isAsked(first.nonce, at: context.now)
    let isOther = call.isAsked(first.nonce ^ 1, at: context.now)
    #expect(waits && second == nil && isAsked && !isOther)
    #expect(deadline == context.now + .milliseconds(200) + RollCall.wayMax)
    context.now = deadline
    let waiters = call.takeDue(at: context.now).waiters
    let (waitsStill, later) = (call.wait(8), call.deadline)
    #expect(waiters == [7] && !waitsStill && later == .never)
    context.now = .start + RollCall.pause
    let third = call.begin(size: 1_000, &context)
    context.now = context.now + RollCall.pause
    let tooMany = call.begin(size: RollCall.sizeMax + 1, &context)
    #expect(third?.spread == RollQuestion.spreadMax && tooMany == nil)
  }

  @Test func whatCouldNotBeSaidIsAskedAgain() {
    var call = RollCall()
    var context = Context(packets: 1, effects: 8, seed: 1)
    let first = call.begin(size: 40, &context)
    call.withdraw(at: context.now)
    let waits = call.wait(1)
    let second = call.begin(size: 40, &context)
    #expect(first != nil && !waits && second != nil)
  }

  /// The one that asks says little of how much it sets going.
  @Test func answersAreSpreadBySizeAndNotInACrowd() {
    var call = RollCall()
    var context = Context(packets: 1, effects: 8, seed: 1)
    var latest = Instant.start
    for n in 0..<8 {
      call.hear(RollQuestion(nonce: 1, spread: .zero), from: id(n), size: 200, &context)
      while call.deadline != .never {
        latest = max(latest, call.deadline)
        _ = call.takeDue(at: call.deadline)
      }
    }
    #expect((Interval.milliseconds(300)...Interval.seconds(1)).contains(latest - .start))
    context.now = .start + .seconds(60)
    call.hear(RollQuestion(nonce: 1, spread: .zero), from: id(9), size: 2 * RollCall.sizeMax, &context)
    let (deadline, limited) = (call.deadline, call.counters.limited)
    #expect(deadline <= context.now + RollQuestion.spreadMax && limited == 0)
    call.hear(RollQuestion(nonce: 1, spread: .zero), from: id(10), size: 2 * RollCall.sizeMax + 1, &context)
    let refused = call.counters.limited
    #expect(refused == 1)
  }

  @Test func eachAskerIsAnsweredOnceInFiveSeconds() {
    var call = RollCall()
    var context = Context(packets: 1, effects: 8, seed: 1)
    for nonce in UInt64(0)..<3 {
      call.hear(RollQuestion(nonce: nonce, spread: .milliseconds(100)), from: id(1), size: 3, &context)
    }
    let (limited, deadline) = (call.counters.limited, call.deadline)
    #expect(limited == 2 && deadline <= context.now + .milliseconds(100))
    context.now = context.now + .milliseconds(100)
    let first = call.takeDue(at: context.now).answers.map(\.nonce)
    context.now = .start + .seconds(5)
    call.hear(RollQuestion(nonce: 9, spread: .zero), from: id(1), size: 3, &context)
    context.now = call.deadline
    let second = call.takeDue(at: context.now).answers.map(\.nonce)
    #expect(first == [0] && second == [9])
  }

  @Test func allTogetherAreAnsweredTwiceASecond() {
    var call = RollCall()
    var context = Context(packets: 1, effects: 8, seed: 1)
    var answered = 0
    for n in 0..<1_000 {
      call.hear(RollQuestion(nonce: UInt64(n), spread: .zero), from: id(n), size: 1, &context)
      context.now = context.now + .milliseconds(10)
      answered += call.takeDue(at: context.now).answers.count
    }
    let limited = call.counters.limited
    #expect((20...30).contains(answered), "10 s, and 8 at once")
    #expect(limited == 1_000 - UInt64(answered))
  }

  @Test func whatARollCallBringsDisplacesNobody() {
    var known = KnownLeases()
    let bytes = Scratch(capacity: 1)
    let other = Scratch(capacity: 1)
    bytes.frame.write([0])
    other.frame.write([1])
    let (linked, read) = (IPAddress(v4: 0x6450_0001), IPAddress(v4: 0x6450_0002))
    known.show(bytes.frame, of: linked, by: id(1))
    known.read(bytes.frame, of: read, by: id(1), life: .seconds(30), at: .start)
    for address in [linked, read] {
      known.hear(other.frame, of: address, by: id(2), life: .seconds(30), at: .start)
    }
    let first = [linked, read].map { known.lease(of: $0, at: .start) }
    #expect(first == [[0], [0]])
    known.hear(other.frame, of: read, by: id(2), life: .seconds(30), at: .start + .seconds(30))
    known.read(other.frame, of: linked, by: id(2), life: .seconds(30), at: .start + .seconds(30))
    let second = [linked, read].map { known.lease(of: $0, at: .start + .seconds(30)) }
    #expect(second == [[1], [1]], "the old one has ended; the directory has the last word")
  }

  @Test func claimsThatWereReadEnd() {
    var known = KnownLeases()
    let bytes = Scratch(capacity: 1)
    let address = { (n: Int) in IPAddress(v4: 0x6450_0000 + UInt32(n)) }
    known.read(bytes.frame, of: address(1), by: id(1), life: .seconds(200), at: .start)
    known.show(bytes.frame, of: address(2), by: id(2))
    known.read(bytes.frame, of: address(2), by: id(2), life: .seconds(1), at: .start)
    func has(_ n: Int, after seconds: UInt64) -> Bool {
      known.lease(of: address(n), at: .start + .seconds(seconds)) != nil
    }
    #expect(has(1, after: 59) && !has(1, after: 60))
    #expect(has(2, after: 6_000) && !has(3, after: 0))
    known.forget(shownBy: id(2))
    #expect(!has(2, after: 0) && has(1, after: 0))
    for n in 10..<1_000 {
      known.read(bytes.frame, of: address(n), by: id(n), life: .seconds(30), at: .start + .seconds(UInt64(n)))
    }
    #expect(known.count == KnownLeases.limit && has(999, after: 1_000) && !has(10, after: 11))
  }
}
