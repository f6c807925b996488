// Which relays two nodes use for each other.
//
// The end with the smaller ID offers nodes that it reaches directly and quickly. The other one takes at once
// the best of those that it reaches directly too; meanwhile it makes links with others that promise to be
// quicker (*proxies*), measures, and takes these if they clearly are. Where the two have nothing in common it
// offers nodes of its own, so that both neighbourhoods are seen, and if still no single node can be had, the
// first end tries two in a row: one that it reaches and one that the other reaches.
//
// Coordinates only choose whom to ask for a link; what decides is the sum of two measured round trips, and
// afterwards that of the circuit itself.

import Base
import Session

/// Relays that a peer has offered, for as long as links with them are awaited.
struct CircuitSearch: BitwiseCopyable {
  /// Peers for which relays are looked for at a time; the oldest search gives way.
  static let limit = 32
  /// Links that are made for one peer at a time, and for all.
  static let proxiesMax = 2
  static let allProxiesMax = 16
  /// Pairs of relays that are tried.
  static let chainsMax = 4

  let peer: Party
  let offers: BoundedArray<4, RelayOffer>
  let since: Instant
  /// Pairs of relays that were tried.
  var chains = 0
}

extension Links {
  // MARK: - Offering

  /// Offers relays to the peer when one is wanted, or while a better one may be found.
  mutating func offerIfDue(_ slot: Int, _ context: inout Context) {
    guard lacksDirectPath(slot), id < peers[slot].id, peers[slot].circuitAt != .never else { return }
    guard peers[slot].circuitAt <= context.now else { return wake(slot, at: peers[slot].circuitAt) }
    guard peers[slot].hasCircuit ? isBusy(slot, context.now) : wantsCircuit(slot, context.now),
      !isPresumedDead(slot, context.now)
    else { return }
    peers[slot].circuitAt = context.now + context.random.jittered(peers[slot].circuitRetryIn)
    peers[slot].circuitRetryIn = min(peers[slot].circuitRetryIn * 2, CircuitTiming.retryMax)
    wake(slot, at: peers[slot].circuitAt)
    sendOffer(slot, &context)
  }

  /// Whether the link is one of the ring, for us or for the peer, or has traffic. One with a proxy is of use
  /// only when it is direct.
  private func wantsCircuit(_ slot: Int, _ now: Instant) -> Bool {
    isNeighbour(peers[slot].id, at: now) || isBusy(slot, now)
  }

  private mutating func sendOffer(_ slot: Int, _ context: inout Context) {
    let relays = relayOffers(for: slot, at: context.now)
    guard !relays.isEmpty else { return }
    peers[slot].circuitRound &+= 1
    let message = CircuitMessage.offer(relays)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
  }

  /// Four of our direct peers by the expected round trip through them, half of them such as the peer probably
  /// reaches directly too. Each offer goes on where the last one ended.
  func relayOffers(for slot: Int, at now: Instant) -> BoundedArray<4, RelayOffer> {
    var common: [Int] = []
    var others: [Int] = []
    for relay in rankedRelays(for: slot, at: now)
    where circuitEnds.find(peer: slot, relay: peers[relay].id) == nil {
      if isLikelyCommon(relay, slot) { common.append(relay) } else { others.append(relay) }
    }
    var list = BoundedArray<4, RelayOffer>()
    let round = Int(peers[slot].circuitRound)
    func take(_ count: Int, of slots: [Int]) {
      for i in 0..<min(count, slots.count) {
        let relay = slots[(round * count + i) % slots.count]
        list.append(
          RelayOffer(
            node: named(relay), roundTrip: microseconds(roundTripToRelay(relay)),
            coordinate: peers[relay].bearings.coordinate))
      }
    }
    // Nodes behind boxes are out of reach of who has TCP only.
    let fewest = peers[slot].mapping == .stopped ? 4 : 2
    take(max(fewest, 4 - others.count), of: common)
    take(4 - list.count, of: others)
    return list
  }

