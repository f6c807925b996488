// The way through a box that gives each destination another port.
//
// Between a *hard* side (its mapping varies) and an *easy* one (its port is known) no ordinary punch can
// succeed if the easy side's box lets in only whom it has sent to: nobody knows the port to send to. By the
// birthday paradox chance helps. The hard side sends from 256 sockets, so 256 ports of its box are open for
// the easy side, and the easy side asks one port after the other: one of 252 is right, and of 1,400 questions
// 99.6 % of all attempts have one. The two agree inside their session, after ordinary punching has failed and
// as long as there is traffic; a node makes one attempt at a time, at 90 of its 100 probes a second.
//
// The ports follow each other in steps of nearly the golden section of their range: no port comes twice, and
// any row of ports is met soon, so a box that counts upwards is found within seconds.
//
// A question that gets through is a record from an unknown endpoint: it earns that endpoint a path, through
// the socket it came to, and a question. The socket of a path that is proved stays; the others are closed.
//
// Source: D. Anderson, "How NAT traversal works" (Tailscale, 2020); HyperDHT's hole puncher.

import Base
import Session

/// Spare sockets, by number.
struct SocketSet: BitwiseCopyable {
  private var words = InlineArray<4, UInt64>(repeating: 0)

  func contains(_ number: SocketNumber) -> Bool {
    let bit = Int(number.value) - 1
    return number.isSpare && words[bit / 64] & 1 << UInt64(bit % 64) != 0
  }

  mutating func insert(_ number: SocketNumber) {
    precondition(number.isSpare)
    let bit = Int(number.value) - 1
    words[bit / 64] |= 1 << UInt64(bit % 64)
  }

  mutating func remove(_ number: SocketNumber) {
    guard number.isSpare else { return }
    let bit = Int(number.value) - 1
    words[bit / 64] &= ~(1 << UInt64(bit % 64))
  }
}

/// The ports that an easy side asks, each once.
struct PortWalk: BitwiseCopyable {
  static let portMin: UInt64 = 1_024
  private static let span: UInt64 = 65_536 - portMin
  /// Near the golden section of the span, and without a common divisor with it (2^10 · 3^2 · 7).
  private static let step: UInt64 = 39_869

  private var place: UInt64

  init(start: UInt64) { place = start % Self.span }

  mutating func next() -> UInt16 {
    place = (place + Self.step) % Self.span
    return UInt16(Self.portMin + place)
  }
}

/// The attempt that a node makes, with many ports or with a few predicted ones.
struct Birthday: BitwiseCopyable {
  enum Role: BitwiseCopyable {
    /// The hard side waits for the easy one's word.
    case asking
    /// The hard side opens its box from many sockets for this endpoint.
    case opening(Endpoint)
    /// The easy side looks for a port that is open, at this address.
    case looking(IPAddress, PortWalk)
    /// A hard side finds out whether its box counts, and where it stands (`Prediction`).
    case surveying(Survey)
    /// It has said where to meet, and waits for the other side's word.
    case proposing
    /// It sends from a few sockets to where the other side will be.
    case meeting(Endpoint, round: Int)

    /// Whether the next ports are predicted, rather than many tried.
    var isPrediction: Bool {
      switch self {
      case .surveying, .proposing, .meeting: true
      default: false
      }
    }

    /// Whether somebody's word decides where many questions go.
    var isOnTrust: Bool {
      switch self {
      case .looking, .meeting: true
      default: false
      }
    }
  }

  let peer: Party
  var role: Role
  /// Questions of this round.
  var sent = 0
  /// The number of the socket that was opened last.
  var opened: UInt16 = 0
  var dueAt: Instant
  var endsAt: Instant
  /// Open, and no path's.
  var sockets = SocketSet()

  /// Questions of the easy side.
  static let questionsMax = 1_400
  /// So many probes at a time: some of the node's rate is left for others.
  static let stepProbes = 9
  static let step = Interval.milliseconds(100)
  /// How long an answer is waited for, and how long an attempt takes: all questions, and a slow round trip.
  static let askPatience = Interval.milliseconds(1_500)
  static let length = Interval.seconds(18)
  /// After an attempt that failed, doubled each time. While one of the two is busy.
  static let retryMin = Interval.minutes(1)
  static let retryMax = Interval.minutes(240)
  static let busy = Interval.seconds(1)
  /// The easy side asks nobody's ports for so long after it asked in vain, whoever wants it: the address was
  /// the other side's word.
  static let rest = Interval.seconds(30)
}

extension Links {
  // MARK: - Agreeing

  /// Ordinary punching has not led to a path.
  mutating func punchFailed(_ slot: Int, _ now: Instant) {
    guard !peers[slot].hasDirectPath, peers[slot].birthdayAt == .never else { return }
    peers[slot].birthdayAt = now
    wake(slot, at: now)
  }

