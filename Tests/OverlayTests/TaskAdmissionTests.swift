// Goal: a question is taken up when its asker has asked it, not long ago and not too often; nobody else can
// have it answered later, or make the asker go short.
// Method: questions made by hand, at given moments.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct TaskAdmissionTests {
  private static let unix: UInt64 = 1_800_000_000
  private let asker = Identity(seed: Key(bytes: [UInt8](repeating: 7, count: 32))!)
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))

  private func question(
    _ sequence: UInt64, by identity: Identity? = nil, askedAt: UInt64 = unix, of community: Community? = nil
  ) -> TaskQuestion {
    TaskQuestion(
      "count", .everybody, sequence: sequence, askedAt: askedAt, budget: .seconds(5),
      by: identity ?? .stub(number: 1), in: community)
  }

  private func hear(
    _ admission: inout TaskAdmission, _ question: TaskQuestion, of community: Community? = nil,
    at seconds: UInt64 = 100
  ) -> TaskAdmissionNews {
    admission.hear(
      question, of: community, under: .stub, unixSeconds: Self.unix, at: .start + .seconds(seconds))
  }

  @Test func aQuestionIsAnsweredWhileItsAskerWaits() {
    var admission = TaskAdmission()
    for _ in 0..<TaskAdmission.partsMax { #expect(hear(&admission, question(1)) == .admitted) }
    #expect(hear(&admission, question(1)) == .limited, "no node stands beside so many that are silent")
    #expect(hear(&admission, question(2)) == .admitted)
    #expect(hear(&admission, question(1), at: 106) == .limited, "whoever kept it is too late")
    #expect(hear(&admission, question(3), at: 106) == .admitted)
  }

  @Test func clocksMayDifferByMinutes() {
    var admission = TaskAdmission()
    #expect(hear(&admission, question(1, askedAt: Self.unix - 599)) == .admitted)
    #expect(hear(&admission, question(2, askedAt: Self.unix + 599)) == .admitted)
    #expect(hear(&admission, question(3, askedAt: Self.unix - 600)) == .limited)
    #expect(hear(&admission, question(4, askedAt: .max)) == .limited)
    #expect(hear(&admission, question(5, askedAt: 0)) == .limited)
  }

  @Test func repetitionsCostTheAskerNothing() {
    var admission = TaskAdmission()
    for sequence in 1...4 as ClosedRange<UInt64> {
      for _ in 0..<20 { _ = hear(&admission, question(sequence)) }
    }
    for sequence in 5...16 as ClosedRange<UInt64> {
      #expect(hear(&admission, question(sequence), at: 101) == .admitted)
    }
  }

  @Test func strangersUseUpNothingOfMembers() {
    var admission = TaskAdmission()
    var admitted = 0
    for number in 0..<60 as Range<UInt64> {
      let stranger = Identity.stub(number: number + 10)
      if hear(&admission, question(1, by: stranger)) == .admitted { admitted += 1 }
    }
    #expect(admitted == Int(TaskAdmission.burstOfAll))
    let member = question(1, by: .stub(number: 5), of: home)
    #expect(hear(&admission, member, of: home) == .admitted)
  }

  @Test func whatNobodyAskedIsNoQuestion() throws {
    var admission = TaskAdmission()
    let real = question(9, by: asker)
    var bytes = real.bytes
    bytes[32] ^= 1
    let forged = try #require(bytes.withFrame { try? TaskQuestion($0) })
    let (now, unix) = (Instant.start + .seconds(100), Self.unix)
    #expect(
      admission.hear(forged, of: nil, under: .real, unixSeconds: unix, at: now) == .forged)
    // Asked of all nodes: members take it for none of theirs, and the other way round.
    let asked = question(10, of: home)
    #expect(admission.hear(asked, of: nil, under: .stub, unixSeconds: unix, at: now) == .forged)
    #expect(admission.hear(question(11), of: home, under: .stub, unixSeconds: unix, at: now) == .forged)
  }

  @Test func aQuestionToMembersIsNoBroadcast() {
    let question = question(1, by: .stub(number: 3), of: home)
    question.bytes.withFrame { frame in
      let said = frame.prefix(frame.count - Signature.byteCount)
      guard let signature = try? Signature(decoding: frame.dropping(said.count)) else {
        Issue.record("no signature")
        return
      }
      #expect(!home.verifies(signature, of: said, by: question.asker, .stub))
      #expect(home.verifies(signature, ofQuestion: said, by: question.asker, .stub))
    }
  }
}
