// Links: the sessions with other nodes and the paths that their packets take.
//
// A link is one session with one peer, whatever way its bytes go. This machine makes handshakes, over an
// endpoint or over the ring, proves and measures paths, leaves silent ones, and says when a link comes up or
// is lost. Why a link is wanted is decided elsewhere: by the ring (near), by the user (bootstrap), by traffic
// (on demand).
//
// *Invariant:* a peer with `isUp` has a session whose keys both sides proved. Everything is bounded: peers,
// paths, tries, probes. The extensions beside this file each hold one concern.

import Base
import Session

/// Where a datagram came from, and so where an answer goes.
public enum Origin: BitwiseCopyable, Sendable {
  case endpoint(Endpoint)
  /// Over the ring, from this node, which is reached through `via` when there is one.
  case routed(OverlayID, via: OverlayID?)
  /// Through a circuit of this relay, with the label under which that receives from us.
  case circuit(relay: OverlayID, label: UInt32)

  /// The socket that it came in by.
  var socket: SocketNumber { if case .endpoint(let endpoint) = self { endpoint.socket } else { .main } }

  var way: Way {
    switch self {
    case .endpoint(let endpoint): .endpoint(endpoint)
    case .routed: .overlay
    case .circuit(let relay, let label): .circuit(relay: relay, label: label)
    }
  }
}

/// What a datagram turned out to be, for the layers above. The packets are parts of the datagram's slot.
public enum Arrival: BitwiseCopyable, Sendable {
  /// Settled here.
  case none
  /// Passed on, and the slot with it.
  case passed
  /// A control message for the ring or a layer above it; `body` begins behind the type.
  case message(peer: Int, LinkMessageType, body: PacketRef)
  /// A routed message, beginning with its header, and the peer that handed it on.
  /// `number` is 0 unless the peer wants to know what becomes of it.
  case routed(PacketRef, from: Int, number: UInt32)
  /// Data of a community: the content byte, what the record says of the packet, and that. `counter` is that
  /// of the record.
  case data(peer: Int, content: UInt8, offload: UInt16, counter: UInt64, PacketRef)
}

/// What changed, for the layers above.
public enum LinkEvent: BitwiseCopyable, Sendable {
  case up(peer: Int)
  case down(PublicKey)
  /// The peer's hello came: its membership proofs are known.
  case proved(peer: Int)
  /// A direct path was proved.
  case direct(peer: Int)
  /// It is time to ask a node that is no neighbour what it sees.
  case outside(peer: Int)
  /// No handshake was answered.
  case unreachable(PublicKey)
  /// The peer has answered `measure`.
  case measured(ticket: UInt32)
  /// A message of ours did not arrive: a question with this ticket, or a handshake.
  case undeliverable(OverlayID, RoutedPayload, ticket: UInt64)
}

/// A node to come in through.
struct Bootstrap: BitwiseCopyable {
  var endpoint: Endpoint
  /// Known from `KEY@host`, or learned at the first contact.
  var key: PublicKey?
  var attempt: UInt32 = 0
  var tries: UInt32 = 0
  var nextAt: Instant
}

/// The table of peers and the machine that keeps it.
public struct Links: ~Copyable {
  public static let peersMax = 1_024
  /// Nodes known by hearsay that are asked for a handshake at the same time.
  static let linkingMax = 64
  /// Of these, peers of an earlier run.
  static let recalledMax = 32

