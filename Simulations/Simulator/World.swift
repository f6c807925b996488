// A network of nodes on a virtual clock, driving the very code of the daemon in one thread.
//
// One seed decides everything: places, latencies, losses, identities, the nodes' own randomness. Time jumps
// from event to event. An event is a delivery or the expiry of a timer; both call a core, and the effects are
// carried out in order before anything else happens (`Effects`). Datagrams go through `Wires`.
//
// All nodes share one context (pool, outbox); only the random stream is each node's own and is put in and
// taken out around each call, so that a draw of one never shifts another's. In a laboratory each node has a
// context of its own, so that tests can look for slots that leak.

import Base
import Node
import Overlay
import Session
import VPN

/// Nodes, the wires between them, and time.
public final class World {
  public let options: WorldOptions
  let state: WorldState
  /// What cores have notified and nobody has been told.
  var raised: [(node: Int, event: Event)] = []
  private var capacity: Int
  private let shared: Desk?
  private var secure: SecureRandom
  private var actions: [((World) -> Void)?] = []
  private var freeActions: [Int] = []
  private var isRunning = false
  let scratch = Scratch(capacity: 1 << 16)

  public init(_ options: WorldOptions) {
    self.options = options
    capacity = max(options.nodesExpected, 16)
    state = WorldState(options, capacity: capacity)
    shared =
      options.isLaboratory
      ? nil : Desk(packets: options.packets, effects: options.effects, seed: 0, at: .start)
    var key = [UInt8](repeating: 0, count: 32)
    for i in 0..<8 { key[i] = UInt8(truncatingIfNeeded: options.seed >> (8 * UInt64(i))) }
    secure = SecureRandom(seed: key)
  }

  deinit { state.free() }

  /// Two runs with the same digest did the same (`Digest`).
  public var digest: UInt64 { sum.value }

  public var nodeCount: Int { hosts.count }

  public func isAlive(_ node: Int) -> Bool { records[checked(node)].flags.contains(.alive) }

  // MARK: - Nodes

  /// Adds and starts a node.
  /// - Parameters:
  ///   - bootstraps: the nodes through which it comes in; none makes it a ring of one until others come.
  ///   - site: where it stands; nil is a public host at a place that the seed draws.
  /// - Returns: its number: nodes are numbered from 0.
  @discardableResult
  public func add(_ role: NodeRole, bootstraps: [Int], site: Site? = nil) -> Int {
    let site = site ?? drawSite(isFounder: bootstraps.isEmpty)
    let host = make(role, isFounder: bootstraps.isEmpty, site: site)
    start(host, bootstraps: bootstraps)
    return host.number
  }

  func add(_ tunnel: TunnelConfiguration?, bootstraps: [Int], relay: UInt64, site: Site) -> Host {
    let host = make(tunnel, isFounder: bootstraps.isEmpty, relay: relay, site: site)
    start(host, bootstraps: bootstraps)
    return host
  }

  /// Makes a node that has not been started yet.
  func make(_ role: NodeRole, isFounder: Bool, site: Site) -> Host {
    var tunnel: TunnelConfiguration?
    if case .member(let community, let address, let pool) = role {
      tunnel = TunnelConfiguration(community: community, address: address, pool: pool)
    }
    return make(tunnel, isFounder: isFounder, relay: options.relayBytesPerSecond, site: site)
  }

  private func make(_ tunnel: TunnelConfiguration?, isFounder: Bool, relay: UInt64, site: Site) -> Host {
    let number = hosts.count
    precondition(number < Happening.nodesMax)
    if number == capacity { grow() }
    let configuration = NodeConfiguration(
      identity: identity(number), incarnation: 1_000, tunnel: tunnel, isFounder: isFounder,
      relay: RelayTerms(bytesPerSecond: relay), unixSeconds: 1_000_000, entropy: entropy(number, life: 0))
    (records + number).initialize(to: NodeRecord(place: Place(), address: 0, flags: .alive))
    attach(number, site)
    takeSides(number)
    let host = host(number, configuration, Disk(bytesMax: options.storeBytesMax))
    hosts.append(host)
    return host
  }

  private func host(_ number: Int, _ configuration: NodeConfiguration, _ disk: Disk) -> Host {
    let random = Random(seed: options.seed).split(1 << 32 | UInt64(number)).split(
      UInt64(records[number].life))
    let desk = shared ?? Desk(packets: 2_048, effects: 2_048, seed: 0, at: now)
    return Host(
      number: number, endpoint: SimEndpoint(records[number].address, port: Internet.port).endpoint,
      configuration: configuration, disk: disk, desk: desk, random: random, at: now)
  }

