// The driver of a node: it waits, hands the core what came, and does what the core wants done.
//
// One thread runs the loop and is the only one that touches the node. A turn takes what is due in the core
// first, then what comes from this machine (signals, questions, packets of the device), then what comes from
// others, at most 64 of each; after every call into the core its effects are carried out in order. Datagrams
// leave, and the store commits, once a turn. Nothing in a turn waits, and moving a packet allocates nothing.

import Base
import Glibc
import Logging
import Node
import Platform

/// A running node.
final class Daemon {
  /// What `Startup` has made.
  struct Parts {
    let log: Logger
    let verbosity: Verbosity
    let directory: StateDirectory
    let store: Store
    let netlink: Netlink
    let device: Device?
    let sockets: Sockets
    let signals: SignalDescriptor
    let mailbox: Mailbox
    let monitor: NetworkMonitor
    let loop: EventLoop
    let server: ControlServer
    let configuration: NodeConfiguration
    let bootstraps: [Bootstrap]
    let concerns: Concerns
  }

  /// Why the loop ends.
  enum Ending {
    case left
    case failed(Failure)
  }

  enum Source {
    static let signals: UInt32 = 0
    static let mailbox: UInt32 = 1
    static let monitor: UInt32 = 2
    static let device: UInt32 = 3
    static let socket: UInt32 = 4
  }

  /// The loop says this when somebody has connected over TCP.
  static let listenerToken: UInt32 = 5

  static let batchMax = 64
  /// 4 MiB, touched as they come into use: 20 ms of full packets at 1.5 Gbit/s.
  private static let packets = 2_048
  private static let effects = 1_024
  /// Changes of the network come in bursts; the interfaces are read once for all of them.
  private static let underlayPause = Interval.milliseconds(250)
  /// That descriptors are used up is said this rarely.
  private static let fullPause = Interval.minutes(10)

  let log: Logger
  let verbosity: Verbosity
  let configuration: NodeConfiguration
  let mailbox: Mailbox
  let sockets: Sockets
  var device: Device?
  let data: DataPlane
  var core: NodeCore
  var context: Context
  var bootstraps: Bootstraps
  var concerns: Concerns
  var ending: Ending?
  /// Questions of the local API that wait for an event, by ticket.
  var waiters: [UInt32: Waiter] = [:]
  var lastTicket: UInt32 = 0
  /// Tasks and crawls of the local API.
  var ringWork = RingWork()
  var listeners = Listeners()
  let startedAt: Instant
  let journal: Journal
  private let signals: SignalDescriptor
  private let monitor: NetworkMonitor
  private let netlink: Netlink
  let loop: EventLoop
  private let server: ControlServer
  /// Held for its lock.
  private let directory: StateDirectory
  /// The addresses of this machine, as the core knows them.
  private(set) var underlay: [IPPrefix] = []
  private var underlayAt: Instant = .never
  /// When the log last said that no descriptor is left.
  private var fullSaidAt: Instant?
  /// Sockets beside the main one that have something to read, as tokens of the loop.
  private var readySpares: [UInt32] = []

  init(_ parts: Parts) {
    log = parts.log
    verbosity = parts.verbosity
    configuration = parts.configuration
    mailbox = parts.mailbox
    sockets = parts.sockets
    device = parts.device
    data = DataPlane(parts.device?.tun.offload ?? [])
    concerns = parts.concerns
    signals = parts.signals
    monitor = parts.monitor
    netlink = parts.netlink
    loop = parts.loop
    server = parts.server
    directory = parts.directory
    journal = Journal(parts.store, parts.log)
    bootstraps = Bootstraps(parts.bootstraps)
    startedAt = Clock.now()
    core = NodeCore(parts.configuration, at: startedAt)
    var seed: UInt64 = 0
    for byte in Entropy.bytes(8) { seed = seed << 8 | UInt64(byte) }
    context = Context(packets: Self.packets, effects: Self.effects, seed: seed, at: startedAt)
    if let tunnel = parts.configuration.tunnel {
      core.setVirtualNetworks(
        [tunnel.community.ulaPrefix] + [tunnel.pool ?? tunnel.address?.network].compactMap { $0 })
    }
  }

  /// Runs until somebody tells the node to leave.
  /// - Throws: when something happened that it cannot go on with; it has left then, too.
  func run() throws(Failure) {
    try explaining { try begin() }
    while ending == nil { turn() }
    finish()
    if case .failed(let failure) = ending { throw failure }
  }

  private func begin() throws {
    readUnderlay()
    for (endpoint, bootstrap) in bootstraps.takeLiterals() {
      core.addBootstrap(endpoint, key: bootstrap.key, &context)
    }
    for table in StoreTable.allCases {
      journal.store.forEach(table) { core.recover(table, key: $0, value: $1, &context) }
    }
    drain()
    try loop.add(signals.fd, token: Source.signals)
    try loop.add(mailbox.wakeup.fd, token: Source.mailbox)
    try loop.add(monitor.fd, token: Source.monitor)
    if let device { try loop.add(device.tun.fd, token: Source.device) }
    try loop.add(sockets.main.fd, token: Source.socket)
    limitPrivileges()
    try server.start()
    log.notice(
      "running",
      metadata: [
        "peer": "\(core.id)", "endpoint": "\(sockets.main.local)",
        "interface": "\(device?.tun.name ?? "none")",
      ])
  }

