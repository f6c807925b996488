// Where the members of a community find each other: sixteen leases of the directory, each with a key of its
// own.
//
// A member writes one of them, at first the one that follows from its blinded key, and keeps it as long as it
// lives; so the sixteen name up to sixteen members that nobody has chosen. Whoever has no link to a member
// reads four at a time until somebody is met. Everybody reads one now and then for life: a subring that is
// split does not know it, and the member that is named there may stand on the other part.
//
// The members of a small subring use the first four only. A handful of members would leave most of sixteen
// empty, and each of two parts would read long before it comes to a place of the other; in four they find
// each other soon, and few reads are in vain. The first four are used by everybody, so parts of any size
// meet there.
//
// The machine only says what to read and to write; `Subring` does it.

import Base
import Session

/// When the rendezvous is written and read, and who was named there.
struct Rendezvous {
  static let places: UInt8 = 16
  /// What so few members use; a divisor of `places`.
  static let placesOfFew: UInt8 = 4
  static let few = 16
  /// Life of a lease, in seconds: for so long a dead member is named.
  static let timeToLive: UInt32 = 600
  static let renewal = Interval.seconds(200)
  /// The directory did not answer.
  static let retry = Interval.seconds(2)
  /// A place belongs to somebody who is not linked: by then he is, or he is probably gone.
  static let acquaintance = Interval.seconds(15)
  /// Places that a lonely member reads at a time, and how long it waits before the next ones. All were read
  /// in vain: it waits longer, up to the time in which a new member has written its own.
  static let atOnce = 4
  static let nextPlaces = Interval.milliseconds(500)
  static let restMin = Interval.seconds(2)
  static let restMax = Interval.seconds(15)
  /// A subring of any size reads some twenty places a second in all at most: a split is noticed by the first
  /// that looks.
  static let lookMin = Interval.seconds(30)
  static let lookForMember = Interval.milliseconds(50)
  /// Of two or four members each goes round their places within a minute: nobody else may be there to notice.
  /// Ten share it.
  static let lookOfFew = Interval.seconds(12)
  static let lookForOneOfFew = Interval.seconds(3)
  /// A place that was a linked member's need not be read again so soon, nor written if it is our own one.
  static let linkedRest = Interval.minutes(10)
  /// Members of one part look for somebody who is named and not linked about this often, all together.
  static let strangerRest = Interval.seconds(25)
  /// An answer from the subring is waited for this long.
  static let patience = Interval.seconds(3)

  /// The place that this member writes, of all, and of those of a small subring.
  private var own: UInt8
  /// How often a stranger had it since this member last had one.
  private var denials: UInt8 = 0
  private(set) var writeAt: Instant = .never
  private(set) var readAt: Instant = .never
  /// The places in the order in which they are read, those of a small subring first, and which is next.
  private var order: InlineArray<16, UInt8>
  /// When each is worth reading again, and which linked member is named there, by the first 64 bits of its
  /// ID.
  private var notBefore = InlineArray<16, Instant>(repeating: .start)
  private var linked = InlineArray<16, UInt64>(repeating: 0)
  private var next = 0
  private var wasAlone = true
  private var rest = restMin
  /// A member that was named, while it is found out whether it stands on our part.
  private(set) var inQuestion: (key: PublicKey, nonce: UInt64, until: Instant)?
  /// Members that were asked for a link because they may stand on another part.
  private var contacts = BoundedArray<4, PublicKey>()

  /// - Parameter owner: the blinded key under which this member owns leases.
  init(owner: PublicKey) {
    own = UInt8(truncatingIfNeeded: owner.id.high) % Self.places
    order = InlineArray { UInt8($0) }
  }

  var deadline: Instant { min(writeAt, readAt) }

  /// The directory can be asked from now on.
  mutating func start(_ context: inout Context) {
    writeAt = context.now
    readAt = context.now
    mix(0..<Int(Self.placesOfFew), &context)
    mix(Int(Self.placesOfFew)..<order.count, &context)
  }

  private mutating func mix(_ range: Range<Int>, _ context: inout Context) {
    for i in range.dropFirst() {
      order.swapAt(i, range.lowerBound + Int(context.random.below(UInt64(i - range.lowerBound + 1))))
    }
  }

  /// How many places a subring of so many members uses.
  private static func places(of size: Int) -> UInt8 { size <= few ? placesOfFew : places }

  /// The place to write now.
  /// - Parameter size: as of `takeReads`.
  mutating func takeWrite(size: Int, _ context: inout Context) -> UInt8? {
    guard writeAt <= context.now else { return nil }
    writeAt = context.now + context.random.jittered(Self.renewal)
    return own % Self.places(of: size)
  }

  /// The directory was not there. (A place that belongs to another member is tried again when it may be
  /// free.)
  mutating func onFailed(_ context: inout Context) {
    writeAt = min(writeAt, context.now + context.random.jittered(Self.retry))
  }

