// Where others see this node: what the boxes in front of it do to its datagrams.
//
// Each pong says from where the ping seemed to come. The newest words of a few observers tell the reflexive
// endpoint, at which the others may be asked to probe, and how the box maps, in the terms of RFC 4787 (§4.1).
// Both are advice: a wrong word costs probes, and nothing is sent on the word of one peer alone that would
// not be sent without it, unless there is only one. A peer has one vote, wherever it is reached.
//
// A private address is believed only if peers of two networks see it, or one that is in such a network itself
// (behind the same carrier's box, for one): else whoever is asked first could make this node knock, and call
// others to knock, at machines inside of its own company.

import Base

/// How the box in front of a node maps the node's socket to ports of its own (RFC 4787, §4.1).
public enum Mapping: UInt8, Sendable, BitwiseCopyable {
  case unknown = 0
  /// There is no box: the node is seen at an address of its own.
  case open = 1
  /// One port for all destinations: who knows it can be let in.
  case independent = 2
  /// Another port for each destination: nobody can say which one the next will see.
  case varies = 3
  /// Another port for each destination, one after the other (`Prediction`).
  case counts = 4
  /// UDP does not get through: the node has TCP only.
  case stopped = 5

  /// Whether the port that others see is the one that the next peer will see.
  var isEasy: Bool { self == .open || self == .independent }
  /// Whether it is another one.
  var isHard: Bool { self == .varies || self == .counts }
}

/// One peer's word for where this node is.
public struct Sighting: BitwiseCopyable, Sendable {
  /// Who says so. A peer may be reached at several endpoints, and has one vote.
  let peer: OverlayID
  /// Where it is, as we reach it.
  let observer: Endpoint
  let seen: Endpoint
}

/// The newest words of a few observers about the main socket.
public struct Reflection: Sendable {
  static let sightingsMax = 8
  /// So many words are as good as more.
  static let votesMax = 4

  /// The newest first; one of each observer.
  private(set) var sightings = BoundedArray<8, Sighting>()
  /// Whether a box whose ports differ gives one after the other (`Survey`).
  var counts = false
  /// What a peer saw before it saw this node elsewhere, while others still see it there.
  private(set) var disputed: (seen: Endpoint, by: OverlayID)?

  /// Whether a word can change nothing: its observer has said it before, or all say it of whom we keep words.
  func knows(_ seen: Endpoint, by observer: Endpoint) -> Bool {
    var isUnanimous = sightings.isFull
    for i in 0..<sightings.count {
      let isEqual = sightings[i].seen == seen
      if sightings[i].observer == observer { return isEqual }
      isUnanimous = isUnanimous && isEqual
    }
    return isUnanimous
  }

  /// Notes what an observer sees.
  /// - Returns: whether it had not said so before.
  mutating func note(_ seen: Endpoint, by observer: Endpoint, of peer: OverlayID) -> Bool {
    if let old = sightings.firstIndex(where: { $0.observer == observer }) {
      let before = sightings[old].seen
      if before == seen { return false }
      sightings.remove(at: old)
      leave(before, peer)
    }
    sightings.insert(Sighting(peer: peer, observer: observer, seen: seen), at: 0)
    return true
  }

  /// A peer does not see this node there any more. When a second one says the same it is gone for all: the
  /// box has begun anew.
  private mutating func leave(_ seen: Endpoint, _ peer: OverlayID) {
    if let disputed, disputed.seen == seen, disputed.by != peer {
      while let stale = sightings.firstIndex(where: { $0.seen == seen }) { sightings.remove(at: stale) }
      self.disputed = nil
    } else if sightings.contains(where: { $0.seen == seen && $0.peer != peer }) {
      disputed = (seen, peer)
    }
  }

  /// The machine has moved: all that was said was about another place.
  mutating func forget() {
    sightings.removeAll()
    counts = false
    disputed = nil
  }

  /// How many peers at different addresses see what the test accepts; at most `votesMax`.
  func votes(_ isMeant: (Endpoint) -> Bool) -> Int {
    var counted = BoundedArray<4, Sighting>()
    for i in 0..<sightings.count where isMeant(sightings[i].seen) {
      let (peer, address) = (sightings[i].peer, sightings[i].observer.address)
      if counted.contains(where: { $0.peer == peer || $0.observer.address == address }) { continue }
      counted.append(sightings[i])
    }
    return counted.count
  }

  /// Whether several observers, or the only one that there is, see this node at the address.
  func agrees(on address: IPAddress) -> Bool {
    isCredible(address)
      && votes { $0.address == address } >= min(2, max(votes { $0.address.isV4 == address.isV4 }, 1))
  }

  /// Whether peers of two networks see this node at the address, or one that is in the same private range
  /// as we reach it. The word of one is enough for a public address.
  private func isCredible(_ address: IPAddress) -> Bool {
    guard let range = address.privateRange else { return true }
    var first: Sighting?
    for i in 0..<sightings.count where sightings[i].seen.address == address {
      let (peer, observer) = (sightings[i].peer, sightings[i].observer.address)
      if observer.privateRange == range { return true }
      if let first, first.peer != peer, !first.observer.address.isOneNetwork(with: observer) { return true }
      first = first ?? sightings[i]
    }
    return false
  }

  /// The endpoints of one family that others may be told, most votes first. Single words for an address count
  /// only as long as there is no address that several observers agree on. Behind a box whose mapping varies
  /// the port is of no use, and the address is.
  public func reflexive(isV4: Bool) -> BoundedArray<2, Endpoint> {
    var list = BoundedArray<2, Endpoint>()
    let isAgreed = sightings.contains { $0.seen.address.isV4 == isV4 && agrees(on: $0.seen.address) }
    for wanted in stride(from: Self.votesMax, through: 1, by: -1) {
      for i in 0..<sightings.count where sightings[i].seen.address.isV4 == isV4 {
        let seen = sightings[i].seen
        guard isAgreed ? agrees(on: seen.address) : isCredible(seen.address),
          votes({ $0 == seen }) == wanted
        else { continue }
        // Without a second vote for the port, one of an address is enough.
        if list.contains(where: { $0 == seen || (wanted == 1 && $0.address == seen.address) }) { continue }
        list.append(seen)
      }
    }
    return list
  }

  /// How the box maps, as far as IPv4 observers can tell. One of them alone sees whether the port is kept:
  /// who keeps ports mostly does so for every destination.
  func mapping(of socket: UInt16, isOwn: (IPAddress) -> Bool) -> Mapping {
    let reflexive = reflexive(isV4: true)
    guard !reflexive.isEmpty else { return .unknown }
    let address = reflexive[0].address
    if isOwn(address) { return .open }
    var count = 0
    for i in 0..<sightings.count where sightings[i].seen.address == address {
      // Others will say whether the box gives another port now, or this one is wrong.
      if let disputed, sightings[i].peer == disputed.by { continue }
      count += 1
      if sightings[i].seen != reflexive[0] { return counts ? .counts : .varies }
    }
    return count > 1 || reflexive[0].port == socket ? .independent : counts ? .counts : .varies
  }
}
