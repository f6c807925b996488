// The way through boxes that count: the next port can be said beforehand.
//
// A hard box gives each destination another port. Some draw it at random, for which there is `Birthday`;
// others take the next one. Whether ours counts is found out with three fresh sockets, each of which asks a
// node in the open what it sees (a *reflection*): three ports in a row, in steps of 1 … 8, mean that the box
// counts, and the last says where it stands. That costs six datagrams of 59 bytes and one round trip, and is
// done when ordinary punching was not at once successful.
//
// Who else is behind the box makes it count as well, and so do our own probes. So nobody hopes for the very
// next port: the *meeting* is `sockets` steps ahead, and the counting side sends from as many fresh sockets,
// all to the same place. One of them gets the very port, unless more than that were given to others
// meanwhile. An easy side asks the meeting like any candidate, with five questions from its main socket. Two
// sides that count do the same to each other: each opens its sockets toward the other's meeting. So both are
// right whatever each box gave to others meanwhile, which would not be so if each guessed one port after the
// other.
//
// What gets through is a record from an unknown endpoint, as with many ports, and the rest is as there: the
// sockets, one attempt of a node at a time, the end.
//
// The reflection:
//
// | offset | size | field |
// | --- | --- | --- |
// | 0 | 8 | number that the asker has drawn, and counts on from |
// | 8 | 18 | where the asker is seen; none in a question |
//
// Source: RFC 5128, §3.5 (UDP port number prediction).

import Base
import Session

/// The times and counts of prediction.
enum Prediction {
  /// The round of ordinary punching before which it begins: the probes of 300 ms were in vain.
  static let round = 2
  /// Fresh sockets, and how many mappings ahead the meeting is.
  static let sockets = 24
  /// Rounds through all sockets: single datagrams get lost, or come before the other side has opened its box.
  static let rounds = 3
  static let pause = Interval.milliseconds(300)
  /// All rounds, and a slow round trip.
  static let length = Interval.seconds(3)
  /// The largest step, and the farthest apart that two reflections may be for a box that counts.
  static let stepMax = 8
  static let gapMax = 16
  /// Questions are repeated after this (the box gives them no other port), and given up.
  static let reflectAgain = Interval.milliseconds(300)
  static let reflectPatience = Interval.milliseconds(1_200)
  /// A box whose ports do not follow each other is not asked again for so long.
  static let rest = Interval.minutes(10)
}

/// "From where do I seem to come?", and the answer. Neither makes a path.
public struct Reflect: Equatable, Sendable, WireCodable {
  public var number: UInt64
  public var seen: Endpoint

  public init(number: UInt64, seen: Endpoint) {
    self.number = number
    self.seen = seen
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(number: try reader.integer(), seen: try Endpoint(from: &reader))
  }

  public func encode(to writer: inout WireWriter) {
    writer.integer(number)
    seen.encode(to: &writer)
  }
}

/// What three fresh sockets are seen as.
struct Survey: BitwiseCopyable {
  static let questions = 3

  let observer: Party
  let endpoint: Endpoint
  let number: UInt64
  /// The peer has said where it will be, and waits for us to say the same.
  let proposal: Endpoint?
  private var seen = InlineArray<3, Endpoint>(repeating: .none)

  init(observer: Party, at endpoint: Endpoint, number: UInt64, proposal: Endpoint?) {
    self.observer = observer
    self.endpoint = endpoint
    self.number = number
    self.proposal = proposal
  }

  var isComplete: Bool { (0..<Self.questions).allSatisfy { seen[$0] != .none } }

  func isOpen(_ question: Int) -> Bool { seen[question] == .none }

  /// - Returns: whether it answers one of the questions.
  mutating func note(_ answer: Reflect) -> Bool {
    let question = answer.number &- number
    guard question < UInt64(Self.questions), answer.seen != .none, answer.seen.address.isV4 else {
      return false
    }
    seen[Int(question)] = answer.seen
    return true
  }

  /// How far the box counts with each mapping; nil when it does not count.
  var step: Int? {
    let gaps = [Int(seen[1].port) - Int(seen[0].port), Int(seen[2].port) - Int(seen[1].port)]
    guard isComplete, seen[0].address == seen[2].address, seen[1].address == seen[2].address,
      gaps.allSatisfy({ $0 >= 1 && $0 <= Prediction.gapMax })
    else { return nil }
    // What is not a multiple of the smaller gap had somebody else's mapping in it.
    let step = gaps[0] % gaps[1] == 0 || gaps[1] % gaps[0] == 0 ? min(gaps[0], gaps[1]) : 1
    return step <= Prediction.stepMax ? step : nil
  }

