// The tunnel's part of roll calls: asking all members, answering them, and judging their answers.

import Base
import DHT
import Overlay
import Session

extension Tunnel {
  /// What became of roll calls.
  public var rollCalls: RollCallCounters { rollCall.counters }

  /// Whether this node is linked with all members as far as can be told. Up to twice a side of neighbours all
  /// stand in sight; of more the number is an estimate.
  public func isLinkedWithAll(_ links: borrowing Links) -> Bool {
    let linked = links.members.count
    return linked <= 2 * Neighbourhood.side && memberEstimate(links) <= linked + 1
  }

  /// Whether there are more members than are ever asked.
  public func hasTooManyToAsk(_ links: borrowing Links) -> Bool {
    memberEstimate(links) > RollCall.sizeMax
  }

  /// Visits the members that were met.
  public func visitRoster(_ visit: (RosterEntry) -> Void) {
    for slot in 0..<roster.entries.highWater where roster.entries.isUsed(slot) { visit(roster.entries[slot]) }
  }

  /// What a member that was met calls itself.
  public func name(of id: OverlayID) -> String? { roster[id]?.name.map { "\($0)" } }

  /// Asks all members whether they are there, if that is to be asked. The answer is a `rollCalled` event
  /// with the ticket, at once if nobody has to be waited for.
  public mutating func callRoll(_ ticket: UInt32, _ network: inout Network, _ context: inout Context) {
    let size = memberEstimate(network.links)
    if isLinkedWithAll(network.links) {
      if rollCall.isOver(at: context.now) { roster.onCall() }
    } else if let question = rollCall.begin(size: size, &context) {
      if say(question, &network, &context) {
        roster.onCall()
      } else {
        rollCall.withdraw(at: context.now)
      }
    }
    if !rollCall.wait(ticket) { context.notify(.rollCalled(ticket: ticket)) }
  }

  /// - Returns: whether it was said; false beyond the limits of broadcasts.
  private mutating func say(
    _ question: RollQuestion, _ network: inout Network, _ context: inout Context
  ) -> Bool {
    guard let packet = context.pool.take(length: RollQuestion.bytes) else { return false }
    defer { context.pool.release(packet) }
    _ = question.encode(into: context.pool.frame(packet))
    return broadcasting.say(.rollCall, packet, &network.links, &context)
  }

  /// A member wants to know who is there. One that is linked and knows our name and address does not ask us.
  mutating func hearRollCall(
    _ payload: Frame, from origin: PublicKey, _ links: borrowing Links, _ context: inout Context
  ) {
    guard let question = try? RollQuestion(decoding: payload) else {
      counters.malformed &+= 1
      return
    }
    let id = origin.id
    if let slot = links.peer(id), members[UInt32(slot)]?.knowsOurs == true { return }
    rollCall.hear(question, from: id, size: memberEstimate(links), &context)
  }

  mutating func expireRollCall(_ network: inout Network, _ context: inout Context) {
    let (due, tickets) = rollCall.takeDue(at: context.now)
    for answer in due {
      let bytes = RollAnswer.make(
        nonce: answer.nonce, name: name, lease: claim.address == nil ? [] : leaseBytes,
        by: network.links.identity, in: community)
      rollCall.counters.answered &+= 1
      network.links.routeAmongMembers(.roll, mode: .exact, to: answer.asker, &context) {
        $0.reserve(bytes.count)?.write(bytes)
      }
    }
    for ticket in tickets { context.notify(.rollCalled(ticket: ticket)) }
  }

  /// A member has answered: what it says of itself counts if it has signed it, and once.
  mutating func receive(
    _ answer: RollAnswer, from source: OverlayID, _ links: borrowing Links, at now: Instant
  ) {
    let id = answer.key.id
    guard rollCall.isAsked(answer.nonce, at: now), source == id, roster[id]?.answered != answer.nonce,
      community.verifies(answer.signature, of: answer.signed, by: answer.key, suite)
    else {
      rollCall.counters.forged &+= 1
      return
    }
    var address: IPAddress?
    if !answer.lease.isEmpty {
      guard let claim = readClaim(answer.lease), claim.owner == answer.key else {
        rollCall.counters.forged &+= 1
        return
      }
      address = claim.address
      // Anybody can sign a claim of any address: whose it is by its link or by the directory has it.
      if routes[claim.address].map({ links.peers[Int($0)].id == id }) ?? true {
        known.hear(answer.lease, of: claim.address, by: id, life: claim.life, at: now)
      }
    }
    rollCall.counters.heard &+= 1
    roster.onAnswer(id, answer.name, address, to: answer.nonce, at: now)
  }

  /// Whose address a lease proves; nil when it proves nothing.
  func readClaim(_ bytes: Frame) -> (address: IPAddress, owner: PublicKey, life: Interval)? {
    guard let lease = try? Lease(decoding: bytes), lease.isAuthentic(under: suite),
      let body = LeaseBody.open(lease, community: community, under: suite),
      let address = Self.decode(IPAddress.self, body.content), address.isV4, lease.key == claimKey(address)
    else { return nil }
    return (address, body.identity, .seconds(UInt64(lease.timeToLive)))
  }
}
