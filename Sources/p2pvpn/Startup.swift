// From options to a running node: what can go wrong at the start goes wrong here.
//
// The order is that of what may fail, the cheapest first, and nothing waits: the first handshake leaves as
// soon as the keys are there.

import Base
import Glibc
import Logging
import Node
import Overlay
import Platform
import Session
import VPN

/// What `join` and `seed` have in common.
struct NodeOptions {
  var state: String?
  var listen: Endpoint?
  var advertised: [Endpoint]
  var bootstraps: [Bootstrap]
  /// What is passed on for others.
  var relay: RelayTerms
  /// Who may ask the node about itself.
  var disclosure: Disclosure
  /// Whose code encrypts.
  var encryption: BulkAEAD.Wish
  /// Whether packets are handed to and from the kernel in trains.
  var offloads: Bool
  var logLevel: Logger.Level
}

/// What only a member has.
struct MembershipOptions {
  var community: String
  var secret: CommunitySecret?
  var address: IPPrefix?
  var pool: IPPrefix?
  var interface: String?
  var name: MemberName?
  var broadcasts = true
  var multicasts = true
}

/// The making of a daemon.
struct Startup {
  private let options: NodeOptions
  private let membership: MembershipOptions?
  private let log: Logger
  private let verbosity: Verbosity
  private var concerns = Concerns()

  /// Runs a node until it leaves; does not return.
  static func run(_ options: NodeOptions, _ membership: MembershipOptions?) throws(Failure) -> Never {
    // What is made from now on (the state, the API's socket) is for the owner alone.
    umask(0o077)
    var startup = Startup(options, membership)
    let daemon = try startup.daemon()
    try daemon.run()
    exit(ExitStatus.ok.rawValue)
  }

  private init(_ options: NodeOptions, _ membership: MembershipOptions?) {
    self.options = options
    self.membership = membership
    let verbosity = Verbosity(options.logLevel)
    log = Logger(label: "p2pvpn") { _ in StandardErrorLog(verbosity: verbosity) }
    self.verbosity = verbosity
  }

  private mutating func daemon() throws(Failure) -> Daemon {
    announce()
    let socketPath = try Locations.socket(state: options.state)
    let statePath = try Locations.state(options.state)
    let signals = try explaining { try SignalDescriptor() }
    chooseEncryption()
    let directory = try explaining { try StateDirectory(path: statePath) }
    let netlink = try explaining { try Netlink() }
    let device = try makeDevice(netlink)
    let socket = try makeSocket()
    let (identity, isNew) = try NodeState.identity(in: directory)
    if isNew { log.notice("made a new identity", metadata: ["peer": "\(identity.id)"]) }
    let community = try makeCommunity(directory, identity)
    if let device, let community { addULA(to: device, community.ula(of: identity.id)) }
    let store = try openStore(directory)
    let unix = Clock.unixSeconds()
    let tunnel = membership.flatMap { wanted in
      community.map {
        TunnelConfiguration(
          community: $0, address: wanted.address, pool: wanted.pool, remembered: remembered($0, store),
          name: wanted.name ?? defaultName(in: $0),
          broadcasts: wanted.broadcasts, multicasts: wanted.multicasts)
      }
    }
    var configuration = NodeConfiguration(
      identity: identity, incarnation: try NodeState.nextIncarnation(in: directory, unixSeconds: unix),
      tunnel: tunnel, isFounder: options.bootstraps.isEmpty && store.count(.peers) == 0,
      relay: relayTerms(community), unixSeconds: unix, entropy: Entropy.bytes(Key.byteCount))
    configuration.disclosure = options.disclosure
    configuration.advertised = options.advertised
    configuration.version = Program.version
    // A member without a bootstrap may be that of others, who look for it on its port.
    configuration.hasChosenPort = options.listen != nil || options.bootstraps.isEmpty
    let mailbox = try explaining { try Mailbox() }
    let monitor = try explaining { try NetworkMonitor() }
    let loop = try explaining { try EventLoop() }
    let server = try makeServer(socketPath, mailbox)
    let sockets = try makeSockets(socket, loop)
    return Daemon(
      Daemon.Parts(
        log: log, verbosity: verbosity, directory: directory, store: store, netlink: netlink, device: device,
        sockets: sockets, signals: signals, mailbox: mailbox, monitor: monitor, loop: loop, server: server,
        configuration: configuration, bootstraps: options.bootstraps, concerns: concerns))
  }

  /// What the machine is called, unless that is no label. Everybody may enter an open community: there it is
  /// not told.
  private func defaultName(in community: Community) -> MemberName? {
    community.isOpen ? nil : MachineName.label().flatMap { MemberName($0) }
  }

  /// An open community has everybody for a member: nobody is favoured for that.
  private func relayTerms(_ community: Community?) -> RelayTerms {
    var terms = options.relay
    if community?.isOpen ?? true { terms.favoursMembers = false }
    return terms
  }