  /// The places to read now.
  /// - Parameter size: members of the subring as far as this one can tell; 1 when it has met nobody.
  mutating func takeReads(size: Int, _ context: inout Context) -> BoundedArray<4, UInt8> {
    var places = BoundedArray<4, UInt8>()
    guard readAt <= context.now else { return places }
    let isAlone = size < 2
    if isAlone && !wasAlone { next = 0 }
    wasAlone = isAlone
    let before = next
    for _ in 0..<(isAlone ? Self.atOnce : 1) {
      if let place = takeNext(below: isAlone ? Self.places : Self.places(of: size), &context) {
        places.append(place)
      }
    }
    var wait = max(Self.lookMin, Self.lookForMember * UInt64(size))
    if size <= Self.few { wait = min(max(Self.lookForOneOfFew * UInt64(size), Self.lookOfFew), wait) }
    if isAlone {
      let isRoundOver = next <= before
      wait = isRoundOver ? rest : Self.nextPlaces
      if isRoundOver { rest = min(rest * 2, Self.restMax) }
    } else {
      rest = Self.restMin
    }
    readAt = context.now + context.random.jittered(wait)
    return places
  }

  /// The next place of the order that is used and worth reading.
  private mutating func takeNext(below count: UInt8, _ context: inout Context) -> UInt8? {
    for _ in 0..<order.count {
      let place = order[next]
      next = (next + 1) % order.count
      if place < count, notBefore[Int(place)] <= context.now { return place }
    }
    return nil
  }

  /// A link to a member is lost: it may stand on another part now, and its place will be free.
  /// - Parameter isAlone: whether it was the last one: others are looked for at once.
  mutating func onLost(_ member: OverlayID, isAlone: Bool, _ context: inout Context) {
    for i in linked.indices where linked[i] == member.high { notBefore[i] = .start }
    writeAt = min(writeAt, context.now + context.random.jittered(Self.renewal))
    if isAlone { readAt = min(readAt, context.now) }
  }

  /// The place is that of a linked member.
  mutating func onLinked(_ place: UInt8, _ member: OverlayID, at now: Instant) {
    notBefore[Int(place % Self.places)] = now + Self.linkedRest
    linked[Int(place % Self.places)] = member.high
  }

  /// The place is that of somebody who is not linked, and is looked for: he may be dead, and all others look
  /// for him too.
  mutating func onStranger(_ place: UInt8, size: Int, _ context: inout Context) {
    guard size > 1 else { return }
    let rest = min(Self.strangerRest * UInt64(size), Self.linkedRest)
    notBefore[Int(place % Self.places)] = context.now + context.random.jittered(rest)
    linked[Int(place % Self.places)] = 0
  }

  /// The place that was written is our own.
  mutating func onWritten() { denials = 0 }

  /// The place that was written is that of a linked member.
  mutating func onTaken(_ context: inout Context) {
    writeAt = context.now + context.random.jittered(Self.linkedRest)
  }

  /// The place that was written is that of a member who may be gone. Where there are few, each of them shall
  /// be found: the next place is tried, each once. Of many, enough have one.
  mutating func onTakenByStranger(size: Int, _ context: inout Context) {
    guard size <= Self.few else {
      let wait = max(Self.renewal, Self.lookForMember * UInt64(size))
      writeAt = context.now + context.random.jittered(wait)
      return
    }
    if denials == Self.placesOfFew {
      denials = 0
      return
    }
    // At first it may be somebody who is about to be linked.
    if denials > 0 { own = (own + 1) % Self.places }
    writeAt = context.now + context.random.jittered(denials == 0 ? Self.acquaintance : Self.retry)
    denials += 1
  }

  // MARK: - Who was named

  /// A member was named that is not linked: the subring is asked whether it stands there.
  /// - Returns: the nonce of the question; nil while another is in question.
  mutating func question(_ key: PublicKey, _ context: inout Context) -> UInt64? {
    if let inQuestion, inQuestion.until > context.now { return nil }
    let nonce = context.random.next()
    inQuestion = (key, nonce, context.now + Self.patience)
    return nonce
  }

  /// The member nearest to the place of the one in question is this.
  /// - Returns: the one in question, when it is another.
  mutating func onNearest(_ nonce: UInt64, _ key: PublicKey) -> PublicKey? {
    guard let asked = inQuestion, asked.nonce == nonce else { return nil }
    inQuestion = nil
    return asked.key == key ? nil : asked.key
  }

  /// A link to the member is asked for.
  mutating func note(contact key: PublicKey) {
    if contacts.contains(where: { $0 == key }) { return }
    if contacts.isFull { contacts.remove(at: 0) }
    contacts.append(key)
  }

  /// Whether the member was asked for a link; it is forgotten.
  mutating func takeContact(_ key: PublicKey) -> Bool {
    contacts.firstIndex { $0 == key }.map { contacts.remove(at: $0) } != nil
  }
}