  /// Everything that needs privileges is open; the interface's addresses need CAP_NET_ADMIN later, too.
  /// Where root works in another user's state directory, it needs its privileges for that.
  private func limitPrivileges() {
    guard directory.isOwn else { return }
    do {
      try dropPrivileges()
    } catch {
      log.debug("keeps its privileges", metadata: ["reason": "\(error)"])
    }
  }

  // A turn.

  private var deadline: Instant {
    journal.isOpen
      ? .start
      : min(
        core.deadline, bootstraps.nextAt, underlayAt, journal.checkpointAt, sockets.streams.deadline,
        ringWork.beatAt)
  }

  private func turn() {
    var ready: UInt32 = 0
    loop.wait(until: deadline) { token in
      if token < Sockets.firstToken { ready |= 1 << token } else { readySpares.append(token) }
    }
    func isReady(_ source: UInt32) -> Bool { ready & 1 << source != 0 }
    context.now = max(context.now, Clock.now())
    if core.deadline <= context.now {
      core.expire(&context)
      drain()
    }
    if isReady(Source.signals) { readSignals() }
    if isReady(Source.mailbox) { readMailbox() }
    if isReady(Source.monitor), monitor.drain() {
      underlayAt = min(underlayAt, context.now + Self.underlayPause)
    }
    if isReady(Source.device) { readDevice() }
    if isReady(Source.socket) {
      readRuns(sockets.main)
      if let former = sockets.former { readRuns(former) }
    }
    if isReady(Self.listenerToken) { accept() }
    sockets.streams.expire(at: context.now)
    for token in readySpares {
      if let socket = sockets.socket(token: token) { readRuns(socket) } else { readStream(token) }
    }
    readySpares.removeAll(keepingCapacity: true)
    if underlayAt <= context.now { readUnderlay() }
    if bootstraps.nextAt <= context.now {
      bootstraps.resolve(at: context.now, isAlone: core.linkCount == 0, mailbox)
    }
    settle()
  }

  /// Ends a turn: datagrams leave, the store commits, and what waited for the commit goes on.
  private func settle() {
    flush()
    var rounds = 0
    while journal.isOpen, rounds < 4 {
      for ticket in journal.commit(at: context.now) {
        core.stored(ticket, &context)
        drain()
      }
      flush()
      rounds += 1
    }
    journal.checkpoint(at: context.now, mailbox)
    reviewConcerns()
    beat()
  }

  /// Sends what was queued, and tells the core which connections are over.
  private func flush() {
    sockets.flush(&context.pool)
    while let number = sockets.streams.takeEnded() {
      core.closed(number, &context)
      drain()
      sockets.flush(&context.pool)
    }
  }

  private func readSignals() {
    while let signal = signals.next() {
      log.notice("told to leave", metadata: ["reason": "signal \(signal)"])
      ending = ending ?? .left
    }
  }

  /// Takes the TCP connections that others have made.
  private func accept() {
    let before = sockets.streams.counters.exhausted
    sockets.streams.accept(at: context.now)
    guard sockets.streams.counters.exhausted > before else { return }
    if let fullSaidAt, context.now - fullSaidAt < Self.fullPause { return }
    fullSaidAt = context.now
    log.warning(
      "no file descriptor is left for those who connect over TCP",
      metadata: ["advice": "raise the limit of open files (ulimit -n, or LimitNOFILE= of the service)"])
  }

  private func readStream(_ token: UInt32) {
    sockets.streams.serve(token: token, at: context.now)
    while let arrival = sockets.streams.next(into: &context.pool) {
      core.receive(arrival.packet, from: arrival.from, &context)
      drain()
    }
  }

  /// Tells the core where this machine is on the underlay.
  private func readUnderlay() {
    underlayAt = .never
    do {
      let own = core.virtualNetworks
      let found = try netlink.interfaces().filter { entry in
        entry.isUp && !entry.isLoopback && entry.index != device?.tun.index && !entry.name.hasPrefix("p2pvpn")
          && !own.contains { $0.contains(entry.prefix.address) }
      }.map(\.prefix)
      guard found != underlay || context.now == startedAt else { return }
      underlay = found
      core.setUnderlay(found, port: sockets.main.local.port, &context)
      drain()
      bootstraps.hurry(at: context.now)
      announce(.underlayChanged, .count(found.count))
    } catch {
      log.warning("cannot read the addresses of this machine", metadata: ["reason": "\(error)"])
      underlayAt = context.now + .seconds(5)
    }
  }

  /// Says good-bye, and takes away what the node brought.
  private func finish() {
    mailbox.close()
    server.withdraw()
    context.now = max(context.now, Clock.now())
    core.leave(&context)
    drain()
    settle()
    device = nil
    answerEverybody()
    journal.close()
    announce(.left)
    listeners.close()
    // The answers and the last events go out on other threads.
    mailbox.waitForAnswers(atMost: .seconds(2))
  }
}
