// Machines of links on a virtual clock, and the wires between them, driven by hand: a test sees, delays,
// loses, keeps and repeats single datagrams.

import Base
import Session
import Testing

@testable import Overlay

/// Identities that solve the puzzle, made once, in the order of their IDs.
enum Fixed {
  private static let seeds = [
    "0fad6070f5c5a137de77bf4c063936c0978c1d7d342074a2cdd5f758731b79fb",
    "91386728544a22d60272a6d1ec494f1763e531279615590d6231b568e09fcdd8",
    "37969c2bf50333c1b7ed950867d196dfadca6164ee4fad049c9f7ecf815a2649",
    "20d65ccd3e5ef71835609f0fa44c64bfbd595da0bd584bb5814d4c2296651405",
  ]

  static let identities = seeds.map { Identity(seed: Key(bytes: Hex.bytes($0)!)!) }.sorted { $0.id < $1.id }
}

/// One node: its links, without ring and directory above them.
final class Side {
  let identity: Identity
  var endpoint: Endpoint
  var links: Links
  var context: Context
  /// Control messages for the layers above, and data of communities.
  var messages: [(type: LinkMessageType, body: [UInt8])] = []
  var packets: [(content: UInt8, counter: UInt64, bytes: [UInt8])] = []
  /// Payloads of routed messages, other than datagrams, that came to this node.
  var arrived: [[UInt8]] = []
  var happened: [LinkEvent] = []
  var told: [Event] = []

  init(_ number: Int, incarnation: UInt64 = 100, at now: Instant = .start) {
    identity = Fixed.identities[number]
    endpoint = Endpoint(IPAddress(v4: 0x0A00_0001 + UInt32(number)), port: 7_741)
    let seed = [UInt8](repeating: UInt8(number) + UInt8(truncatingIfNeeded: incarnation), count: 32)
    let sessions = SessionTable(
      identity: identity, network: "test", incarnation: incarnation, capabilities: .aes256gcm,
      capacity: 1_024,
      seed: seed)
    links = Links(
      identity: identity, sessions: sessions, relay: RelayLimit(bytesPerSecond: 1 << 30, at: now), seed: seed,
      at: now)
    links.underlay.interfaces = [IPPrefix(endpoint.address, length: 8)]
    links.underlay.port = endpoint.port
    context = Context(packets: 256, effects: 2_048, seed: UInt64(number) + incarnation, at: now)
  }

  var key: PublicKey { identity.publicKey }
  var id: OverlayID { identity.id }

  /// The peer that the other side is here.
  func peer(_ other: Side) -> Peer? {
    guard let slot = links.peer(other.id) else { return nil }
    return links.peers[slot]
  }

  func slot(_ other: Side) -> Int { links.peer(other.id)! }

  func isUp(_ other: Side) -> Bool { peer(other)?.isUp == true }

  /// The endpoint of the path that data takes; `.none` is the way over the ring.
  func best(_ other: Side) -> Endpoint? { peer(other)?.bestPath.map { $0.endpoint ?? .none } }

  /// The endpoints of all paths, proven or not.
  func endpoints(_ other: Side) -> [Endpoint] {
    guard let peer = peer(other) else { return [] }
    return (0..<5).compactMap { peer.path($0)?.endpoint }
  }

  func path(_ other: Side, _ endpoint: Endpoint) -> Path? {
    guard let peer = peer(other) else { return nil }
    return peer.index(of: .endpoint(endpoint)).flatMap { peer.path($0) }
  }

  func find(_ key: PublicKey, at now: Instant) -> Int? {
    context.now = max(context.now, now)
    return links.find(key, &context)
  }

  var peersCount: Int { links.peers.count }
  var available: Int { context.pool.available }
  var deadline: Instant { links.deadline }
  var upCount: Int { links.upCount }
  var counters: LinkCounters { links.counters }

