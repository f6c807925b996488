// Punching: probing all that a peer has named, while the peer does the same.
//
// Who has told the peer where it is begins when the peer has heard it: half a round trip later, or at once if
// that is past. So the first probes of both sides cross, and each finds the box in front of the other side
// opened by the other's own. No probe comes long before: there are boxes that remember an uninvited datagram
// and then give the answer to it another port.
//
// A try has five rounds, each with a ping to every candidate. No candidate takes a path's place before it has
// answered. Each question has its own nonce, and only the endpoint that was asked may answer it.

import Base
import Session

/// The candidates of a peer that are being probed.
struct Punch: BitwiseCopyable {
  let peer: Party
  let endpoints: BoundedArray<8, Endpoint>
  /// The first of all nonces: one follows for each round and candidate.
  private let nonce: Nonce
  private var times = InlineArray<40, Instant>(repeating: .start)
  /// Rounds that are complete, and candidates asked in the next one.
  private(set) var rounds = 0
  private(set) var asked = 0
  var dueAt: Instant
  /// Whether the two have agreed about it (`Prediction`): beside what the peer names, and not instead of it.
  let isAgreed: Bool

  init(
    peer: Party, _ endpoints: BoundedArray<8, Endpoint>, nonce: Nonce, at begin: Instant, isAgreed: Bool
  ) {
    self.isAgreed = isAgreed
    self.peer = peer
    self.endpoints = endpoints
    self.nonce = nonce
    dueAt = begin
  }

  var isOver: Bool { rounds == Timing.candidateProbes.count }
  /// Whose turn it is.
  var next: Endpoint { endpoints[asked] }

  /// The nonce of the question to `next`, which is sent now.
  mutating func ask(at now: Instant) -> Nonce {
    let number = rounds * 8 + asked
    times[number] = now
    return Nonce(high: nonce.high, low: nonce.low &+ UInt64(number))
  }

  /// The next candidate's turn, or the next round's.
  mutating func turn(at now: Instant) {
    asked += 1
    guard asked == endpoints.count else { return }
    asked = 0
    dueAt = now + Timing.candidateProbes[rounds]
    rounds += 1
  }

  /// When the question was sent that this nonce answers; nil when it is none that this endpoint was asked.
  func sentAt(answeredBy answer: Nonce, from endpoint: Endpoint) -> Instant? {
    let number = answer.low &- nonce.low
    guard answer.high == nonce.high, number < 40, Int(number % 8) < endpoints.count,
      endpoints[Int(number % 8)] == endpoint, times[Int(number)] != .start
    else { return nil }
    return times[Int(number)]
  }
}

extension Links {
  /// Peers whose candidates are probed at a time: of those who have more to say at once some are not heard,
  /// and say it again.
  static let punchesMax = 64

  /// Whether all that may be asked of these is being asked already.
  func isAsking(_ slot: Int, _ endpoints: BoundedArray<8, Endpoint>) -> Bool {
    let party = party(slot)
    guard let i = punches.firstIndex(where: { $0.peer == party && !$0.isAgreed }), !punches[i].isOver else {
      return false
    }
    return !endpoints.contains { endpoint in
      underlay.mayProbe(endpoint) && !punches[i].endpoints.contains { $0 == endpoint }
    }
  }

  /// Probes what the peer has named.
  /// - Parameter agreed: when to begin, if that is agreed.
  mutating func punch(
    _ slot: Int, _ endpoints: BoundedArray<8, Endpoint>, at agreed: Instant? = nil, _ context: inout Context
  ) {
    let party = party(slot)
    punches.removeAll { $0.peer == party && $0.isAgreed == (agreed != nil) }
    guard punches.count < Self.punchesMax else { return }
    var begin = agreed ?? context.now
    if agreed == nil, let path = peers[slot].bestPath, path.roundTrip.samples > 0 {
      let half = min(path.roundTrip.smoothed / 2, Timing.punchDelayMax)
      begin = max(begin, peers[slot].candidatesSentAt + half)
    }
    counters.punches &+= 1
    let nonce = Nonce(high: secure.next(), low: secure.next())
    punches.append(Punch(peer: party, endpoints, nonce: nonce, at: begin, isAgreed: agreed != nil))
    punchesAt = min(punchesAt, begin)
    if begin <= context.now { punchIfDue(&context) }
    deadline = min(deadline, punchesAt)
  }

  mutating func punchIfDue(_ context: inout Context) {
    guard punchesAt <= context.now else { return }
    punchesAt = .never
    var index = 0
    while index < punches.count {
      if punches[index].dueAt <= context.now, !probe(index, &context) {
        punches.remove(at: index)
      } else {
        punchesAt = min(punchesAt, punches[index].dueAt)
        index += 1
      }
    }
  }

  /// Asks the candidates of one peer, as far as the node's rate allows.
  /// - Returns: whether there is more to do.
  private mutating func probe(_ index: Int, _ context: inout Context) -> Bool {
    let slot = punches[index].peer.slot
    guard isPresent(punches[index].peer), !punches[index].isOver else { return false }
    let round = punches[index].rounds
    let isAgreed = punches[index].isAgreed
    if round == Prediction.round, !isAgreed { predictIfOfUse(slot, &context) }
    if !isAgreed, round == Timing.candidateProbes.count - 1 { punchFailed(slot, context.now) }
    while punches[index].rounds == round {
      let endpoint = punches[index].next
      if isWorthAsking(slot, endpoint) {
        guard probes.take(at: context.now) else {
          punches[index].dueAt = context.now + Timing.probeWait
          return true
        }
        noteAsked(slot, endpoint, .told)
        sendProbe(punches[index].ask(at: context.now), to: slot, at: endpoint, &context)
      }
      punches[index].turn(at: context.now)
    }
    return true
  }

  /// Asks whether the peer is at the endpoint.
  mutating func sendProbe(_ nonce: Nonce, to slot: Int, at endpoint: Endpoint, _ context: inout Context) {
    let ping = Ping(nonce: nonce, isGuest: !peers[slot].roles.isDisjoint(with: .farLinks))
    counters.punchPings &+= 1
    peers[slot].pingsSent &+= 1
    send(.ping, to: slot, .endpoint(endpoint), via: nil, &context) { ping.encode(to: &$0) }
  }

  /// Once there is a direct path only candidates are of use that would take its place.
  private func isWorthAsking(_ slot: Int, _ endpoint: Endpoint) -> Bool {
    // What the peer was heard from meanwhile is asked as a path.
    if peers[slot].index(of: .endpoint(endpoint)) != nil { return false }
    guard peers[slot].hasDirectPath, let best = peers[slot].bestPath, let reached = best.endpoint,
      !best.isLastResort
    else { return true }
    let path = Path(way: .endpoint(endpoint), isLAN: underlay.isOnLink(endpoint.address), at: .start)
    return path.rank > best.rank || (path.rank == best.rank && reached.address.isV4 && !endpoint.address.isV4)
  }

  /// When a probe was sent that this nonce answers.
  func punched(_ slot: Int, _ origin: Origin, _ nonce: Nonce) -> Instant? {
    guard case .endpoint(let endpoint) = origin else { return nil }
    for i in 0..<punches.count where punches[i].peer.slot == slot && isPresent(punches[i].peer) {
      if let sentAt = punches[i].sentAt(answeredBy: nonce, from: endpoint) { return sentAt }
    }
    return nil
  }
}
