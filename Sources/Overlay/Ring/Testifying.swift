// What a node says of its place when it is asked, and how others are asked.
//
// A question goes to one ID and no other, on the ring that it is about: members answer for theirs only to
// members, among whom alone it is routed. What comes back is hearsay like any other, and nothing is built on
// it: it waits in `Links.looked` for whoever shows it to people, and is gone with the next input.

import Base
import Session

/// What became of a question.
public struct Looked: Sendable {
  public let nonce: UInt64
  /// Who was asked, and on which ring.
  public let id: OverlayID
  public let ring: RingKind
  /// Nil: the question could not be delivered, as somebody on its way says. (Searches that could not be
  /// delivered are here as well: their nonces are nobody's.)
  public let testimony: Testimony?
  /// The length of the answer's way.
  public let hops: UInt8

  /// Answers that wait for the end of one input. An input brings one; what is more is dropped.
  static let limit = 64

  public init(nonce: UInt64, id: OverlayID, ring: RingKind, testimony: Testimony?, hops: UInt8 = 0) {
    self.nonce = nonce
    self.id = id
    self.ring = ring
    self.testimony = testimony
    self.hops = hops
  }
}

extension Links {
  public mutating func hear(_ looked: Looked) {
    if self.looked.count < Looked.limit { self.looked.append(looked) }
  }

  /// Hands out what was heard, and keeps nothing of it.
  public mutating func takeLooked() -> [Looked] {
    let heard = looked
    looked = []
    return heard
  }
}

extension Ring {
  /// Asks a node what it sees of its place. The answer comes into `Links.looked` with the nonce; there may be
  /// none. *Precondition:* the node is not this one.
  public mutating func look(
    at id: OverlayID, nonce: UInt64, _ links: inout Links, _ context: inout Context
  ) {
    links.route(.look(nonce: nonce), on: kind, mode: .exact, to: id, wantsNotice: true, &context)
  }

  func answerLook(
    _ nonce: UInt64, _ header: RoutedHeader, isReady: Bool, _ links: inout Links, _ context: inout Context
  ) {
    guard links.looks.take(at: context.now) else {
      links.counters.looksLimited &+= 1
      return
    }
    var word = testify(isReady: isReady, links, at: context.now)
    if links.isReserved { word = word.reserved }
    let answer = RingMessage.testimony(nonce: nonce, word)
    links.route(answer, on: kind, mode: .exact, to: header.source, via: header.sourceVia, &context)
  }

  /// What this node sees of its place.
  /// - Parameter isReady: whether it is settled and has the leases of its range.
  public func testify(isReady: Bool, _ links: borrowing Links, at now: Instant) -> Testimony {
    var word = Testimony(
      phase: phase, isReady: isReady, incarnation: links.sessions.incarnation,
      uptime: Self.seconds(now - startedAt), unchangedFor: Self.seconds(now - changedAt),
      sizeEstimate: UInt32(clamping: sizeEstimate(links)))
    let near = links[kind].neighbourhood
    for i in 0..<near.left.count {
      let slot = Int(near.left[i])
      word.left.append(neighbour(slot, links[kind][slot].namesUsSuccessor, links, now))
    }
    for i in 0..<near.right.count {
      let slot = Int(near.right[i])
      word.right.append(neighbour(slot, links[kind][slot].namesUsPredecessor, links, now))
    }
    for slot in 0..<links.peers.highWater
    where links.peers.isUsed(slot) && links.peers[slot].isUp && links.peers[slot].roles.contains(kind.far) {
      word.far.append(links.peers[slot].id.high)
    }
    known.visit {
      if links.isMissed($0.id, on: kind) { word.missed.append(.init(id: $0.id, failures: $0.failures)) }
    }
    return word
  }

  private func neighbour(
    _ slot: Int, _ namesUs: Bool, _ links: borrowing Links, _ now: Instant
  ) -> Testimony.Neighbour {
    let path = links.peers[slot].bestPath
    let time = path.flatMap { $0.roundTrip.samples > 0 ? $0.roundTrip.smoothed : nil } ?? .zero
    return Testimony.Neighbour(
      id: links.peers[slot].id,
      incarnation: links.peers[slot].session.map { links.sessions.incarnation(of: $0) } ?? 0,
      linkedFor: Self.seconds(now - links.peers[slot].upAt),
      silentFor: UInt16(clamping: Self.seconds(now - links.peers[slot].heardAt)), path: path?.kind ?? .idle,
      roundTrip: UInt16(clamping: (time.ns + 999_999) / 1_000_000), namesUs: namesUs)
  }

  private static func seconds(_ interval: Interval) -> UInt32 {
    UInt32(clamping: interval.ns / 1_000_000_000)
  }
}

extension Links {
  /// Whether a node that others have named would be among the nearest of one side, and has no link.
  fileprivate func isMissed(_ candidate: OverlayID, on ring: RingKind) -> Bool {
    if let slot = peer(candidate), self[ring].contains(slot) { return false }
    return self[ring].neighbourhood.wants(candidate, around: id, peers)
  }
}