  private let anchor = Anchor()
  public let identity: Identity
  public var sessions: SessionTable
  public internal(set) var peers: RecordTable<Peer>
  /// Those of them that are up are on the ring of all nodes, and those that are members of our community on
  /// that of the members.
  public internal(set) var main = RingTable()
  public internal(set) var members = RingTable()
  /// When something is due for each.
  private(set) var alarms = Alarms()
  public var underlay = Underlay()
  /// What peers are told of where this node is: the size by the ring, the coordinate by measurements.
  var bearings = Bearings()
  var vivaldi = Vivaldi()
  /// Set by the ring: it has all the neighbours it wants, and needs no bootstrap. Not without any link.
  var isComfortable = false
  /// Set by the ring: both neighbours are reached directly, so that everybody finds us by our ID alone.
  var isWellConnected = false
  public var events: Outbox<LinkEvent>
  public internal(set) var counters = LinkCounters()
  /// How much data of others is forwarded.
  public var relay: RelayLimit
  var isRelayUsedUp = false
  var dead = DeadPeers()
  var routes = RouteTable()
  var routesAreStale = false
  var hops = SlotTable<Hop>(capacity: hopsPending)
  /// For this node after all; the layer above takes them after every input.
  public var arrivals = Outbox<RoutedArrival>(capacity: hopsPending)
  var hopsAt: Instant = .never
  /// Circuits of others through this node, our own ends, and when to look after them.
  var relayed = CircuitTable()
  var circuitEnds = CircuitEndTable()
  var circuitSearches: [CircuitSearch] = []
  var circuitsAt: Instant = .never
  /// Connections that this node has begun.
  var streams = OwnStreams()
  /// Whether UDP gets through to nodes outside of the own network: the one place that says so.
  public internal(set) var udpPassage = UDPPassage.unknown
  var byID: FlatMap<OverlayID, UInt32>
  var bySession: FlatMap<UInt32, UInt32>
  /// Of whom, how and when the last record of a train came that was noted.
  var lastNews: (session: SessionID?, way: Way, at: Instant) = (nil, .overlay, .never)
  /// Most nodes have one or two, so they lie outside.
  var bootstraps: [Bootstrap] = []
  /// More ways in than anybody writes into a command.
  static let bootstrapsMax = 16
  /// When those who may know where we are were last told, and when they are to be told again.
  var announcedAt: Instant = .start
  var announceAt: Instant = .never
  /// Peers whose candidates are being probed, and when to go on.
  var punches: [Punch] = []
  var punchesAt: Instant = .never
  /// What became of the endpoints of peers with traffic.
  var trials = Trials()
  var birthday: Birthday?
  /// Nobody's ports are asked on somebody else's proposal before this moment.
  var birthdayRestUntil: Instant = .start
  /// Whether our box counts is found out from this moment on.
  var surveyFrom: Instant = .start
  /// Our own vias as last worked out, and when.
  var ownVias = (at: Instant.start, ids: BoundedArray<2, OverlayID>())
  var measurements = SlotTable<Measurement>(capacity: 64)
  var secure: SecureRandom
  var resets: TokenBucket
  var probes: TokenBucket
  var approaches: TokenBucket
  var notices: TokenBucket
  /// Testimonies, on all rings together: each is larger than its question.
  var looks = TokenBucket(rate: 50, burst: 100, at: .start)
  /// What became of our own questions, until the end of an input. *Invariant:* empty at rest.
  public internal(set) var looked: [Looked] = []
  /// Whether the node's owner wants it to say no more of itself than that it is there, and beside whom.
  public var isReserved = false
  public internal(set) var deadline: Instant = .never

  public init(
    identity: Identity, sessions: consuming SessionTable, relay: RelayLimit, seed: [UInt8], at now: Instant
  ) {
    self.identity = identity
    self.sessions = sessions
    self.relay = relay
    peers = RecordTable(capacity: Self.peersMax)
    byID = FlatMap(limit: Self.peersMax)
    bySession = FlatMap(limit: Self.peersMax)
    events = Outbox(capacity: 256)
    secure = SecureRandom(seed: seed, suite: identity.suite)
    resets = TokenBucket(rate: 20, burst: 20, at: now)
    probes = TokenBucket(rate: 100, burst: 100, at: now)
    approaches = TokenBucket(rate: 10, burst: 40, at: now)
    notices = TokenBucket(rate: 20, burst: 20, at: now)
  }

  deinit {
    for slot in 0..<peers.highWater where peers.isUsed(slot) { peers[slot].paths.release() }
  }

  public var id: OverlayID { identity.id }

  /// The slot of the peer with this ID.
  public func peer(_ id: OverlayID) -> Int? { byID[id].map(Int.init) }

  /// Whether there is a link with the owner of the key.
  func isUp(_ key: PublicKey) -> Bool {
    guard let session = sessions.find(key), let slot = bySession[session.slot].map(Int.init) else {
      return false
    }
    return peers.isUsed(slot) && peers[slot].isUp && peers[slot].key == key
  }