  /// All that may relay and have not refused lately, the quickest first; the one that failed last is better
  /// than none.
  private func rankedRelays(for slot: Int, at now: Instant) -> [Int] {
    var ranked: [(cost: UInt64, slot: Int)] = []
    for other in 0..<peers.highWater where other != slot && mayRelay(other) {
      guard isWilling(other, now) else { continue }
      let own = roundTripToRelay(other) ?? predicted(bearings.coordinate, peers[other].bearings.coordinate)
      let far = predicted(peers[other].bearings.coordinate, peers[slot].bearings.coordinate)
      let hasFailed = peers[other].id == peers[slot].circuitAvoid
      ranked.append(((own + far + (hasFailed ? .seconds(10) : .zero)).ns, other))
    }
    ranked.sort { ($0.cost, $0.slot) < ($1.cost, $1.slot) }
    return ranked.map(\.slot)
  }

  private func predicted(_ one: Coordinate, _ other: Coordinate) -> Interval {
    one.predictedRoundTrip(to: other)
  }

  /// Whether the peer probably has a direct path to it: it has said so, or almost everybody has, as with a
  /// node that nothing stands in front of. A seed behind a box is out of reach of those who have TCP only.
  private func isLikelyCommon(_ relay: Int, _ slot: Int) -> Bool {
    let isSeed = peers[relay].session.map { sessions.capabilities(of: $0).contains(.seed) } == true
    return peers[slot].vias.contains { $0 == peers[relay].id } || peers[relay].roles.contains(.bootstrap)
      || peers[relay].mapping == .open
      || isSeed && (peers[relay].mapping == .unknown || peers[slot].mapping != .stopped)
  }

  private func mayRelay(_ slot: Int) -> Bool {
    peers.isUsed(slot) && peers[slot].isUp && peers[slot].hasDirectPath
      && circuitEnds.count(relay: slot) < CircuitTable.peerLimit
  }

  private func isWilling(_ slot: Int, _ now: Instant) -> Bool { peers[slot].relaysFrom <= now }

  /// nil when it was not measured.
  private func roundTripToRelay(_ slot: Int) -> Interval? {
    guard let path = peers[slot].bestPath, path.endpoint != nil, path.roundTrip.samples > 0 else {
      return nil
    }
    return path.roundTrip.shortest
  }

  private func microseconds(_ interval: Interval?) -> UInt32 {
    guard let interval else { return 0 }
    return UInt32(min(max(interval.ns / 1_000, 1), UInt64(UInt32.max)))
  }

  // MARK: - Choosing

  mutating func receiveOffer(
    _ offers: BoundedArray<4, RelayOffer>, from slot: Int, _ context: inout Context
  ) {
    guard lacksDirectPath(slot) else { return }
    if let old = circuitSearches.firstIndex(where: { $0.peer.slot == slot }) {
      circuitSearches.remove(at: old)
    } else if circuitSearches.count == CircuitSearch.limit {
      circuitSearches.removeFirst()
    }
    let search = CircuitSearch(peer: party(slot), offers: offers, since: context.now)
    circuitSearches.append(search)
    let hadCircuit = circuitEnds.count(peer: slot) > 0
    let isFound = useOffered(search, slot, &context)
    meetProxies(search, slot, &context)
    // Room for a proxy may have been made at the cost of the peer itself.
    guard isPresent(search.peer) else { return }
    if peers[slot].id < id, hadCircuit || !isFound, peers[slot].answers.take(at: context.now) {
      sendOffer(slot, &context)
    }
    searchIfDue(slot, &context)
  }

  /// Goes on with what the peer has offered: links have come up meanwhile, or cannot be had.
  mutating func searchIfDue(_ slot: Int, _ context: inout Context) {
    guard let index = circuitSearches.firstIndex(where: { $0.peer.slot == slot }) else { return }
    let search = circuitSearches[index]
    guard isPresent(search.peer), lacksDirectPath(slot), context.now < search.since + CircuitTiming.search
    else {
      circuitSearches.remove(at: index)
      return
    }
    wake(slot, at: search.since + CircuitTiming.search)
    for i in 0..<search.offers.count {
      if let proxy = peer(search.offers[i].node.key.id), peers[proxy].roles.contains(.proxy) {
        if !peers[proxy].hasDirectPath { introduce(proxy, &context) }
      }
    }
    if useOffered(search, slot, &context) { return }
    guard id < peers[slot].id, circuitEnds.count(peer: slot) == 0, search.chains < CircuitSearch.chainsMax
    else { return }
    let chainAt = search.since + CircuitTiming.single
    guard chainAt <= context.now else { return wake(slot, at: chainAt) }
    circuitSearches[index].chains += 1
    tryChain(search, slot, &context)
  }