  /// Asks the peer for an attempt, if it is of use: between a hard side and an easy one, under traffic.
  mutating func birthdayIfDue(_ slot: Int, _ context: inout Context) {
    if peers[slot].birthdayAt != .never { predictIfOfUse(slot, &context) }
    guard peers[slot].birthdayAt != .never, underlay.mapping.isHard, peers[slot].mapping.isEasy,
      !peers[slot].hasDirectPath, !peers[slot].isPinnedToOverlay, peers[slot].isForTraffic,
      isActive(slot, context.now), let own = underlay.reflexiveV4
    else { return }
    guard peers[slot].birthdayAt <= context.now else { return wake(slot, at: peers[slot].birthdayAt) }
    if birthday != nil { return wake(slot, at: context.now + Birthday.busy) }
    holdBackBirthday(slot, jitter: true, &context)
    begin(
      Birthday(
        peer: party(slot), role: .asking, dueAt: context.now + Birthday.askPatience,
        endsAt: context.now + Birthday.askPatience))
    say(.ask(own), to: slot, &context)
  }

  /// After an attempt the next one waits, each time twice as long. The easy side is ready a little sooner
  /// than the hard one asks.
  private mutating func holdBackBirthday(_ slot: Int, jitter: Bool, _ context: inout Context) {
    let wait = peers[slot].birthdayIn
    peers[slot].birthdayAt = context.now + (jitter ? context.random.jittered(wait) : wait / 4 * 3)
    peers[slot].birthdayIn = min(wait * 2, Birthday.retryMax)
  }

  mutating func begin(_ attempt: Birthday) {
    birthday = attempt
    deadline = min(deadline, attempt.dueAt)
  }

  mutating func say(_ message: BirthdayMessage, to slot: Int, _ context: inout Context) {
    send(.birthday, to: slot, &context) { message.encode(to: &$0) }
  }

  mutating func receive(_ message: BirthdayMessage, from slot: Int, _ context: inout Context) {
    switch message {
    case .ask(let endpoint): receiveAsk(endpoint, from: slot, &context)
    case .agreed(let endpoint):
      guard let attempt = birthday, attempt.peer == party(slot), case .asking = attempt.role,
        underlay.mayProbe(endpoint), endpoint.address.isV4
      else { return }
      counters.birthdays &+= 1
      birthday!.role = .opening(endpoint)
      birthday!.dueAt = context.now
      birthday!.endsAt = context.now + Birthday.length
      advanceBirthday(&context)
    case .notNow:
      guard let attempt = birthday, attempt.peer == party(slot) else { return }
      switch attempt.role {
      case .asking:
        endBirthday(&context)
        refuseBirthday(slot, &context)
      case .proposing: endBirthday(&context)
      default: break
      }
    case .propose(let endpoint): receiveProposal(endpoint, from: slot, &context)
    case .accept(let endpoint): receiveAcceptance(endpoint, from: slot, &context)
    }
  }

  /// The peer has no time: that is no failure.
  private mutating func refuseBirthday(_ slot: Int, _ context: inout Context) {
    peers[slot].birthdayIn = max(peers[slot].birthdayIn / 2, Birthday.retryMin)
    peers[slot].birthdayAt = context.now + context.random.jittered(Birthday.busy)
    wake(slot, at: peers[slot].birthdayAt)
  }

  private mutating func receiveAsk(_ endpoint: Endpoint, from slot: Int, _ context: inout Context) {
    guard !peers[slot].hasDirectPath else { return }
    if let attempt = birthday, attempt.peer == party(slot), case .looking = attempt.role,
      let own = underlay.reflexiveV4
    {
      // The word did not arrive.
      return say(.agreed(own), to: slot, &context)
    }
    // As the other side must: only for a member with traffic are many ports asked.
    guard peers[slot].isIntroduced, peers[slot].isForTraffic, isActive(slot, context.now) else {
      return say(.notNow, to: slot, &context)
    }
    let isRested =
      (peers[slot].birthdayAt == .never || peers[slot].birthdayAt <= context.now)
      && birthdayRestUntil <= context.now
    guard birthday == nil, isRested, underlay.mapping.isEasy, peers[slot].mapping.isHard,
      underlay.mayProbe(endpoint), endpoint.address.isV4, let own = underlay.reflexiveV4
    else { return say(.notNow, to: slot, &context) }
    holdBackBirthday(slot, jitter: false, &context)
    counters.birthdays &+= 1
    let walk = PortWalk(start: context.random.next())
    begin(
      Birthday(
        peer: party(slot), role: .looking(endpoint.address, walk), dueAt: context.now,
        endsAt: context.now + Birthday.length))
    say(.agreed(own), to: slot, &context)
  }

  // MARK: - The attempt