  private func identity(_ number: Int) -> Identity {
    options.cryptography == .stub
      ? Identity.stub(number: options.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number))
      : Identity.generate(&secure)
  }

  /// Seeds of a node's secrets: its own for each life, whoever else was started before.
  private func entropy(_ number: Int, life: UInt16) -> [UInt8] {
    var random = Random(seed: options.seed).split(2 << 32 | UInt64(number)).split(UInt64(life))
    return (0..<4).flatMap { _ in
      let word = random.next()
      return (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
    }
  }

  private func grow() {
    let larger = UnsafeMutablePointer<NodeRecord>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: records, count: capacity)
    records.deallocate()
    records = larger
    capacity *= 2
  }

  private func start(_ host: Host, bootstraps: [Int]) {
    act(host) {
      host.core.setUnderlay(interfaces(host.number), port: Internet.port, &host.context)
      for node in bootstraps { host.core.addBootstrap(endpoint(of: node), key: nil, &host.context) }
      host.core.expire(&host.context)
    }
  }

  /// The node vanishes without a word, and with it what its store has not committed.
  public func kill(_ node: Int) {
    let host = hosts[checked(node)]
    guard records[node].flags.contains(.alive) else { return }
    precondition(!state.scalars.pointee.isActing, "a core is being called")
    records[node].flags.subtract([.alive, .paused, .rebound])
    records[node].generation &+= 1
    records[node].wakeAt = .max
    host.isAlive = false
    host.disk.crash()
    for handle in host.waiting.datagrams {
      if arena.header(handle).pointee.flags & Flight.isFrame != 0 {
        discardFrame(handle)
      } else {
        arena.release(handle)
      }
    }
    resetStreams(of: host)
    host.waiting = Host.Waiting()
    // A laboratory keeps the dead for whoever looks at them, with a pool of their own.
    if options.isLaboratory { return }
    host.core.releasePackets(&host.context)
    host.discardCore()
  }

  /// The node comes back with its store and its identity, and a higher incarnation.
  @discardableResult
  public func restart(_ node: Int, bootstraps: [Int]) -> Host {
    kill(node)
    let old = hosts[node]
    records[node].life &+= 1
    var configuration = old.configuration
    configuration.incarnation += 1
    configuration.entropy = entropy(node, life: records[node].life)
    configuration.isFounder = bootstraps.isEmpty && old.disk.isEmpty(.peers)
    if let community = configuration.tunnel?.community,
      let bytes = old.disk.value(.node, Tunnel.rememberKey(community)), bytes.count == 16
    {
      scratch.frame.write(bytes)
      configuration.tunnel?.remembered = try? IPAddress(decoding: scratch.frame.prefix(16))
    }
    records[node].flags.insert(.alive)
    records[node].flags.remove(.skewed)
    let host = host(node, configuration, old.disk)
    host.pulse.pointee.receivedDatagrams = old.pulse.pointee.receivedDatagrams
    host.pulse.pointee.receivedBytes = old.pulse.pointee.receivedBytes
    host.weather = old.weather
    hosts[node] = host
    act(host) { host.recover() }
    start(host, bootstraps: bootstraps)
    return host
  }

  /// The node says good-bye and ends.
  public func leave(_ node: Int) {
    guard isAlive(node) else { return }
    withCore(node) { core, context in core.leave(&context) }
    kill(node)
  }

  // MARK: - Looking and acting

  /// Does something with a node's core, and then what follows from it. *Precondition:* the node lives.
  public func withCore<Result>(_ node: Int, _ body: (inout NodeCore, inout Context) -> Result) -> Result {
    precondition(isAlive(node), "node \(node) is dead")
    let host = hosts[node]
    begin(host)
    let result = body(&host.core, &host.context)
    end(host)
    return result
  }

  /// Does something with a host's core, and then what follows from it.
  public func act(_ host: Host, _ body: () -> Void) {
    begin(host)
    body()
    end(host)
  }

  /// What a node believes of the ring. *Precondition:* it lives.
  public func view(_ node: Int) -> RingView {
    precondition(isAlive(node), "node \(node) is dead")
    return hosts[node].core.ringView
  }

  /// A program on the node sends an IP packet.
  public func send(_ packet: [UInt8], from node: Int) {
    withCore(node) { core, context in
      guard let ref = context.pool.take(length: packet.count) else { return }
      context.pool.frame(ref).write(packet)
      core.send(ref, &context)
    }
  }

  /// Does something at a moment: a step of a scenario.
  public func at(_ instant: Instant, _ body: @escaping (World) -> Void) {
    let slot = freeActions.popLast() ?? actions.count
    if slot == actions.count { actions.append(nil) }
    actions[slot] = body
    queue.push(Happening.action(slot).word, at: max(instant, now).ns)
  }

  /// The datagrams that a node has sent, and their bytes with 28 for the headers of IPv4 and UDP.
  public func sent(_ node: Int) -> (datagrams: UInt64, bytes: UInt64) {
    (UInt64(records[checked(node)].sentDatagrams), records[node].sentBytes)
  }

  /// The datagrams that a node was handed, and their bytes with 28 for the headers.
  public func received(_ node: Int) -> (datagrams: UInt64, bytes: UInt64) {
    let pulse = hosts[checked(node)].pulse
    return (pulse.pointee.receivedDatagrams, pulse.pointee.receivedBytes)
  }

  /// Datagrams on their way, now and at the busiest moment.
  public var inFlight: (now: Int, peak: Int) { (arena.inFlight, arena.peakInFlight) }

  /// Bytes that the engine itself has taken for nodes, events and datagrams in flight. Cores, stores and the
  /// packet pool are not in it.
  public var engineBytes: Int {
    capacity * MemoryLayout<NodeRecord>.stride + queue.bytes + arena.bytes + hosts.count * Host.bytes
  }

  /// Bytes of all stores.
  public var storeBytes: Int { hosts.reduce(0) { $0 + $1.disk.bytes } }

  func checked(_ node: Int) -> Int {
    precondition(node >= 0 && node < hosts.count, "no node \(node)")
    return node
  }

  // MARK: - Calls of cores

  /// Hands the context to a host.
  @inline(__always) func begin(_ host: Host) {
    precondition(!state.scalars.pointee.isActing, "a core is being called already")
    state.scalars.pointee.isActing = true
    let context = host.desk.storage
    context.pointee.now = localTime(host)
    swap(&context.pointee.random, &host.pulse.pointee.random)
  }

  /// Carries out what the core wants done, then asks when it wants to be called again.
  @inline(__always) func end(_ host: Host) {
    carryOut(host)
    let context = host.desk.storage
    swap(&context.pointee.random, &host.pulse.pointee.random)
    if records[host.number].flags.contains(.alive) { rearm(host) }
    state.scalars.pointee.isActing = false
    if onEvent != nil { tellRaised() }
  }

  private func tellRaised() {
    guard !raised.isEmpty else { return }
    let list = raised
    raised.removeAll()
    for (node, event) in list { onEvent?(node, event) }
  }

  func localTime(_ host: Host) -> Instant {
    records[host.number].flags.contains(.skewed) ? host.clock.local(now) : now
  }

  /// Reads the deadline. An earlier wake makes the queued one stale; a later one waits until that has come.
  @inline(__always) func rearm(_ host: Host) {
    let record = records + host.number
    var deadline = host.deadline
    if record.pointee.flags.contains(.skewed) { deadline = host.clock.world(deadline) }
    record.pointee.deadline = max(deadline.ns, now.ns)
    if record.pointee.deadline < record.pointee.wakeAt { wake(host.number) }
  }

  /// Plans the call at the deadline.
  func wake(_ node: Int) {
    let record = records + node
    record.pointee.generation &+= 1
    record.pointee.wakeAt = record.pointee.deadline
    if record.pointee.deadline == .max { return }
    queue.push(Happening.wake(node, record.pointee.generation).word, at: record.pointee.deadline)
  }

  // MARK: - Time

  /// Lets time pass up to a moment, inclusive.
  public func run(until end: Instant) {
    precondition(!isRunning, "the world is running already")
    isRunning = true
    while step(upTo: end.ns) {}
    if end > now { now = end }
    isRunning = false
  }

  /// Lets time pass.
  public func run(for interval: Interval) { run(until: now + interval) }

  /// Lets time pass until the condition holds, which is looked at after each event.
  /// - Returns: how long it took; nil when it did not come true within `limit`.
  public func run(upTo limit: Interval, until condition: () -> Bool) -> Interval? {
    precondition(!isRunning, "the world is running already")
    isRunning = true
    defer { isRunning = false }
    let begin = now
    let end = now + limit
    while !condition() {
      guard step(upTo: end.ns) else {
        now = end
        return nil
      }
    }
    return now - begin
  }

  /// Lets the next thing happen; false when there is none up to `limit`.
  private func step(upTo limit: UInt64) -> Bool {
    guard let event = queue.pop(upTo: limit) else { return false }
    now = Instant(ns: event.at)
    noteProgress(event.at)
    if hosts.count >= Self.foreseenFrom { foresee() }
    switch Happening(event.word) {
    case .wake(let node, let generation): onWake(node, generation)
    case .arrival(let attachment, let handle): onArrival(attachment, handle)
    case .commit(let node, let life): onCommit(node, life)
    case .frame(let stream, let handle): onFrame(stream, handle)
    case .stream(let stream, let step): onStream(stream, step)
    case .action(let slot):
      let body = actions[slot]
      actions[slot] = nil
      freeActions.append(slot)
      body?(self)
    }
    return true
  }

  private func onWake(_ node: Int, _ generation: UInt32) {
    let record = records + node
    guard record.pointee.generation == generation, record.pointee.flags.contains(.alive) else { return }
    record.pointee.wakeAt = .max
    if record.pointee.flags.contains(.paused) { return }
    guard record.pointee.deadline <= now.ns else { return wake(node) }
    expire(hosts[node])
  }

  /// Tells a core that time has passed.
  func expire(_ host: Host) {
    events &+= 1
    begin(host)
    host.core.expire(&host.context)
    end(host)
  }

  private func onCommit(_ node: Int, _ life: UInt32) {
    guard records[node].flags.contains(.alive), UInt32(records[node].life) == life else { return }
    let host = hosts[node]
    if records[node].flags.contains(.paused) {
      host.waiting.commits += 1
    } else {
      commit(host)
    }
  }

  /// Writes the oldest planned pair of a node and tells it.
  func commit(_ host: Host) {
    guard let write = host.disk.commit(), write.ticket != 0 else { return }
    begin(host)
    host.core.stored(write.ticket, &host.context)
    end(host)
  }

  /// A machine that asks to be woken at once, for ever, would stop time.
  @inline(__always) private func noteProgress(_ moment: UInt64) {
    let scalars = state.scalars
    if moment != scalars.pointee.lastMoment {
      scalars.pointee.lastMoment = moment
      scalars.pointee.momentEvents = 0
    }
    scalars.pointee.momentEvents += 1
    if scalars.pointee.momentEvents > 200_000 {
      precondition(scalars.pointee.momentEvents < 1_000 * hosts.count, "time stands still at \(now)")
    }
  }
}