  /// What `Network` does with a datagram.
  func receive(_ bytes: [UInt8], from endpoint: Endpoint) {
    guard var ref = context.pool.take(length: bytes.count) else { return }
    context.pool.frame(ref).write(bytes)
    var origin = Origin.endpoint(endpoint)
    for _ in 0..<3 {
      switch links.receive(ref, from: origin, &context) {
      case .none:
        return context.pool.release(ref)
      case .passed:
        return
      case .message(_, let type, let body):
        messages.append((type, context.pool.frame(body).bytes))
        return context.pool.release(ref)
      case .data(_, let content, _, let counter, let packet):
        packets.append((content, counter, context.pool.frame(packet).bytes))
        return context.pool.release(ref)
      case .routed(let message, let hop, let number):
        guard let (header, payload) = links.forward(message, from: hop, number: number, &context) else {
          return
        }
        guard header.payload == .datagram else {
          arrived.append(context.pool.frame(payload).bytes)
          return context.pool.release(payload)
        }
        ref = payload
        origin = .routed(header.source, via: header.sourceVia)
      }
    }
    context.pool.release(ref)
  }
}

/// Sides, the datagrams on their way, and time.
final class Wires {
  struct Datagram {
    var at: Instant
    let from: Endpoint
    let to: Endpoint
    let bytes: [UInt8]

    /// Whether it travels in a connection.
    var isFrame: Bool { from.socket.isStream }
  }

  /// A connection, as both sides see each other through it.
  struct Stream {
    let opener: Side
    let accepter: Side
    /// The accepter, for the opener; the opener, for the accepter.
    let there: Endpoint
    let back: Endpoint
  }

  private(set) var now = Instant.start
  private(set) var sides: [Side]
  var delay = Interval.milliseconds(10)
  /// Whether a datagram passes.
  var passes: (Datagram) -> Bool = { _ in true }
  /// All datagrams ever sent.
  private(set) var sent: [Datagram] = []
  private var flying: [Datagram] = []
  /// Whether somebody may be connected to.
  var accepts: (Endpoint) -> Bool = { _ in true }
  private var streams: [Stream] = []
  private var streamsBegun: UInt16 = 0

  init(_ sides: [Side]) { self.sides = sides }

  convenience init(count: Int) { self.init((0..<count).map { Side($0) }) }

  /// The machine starts anew, without a memory.
  func restart(_ number: Int) {
    sides[number] = Side(number, incarnation: 101, at: now)
  }

  /// Does something with a side, and what follows from it.
  func act(_ side: Side, _ body: () -> Void) {
    side.context.now = now
    body()
    for i in 0..<side.links.events.count { side.happened.append(side.links.events[i]) }
    side.links.events.removeAll()
    for i in 0..<side.context.effects.count {
      switch side.context.effects[i] {
      case .transmit(let ref, let endpoint):
        transmit(side.context.pool.frame(ref).bytes, from: side, to: endpoint)
        side.context.pool.release(ref)
      case .notify(let event): side.told.append(event)
      case .connect(let endpoint): connect(side, to: endpoint)
      case .close(let number): close(number, of: side)
      default: Issue.record("links do nothing of the kind")
      }
    }
    side.context.effects.removeAll()
    while let (side, number) = ended.popLast() { act(side) { side.links.closed(number, &side.context) } }
  }

  private func transmit(_ bytes: [UInt8], from side: Side, to endpoint: Endpoint) {
    let at = now + delay
    guard endpoint.socket.isStream else {
      return launch(Datagram(at: at, from: side.endpoint, to: endpoint, bytes: bytes))
    }
    for stream in streams {
      if stream.opener === side, stream.there == endpoint {
        launch(Datagram(at: at, from: stream.back, to: stream.accepter.endpoint, bytes: bytes))
      } else if stream.accepter === side, stream.back == endpoint {
        launch(Datagram(at: at, from: stream.there, to: stream.opener.endpoint, bytes: bytes))
      }
    }
  }

  // MARK: - Connections

  /// Sides that hear that a connection is over when the call is done.
  private var ended: [(Side, SocketNumber)] = []

  var streamCount: Int { streams.count }

  private func connect(_ side: Side, to endpoint: Endpoint) {
    guard accepts(endpoint.listening), let other = sides.first(where: { $0.endpoint == endpoint.listening })
    else { return ended.append((side, endpoint.socket)) }
    streamsBegun += 1
    let number = SocketNumber.acceptedStream(place: Int(streamsBegun) % 256, life: streamsBegun)
    let back = Endpoint(side.endpoint.address, port: 50_000 + streamsBegun, socket: number)
    streams.append(Stream(opener: side, accepter: other, there: endpoint, back: back))
  }

  private func close(_ number: SocketNumber, of side: Side) {
    for stream in streams {
      if stream.opener === side, stream.there.socket == number {
        ended.append((stream.accepter, stream.back.socket))
      } else if stream.accepter === side, stream.back.socket == number {
        ended.append((stream.opener, stream.there.socket))
      } else {
        continue
      }
      streams.removeAll { $0.back == stream.back }
    }
  }

