// A node: the ring and the directory, and for a member the virtual network on top. The only type that drivers
// see.
//
// The daemon, a simulation and a test call the same methods: a datagram came, a packet came, the store
// answered, time has passed. After each call the driver carries out `context.effects` in order and reads
// `deadline` again (`Base/Machine.swift` has the contract).

import Base
import DHT
import Overlay
import Session
import VPN

/// All that a node is told at its start.
public struct NodeConfiguration: Sendable {
  public var identity: Identity
  /// Higher than at any earlier start of this identity.
  public var incarnation: UInt64
  /// The overlay's name: nodes of different overlays never answer each other.
  public var overlay: String = "p2pvpn"
  /// The community to be a member of; nil makes a seed.
  public var tunnel: TunnelConfiguration?
  /// Whether to be a ring of one until others come: true when no bootstrap is configured.
  public var isFounder: Bool
  /// What this node passes on for others.
  public var relay: RelayTerms
  /// Where the operator says that the node can be reached, four at most; port 0 is the one listened on.
  public var advertised: [Endpoint] = []
  /// Whether others may have been told the port: else a member leaves it where another one has taken it.
  public var hasChosenPort = false
  /// Which version of the program this is, as operators are told: printable ASCII, 24 bytes at most.
  public var version = "unknown"
  /// Who may ask the node about itself.
  public var disclosure = Disclosure()
  /// Unix time at the start, in seconds.
  public var unixSeconds: UInt64
  /// 32 bytes from the system's generator.
  public var entropy: [UInt8]

  public init(
    identity: Identity, incarnation: UInt64, tunnel: TunnelConfiguration?, isFounder: Bool,
    relay: RelayTerms = RelayTerms(), unixSeconds: UInt64, entropy: [UInt8]
  ) {
    self.identity = identity
    self.incarnation = incarnation
    self.tunnel = tunnel
    self.isFounder = isFounder
    self.relay = relay
    self.unixSeconds = unixSeconds
    self.entropy = entropy
  }
}

/// The machine of one node.
public struct NodeCore: ~Copyable {
  public internal(set) var network: Network
  var tunnel: Box<Tunnel>?
  var pings = SlotTable<Ping>(capacity: 64)
  var traces = SlotTable<RouteTrace>(capacity: RouteTrace.limit)
  /// Which version of the program it runs.
  let version: ProgramVersion
  var crawls: [Crawl] = []
  public internal(set) var dataPath = DataPathCounters()
  /// Who may ask this node about itself, and its answers that wait for neighbours.
  public var disclosure: Disclosure {
    didSet { network.links.isReserved = !disclosure.tells }
  }
  var maps: [AwaitedMap] = []
  private var hasBeenOutranked = false
  /// Sessions that may exist beyond the peers: a new one is made before an idle peer gives way to it.
  private static let sessionsSpare = 256
  /// Incarnations follow Unix time; what somebody claims to remember beyond this (the year 36,000) is
  /// nonsense.
  private static let incarnationMax: UInt64 = 1 << 40

  public init(_ configuration: NodeConfiguration, at now: Instant) {
    var entropy = SecureRandom(seed: configuration.entropy, suite: configuration.identity.suite)
    var capabilities: Capabilities = configuration.tunnel == nil ? [.seed] : [.offload]
    if configuration.identity.suite.hasAES { capabilities.insert(.aes256gcm) }
    var sessions = SessionTable(
      identity: configuration.identity, network: configuration.overlay,
      incarnation: configuration.incarnation,
      capabilities: capabilities, capacity: Links.peersMax + Self.sessionsSpare,
      seed: entropy.key().bytes)
    version = ProgramVersion(configuration.version)
    if let tunnel = configuration.tunnel { sessions.setCommunities([tunnel.community]) }
    var links = Links(
      identity: configuration.identity, sessions: sessions,
      relay: RelayLimit(configuration.relay, unixSeconds: configuration.unixSeconds, at: now),
      seed: entropy.key().bytes, at: now)
    links.underlay.keepsPort =
      configuration.hasChosenPort || configuration.tunnel == nil || !configuration.advertised.isEmpty
    for endpoint in configuration.advertised { links.underlay.advertised.append(endpoint) }
    network = Network(
      links: links, ring: Ring(isFounder: configuration.isFounder, at: now),
      directory: Directory(
        unixAtStart: configuration.unixSeconds, isFounder: configuration.isFounder, at: now),
      incarnation: configuration.incarnation)
    disclosure = configuration.disclosure
    network.links.isReserved = !configuration.disclosure.tells
    tunnel = configuration.tunnel.map {
      Box(
        Tunnel(
          $0, identity: configuration.identity, incarnation: configuration.incarnation,
          seed: entropy.key().bytes, at: now))
    }
  }

