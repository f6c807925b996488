// Virtual addresses that are not known yet: who has them is being found out, and the first packets wait.
//
// An IPv4 address is asked for among linked members and then in the directory; a ULA contains the beginning
// of an overlay ID, and the node nearest to it on the ring says its key. Then a link is made. Everything is
// bounded: questions, packets a question, the rate of new questions; an address without an owner is
// remembered for a while, and the sending program is told.

import Base
import Session

/// Questions about addresses.
struct Resolver: ~Copyable {
  static let questionsMax = 256
  static let queueMax = 16
  /// How long packets wait before the sender is told that nobody is there.
  static let patience = Interval.seconds(10)
  static let negativeMin = Interval.seconds(1)
  static let negativeMax = Interval.seconds(60)

  struct Question: BitwiseCopyable {
    let address: IPAddress
    let askedAt: Instant
    /// The node that has the address, once known.
    var key: PublicKey?
    /// Who is asked about an IPv4 address.
    var stage = Stage.members
    /// Linked members that have not answered.
    var asked = BoundedArray<4, Int32>()
    /// The number that an answer carries.
    let nonce: UInt64
    /// When a question to the ring, which nobody repeats for us, is asked again.
    var nextAt: Instant = .never
    var packets = BoundedArray<16, PacketRef>()
  }

  /// Where an IPv4 address is asked for, one after the other.
  enum Stage: BitwiseCopyable {
    /// Linked members, if there are any.
    case members
    /// A member has named the owner: a link to it is being made.
    case named
    case directory
  }

  private(set) var questions = SlotTable<Question>(capacity: questionsMax)
  private var byAddress = FlatMap<IPAddress, UInt32>(limit: questionsMax)
  /// Addresses without an owner: until when, and for how long the next time.
  private var absent = FlatMap<IPAddress, Absence>(limit: questionsMax)
  /// Addresses of which members have said something wrong, and until when that counts.
  private var distrusted = FlatMap<IPAddress, Instant>(limit: questionsMax)
  private var rate = TokenBucket(rate: 50, burst: 50, at: .start)
  private(set) var dropped: UInt64 = 0

  struct Absence: BitwiseCopyable {
    let until: Instant
    let span: Interval
  }

  /// What happens to a packet for an unknown address.
  enum Outcome: Equatable {
    /// It waits; the question was asked before.
    case waiting
    /// It waits, and this question is to be asked.
    case ask(Int)
    /// Nobody has the address: tell the sender. The packet stays the caller's.
    case absent
    /// Too much is asked already. The packet stays the caller's.
    case refused
  }

  mutating func enqueue(_ packet: PacketRef?, for address: IPAddress, _ context: inout Context) -> Outcome {
    // What waits must not starve what works.
    if packet != nil, context.pool.available < context.pool.capacity / 4 { return .refused }
    if let slot = byAddress[address].map(Int.init) {
      if let packet, !questions[slot].packets.append(packet) {
        // The oldest gives way: a newer packet is more likely to be still wanted.
        context.pool.release(questions[slot].packets.remove(at: 0))
        questions[slot].packets.append(packet)
        dropped &+= 1
      }
      return .waiting
    }
    if let absence = absent[address], absence.until > context.now { return .absent }
    guard rate.take(at: context.now) else { return .refused }
    var question = Question(address: address, askedAt: context.now, nonce: context.random.next())
    if let packet { question.packets.append(packet) }
    guard let slot = questions.insert(question) else { return .refused }
    byAddress.set(address, UInt32(slot))
    return .ask(slot)
  }

  func isAbsent(_ address: IPAddress, at now: Instant) -> Bool {
    absent[address].map { $0.until > now } ?? false
  }

  func question(for address: IPAddress) -> Int? { byAddress[address].map(Int.init) }

  func question(nonce: UInt64) -> Int? {
    for slot in 0..<questions.highWater where questions.isUsed(slot) && questions[slot].nonce == nonce {
      return slot
    }
    return nil
  }

  mutating func found(_ slot: Int, _ key: PublicKey) {
    questions[slot].key = key
    questions[slot].nextAt = .never
  }

  /// Members are asked for an IPv4 address; after a while the directory is.
  mutating func ask(_ slot: Int, members: BoundedArray<4, Int32>, until next: Instant) {
    questions[slot].asked = members
    questions[slot].nextAt = next
  }

  /// A member that was asked does not know.
  /// - Returns: whether it was the last one.
  mutating func onUnknown(_ slot: Int, to member: Int32) -> Bool {
    guard let i = questions[slot].asked.firstIndex(where: { $0 == member }) else { return false }
    questions[slot].asked.remove(at: i)
    return questions[slot].asked.isEmpty
  }

  /// From now on only the directory is believed.
  mutating func turnToDirectory(_ slot: Int) {
    questions[slot].stage = .directory
    questions[slot].key = nil
    questions[slot].nextAt = .never
  }

  /// A member has named the owner.
  mutating func named(_ slot: Int) { questions[slot].stage = .named }

  /// What a member has said of an address was wrong: for a while the directory alone is asked about it.
  mutating func distrust(_ address: IPAddress, at now: Instant) {
    if distrusted.count >= Self.questionsMax { distrusted = FlatMap(limit: Self.questionsMax) }
    distrusted.set(address, now + Self.negativeMax)
  }

  func mayAskMembers(_ address: IPAddress, at now: Instant) -> Bool {
    distrusted[address].map { $0 <= now } ?? true
  }

  /// Ends the question: the packets are the caller's.
  mutating func resolve(_ slot: Int) -> Question {
    let question = questions[slot]
    byAddress.remove(question.address)
    absent.remove(question.address)
    questions.remove(slot)
    return question
  }

  /// Ends the question without an answer, and remembers that for a while, longer each time.
  mutating func fail(_ slot: Int, at now: Instant) -> Question {
    let address = questions[slot].address
    let span = absent[address].map { min($0.span * 2, Self.negativeMax) } ?? Self.negativeMin
    let question = resolve(slot)
    if absent.count >= Self.questionsMax { absent = FlatMap(limit: Self.questionsMax) }
    absent.set(address, Absence(until: now + span, span: span))
    return question
  }

  /// Sets when the question is asked again.
  mutating func askAgain(_ slot: Int, at instant: Instant) { questions[slot].nextAt = instant }

  /// Questions that are to be asked again.
  func due(at now: Instant) -> [Int] {
    (0..<questions.highWater).filter { questions.isUsed($0) && questions[$0].nextAt <= now }
  }

  /// Questions that have waited too long.
  func overdue(at now: Instant) -> [Int] {
    (0..<questions.highWater).filter { questions.isUsed($0) && questions[$0].askedAt + Self.patience <= now }
  }

  /// Questions whose answer was this node.
  func waiting(for key: PublicKey) -> [Int] {
    (0..<questions.highWater).filter { questions.isUsed($0) && questions[$0].key == key }
  }

  /// Gives back every packet that waits.
  mutating func releasePackets(_ context: inout Context) {
    for slot in 0..<questions.highWater where questions.isUsed(slot) {
      let question = resolve(slot)
      for i in 0..<question.packets.count { context.pool.release(question.packets[i]) }
    }
  }

  var deadline: Instant {
    var next = Instant.never
    if questions.isEmpty { return next }
    for slot in 0..<questions.highWater where questions.isUsed(slot) {
      next = min(next, questions[slot].askedAt + Self.patience, questions[slot].nextAt)
    }
    return next
  }
}