  /// The first line: what this node is, and who may come in.
  private func announce() {
    guard let membership else {
      log.notice("starting a seed", metadata: ["version": "\(Program.version)"])
      return
    }
    let name: Logger.MetadataValue = "\(membership.community)"
    guard let secret = membership.secret else {
      log.notice(
        "joining an open community: everybody who knows its name may enter", metadata: ["community": name])
      return
    }
    log.notice("joining a community", metadata: ["community": name, "version": "\(Program.version)"])
    if secret.isExposed {
      log.warning(
        "other users of this machine may read the secret: chmod go= it",
        metadata: ["file": "\(secret.source)"])
    }
  }

  private func makeDevice(_ netlink: Netlink) throws(Failure) -> Device? {
    guard let membership else { return nil }
    let offload: TUNOffload = options.offloads ? .all : []
    return try explaining { try Device(name: membership.interface, offload: offload, netlink: netlink) }
  }

  private func chooseEncryption() {
    let chosen = BulkAEAD.choose(options.encryption)
    guard options.encryption == .ipsecMB, chosen != .ipsecMB else { return }
    log.warning(
      "libipsec-mb is not installed, or does not work on this machine: \(chosen.name) encrypts",
      metadata: ["advice": "install libipsec-mb-dev (Debian, x86-64) and build again, or leave --aead away"])
  }

  /// The underlay socket. A taken port is an error when it was asked for; else a member takes a free one. A
  /// seed is of no use where nobody looks for it.
  private mutating func makeSocket() throws(Failure) -> UDPSocket {
    if let listen = options.listen {
      return try explaining {
        try UDPSocket(listen: listen, aggregates: options.offloads, segments: options.offloads)
      }
    }
    let port = Arguments.defaultPort
    do {
      return try UDPSocket(
        listen: Endpoint(.unspecified, port: port), aggregates: options.offloads, segments: options.offloads)
    } catch {
      guard error.code == EADDRINUSE, membership != nil else { throw Failure(error) }
      let socket = try explaining { try UDPSocket(aggregates: options.offloads, segments: options.offloads) }
      log.warning(
        "port \(Arguments.defaultPort) is in use by another program: took a free one",
        metadata: ["port": "\(socket.local.port)"])
      concerns.set(.port, Concerns.portInUse(port, now: socket.local.port))
      return socket
    }
  }

  /// The TCP port beside the UDP port: without it, nobody whose UDP is blocked comes in here.
  private func makeSockets(_ socket: UDPSocket, _ loop: EventLoop) throws(Failure) -> Sockets {
    var listener: StreamListener?
    do {
      listener = try StreamListener(listen: socket.local)
    } catch {
      log.warning(
        "no TCP port: nodes whose UDP is blocked cannot connect here",
        metadata: ["port": "\(socket.local.port)", "reason": "\(error)"])
    }
    return try explaining {
      try Sockets(main: socket, listener: listener, listenerToken: Daemon.listenerToken, loop: loop)
    }
  }

  private mutating func makeCommunity(
    _ directory: StateDirectory, _ identity: Identity
  ) throws(Failure) -> Community? {
    guard let membership else { return nil }
    guard let secret = membership.secret else { return .open(membership.community) }
    if secret.strength < Community.secretStrengthAdvised {
      log.warning(
        "the secret is easy to guess: make one with `p2pvpn keygen`", metadata: ["bits": "\(secret.strength)"]
      )
      concerns.set(.secret, "the secret is easy to guess: make one with `p2pvpn keygen`")
    }
    return try secret.community(membership.community, in: directory, of: identity)
  }

  private mutating func addULA(to device: Device, _ address: IPAddress) {
    do {
      try device.add(IPPrefix(address, length: 48))
    } catch {
      log.warning(
        "no IPv6 address on the interface: is IPv6 switched off on this machine?",
        metadata: ["reason": "\(error)", "address": "\(address)"])
      concerns.set(.ipv6, "the interface has no IPv6 address (is IPv6 switched off here?): \(error)")
    }
  }

  private func openStore(_ directory: StateDirectory) throws(Failure) -> Store {
    let store = try explaining { try Store(in: directory) }
    switch store.origin {
    case .new, .kept: break
    case .checkpoint: log.notice("the machine had died: took the last checkpoint of the store")
    case .lost: log.notice("the machine had died before the first checkpoint: the store begins empty")
    }
    return store
  }

  /// The address that this node had in the community.
  private func remembered(_ community: Community, _ store: Store) -> IPAddress? {
    let bytes = Tunnel.rememberKey(community)
    let key = Scratch(capacity: bytes.count)
    key.frame.write(bytes)
    let value = Scratch(capacity: Store.valueBytesMax)
    guard let length = store.get(.node, key: key.frame, into: value.frame) else { return nil }
    guard let address = try? IPAddress(decoding: value.frame.prefix(length)) else { return nil }
    log.debug("the address of the last run", metadata: ["address": "\(address)"])
    return address
  }

  private func makeServer(_ path: String, _ mailbox: Mailbox) throws(Failure) -> ControlServer {
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    if mkdir(folder, 0o755) < 0, errno != EEXIST {
      throw Failure(CallError("make \(folder)", code: errno, advice: "choose another place with --state DIR"))
    }
    return try ControlServer(path: path, mailbox: mailbox)
  }
}
