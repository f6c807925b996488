// Paths over TCP: when a connection is begun, and when it is let go.
//
// Some networks let no UDP out. UDP stays first everywhere: a connection is begun only when UDP seems dead,
// only by the side whose UDP it is, and the other one accepts.
//
// 1. *The way in.* A bootstrap that did not answer three handshakes over UDP (1.75 s) gets the next one over
//    TCP, at the same address and port, then by turns. A node that has lost everybody asks its bootstraps at
//    once, with the second try over TCP, and those that it remembers by turns. Not while UDP gets through to
//    anybody outside of the own network.
// 2. *The fact.* A node that answers over TCP and not over UDP, while nobody outside is reached over UDP,
//    means that UDP does not get through (`UDPPassage`). It is forgotten when a UDP path proves the
//    contrary.
// 3. *The others.* While that is so, a peer that is up and has no direct path, and that names public
//    addresses, is connected to at one of them: one connection a peer, after waits that double, each with a
//    fresh init as its first frame, as every connection begins.
// 4. *The way back.* A UDP path to whoever was connected to is asked for now and then. Ten seconds after one
//    was proved the connection is let go, so that the peer has moved as well.
//
// A connection becomes a path when the peer is heard over it; one over which nobody is heard in time is
// closed. A path that goes closes its connection, and a connection that ends drops its path (`Paths.swift`).

import Base
import Session

/// Whether UDP gets through to nodes outside of the own network.
public enum UDPPassage: Equatable, Sendable, BitwiseCopyable {
  /// Nothing was proved yet.
  case unknown
  case open
  /// The node at this endpoint answers over TCP, and not over UDP.
  case stopped(at: Endpoint, since: Instant)

  /// Whether UDP does not get through.
  public var isStopped: Bool { if case .stopped = self { true } else { false } }
}

/// The times of connections, each with its reason.
enum StreamTiming {
  /// UDP handshakes that a bootstrap may leave unanswered: 1.75 s, longer than any round trip and two losses.
  static let datagramTries: UInt32 = 3
  /// Over a connection the peer is heard within this: the system gives up making one after 5 s, and two round
  /// trips follow.
  static let patience = Interval.seconds(7)
  /// How often connections are looked after, while there are any.
  static let look = Interval.milliseconds(500)
  /// A proved UDP path stands beside the connection for so long: the peer has proved it meanwhile, too.
  static let grace = Interval.seconds(10)
  /// UDP is tried again beside a connection after this, then ever more rarely.
  static let datagramMin = Interval.seconds(5)
  static let datagramMax = Interval.minutes(5)
  /// A peer is connected to again after this, then ever more rarely.
  static let retryMin = Interval.seconds(5)
  static let retryMax = Interval.minutes(5)
  /// The least wait for each ping over a connection: a lost segment is sent again after 200 ms and more.
  static let pingWaitMin = Interval.milliseconds(750)
}

/// A connection that this node has begun.
struct OwnStream: BitwiseCopyable {
  /// The address and port connected to, and the number of the connection.
  let endpoint: Endpoint
  let beganAt: Instant
  /// Whom it is for; nil while that is a bootstrap whose key is not known.
  var owner: OverlayID?
  /// Whether its path is there.
  var isPath = false
  /// When UDP is tried to the same endpoint, and how long to wait after that.
  var datagramAt: Instant
  var datagramIn = StreamTiming.datagramMin
  /// Since when there is a UDP path beside it.
  var spareSince: Instant = .never
}

/// The connections that this node has begun, by their places.
struct OwnStreams {
  /// At the same time without a path: who cannot be reached is not knocked at by dozens.
  static let openingMax = 8
  /// The same, when the next one is for a node behind a box, which few let in: others have places left.
  static let boxedOpeningMax = 4

  /// Empty until the first is begun.
  private var places: [OwnStream?] = []
  private var lives: UInt16 = 0
  private(set) var count = 0
  var deadline: Instant = .never

  subscript(_ place: Int) -> OwnStream? {
    get { place < places.count ? places[place] : nil }
    set { if place < places.count, places[place] != nil { places[place] = newValue } }
  }

  /// A number for a connection; nil when there are too many.
  /// - Parameter isBoxed: whether it leads to a node behind a box.
  mutating func insert(
    _ endpoint: Endpoint, for owner: OverlayID?, isBoxed: Bool = false, at now: Instant
  ) -> OwnStream? {
    if places.isEmpty { places = Array(repeating: nil, count: SocketNumber.ownStreamsMax) }
    let opening = places.reduce(0) { $0 + ($1?.isPath == false ? 1 : 0) }
    guard opening < (isBoxed ? Self.boxedOpeningMax : Self.openingMax),
      let place = places.firstIndex(where: { $0 == nil })
    else { return nil }
    lives &+= 1
    let stream = OwnStream(
      endpoint: endpoint.through(.ownStream(place: place, life: lives)), beganAt: now, owner: owner,
      datagramAt: now + StreamTiming.datagramMin)
    places[place] = stream
    count += 1
    return stream
  }