  public var id: OverlayID { network.links.id }

  /// Whether UDP gets through to nodes outside of the own network.
  public var udpPassage: UDPPassage { network.links.udpPassage }

  /// Looks at the tunnel; nil on a seed.
  borrowing func reading<Result>(_ look: (borrowing Tunnel) -> Result) -> Result? {
    switch tunnel {
    case .some(let tunnel): look(tunnel.value)
    case .none: nil
    }
  }

  /// The next moment at which `expire` has work.
  public var deadline: Instant {
    var next = min(network.deadline, reading { $0.deadline } ?? .never)
    if !maps.isEmpty { next = min(next, mapDeadline) }
    if pings.isEmpty && traces.isEmpty && crawls.isEmpty { return next }
    next = min(next, crawlDeadline)
    for slot in 0..<pings.highWater where pings.isUsed(slot) { next = min(next, pings[slot].giveUpAt) }
    for slot in 0..<traces.highWater where traces.isUsed(slot) { next = min(next, traces[slot].giveUpAt) }
    return next
  }

  /// The next moments of links, ring, directory, tasks and tunnel, for whoever must find out why a node does
  /// not rest.
  public var deadlines: [Instant] {
    [
      network.links.deadline, network.ring.deadline, network.directory.deadline, network.tasks.deadline,
      reading { $0.deadline } ?? .never,
    ]
  }

  // MARK: - Before the start

  /// A pair of the store, read at the start.
  public mutating func recover(_ table: StoreTable, key: Frame, value: Frame, _ context: inout Context) {
    switch table {
    case .records: network.directory.recovered(value, at: context.now)
    case .peers: network.recall(key: key, value: value, &context)
    case .node: network.links.recoverRelay(key: key, value: value, &context)
    }
  }

  /// The machine's addresses, without those of our own device, and the port that is listened on.
  public mutating func setUnderlay(_ interfaces: [IPPrefix], port: UInt16, _ context: inout Context) {
    let isChange = network.links.underlay.port != 0
    let before = network.links.underlay.interfaces
    // Told again without a difference: the network was left and entered anew, or it is another one like it.
    let hasMoved =
      before == interfaces || network.links.underlay.isOffline
      || before.contains { old in !interfaces.contains { $0.address == old.address } }
    // It was not our own socket that moved.
    if network.links.underlay.port == port { network.links.underlay.hasRebound = false }
    network.links.underlay.isOffline = isChange && interfaces.isEmpty
    network.links.underlay.interfaces = interfaces
    network.links.underlay.port = port
    if isChange { network.links.underlayChanged(hasMoved: hasMoved, &context) }
    settle(&context)
  }

  public mutating func addBootstrap(_ endpoint: Endpoint, key: PublicKey?, _ context: inout Context) {
    network.links.addBootstrap(endpoint, key: key, &context)
  }

  // MARK: - Inputs

  /// A datagram came from the underlay. Takes its slot.
  public mutating func receive(_ datagram: PacketRef, from endpoint: Endpoint, _ context: inout Context) {
    receive(network.receive(datagram, from: endpoint, &context), &context)
    settle(&context)
  }

  mutating func receive(_ delivery: Delivery, _ context: inout Context) {
    switch delivery {
    case .none: break
    case .claim(let peer, let packet):
      if tunnel == nil { context.pool.release(packet) }
      tunnel?.value.receiveClaim(packet, from: peer, &network, &context)
    case .member(let peer, let packet):
      if tunnel == nil { context.pool.release(packet) }
      tunnel?.value.receiveFromMember(packet, from: peer, &network, &context)
    case .data(let peer, let content, let offload, let counter, let packet):
      if tunnel == nil { context.pool.release(packet) }
      tunnel?.value.receive(
        packet, from: peer, content: content, offload: offload, counter: counter, &network, &context)
    }
  }

  /// A socket that the core has opened, or a connection, is gone.
  public mutating func closed(_ socket: SocketNumber, _ context: inout Context) {
    network.links.closed(socket, &context)
    settle(&context)
  }

  /// A packet came from the virtual device. Takes its slot.
  public mutating func send(_ packet: PacketRef, _ context: inout Context) {
    if tunnel == nil { context.pool.release(packet) }
    tunnel?.value.send(packet, &network, &context)
    settle(&context)
  }