  /// Where the other side shall send to; nil when that cannot be said.
  /// - Parameter own: the address that others see this node at; one observer's word for another is not passed
  ///   on.
  func meeting(at own: IPAddress?) -> Endpoint? {
    guard let step, seen[2].address == own else { return nil }
    let port = Int(seen[2].port) + step * Prediction.sockets
    return port <= Int(UInt16.max) ? Endpoint(seen[2].address, port: UInt16(port)) : nil
  }
}

extension Links {
  // MARK: - Who may begin

  /// Ordinary punching is not at once successful: if our box is hard it may be one that counts. Of two hard
  /// sides the one with the smaller ID begins.
  mutating func predictIfOfUse(_ slot: Int, _ context: inout Context) {
    guard underlay.mapping.isHard, mayPredict(slot, context.now),
      peers[slot].predictAt <= context.now,
      peers[slot].mapping.isEasy || (peers[slot].mapping.isHard && id < peers[slot].id),
      survey(for: slot, answering: nil, &context)
    else { return }
    holdBackPrediction(slot, jitter: true, &context)
  }

  /// As with many ports: the side that is asked is ready a little sooner than the other one asks.
  private mutating func holdBackPrediction(_ slot: Int, jitter: Bool, _ context: inout Context) {
    let wait = peers[slot].predictIn
    peers[slot].predictAt = context.now + (jitter ? context.random.jittered(wait) : wait / 4 * 3)
    peers[slot].predictIn = min(wait * 2, Birthday.retryMax)
  }

  private func mayPredict(_ slot: Int, _ now: Instant) -> Bool {
    !peers[slot].hasDirectPath && !peers[slot].isPinnedToOverlay && peers[slot].isIntroduced
      && peers[slot].isForTraffic && isActive(slot, now)
  }

  // MARK: - Where our box stands

  /// Begins to find out.
  private mutating func survey(
    for slot: Int, answering proposal: Endpoint?, _ context: inout Context
  ) -> Bool {
    guard birthday == nil, surveyFrom <= context.now, let (observer, endpoint) = observer(for: slot) else {
      return false
    }
    let survey = Survey(
      observer: party(observer), at: endpoint, number: secure.next(), proposal: proposal)
    begin(
      Birthday(
        peer: party(slot), role: .surveying(survey), dueAt: context.now,
        endsAt: context.now + Prediction.reflectPatience))
    advanceBirthday(&context)
    return true
  }

  /// A node whose own box lets our fresh sockets in, as far as we know: the quickest of the best kind.
  private func observer(for peer: Int) -> (slot: Int, Endpoint)? {
    var best: (slot: Int, kind: Int, roundTrip: Interval, endpoint: Endpoint)?
    for slot in 0..<peers.highWater where slot != peer && peers.isUsed(slot) && peers[slot].isUp {
      guard let path = peers[slot].bestPath, path.kind == .direct, path.isV4, path.isValid,
        let endpoint = path.endpoint?.through(.main), !endpoint.address.isPrivate
      else { continue }
      let isOpen = peers[slot].mapping == .open || peers[slot].roles.contains(.bootstrap)
      let kind = isOpen ? 2 : peers[slot].mapping == .unknown ? 1 : 0
      let roundTrip = path.roundTrip.smoothed
      if let best, best.kind > kind || (best.kind == kind && best.roundTrip <= roundTrip) { continue }
      best = (slot, kind, roundTrip, endpoint)
    }
    return best.map { ($0.slot, $0.endpoint) }
  }

  /// Sends the questions that nobody has answered yet.
  mutating func askObserver(_ survey: Survey, _ context: inout Context) {
    birthday!.dueAt = min(context.now + Prediction.reflectAgain, birthday!.endsAt)
    deadline = min(deadline, birthday!.dueAt)
    guard isPresent(survey.observer) else { return }
    for question in 0..<Survey.questions where survey.isOpen(question) {
      guard probes.take(at: context.now), let socket = surveySocket(question, &context) else { return }
      let message = Reflect(number: survey.number &+ UInt64(question), seen: .none)
      let way = Way.endpoint(survey.endpoint.through(socket))
      send(.reflect, to: survey.observer.slot, way, via: nil, &context) { message.encode(to: &$0) }
    }
  }

  /// The fresh socket of a question.
  private mutating func surveySocket(_ question: Int, _ context: inout Context) -> SocketNumber? {
    var count = 0
    for value in 1...SocketNumber.sparesMax where birthday!.sockets.contains(SocketNumber(value)) {
      if count == question { return SocketNumber(value) }
      count += 1
    }
    return openSpare(&context)
  }

