// Candidates: telling peers where this node may be reached, and trying where they say they are.
//
// | offset | size | field |
// | --- | --- | --- |
// | 0 | 1 | bit 0: send me yours |
// | 1 | 1 | how the box in front of the sender maps (`Mapping`) |
// | 2 | 1 + 18 a | list of at most 8 endpoints |
// | … | 1 + 20 b | list of at most 2 IDs: nodes with a direct path to the sender, best first |

import Base
import Session

/// Where the sender believes it can be reached.
public struct Candidates: Equatable, Sendable, WireCodable {
  /// Whether the receiver shall answer with its own.
  public var wantsAnswer: Bool
  public var mapping: Mapping
  public var endpoints: BoundedArray<8, Endpoint>
  /// Nodes with a direct path to the sender, best first.
  public var vias: BoundedArray<2, OverlayID>

  public init(
    wantsAnswer: Bool, mapping: Mapping, endpoints: BoundedArray<8, Endpoint>,
    vias: BoundedArray<2, OverlayID>
  ) {
    self.wantsAnswer = wantsAnswer
    self.mapping = mapping
    self.endpoints = endpoints
    self.vias = vias
  }

  public init(from reader: inout WireReader) throws(WireError) {
    let flags = try reader.byte()
    try reader.require(flags <= 1)
    let mapping = Mapping(rawValue: try reader.byte())
    try reader.require(mapping != nil)
    self.init(
      wantsAnswer: flags == 1, mapping: mapping ?? .unknown,
      endpoints: try reader.list { (r: inout WireReader) throws(WireError) in try Endpoint(from: &r) },
      vias: try reader.list { (r: inout WireReader) throws(WireError) in try OverlayID(from: &r) })
  }

  public func encode(to writer: inout WireWriter) {
    writer.byte(wantsAnswer ? 1 : 0)
    writer.byte(mapping.rawValue)
    writer.list(endpoints) { $0.encode(to: &$1) }
    writer.list(vias) { $0.encode(to: &$1) }
  }
}

extension Links {
  /// Tells the peer where we may be reached, once a session; for a ring link, or after a proof of membership.
  public mutating func introduce(_ slot: Int, _ context: inout Context) {
    guard peers[slot].isUp, !peers[slot].isIntroduced else { return }
    peers[slot].isIntroduced = true
    // A peer that reaches us directly where alone we can be reached has nothing to learn.
    if peers[slot].hasDirectPath && underlay.candidates.count < 2 { return }
    sendCandidates(slot, wantsAnswer: false, &context)
  }

  mutating func sendCandidates(
    _ slot: Int, path: Int? = nil, wantsAnswer: Bool, _ context: inout Context
  ) {
    let message = Candidates(
      wantsAnswer: wantsAnswer, mapping: udpPassage.isStopped ? .stopped : underlay.mapping,
      endpoints: underlay.candidates,
      vias: vias(for: slot))
    peers[slot].candidatesSentAt = context.now
    if path == 0 {
      send(.candidates, to: slot, .overlay, via: nil, &context) { message.encode(to: &$0) }
    } else {
      send(.candidates, to: slot, &context) { message.encode(to: &$0) }
    }
  }

  /// Nodes with a direct path to us, other than the asker: bootstraps first, then neighbours.
  func vias(for asker: Int?) -> BoundedArray<2, OverlayID> {
    var vias = BoundedArray<2, OverlayID>()
    for isBootstrap in [true, false] {
      for slot in 0..<peers.highWater where slot != asker && peers.isUsed(slot) && !vias.isFull {
        guard peers[slot].isUp, peers[slot].hasDirectPath,
          isBootstrap == peers[slot].roles.contains(.bootstrap),
          isBootstrap || peers[slot].isLasting
        else { continue }
        vias.append(peers[slot].id)
      }
    }
    return vias
  }

  mutating func receive(_ candidates: Candidates, from slot: Int, _ context: inout Context) {
    if !candidates.vias.isEmpty { peers[slot].vias = candidates.vias }
    peers[slot].mapping = candidates.mapping
    // Only ring links and members of the own community hear where we are.
    if candidates.wantsAnswer, peers[slot].isIntroduced, peers[slot].answers.take(at: context.now) {
      sendCandidates(slot, wantsAnswer: false, &context)
    }
    if peers[slot].isUp, peers[slot].isIntroduced {
      connectIfStopped(slot, to: candidates.endpoints, &context)
    }
    if isAsking(slot, candidates.endpoints) { return }
    var list = BoundedArray<8, Endpoint>()
    var refusals = BoundedArray<8, Refusal?>()
    for i in 0..<candidates.endpoints.count { refusals.append(underlay.refusal(of: candidates.endpoints[i])) }
    for isV4 in [false, true] {
      for i in 0..<candidates.endpoints.count where candidates.endpoints[i].address.isV4 == isV4 {
        let endpoint = candidates.endpoints[i]
        guard refusals[i] == nil, peers[slot].index(of: .endpoint(endpoint)) == nil else { continue }
        guard mayTryCandidate(slot, context.now) else {
          refusals[i] = .budget
          continue
        }
        peers[slot].candidates.count += 1
        list.append(endpoint)
      }
    }
    noteNamed(slot, candidates.endpoints, refusals)
    if !list.isEmpty { punch(slot, list, &context) }
  }

  private mutating func mayTryCandidate(_ slot: Int, _ now: Instant) -> Bool {
    if now - peers[slot].candidates.since > Timing.candidatesSpan { peers[slot].candidates = (0, now) }
    return peers[slot].candidates.count < Timing.candidatesMax
  }

  // MARK: - News

  /// We are seen elsewhere: those who may know our candidates hear of it.
  mutating func announceSoon(_ now: Instant) {
    announceAt = announcedAt == .start ? now : max(now, announcedAt + Timing.announce)
    deadline = min(deadline, announceAt)
  }

  mutating func announceIfDue(_ context: inout Context) {
    guard announceAt <= context.now else { return }
    announceAt = .never
    announcedAt = context.now
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp && peers[slot].isIntroduced {
      guard let best = peers[slot].best else { continue }
      if !peers[slot].hasDirectPath {
        sendCandidates(slot, wantsAnswer: true, &context)
      } else if peers[slot].paths[best]?.isLastResort == true {
        sendCandidates(slot, path: 0, wantsAnswer: true, &context)
      }
    }
  }

  /// The machine's addresses changed: everybody is told, and all direct ways are asked at once.
  /// - Parameter hasMoved: whether an address is gone that packets went out from. Boxes in front of others
  ///   let in nothing from the new one until these are told, and it is over the ring that they can be told.
  public mutating func underlayChanged(hasMoved: Bool, _ context: inout Context) {
    underlay.reflection.forget()
    surveyFrom = context.now
    if underlay.isOffline { return }
    streams.hurryDatagrams(at: context.now)
    deadline = min(deadline, streams.deadline)
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      for i in 1..<Peer.circuitSlot where peers[slot].paths[i] != nil {
        peers[slot].paths[i]!.probe.isUrgent = true
        if peers[slot].paths[i]!.isValid { peers[slot].paths[i]!.probe.tries = 0 }
        if hasMoved { peers[slot].paths[i]!.isLastResort = true }
      }
      if peers[slot].isIntroduced {
        sendCandidates(slot, wantsAnswer: true, &context)
        if hasMoved, peers[slot].best != 0 { sendCandidates(slot, path: 0, wantsAnswer: true, &context) }
      }
      wake(slot, at: context.now)
    }
  }
}
