// Goal: questions about addresses are bounded in number, rate and memory, and an absent address costs little.
// Method: the resolver alone, with the clock in the test's hands.

import Base
import Session
import Testing

@testable import VPN

@Suite struct ResolverTests {
  private func address(_ n: Int) -> IPAddress { IPAddress(v4: 0x6453_0000 + UInt32(n)) }

  private func packet(_ number: UInt8, _ context: inout Context) -> PacketRef {
    let ref = context.pool.take(length: 1)!
    context.pool.frame(ref)[0] = number
    return ref
  }

  @Test func firstPacketAsksAndTheOthersWait() {
    var resolver = Resolver()
    var context = Context(packets: 100, effects: 8, seed: 1)
    let first = resolver.enqueue(packet(1, &context), for: address(1), &context)
    #expect(first == .ask(0))
    let second = resolver.enqueue(packet(2, &context), for: address(1), &context)
    let third = resolver.enqueue(nil, for: address(1), &context)
    #expect(second == .waiting && third == .waiting)
    let other = resolver.enqueue(packet(3, &context), for: address(2), &context)
    #expect(other == .ask(1))
    let question = resolver.resolve(0)
    #expect(question.packets.count == 2)
    let again = resolver.enqueue(nil, for: address(1), &context)
    #expect(again == .ask(0), "the question has ended")
  }

  @Test func queueKeepsTheNewest() {
    var resolver = Resolver()
    var context = Context(packets: 100, effects: 8, seed: 1)
    for n in UInt8(0)..<40 { _ = resolver.enqueue(packet(n, &context), for: address(1), &context) }
    let packets = resolver.resolve(0).packets
    #expect((0..<packets.count).map { context.pool.frame(packets[$0])[0] } == Array(24..<40))
    let (available, dropped) = (context.pool.available, resolver.dropped)
    #expect(available == 100 - Resolver.queueMax && dropped == 24)
  }

  @Test func absenceGrowsFromOneSecondToAMinute() {
    var resolver = Resolver()
    var context = Context(packets: 100, effects: 8, seed: 1)
    var spans: [Double] = []
    for _ in 0..<9 {
      let slot: Int
      switch resolver.enqueue(nil, for: address(1), &context) {
      case .ask(let question): slot = question
      default:
        Issue.record("not asked")
        return
      }
      _ = resolver.fail(slot, at: context.now)
      let begin = context.now
      while resolver.isAbsent(address(1), at: context.now) { context.now = context.now + .milliseconds(500) }
      spans.append((context.now - begin).seconds)
    }
    #expect(spans == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    _ = resolver.enqueue(nil, for: address(1), &context)
    _ = resolver.resolve(0)
    _ = resolver.enqueue(nil, for: address(1), &context)
    _ = resolver.fail(0, at: context.now)
    let isStillAbsent = resolver.isAbsent(address(1), at: context.now + .seconds(1))
    #expect(!isStillAbsent, "an address that was found begins anew")
  }

  @Test func absentAddressIsAnsweredWithoutAQuestion() {
    var resolver = Resolver()
    var context = Context(packets: 100, effects: 8, seed: 1)
    _ = resolver.enqueue(nil, for: address(1), &context)
    _ = resolver.fail(0, at: context.now)
    let packet = packet(1, &context)
    let outcome = resolver.enqueue(packet, for: address(1), &context)
    #expect(outcome == .absent)
    context.pool.release(packet)
    let available = context.pool.available
    #expect(available == 100, "the packet stayed the caller's")
  }

  @Test func questionsAreLimitedInRateAndNumber() {
    var resolver = Resolver()
    var context = Context(packets: 10, effects: 8, seed: 1)
    var asked = 0
    for n in 0..<200 where resolver.enqueue(nil, for: address(n), &context) != .refused { asked += 1 }
    #expect(asked == 50)
    for second in 1..<10 {
      context.now = .start + .seconds(UInt64(second))
      for n in 0..<200 where resolver.enqueue(nil, for: address(1_000 * second + n), &context) != .refused {
        asked += 1
      }
    }
    #expect(asked == Resolver.questionsMax)
  }

  @Test func patienceEndsAfterTenSeconds() {
    var resolver = Resolver()
    var context = Context(packets: 10, effects: 8, seed: 1)
    _ = resolver.enqueue(nil, for: address(1), &context)
    context.now = .start + .seconds(3)
    _ = resolver.enqueue(nil, for: address(2), &context)
    let deadline = resolver.deadline
    #expect(deadline == .start + .seconds(10))
    let (before, at) = (
      resolver.overdue(at: .start + .milliseconds(9_999)), resolver.overdue(at: .start + .seconds(10))
    )
    #expect(before == [] && at == [0])
  }

  @Test func rememberedAbsencesAreBounded() {
    var resolver = Resolver()
    var context = Context(packets: 10, effects: 8, seed: 1)
    for n in 0..<2_000 {
      context.now = .start + .milliseconds(UInt64(n) * 21)
      if case .ask(let slot) = resolver.enqueue(nil, for: address(n), &context) {
        _ = resolver.fail(slot, at: context.now)
      } else {
        Issue.record("question \(n) was not asked")
      }
    }
    let isAbsent = resolver.isAbsent(address(1_999), at: context.now)
    #expect(isAbsent)
  }
}