  /// All connections end.
  func endStreams() {
    let all = streams
    streams.removeAll()
    for stream in all {
      act(stream.opener) { stream.opener.links.closed(stream.there.socket, &stream.opener.context) }
      act(stream.accepter) { stream.accepter.links.closed(stream.back.socket, &stream.accepter.context) }
    }
  }

  private func launch(_ datagram: Datagram) {
    sent.append(datagram)
    if passes(datagram) { flying.append(datagram) }
  }

  /// Puts a datagram on the wire, from whatever address.
  func inject(_ bytes: [UInt8], from: Endpoint, to: Endpoint, after delay: Interval = .zero) {
    flying.append(Datagram(at: now + delay, from: from, to: to, bytes: bytes))
  }

  func run(for interval: Interval) {
    let end = now + interval
    while step(until: end) {}
    now = end
  }

  /// Lets time pass until the condition holds.
  /// - Returns: how long it took; nil when it did not come true within `limit`.
  func run(upTo limit: Interval, until condition: () -> Bool) -> Interval? {
    let begin = now
    while !condition() {
      if !step(until: begin + limit) { return nil }
    }
    return now - begin
  }

  private func step(until end: Instant) -> Bool {
    let arrival = flying.indices.min { flying[$0].at < flying[$1].at }
    let timer = sides.indices.min { sides[$0].deadline < sides[$1].deadline }!
    let arrivalAt = arrival.map { flying[$0].at } ?? .never
    let timerAt = max(sides[timer].deadline, now)
    guard min(arrivalAt, timerAt) <= end else { return false }
    if arrivalAt <= timerAt, let arrival {
      let datagram = flying.remove(at: arrival)
      now = max(now, datagram.at)
      guard let side = sides.first(where: { $0.endpoint == datagram.to }) else { return true }
      act(side) { side.receive(datagram.bytes, from: datagram.from) }
    } else {
      now = timerAt
      let side = sides[timer]
      act(side) { side.links.expire(&side.context) }
    }
    return true
  }

  /// `a` wants a link with `b`, whose endpoint it knows.
  func connect(_ a: Side, _ b: Side, role: Roles = .near) {
    act(a) { a.links.connect(b.key, role: role, hint: b.endpoint, &a.context) }
  }

  /// Both are linked directly, and have nothing more to say to each other for the moment.
  func link(_ a: Side, _ b: Side, role: Roles = .near) throws {
    connect(a, b, role: role)
    try #require(run(upTo: .seconds(3)) { a.isUp(b) && b.isUp(a) } != nil)
    a.links.peers[a.slot(b)].roles.insert(role)
    b.links.peers[b.slot(a)].roles.insert(role)
    run(for: .seconds(1))
  }

  func send(_ bytes: [UInt8], from a: Side, to b: Side) {
    act(a) {
      guard let ref = a.context.pool.take(length: bytes.count) else { return }
      a.context.pool.frame(ref).write(bytes)
      a.links.sendData(ref, content: Content.communities, to: a.slot(b), &a.context)
    }
  }

  /// Records in flight or sent since, from one to another endpoint.
  func count(from: Side, to: Side, since begin: Instant = .start) -> Int {
    sent.filter { $0.from == from.endpoint && $0.to == to.endpoint && $0.at > begin }.count
  }

  /// Two sides, the first ones, that can reach each other only through the third, with a link for traffic.
  /// - Parameter settling: how long they are left alone then.
  static func relayed(delay: Interval? = nil, settling: Interval = .seconds(5)) throws -> Wires {
    let wires = Wires(count: 3)
    if let delay { wires.delay = delay }
    let (a, b, relay) = (wires.sides[0], wires.sides[1], wires.sides[2])
    let ends = [a.endpoint, b.endpoint]
    wires.passes = { !(ends.contains($0.from) && ends.contains($0.to)) }
    try wires.link(a, relay)
    try wires.link(b, relay)
    wires.act(a) { a.links.connect(b.key, role: .onDemand, via: relay.id, firstHand: true, &a.context) }
    try #require(wires.run(upTo: .seconds(5)) { a.isUp(b) && b.isUp(a) } != nil)
    b.links.peers[b.slot(a)].roles.insert(.onDemand)
    wires.run(for: settling)
    return wires
  }
}