/// What an event of the queue stands for, in one word: four bits of kind, 28 of node or attachment, 32 more.
enum Happening {
  case wake(Int, UInt32)
  case arrival(Attachment, UInt32)
  case commit(Int, life: UInt32)
  case action(Int)
  case frame(Int, UInt32)
  case stream(Int, StreamStep)

  static let nodesMax = 1 << 27

  @inline(__always) init(_ word: UInt64) {
    let low = UInt32(truncatingIfNeeded: word)
    let middle = Int(word &>> 32 & 0xFFF_FFFF)
    switch word &>> 60 {
    case 0: self = .wake(middle, low)
    case 1: self = .arrival(Attachment(code: UInt32(middle)), low)
    case 2: self = .commit(middle, life: low)
    case 4: self = .frame(middle, low)
    case 5: self = .stream(middle, StreamStep(rawValue: low) ?? .endFirst)
    default: self = .action(Int(low))
    }
  }

  @inline(__always) var word: UInt64 {
    switch self {
    case .wake(let node, let generation): UInt64(node) &<< 32 | UInt64(generation)
    case .arrival(let attachment, let handle): 1 &<< 60 | UInt64(attachment.code) &<< 32 | UInt64(handle)
    case .commit(let node, let life): 2 &<< 60 | UInt64(node) &<< 32 | UInt64(life)
    case .action(let slot): 3 &<< 60 | UInt64(slot)
    case .frame(let stream, let handle): 4 &<< 60 | UInt64(stream) &<< 32 | UInt64(handle)
    case .stream(let stream, let step): 5 &<< 60 | UInt64(stream) &<< 32 | UInt64(step.rawValue)
    }
  }
}
