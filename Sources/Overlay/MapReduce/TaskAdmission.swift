// Which questions a node takes up: those of their asker, new ones, and not more than it may.
//
// A question comes again when the part of a silent node is handed on, also to those who have a part already.
// So it is taken up some times more as long as its asker waits for an answer, and never after that: whoever
// has kept a question cannot have it answered once more.

import Base
import Session

/// What becomes of a question.
enum TaskAdmissionNews: Equatable {
  case admitted
  /// Its asker, or all together, ask too much; or it is too old.
  case limited
  /// Nobody has asked this.
  case forged
}

/// The askers heard of late.
struct TaskAdmission: ~Copyable {
  /// Questions of one asker in a second, and at once; of all together.
  static let rate: UInt64 = 1
  static let burst: UInt64 = 16
  static let rateOfAll: UInt64 = 4
  static let burstOfAll: UInt64 = 32
  /// Signatures that are looked at in a second, and at once: each takes a tenth of a millisecond.
  static let checksRate: UInt64 = 50
  static let checksBurst: UInt64 = 100
  /// How old a question may be, and how far ahead of this node's clock, in seconds: clocks differ.
  static let ageMax: UInt64 = 600
  /// Questions whose askers still wait, and parts of one that a node sees to.
  static let openMax = 64
  static let partsMax: UInt8 = 8

  private struct Open {
    let asker: OverlayID
    let sequence: UInt64
    let until: Instant
    var parts: UInt8 = 1
  }

  /// Strangers' questions use up nothing of what members may ask.
  private var strangers = HeardOrigins(
    rate: rate, burst: burst, rateOfAll: rateOfAll, burstOfAll: burstOfAll)
  private var members = HeardOrigins(
    rate: rate, burst: burst, rateOfAll: rateOfAll, burstOfAll: burstOfAll)
  private var checks = TokenBucket(rate: checksRate, burst: checksBurst, at: .start)
  private var open: [Open] = []

  /// Judges a question that came.
  mutating func hear(
    _ question: TaskQuestion, of community: Community?, under suite: Suite, unixSeconds: UInt64,
    at now: Instant
  ) -> TaskAdmissionNews {
    let isTimely =
      question.askedAt < unixSeconds + Self.ageMax && unixSeconds < question.askedAt + Self.ageMax
    guard isTimely, checks.take(at: now) else { return .limited }
    guard question.isAuthentic(in: community, under: suite) else { return .forged }
    return admits(question, at: now) ? .admitted : .limited
  }

  /// Whether this node may ask this itself.
  mutating func mayAsk(_ question: TaskQuestion, at now: Instant) -> Bool {
    admits(question, at: now)
  }

  private mutating func admits(_ question: TaskQuestion, at now: Instant) -> Bool {
    let asker = question.asker.id
    open.removeAll { $0.until <= now }
    if let i = open.firstIndex(where: { $0.asker == asker && $0.sequence == question.sequence }) {
      guard open[i].parts < Self.partsMax else { return false }
      open[i].parts += 1
      return true
    }
    guard open.count < Self.openMax, hear(asker, question, at: now) == .new else { return false }
    open.append(Open(asker: asker, sequence: question.sequence, until: now + question.budget))
    return true
  }

  private mutating func hear(_ asker: OverlayID, _ question: TaskQuestion, at now: Instant) -> HeardNews {
    switch question.ring {
    case .main: strangers.hear(asker, question.sequence, at: now)
    case .members: members.hear(asker, question.sequence, at: now)
    }
  }
}