  /// A link with a proxy was measured: those who wait for it go on.
  mutating func wakeSearches(at now: Instant) {
    for search in circuitSearches where isPresent(search.peer) { wake(search.peer.slot, at: now) }
  }

  /// Uses the quickest relay on offer that both reach directly, when it is of use.
  private mutating func useOffered(_ search: CircuitSearch, _ slot: Int, _ context: inout Context) -> Bool {
    var best: (relay: Int, cost: Interval)?
    for i in 0..<search.offers.count {
      guard let relay = peer(search.offers[i].node.key.id), relay != slot, mayRelay(relay),
        isWilling(relay, context.now), circuitEnds.find(peer: slot, relay: peers[relay].id) == nil
      else { continue }
      let cost = expected(search.offers[i], relay, slot)
      if best == nil || cost < best!.cost { best = (relay, cost) }
    }
    guard let best, let (place, instead) = placeForCircuit(slot, best.cost, context.now) else { return false }
    let message = CircuitMessage.answer(relay: peers[best.relay].id, beyond: .zero, instead: instead)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
    askRelay(best.relay, for: slot, place: place, &context)
    return true
  }

  /// The sum of both round trips to a relay. One that was not measured is better than none, and so is the one
  /// that failed last.
  private func expected(_ offer: RelayOffer, _ relay: Int, _ slot: Int) -> Interval {
    let penalty: Interval = peers[relay].id == peers[slot].circuitAvoid ? .seconds(20) : .zero
    guard offer.roundTrip > 0, let own = roundTripToRelay(relay) else { return .seconds(10) + penalty }
    return own + .microseconds(UInt64(offer.roundTrip)) + penalty
  }

  /// Where a circuit of this expected round trip shall stand, and whose place it takes; nil when it is not
  /// worth it: a second one is for traffic, and a third one must be clearly quicker than the slower of two.
  private func placeForCircuit(
    _ slot: Int, _ cost: Interval, _ now: Instant
  ) -> (place: Int, instead: OverlayID)? {
    var free: Int?
    var worst: (end: CircuitEnd, roundTrip: Interval)?
    for place in Peer.circuitSlots {
      guard let index = circuitEnds.find(peer: slot, place: place), let end = circuitEnds[index] else {
        free = free ?? place
        continue
      }
      // It is being set up: what it is worth is not known yet.
      guard let path = peers[slot].paths[place], path.isValid, path.roundTrip.samples > 0 else { return nil }
      // Two relays in a row are for want of better.
      let roundTrip = path.roundTrip.shortest + (end.beyond == .zero ? .zero : .seconds(5))
      if worst == nil || roundTrip > worst!.roundTrip { worst = (end, roundTrip) }
    }
    guard let worst else { return free.map { ($0, .zero) } }
    let isBetter = isClearlyLess(cost, than: worst.roundTrip)
    if let free { return isBetter || isBusy(slot, now) ? (free, .zero) : nil }
    return isBetter ? (worst.end.place, worst.end.relayID) : nil
  }

  mutating func receiveAnswer(
    _ relay: OverlayID, beyond: OverlayID, instead: OverlayID, from slot: Int, _ context: inout Context
  ) {
    guard relay != .zero, beyond != id, beyond != relay, lacksDirectPath(slot), let other = peer(relay),
      other != slot, mayRelay(other), circuitEnds.find(peer: slot, relay: relay) == nil
    else { return }
    var place: Int?
    for candidate in Peer.circuitSlots {
      let end = circuitEnds.find(peer: slot, place: candidate).flatMap { circuitEnds[$0] }
      if let end, instead != .zero, end.relayID == instead || end.beyond == instead {
        place = candidate
        break
      }
      if end == nil, place == nil { place = candidate }
    }
    // Both are taken, and the peer did not say which it replaces: not the one that is in use.
    place = place ?? Peer.circuitSlots.last { $0 != peers[slot].best }
    if let place { askRelay(other, beyond: beyond, for: slot, place: place, &context) }
  }