  /// Visits the slots of all peers that are up.
  public func forEachUp(_ body: (Int) -> Void) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp { body(slot) }
  }

  /// How many peers that are not up are asked for a handshake.
  var linkingCount: Int {
    var count = 0
    for slot in 0..<peers.highWater where peers.isUsed(slot) && !peers[slot].isUp {
      if peers[slot].attempt != nil { count += 1 }
    }
    return count
  }

  /// How many peers are up.
  public var upCount: Int { main.count }

  // MARK: - What others want

  /// Wants a link with the node of this key, and says what may help to reach it.
  /// - Returns: the peer's slot; nil when it is this node itself or the table is full.
  @discardableResult
  public mutating func connect(
    _ key: PublicKey, role: Roles, hint: Endpoint? = nil, via: OverlayID? = nil, firstHand: Bool = false,
    _ context: inout Context
  ) -> Int? {
    guard let slot = find(key, &context) else { return nil }
    peers[slot].roles.formUnion(role)
    peers[slot].usedAt = context.now
    if let hint, !peers[slot].hints.contains(where: { $0 == hint }) { peers[slot].hints.insert(hint, at: 0) }
    if let via, peers[slot].vias.isEmpty { peers[slot].vias.append(via) }
    if !peers[slot].isUp, peers[slot].attempt == nil, firstHand || peers[slot].deadUntil <= context.now {
      let triesMax = firstHand ? UInt8(Timing.handshakeRetry.count) : Timing.hearsayTries
      peers[slot].attempt = Attempt(triesMax: triesMax, nextAt: context.now)
      wake(slot, at: context.now)
      tick(slot, &context)
    }
    return slot
  }

  /// Keeps a peer's traffic on the ring, or lets it choose freely again.
  public mutating func pin(_ slot: Int, toOverlay: Bool, _ context: inout Context) {
    peers[slot].isPinnedToOverlay = toOverlay
    if toOverlay { openOverlayPath(slot, context.now) }
    chooseBest(slot, &context)
    wake(slot, at: context.now)
  }

  /// A peer of an earlier run, and where it was: tried at once, without expecting much. So many only that
  /// there is room for bootstraps and for whom others name.
  public mutating func recall(_ key: PublicKey, at endpoint: Endpoint, _ context: inout Context) {
    guard linkingCount < Self.recalledMax else { return }
    connect(key, role: [], hint: endpoint, firstHand: true, &context)
  }

  public mutating func countMalformed() { counters.malformed &+= 1 }

  /// Tells all peers that this node goes.
  public mutating func close(_ context: inout Context) {
    for slot in 0..<peers.highWater where peers.isUsed(slot) && peers[slot].isUp {
      send(.close, to: slot, &context) { _ in }
    }
  }

  // MARK: - The table

  /// The peer of `key`, made when it is new.
  mutating func find(_ key: PublicKey, _ context: inout Context) -> Int? {
    let id = key.id
    if id == self.id { return nil }
    if let slot = peer(id) { return peers[slot].key == key ? slot : nil }
    if peers.count == peers.capacity { evictIdle(&context) }
    guard peers.count < peers.capacity, let slot = peers.insert(Peer(key: key, id: id)) else {
      counters.tableFull &+= 1
      return nil
    }
    byID.set(id, UInt32(slot))
    peers[slot].usedAt = context.now
    return slot
  }

  /// Makes room: a peer that is not up goes first, then the one without a lasting role that was idle longest,
  /// and those that have circuits through this node last: with each of them two others would lose their way.
  /// Whoever came only now stays: in a crowd each newcomer needs a moment to be told where to go on.
  private mutating func evictIdle(_ context: inout Context) {
    let askers = relayed.askers()
    var oldest: Int?
    for slot in 0..<peers.highWater where peers.isUsed(slot) {
      let isUp = peers[slot].isUp
      if peers[slot].roles.contains(.bootstrap) || (isUp && peers[slot].isLasting) { continue }
      if isUp && context.now - peers[slot].upAt < Timing.welcome { continue }
      guard let best = oldest else {
        oldest = slot
        continue
      }
      if isUp != peers[best].isUp {
        if !isUp { oldest = slot }
      } else if askers[slot] != askers[best] {
        if askers[best] { oldest = slot }
      } else if peers[slot].usedAt < peers[best].usedAt {
        oldest = slot
      }
    }
    guard let oldest else { return }
    if peers[oldest].isUp { send(.close, to: oldest, &context) { _ in } }
    forget(oldest, &context)
  }

  /// Lets go of a peer and its session.
  mutating func forget(_ slot: Int, _ context: inout Context) {
    let (key, peer) = (peers[slot].key, peers[slot].id)
    let wasUp = peers[slot].isUp
    main.remove(slot, peer, around: id)
    members.remove(slot, peer, around: id)
    alarms.clear(slot)
    if let session = peers[slot].session {
      bySession.remove(session.slot)
      sessions.remove(session)
    }
    byID.remove(peer)
    dropPaths(slot, &context)
    peers[slot].paths.release()
    peers.remove(slot)
    routes.forget(slot)
    routesAreStale = true
    if wasUp {
      if upCount == 0 { hurryBootstraps(at: context.now) }
      wakeCircuits(at: .start)
      events.append(.down(key))
      context.notify(.linkLost(peer))
    }
  }

  /// Makes sure that the peer's timers are looked at by `instant`.
  mutating func wake(_ slot: Int, at instant: Instant) {
    alarms.add(slot, at: instant)
    if instant < deadline { deadline = instant }
  }

  /// When the peer's timers are looked at.
  func wakesAt(_ slot: Int) -> Instant { alarms[slot] }

  /// The peer's timers are looked at now.
  mutating func quiet(_ slot: Int) { alarms.clear(slot) }

  /// Makes sure that somebody notices if the peer says nothing until `instant`.
  mutating func expect(_ slot: Int, until instant: Instant) {
    alarms.expect(slot, until: instant)
    if instant < deadline { deadline = instant }
  }

  /// The peer was heard: nobody waits for it any more.
  mutating func heard(_ slot: Int) {
    peers[slot].askedAt = .never
    let wasFirst = alarms[slot] <= deadline
    alarms.expect(slot, until: .never)
    if wasFirst { readDeadline() }
  }

  /// The peer is up from now on.
  mutating func raise(_ slot: Int) {
    peers[slot].isUp = true
    main.insert(slot, peers[slot].id, around: id)
  }

  /// Does all that is due.
  public mutating func expire(_ context: inout Context) {
    let now = context.now
    guard deadline <= now else { return }
    deadline = .never
    sessions.expire(at: now)
    contactBootstraps(&context)
    expireHops(&context)
    askDead(&context)
    expireCircuits(&context)
    announceIfDue(&context)
    punchIfDue(&context)
    advanceBirthday(&context)
    tendStreams(&context)
    for slot in 0..<peers.highWater where alarms[slot] <= now { tick(slot, &context) }
    readDeadline()
  }

  /// Something is due no more: what is due next may be later than was thought.
  mutating func readDeadline() {
    deadline = min(alarms.first, hopsAt, dead.deadline, circuitsAt)
    deadline = min(deadline, announceAt, punchesAt, birthday?.dueAt ?? .never, streams.deadline)
    for i in 0..<bootstraps.count { deadline = min(deadline, bootstraps[i].nextAt) }
  }
}