  /// Whether there was one of this number.
  @discardableResult
  mutating func remove(_ number: SocketNumber) -> Bool {
    guard let place = place(of: number) else { return false }
    places[place] = nil
    count -= 1
    return true
  }

  /// The place of the connection with this number.
  func place(of number: SocketNumber) -> Int? {
    guard number.isOwnStream, let stream = self[number.place], stream.endpoint.socket == number else {
      return nil
    }
    return number.place
  }

  /// The connection to an endpoint.
  func find(_ endpoint: Endpoint) -> OwnStream? {
    for stream in places { if let stream, stream.endpoint.listening == endpoint { return stream } }
    return nil
  }

  func isFor(_ owner: OverlayID) -> Bool { places.contains { $0?.owner == owner } }

  /// UDP is tried at once beside all of them.
  mutating func hurryDatagrams(at now: Instant) {
    for place in places.indices where places[place] != nil {
      places[place]!.datagramAt = now
      places[place]!.datagramIn = StreamTiming.datagramMin
    }
    if count > 0 { deadline = min(deadline, now) }
  }
}

extension Links {
  // MARK: - Beginning

  /// Begins a connection. What is sent to the returned endpoint waits until it is there.
  mutating func openStream(
    to endpoint: Endpoint, for owner: OverlayID?, isBoxed: Bool = false, _ context: inout Context
  ) -> Endpoint? {
    guard let stream = streams.insert(endpoint, for: owner, isBoxed: isBoxed, at: context.now) else {
      return nil
    }
    guard context.effects.append(.connect(stream.endpoint)) else {
      streams.remove(stream.endpoint.socket)
      return nil
    }
    counters.streamsBegun &+= 1
    streams.deadline = min(streams.deadline, context.now + StreamTiming.look)
    deadline = min(deadline, streams.deadline)
    return stream.endpoint
  }

  /// Where the next handshake for a bootstrap goes.
  mutating func endpointForContact(_ index: Int, _ context: inout Context) -> Endpoint {
    let bootstrap = bootstraps[index]
    let isTurn =
      udpPassage.isStopped
      ? bootstrap.tries & 1 == 1
      : bootstrap.tries > StreamTiming.datagramTries && bootstrap.tries & 1 == 0
    guard isTurn, !isComfortable, !reachesOutside else { return bootstrap.endpoint }
    return streamForInit(bootstrap.endpoint, for: bootstrap.key?.id, &context) ?? bootstrap.endpoint
  }

  /// Where a node that nobody hears any more may be asked for a handshake over TCP.
  /// - Parameter endpoint: where it was reached before.
  mutating func streamIfAlone(
    _ endpoint: Endpoint, for owner: OverlayID, _ context: inout Context
  ) -> Endpoint? {
    guard upCount == 0, endpoint.socket == .main, mayConnect(endpoint) else { return nil }
    return streamForInit(endpoint, for: owner, &context)
  }

  /// A new connection, or the one that is being made there.
  private mutating func streamForInit(
    _ endpoint: Endpoint, for owner: OverlayID?, _ context: inout Context
  ) -> Endpoint? {
    if let stream = streams.find(endpoint) { return stream.endpoint }
    if let owner, streams.isFor(owner) { return nil }
    return openStream(to: endpoint, for: owner, &context)
  }

  /// Whether an endpoint that a peer named, or is remembered, may be connected to: a public one.
  private func mayConnect(_ endpoint: Endpoint) -> Bool {
    underlay.mayProbe(endpoint) && !underlay.isVirtual(endpoint.address) && !endpoint.address.isPrivate
  }

  /// The peer has named addresses, or somebody who reaches it has. If UDP does not get through, it is
  /// connected to.
  mutating func connectIfStopped(
    _ slot: Int, to endpoints: BoundedArray<8, Endpoint>, _ context: inout Context
  ) {
    guard udpPassage.isStopped, !peers[slot].hasDirectPath, peers[slot].streamAt <= context.now,
      !streams.isFor(peers[slot].id)
    else { return }
    var open = BoundedArray<8, Endpoint>()
    for i in 0..<endpoints.count where mayConnect(endpoints[i]) { open.append(endpoints[i]) }
    guard !open.isEmpty else { return }
    let tries = peers[slot].streamTries
    let chosen = open[Int(tries) % open.count]
    let isBoxed = peers[slot].mapping == .independent || peers[slot].mapping.isHard
    guard let endpoint = openStream(to: chosen, for: peers[slot].id, isBoxed: isBoxed, &context) else {
      return
    }
    let wait = min(StreamTiming.retryMin * (1 << UInt64(min(tries, 10))), StreamTiming.retryMax)
    peers[slot].streamAt = context.now + context.random.jittered(wait)
    peers[slot].streamTries = min(tries + 1, 100)
    guard let ref = context.pool.take(length: 0) else { return }
    guard let length = sessions.initiate(to: peers[slot].key, at: context.now, into: context.pool.room(ref))
    else { return context.pool.release(ref) }
    transmit(ref, length: length, to: endpoint, &context)
  }