  mutating func receive(_ message: Reflect, from slot: Int, _ origin: Origin, _ context: inout Context) {
    guard case .endpoint(let endpoint) = origin, !endpoint.socket.isStream else { return }
    if message.seen == .none {
      let answer = Reflect(number: message.number, seen: endpoint.through(.main))
      return send(.reflect, to: slot, .endpoint(endpoint), via: nil, &context) { answer.encode(to: &$0) }
    }
    guard let attempt = birthday, case .surveying(var survey) = attempt.role,
      survey.observer == party(slot), attempt.sockets.contains(endpoint.socket), survey.note(message)
    else { return }
    birthday!.role = .surveying(survey)
    if survey.isComplete { propose(survey, to: attempt.peer, &context) }
  }

  // MARK: - Agreeing

  private mutating func propose(_ survey: Survey, to peer: Party, _ context: inout Context) {
    underlay.reflection.counts = survey.step != nil
    let meeting = survey.meeting(at: underlay.reflexiveV4?.address)
    guard isPresent(peer), mayPredict(peer.slot, context.now), let meeting else {
      if survey.step == nil { surveyFrom = context.now + Prediction.rest }
      return giveUpSurvey(survey, &context)
    }
    birthday!.sent = 0
    guard let proposal = survey.proposal else {
      birthday!.role = .proposing
      birthday!.dueAt = context.now + Birthday.askPatience
      birthday!.endsAt = birthday!.dueAt
      return say(.propose(meeting), to: peer.slot, &context)
    }
    say(.accept(meeting), to: peer.slot, &context)
    meet(peer.slot, at: proposal, after: halfWay(to: peer.slot), &context)
  }

  /// There is no meeting; who waits for one hears it.
  mutating func giveUpSurvey(_ survey: Survey, _ context: inout Context) {
    let peer = birthday!.peer
    endBirthday(&context)
    guard isPresent(peer) else { return }
    if survey.proposal != nil { say(.notNow, to: peer.slot, &context) }
    // Many ports may have waited for this.
    wake(peer.slot, at: context.now)
  }

  /// The peer's box counts, and it will be at the endpoint.
  mutating func receiveProposal(_ endpoint: Endpoint, from slot: Int, _ context: inout Context) {
    guard mayPredict(slot, context.now), underlay.mayProbe(endpoint), endpoint.address.isV4,
      peers[slot].predictAt <= context.now
    else { return say(.notNow, to: slot, &context) }
    if underlay.mapping.isEasy, let own = underlay.reflexiveV4 {
      holdBackPrediction(slot, jitter: false, &context)
      say(.accept(own), to: slot, &context)
      noteExpected(slot, endpoint)
      var list = BoundedArray<8, Endpoint>()
      list.append(endpoint)
      return punch(slot, list, at: context.now + halfWay(to: slot), &context)
    }
    guard underlay.mapping.isHard, birthdayRestUntil <= context.now,
      survey(for: slot, answering: endpoint, &context)
    else {
      return say(.notNow, to: slot, &context)
    }
    holdBackPrediction(slot, jitter: false, &context)
  }

  mutating func receiveAcceptance(_ endpoint: Endpoint, from slot: Int, _ context: inout Context) {
    guard let attempt = birthday, attempt.peer == party(slot), case .proposing = attempt.role,
      underlay.mayProbe(endpoint), endpoint.address.isV4
    else { return }
    meet(slot, at: endpoint, after: .zero, &context)
  }

  private mutating func meet(
    _ slot: Int, at endpoint: Endpoint, after wait: Interval, _ context: inout Context
  ) {
    counters.predictions &+= 1
    noteExpected(slot, endpoint)
    birthday!.role = .meeting(endpoint, round: 0)
    birthday!.sent = 0
    birthday!.dueAt = context.now + wait
    birthday!.endsAt = birthday!.dueAt + Prediction.length
    deadline = min(deadline, birthday!.dueAt)
    advanceBirthday(&context)
  }

  private func halfWay(to slot: Int) -> Interval {
    guard let path = peers[slot].bestPath, path.roundTrip.samples > 0 else { return .zero }
    return min(path.roundTrip.smoothed / 2, Timing.punchDelayMax)
  }

  // MARK: - The meeting

  /// Sends from the next of the sockets.
  /// - Returns: whether there is more to do in this round.
  mutating func sendToMeeting(_ endpoint: Endpoint, _ context: inout Context) -> Bool {
    guard birthday!.sent < Prediction.sockets else { return false }
    birthday!.sent += 1
    var count = 0
    var socket: SocketNumber?
    for value in 1...SocketNumber.sparesMax where birthday!.sockets.contains(SocketNumber(value)) {
      count += 1
      if count == birthday!.sent { socket = SocketNumber(value) }
    }
    guard let socket = socket ?? openSpare(&context) else { return false }
    noteAsked(birthday!.peer.slot, endpoint, .expected)
    sendBirthdayPing(to: birthday!.peer.slot, at: endpoint.through(socket), &context)
    return true
  }
}