/// What links dropped and why.
public struct LinkCounters: Sendable, BitwiseCopyable {
  public var tableFull: UInt64 = 0
  public var unknownKind: UInt64 = 0
  public var malformed: UInt64 = 0
  public var unknownPeer: UInt64 = 0
  public var noSlot: UInt64 = 0
  public var noWay: UInt64 = 0
  public var hopsExceeded: UInt64 = 0
  public var relayLimited: UInt64 = 0
  public var undeliverable: UInt64 = 0
  /// Questions about this node's place beyond what it answers.
  public var looksLimited: UInt64 = 0
  public var forwarded: UInt64 = 0
  /// Messages that another hop took because the first did not.
  public var rerouted: UInt64 = 0
  public var resets: UInt64 = 0
  /// Datagrams passed on through circuits; with a label that is nobody's, or not the sender's.
  public var circuitForwarded: UInt64 = 0
  public var circuitUnknown: UInt64 = 0
  public var circuitRefused: UInt64 = 0
  /// Times that a peer's candidates were tried, and the pings that this took.
  public var punches: UInt64 = 0
  public var punchPings: UInt64 = 0
  /// Attempts with many ports, those that led to a path, and their pings (they are in `punchPings` too).
  public var birthdays: UInt64 = 0
  public var birthdaysMet: UInt64 = 0
  public var birthdayPings: UInt64 = 0
  /// Meetings at predicted ports, and those that led to a path.
  public var predictions: UInt64 = 0
  public var predictionsMet: UInt64 = 0
  /// Connections that this node has begun.
  public var streamsBegun: UInt64 = 0
}