  /// The store has committed.
  public mutating func stored(_ ticket: UInt32, _ context: inout Context) {
    network.directory.stored(ticket, &network.links, &context)
    settle(&context)
  }

  /// The store has read a value, or has none.
  public mutating func loaded(_ ticket: UInt32, _ value: Frame?, _ context: inout Context) {
    network.directory.loaded(ticket, value, &network.links, &context)
    settle(&context)
  }

  /// Time has passed.
  public mutating func expire(_ context: inout Context) {
    network.expire(&context)
    tunnel?.value.expire(&network, &context)
    if !maps.isEmpty { expireMaps(&context) }
    settle(&context)
    expirePings(&context)
    expireTraces(&context)
    expireCrawls(&context)
  }

  /// Goes: tells the neighbours about each other and everybody else good-bye.
  public mutating func leave(_ context: inout Context) {
    tunnel?.value.leave(&network, &context)
    network.ring.leave(&network.links, &context)
    network.links.close(&context)
    network.links.saveRelaying(&context)
    context.notify(.left)
  }

  /// Gives back every packet that the node holds, for a driver whose pool outlives the node. Only for the
  /// end: what the packets were for is forgotten.
  public mutating func releasePackets(_ context: inout Context) {
    for i in 0..<network.events.count { release(network.events[i], &context) }
    network.events.removeAll()
    network.links.releasePackets(&context)
    network.directory.releasePackets(&context)
    tunnel?.value.releasePackets(&context)
  }

  /// Lets the parts react to each other until nothing is left to tell.
  mutating func settle(_ context: inout Context) {
    network.pump(&context)
    repeat {
      var i = 0
      while i < network.events.count {
        let event = network.events[i]
        if tunnel == nil { release(event, &context) }
        tunnel?.value.on(event, &network, &context)
        onPingEvent(event, &context)
        onTraceEvent(event, &context)
        onLocated(event, &context)
        network.pump(&context)
        i += 1
      }
      network.events.removeAll()
      if network.tasks.hasTodo { settleTasks(&context) }
      if !network.links.looked.isEmpty { hearLooks(&context) }
    } while network.events.count > 0 || network.tasks.hasTodo
    if !pings.isEmpty {
      progressPings(&context)
      failAbsentPings(&context)
    }
    raiseIncarnation(&context)
  }

  /// Somebody remembers a later life of this node (its clock went back, or its state is a backup): goes on
  /// above that, or its own leases would count as old.
  private mutating func raiseIncarnation(_ context: inout Context) {
    guard let seen = network.links.sessions.outrankedBy, seen + 1 < Self.incarnationMax else { return }
    network.links.sessions.raiseIncarnation(to: seen + 1)
    tunnel?.value.raiseSequences(to: seen + 1)
    network.tasks.raiseSequence(to: seen + 1)
    if !hasBeenOutranked { context.notify(.identityInUseTwice) }
    hasBeenOutranked = true
  }

  private func release(_ event: NetworkEvent, _ context: inout Context) {
    if case .directory(.answered(_, _, _, let packet?)) = event { context.pool.release(packet) }
  }

  // MARK: - Wishes of the user

  /// The slot of the peer with this ID, when there is one.
  public func peer(with id: OverlayID) -> Int? { network.links.peer(id) }

  /// Keeps the traffic of a peer on the ring, or lets it choose its path again.
  public mutating func pin(_ slot: Int, toOverlay: Bool, _ context: inout Context) {
    network.links.pin(slot, toOverlay: toOverlay, &context)
    settle(&context)
  }

  /// Asks all members of the community whether they are there. The answer is a `rollCalled` event with the
  /// ticket, at once if nobody is to be waited for.
  public mutating func callRoll(_ ticket: UInt32, _ context: inout Context) {
    if tunnel == nil { context.notify(.rollCalled(ticket: ticket)) }
    tunnel?.value.callRoll(ticket, &network, &context)
    settle(&context)
  }

  /// Finds out who has an address, or whether a node with this ID exists.
  public mutating func lookUp(address: IPAddress?, id: OverlayID?, ticket: UInt32, _ context: inout Context) {
    if tunnel == nil { context.notify(.lookedUp(ticket: ticket, .nothing)) }
    tunnel?.value.lookUp(address: address, id: id, ticket: ticket, &network, &context)
    settle(&context)
  }
}