  // MARK: - Proxies

  /// Makes links with those on offer that promise to be the best, or at least a spare. Any gain will do:
  /// predictions are coarse, and it is the measured round trip that must be clearly less.
  private mutating func meetProxies(_ search: CircuitSearch, _ slot: Int, _ context: inout Context) {
    var limit = bestCircuit(slot).flatMap { peers[slot].paths[$0]?.roundTrip.shortest }
    var promising = BoundedArray<4, (cost: Interval, offer: Int)>()
    for i in 0..<search.offers.count {
      let offer = search.offers[i]
      let relay = offer.node.key.id
      if relay == id || relay == peers[slot].id { continue }
      if let known = peer(relay), mayRelay(known) {
        let cost = expected(offer, known, slot)
        limit = min(limit ?? cost, cost)
        continue
      }
      let cost = .microseconds(UInt64(offer.roundTrip)) + predicted(bearings.coordinate, offer.coordinate)
      var place = 0
      while place < promising.count, promising[place].cost <= cost { place += 1 }
      promising.insert((cost, i), at: place)
    }
    let wantsSpare = isBusy(slot, context.now) && circuitEnds.count(peer: slot) < Peer.circuitSlots.count
    for i in 0..<min(promising.count, CircuitSearch.proxiesMax) {
      let isBetter = limit.map { promising[i].cost < $0 } ?? true
      guard isBetter || wantsSpare, proxyCount < CircuitSearch.allProxiesMax,
        approaches.take(at: context.now)
      else { return }
      guard isPresent(search.peer) else { return }
      meet(search.offers[promising[i].offer].node, via: peers[slot].id, &context)
    }
  }

  /// Makes a link with a node on offer, over TCP too where UDP does not get through.
  private mutating func meet(_ node: NamedNode, via: OverlayID, _ context: inout Context) {
    let hint = underlay.mayProbe(node.endpoint) ? node.endpoint : nil
    let proxy = connect(node.key, role: .proxy, hint: hint, via: via, &context)
    guard let proxy, let hint else { return }
    var endpoints = BoundedArray<8, Endpoint>()
    endpoints.append(hint)
    connectIfStopped(proxy, to: endpoints, &context)
  }

  private var proxyCount: Int {
    var count = 0
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].roles == .proxy { count += 1 }
    return count
  }

  // MARK: - Two in a row

  /// Nobody is reached by both: one of ours and one of the peer's, which may reach each other. Whom a node
  /// says to be linked with comes first; of equal ones the quicker pair.
  private mutating func tryChain(_ search: CircuitSearch, _ slot: Int, _ context: inout Context) {
    var pairs: [(rank: UInt64, near: Int, far: OverlayID)] = []
    for near in rankedRelays(for: slot, at: context.now) {
      for i in 0..<search.offers.count {
        let offer = search.offers[i]
        let far = offer.node.key.id
        if far == id || far == peers[near].id || far == peers[slot].id { continue }
        let isTold = routes.leads(near, to: far.leading)
        let cost =
          (roundTripToRelay(near) ?? .seconds(1)) + .microseconds(UInt64(offer.roundTrip))
          + predicted(peers[near].bearings.coordinate, offer.coordinate)
        pairs.append(((cost + (isTold ? .zero : .seconds(100))).ns, near, far))
      }
    }
    guard search.chains < pairs.count else { return }
    pairs.sort { ($0.rank, $0.near, $0.far) < ($1.rank, $1.near, $1.far) }
    let (_, near, far) = pairs[search.chains]
    let message = CircuitMessage.answer(relay: far, beyond: peers[near].id, instead: .zero)
    send(.circuit, to: slot, &context) { message.encode(to: &$0) }
    askRelay(near, beyond: far, for: slot, place: Peer.circuitSlot, &context)
  }
}