  // MARK: - The fact

  /// Whether a node outside of the own network is reached over UDP.
  var reachesOutside: Bool {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      for i in 1..<Peer.circuitSlot {
        guard let path = peers[slot].paths[i], path.isValid, path.isOutside else { continue }
        if !path.isStream { return true }
      }
    }
    return false
  }

  /// A path was proved: it may say something of UDP.
  mutating func notePassage(_ slot: Int, _ index: Int, _ now: Instant) {
    guard let path = peers[slot].paths[index], let endpoint = path.endpoint else { return }
    if endpoint.socket.isStream {
      peers[slot].paths[index]!.size = path.sizeMax
      guard endpoint.socket.isOwnStream else { return }
      peers[slot].streamTries = 0
      guard !udpPassage.isStopped, !reachesOutside else { return }
      udpPassage = .stopped(at: endpoint.listening, since: now)
      announceSoon(now)
    } else if path.isOutside {
      if udpPassage.isStopped {
        streams.hurryDatagrams(at: now)
        announceSoon(now)
      }
      deadline = min(deadline, streams.deadline)
      udpPassage = .open
    }
  }

  /// A path leads through a socket: if that is a connection of our own, it is the peer's from now on.
  mutating func adopt(_ socket: SocketNumber, by slot: Int) {
    guard let place = streams.place(of: socket) else { return }
    streams[place]!.owner = peers[slot].id
    streams[place]!.isPath = true
  }

  // MARK: - Looking after them

  /// Does what is due for connections.
  mutating func tendStreams(_ context: inout Context) {
    guard streams.deadline <= context.now else { return }
    for place in 0..<SocketNumber.ownStreamsMax {
      if let stream = streams[place] { tend(stream, place, &context) }
    }
    streams.deadline = streams.count == 0 ? .never : context.now + StreamTiming.look
  }

  private mutating func tend(_ stream: OwnStream, _ place: Int, _ context: inout Context) {
    guard let owner = stream.owner, let slot = peer(owner),
      let index = peers[slot].index(of: .endpoint(stream.endpoint))
    else {
      guard context.now - stream.beganAt > StreamTiming.patience else { return }
      streams.remove(stream.endpoint.socket)
      context.close(stream.endpoint.socket)
      return
    }
    let (hasDatagrams, hasOther) = beside(index, slot)
    // Both sides have begun one: that of the smaller ID stays.
    if hasOther, id > owner {
      dropPath(slot, index, &context)
      routesAreStale = true
      return chooseBest(slot, &context)
    }
    guard hasDatagrams else {
      streams[place]!.spareSince = .never
      return tryDatagrams(stream, place, slot, &context)
    }
    if stream.spareSince == .never {
      streams[place]!.spareSince = context.now
    } else if context.now - stream.spareSince >= StreamTiming.grace {
      dropPath(slot, index, &context)
      routesAreStale = true
      chooseBest(slot, &context)
    }
  }

  /// Whether the peer has a proved UDP path, and whether it has another connection.
  private func beside(_ index: Int, _ slot: Int) -> (datagrams: Bool, stream: Bool) {
    var found = (datagrams: false, stream: false)
    for i in 1..<Peer.circuitSlot where i != index {
      guard let path = peers[slot].paths[i], path.isValid, let endpoint = path.endpoint else { continue }
      if endpoint.socket.isStream { found.stream = true } else { found.datagrams = true }
    }
    return found
  }

  private mutating func tryDatagrams(
    _ stream: OwnStream, _ place: Int, _ slot: Int, _ context: inout Context
  ) {
    guard stream.datagramAt <= context.now else { return }
    streams[place]!.datagramAt = context.now + context.random.jittered(stream.datagramIn)
    streams[place]!.datagramIn = min(stream.datagramIn * 2, StreamTiming.datagramMax)
    if addPath(slot, stream.endpoint.listening, mayReplace: false, &context) != nil {
      wake(slot, at: context.now)
    }
  }
}