  /// The next few probes, or the end.
  mutating func advanceBirthday(_ context: inout Context) {
    guard let attempt = birthday else { return }
    guard isPresent(attempt.peer), attempt.endsAt > context.now else {
      if case .surveying(let survey) = attempt.role { return giveUpSurvey(survey, &context) }
      endBirthday(&context)
      guard isPresent(attempt.peer) else { return }
      if case .asking = attempt.role { refuseBirthday(attempt.peer.slot, &context) }
      return
    }
    guard attempt.dueAt <= context.now else { return }
    if case .surveying(let survey) = attempt.role { return askObserver(survey, &context) }
    birthday!.dueAt = min(context.now + Birthday.step, attempt.endsAt)
    for _ in 0..<Birthday.stepProbes {
      guard probes.take(at: context.now) else { break }
      var isMore = false
      switch attempt.role {
      case .asking, .proposing, .surveying: break
      case .meeting(let endpoint, _): isMore = sendToMeeting(endpoint, &context)
      case .opening(let endpoint): isMore = openSpare(toward: endpoint, &context)
      case .looking(let address, _): isMore = askNextPort(of: address, &context)
      }
      if isMore { continue }
      birthday!.dueAt = attempt.endsAt
      if case .meeting(let endpoint, let round) = attempt.role, round + 1 < Prediction.rounds {
        birthday!.role = .meeting(endpoint, round: round + 1)
        birthday!.sent = 0
        birthday!.dueAt = min(context.now + Prediction.pause, attempt.endsAt)
      }
      break
    }
    deadline = min(deadline, birthday!.dueAt)
  }

  /// Sends from one more socket.
  private mutating func openSpare(toward endpoint: Endpoint, _ context: inout Context) -> Bool {
    guard let socket = openSpare(&context) else { return false }
    noteAsked(birthday!.peer.slot, endpoint, .manyPorts)
    sendBirthdayPing(to: birthday!.peer.slot, at: endpoint.through(socket), &context)
    return true
  }

  /// One more socket for the attempt, if there may be one.
  mutating func openSpare(_ context: inout Context) -> SocketNumber? {
    while birthday!.opened < SocketNumber.sparesMax {
      birthday!.opened += 1
      let socket = SocketNumber(birthday!.opened)
      if isInUse(socket) { continue }
      // A full outbox opens none: nothing may be sent from it.
      guard context.effects.append(.open(socket)) else { return nil }
      birthday!.sockets.insert(socket)
      return socket
    }
    return nil
  }

  private mutating func askNextPort(of address: IPAddress, _ context: inout Context) -> Bool {
    guard birthday!.sent < Birthday.questionsMax, case .looking(_, var walk) = birthday!.role else {
      return false
    }
    birthday!.sent += 1
    let port = walk.next()
    birthday!.role = .looking(address, walk)
    noteAsked(birthday!.peer.slot, Endpoint(address, port: 0), .manyPorts)
    sendBirthdayPing(to: birthday!.peer.slot, at: Endpoint(address, port: port), &context)
    return true
  }

  /// Nobody remembers the nonce: what comes back is an unknown endpoint's record, whatever it says.
  mutating func sendBirthdayPing(to slot: Int, at endpoint: Endpoint, _ context: inout Context) {
    counters.birthdayPings &+= 1
    sendProbe(Nonce(high: secure.next(), low: secure.next()), to: slot, at: endpoint, &context)
  }

  func isInUse(_ socket: SocketNumber) -> Bool {
    for slot in 0..<peers.highWater where peers.isUsed(slot) {
      for i in 1..<Peer.circuitSlot where peers[slot].paths[i]?.endpoint?.socket == socket { return true }
    }
    return false
  }

  /// A direct path to the peer was proved.
  mutating func birthdayHasCome(_ slot: Int, _ context: inout Context) {
    peers[slot].birthdayAt = .never
    peers[slot].birthdayIn = Birthday.retryMin
    peers[slot].predictAt = .start
    peers[slot].predictIn = Birthday.retryMin
    guard let attempt = birthday, attempt.peer == party(slot) else { return }
    switch attempt.role {
    case .meeting: counters.predictionsMet &+= 1
    case .opening, .looking: counters.birthdaysMet &+= 1
    case .asking, .proposing, .surveying: break
    }
    endBirthday(&context)
  }

  /// Closes all sockets but those of proved paths.
  mutating func endBirthday(_ context: inout Context) {
    guard let attempt = birthday else { return }
    birthday = nil
    if attempt.role.isOnTrust, !isPresent(attempt.peer) || !peers[attempt.peer.slot].hasDirectPath {
      birthdayRestUntil = context.now + Birthday.rest
    }
    if isPresent(attempt.peer) {
      let slot = attempt.peer.slot
      for i in 1..<Peer.circuitSlot {
        guard let path = peers[slot].paths[i], let socket = path.endpoint?.socket,
          attempt.sockets.contains(socket), !path.isValid
        else { continue }
        peers[slot].paths[i] = nil
      }
    }
    for value in 1...SocketNumber.sparesMax {
      let socket = SocketNumber(value)
      if attempt.sockets.contains(socket), !isInUse(socket) { context.close(socket) }
    }
  }
}
