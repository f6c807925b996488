// Who of the community is there? Nobody keeps a list of all members; who wants to see one asks them all, by a
// broadcast, and each answers for itself.
//
// So a list costs nothing until somebody looks. The answers are spread over a time that grows with the
// number of members, and a community of thousands is not asked at all. Whoever lists the members waits until
// the answers that are to be expected are there.
//
// The machine only says who waits, who is to be answered, and when; `CallingRoll` does it.

import Base
import Session

/// What became of roll calls.
public struct RollCallCounters: Sendable, BitwiseCopyable {
  /// Calls of this node, and answers to them that counted.
  public var called: UInt64 = 0
  public var heard: UInt64 = 0
  /// Answers to others.
  public var answered: UInt64 = 0
  /// Others asked more often than they may, too many at a time, or too many members.
  public var limited: UInt64 = 0
  /// Answers that the member did not sign, whose claim is not its own, that nobody has asked for, or that are
  /// not its first.
  public var forged: UInt64 = 0
}

/// The roll calls of this node and of others.
struct RollCall: ~Copyable {
  /// A list is of use for so long, and asked for anew no sooner.
  static let pause = Interval.seconds(10)
  /// Nobody is answered more often: sooner than one may ask, as a question may be long on its way and the
  /// next one short.
  static let answerPause = Interval.seconds(5)
  /// More members are not asked. Nobody answers if there are twice as many: sizes are estimates.
  static let sizeMax = 1_024
  /// Each member adds so much to the time over which answers are spread.
  static let spreadForMember = Interval.milliseconds(5)
  /// The broadcast, a lost copy of it, and an answer take this long beside their spread.
  static let wayMax = Interval.milliseconds(900)
  /// Who waits for the end of a call.
  static let waitersMax = 64
  /// Answers that wait for their moment, and those who have asked of late.
  static let pendingMax = 16
  static let askersMax = 64

  /// An answer that is due.
  struct Pending: BitwiseCopyable {
    let asker: OverlayID
    let nonce: UInt64
    let dueAt: Instant
  }

  var counters = RollCallCounters()
  /// The last call of this node, its end while it is under way, and when the next may be.
  private(set) var nonce: UInt64 = 0
  private(set) var endsAt: Instant = .never
  private var nextAt: Instant = .start
  private var waiters = SlotTable<UInt32>(capacity: waitersMax)
  private var pending = SlotTable<Pending>(capacity: pendingMax)
  /// When each has asked last.
  private var askers = FlatMap<OverlayID, Instant>(limit: askersMax)
  /// Each answer is a signature here, and four to be checked there.
  private var answers = TokenBucket(rate: 2, burst: 8, at: .start)
  private(set) var deadline: Instant = .never

  // MARK: - Asking

  /// Begins a call, unless one is under way or was made a moment ago.
  /// - Parameter size: of the community, as far as is known.
  /// - Returns: what to ask all members; nil when nothing is to be asked.
  mutating func begin(size: Int, _ context: inout Context) -> RollQuestion? {
    guard isOver(at: context.now), size <= Self.sizeMax else { return nil }
    nonce = context.random.next()
    let spread = Self.spread(size)
    endsAt = context.now + spread + Self.wayMax
    nextAt = context.now + Self.pause
    deadline = min(deadline, endsAt)
    counters.called &+= 1
    return RollQuestion(nonce: nonce, spread: spread)
  }

  /// The question could not be said: nobody will answer.
  mutating func withdraw(at now: Instant) {
    endsAt = .never
    nextAt = now
  }

  private static func spread(_ size: Int) -> Interval {
    min(spreadForMember * UInt64(max(size, 1)), RollQuestion.spreadMax)
  }

  /// Whether the last call is too old to say anything.
  func isOver(at now: Instant) -> Bool { nextAt <= now }

  /// Lets somebody wait for the end of the call that is under way.
  /// - Returns: whether there is something to wait for.
  mutating func wait(_ ticket: UInt32) -> Bool { endsAt != .never && waiters.insert(ticket) != nil }

  /// Whether an answer with this nonce was asked for.
  func isAsked(_ nonce: UInt64, at now: Instant) -> Bool {
    self.nonce == nonce && counters.called > 0 && now < nextAt
  }

  // MARK: - Answering

  /// Another member asks who is there. One question has all members answer: how many there are, and over
  /// which time they have to answer, is not for the one that asks to say.
  /// - Parameter size: of the community, as far as this node knows.
  mutating func hear(_ question: RollQuestion, from asker: OverlayID, size: Int, _ context: inout Context) {
    let now = context.now
    if askers.count == Self.askersMax { forgetAskers(at: now) }
    let wasAsked = askers[asker].map { now - $0 < Self.answerPause } ?? false
    guard size <= 2 * Self.sizeMax, !wasAsked, askers.count < Self.askersMax, answers.take(at: now) else {
      counters.limited &+= 1
      return
    }
    askers.set(asker, now)
    let wait = Interval(ns: context.random.below(max(question.spread, Self.spread(size)).ns))
    guard pending.insert(Pending(asker: asker, nonce: question.nonce, dueAt: now + wait)) != nil else {
      counters.limited &+= 1
      return
    }
    deadline = min(deadline, now + wait)
  }

  private mutating func forgetAskers(at now: Instant) {
    var old: [OverlayID] = []
    askers.visit { id, at in if now - at >= Self.answerPause { old.append(id) } }
    for id in old { askers.remove(id) }
  }

  // MARK: - Time

  /// Who is to be answered now, and who waits no more.
  mutating func takeDue(at now: Instant) -> (answers: [Pending], waiters: [UInt32]) {
    guard deadline <= now else { return ([], []) }
    var (due, tickets): ([Pending], [UInt32]) = ([], [])
    for slot in 0..<pending.highWater where pending.isUsed(slot) && pending[slot].dueAt <= now {
      due.append(pending[slot])
      pending.remove(slot)
    }
    if endsAt <= now {
      endsAt = .never
      for slot in 0..<waiters.highWater where waiters.isUsed(slot) {
        tickets.append(waiters[slot])
        waiters.remove(slot)
      }
    }
    deadline = endsAt
    for slot in 0..<pending.highWater where pending.isUsed(slot) {
      deadline = min(deadline, pending[slot].dueAt)
    }
    return (due, tickets)
  }
}
