// A network of nodes on a virtual clock, driving the very code of the daemon.
//
// One seed decides everything: latencies, losses, identities, the nodes' own randomness. Time jumps from
// event to event.

import Base
import Node
import Session
import VPN

/// Nodes, the wires between them, and time.
public final class World {
  enum Happening {
    case arrival([UInt8], from: Endpoint, to: Int)
    case wake(Int)
    case committed(UInt32, Int, life: ObjectIdentifier)
  }

  public private(set) var now: Instant = .start
  public private(set) var hosts: [Host] = []
  /// One-way latency of every wire.
  public var latency = Interval.milliseconds(10)
  /// Of a thousand datagrams, so many are lost.
  public var lossPerMille: UInt64 = 0
  /// How long a commit of the store takes.
  public var commit = Interval.milliseconds(1)
  /// Whether a datagram between these two passes.
  public var passes: (Int, Int) -> Bool = { _, _ in true }
  private var queue = EventQueue<Happening>()
  private var random: Random
  private var secure: SecureRandom
  private var happenings = 0
  private var lastMoment = Instant.start
  private var byEndpoint: [Endpoint: Int] = [:]

  public init(seed: UInt64) {
    random = Random(seed: seed)
    var key = [UInt8](repeating: 0, count: 32)
    for i in 0..<8 { key[i] = UInt8(truncatingIfNeeded: seed >> (8 * UInt64(i))) }
    secure = SecureRandom(seed: key)
  }

  /// Adds and starts a node.
  /// - Parameters:
  ///   - community: nil makes a seed.
  ///   - bootstraps: numbers of the nodes through which it comes in.
  @discardableResult
  public func add(
    community: Community? = nil, address: IPPrefix? = nil, pool: IPPrefix? = nil, bootstraps: [Int] = [],
    relay: UInt64 = 1 << 31
  ) -> Host {
    let number = hosts.count
    let configuration = NodeConfiguration(
      identity: Identity.generate(&secure), incarnation: 1_000,
      tunnel: community.map { TunnelConfiguration(community: $0, address: address, pool: pool) },
      isFounder: bootstraps.isEmpty, relayBytesPerSecond: relay, unixSeconds: 1_000_000,
      entropy: secure.key().bytes)
    let host = Host(
      number: number, endpoint: Endpoint(IPAddress(v4: 0x0A00_0001 + UInt32(number)), port: 7741),
      configuration: configuration, seed: random.next(), at: now)
    hosts.append(host)
    byEndpoint[host.endpoint] = number
    start(host, bootstraps: bootstraps)
    return host
  }

  private func start(_ host: Host, bootstraps: [Int]) {
    act(host) {
      host.core.setUnderlay(
        [IPPrefix(host.endpoint.address, length: 8)], port: host.endpoint.port, &host.context)
      for number in bootstraps { host.core.addBootstrap(hosts[number].endpoint, key: nil, &host.context) }
      host.core.expire(&host.context)
    }
  }

  /// The node vanishes without a word.
  public func kill(_ number: Int) { hosts[number].isAlive = false }

  /// The node comes back with its store and its identity, and a higher incarnation.
  @discardableResult
  public func restart(_ number: Int, bootstraps: [Int]) -> Host {
    let old = hosts[number]
    var configuration = old.configuration
    configuration.incarnation += 1
    configuration.entropy = secure.key().bytes
    configuration.isFounder = bootstraps.isEmpty && (old.store[.peers] ?? [:]).isEmpty
    if let community = configuration.tunnel?.community,
      let bytes = old.store[.node]?[Tunnel.rememberKey(community)], bytes.count == 16
    {
      let scratch = Scratch(capacity: 16)
      scratch.frame.write(bytes)
      configuration.tunnel?.remembered = try? IPAddress(decoding: scratch.frame)
    }
    let host = Host(
      number: number, endpoint: old.endpoint, configuration: configuration, seed: random.next(), at: now)
    hosts[number] = host
    host.recover(from: old)
    start(host, bootstraps: bootstraps)
    return host
  }

  /// A program on the node sends an IP packet.
  public func send(_ packet: [UInt8], from number: Int) {
    let host = hosts[number]
    act(host) {
      guard let ref = host.context.pool.take(length: packet.count) else { return }
      host.context.pool.frame(ref).write(packet)
      host.core.send(ref, &host.context)
    }
  }

  /// Does something with a node's core, and what follows from it.
  public func act(_ host: Host, _ body: () -> Void) {
    host.context.now = now
    body()
    carryOut(host)
  }

  /// Lets time pass.
  public func run(for interval: Interval) {
    let end = now + interval
    while let at = queue.nextAt, at <= end, let (at, happening) = queue.pop() {
      now = at
      handle(happening)
    }
    now = end
  }

  /// Lets time pass until the condition holds.
  /// - Returns: how long it took; nil when it did not come true within `limit`.
  public func run(upTo limit: Interval, until condition: () -> Bool) -> Interval? {
    let begin = now
    let end = now + limit
    while !condition() {
      guard let at = queue.nextAt, at <= end, let (at, happening) = queue.pop() else {
        now = end
        return nil
      }
      now = at
      handle(happening)
    }
    return now - begin
  }

  private func handle(_ happening: Happening) {
    noteProgress()
    switch happening {
    case .arrival(let bytes, let from, let number):
      let host = hosts[number]
      guard host.isAlive else { return }
      act(host) {
        guard let ref = host.context.pool.take(length: bytes.count) else { return }
        host.context.pool.frame(ref).write(bytes)
        host.core.receive(ref, from: from, &host.context)
      }
    case .wake(let number):
      let host = hosts[number]
      guard host.isAlive, host.wakeAt <= now else { return }
      host.wakeAt = .never
      act(host) { host.core.expire(&host.context) }
    case .committed(let ticket, let number, let life):
      let host = hosts[number]
      guard host.isAlive, ObjectIdentifier(host) == life else { return }
      act(host) { host.core.stored(ticket, &host.context) }
    }
  }

  /// A machine that asks to be woken at once, for ever, would stop time.
  private func noteProgress() {
    happenings = now == lastMoment ? happenings + 1 : 0
    lastMoment = now
    precondition(happenings < 200_000, "time stands still at \(now): \(hosts.map { $0.core.deadlines })")
  }

  // MARK: - Effects

  private func carryOut(_ host: Host) {
    var i = 0
    while i < host.context.effects.count {
      carryOut(host.context.effects[i], of: host)
      i += 1
    }
    host.context.effects.removeAll()
    let deadline = max(host.core.deadline, now)
    if deadline < host.wakeAt, deadline != .never {
      host.wakeAt = deadline
      queue.push(.wake(host.number), at: deadline)
    }
  }

  private func carryOut(_ effect: Effect, of host: Host) {
    switch effect {
    case .transmit(let ref, let endpoint):
      transmit(host.context.pool.frame(ref).bytes, from: host, to: endpoint)
      host.context.pool.release(ref)
    case .deliver(let ref):
      host.delivered.append((now, host.context.pool.frame(ref).bytes))
      host.context.pool.release(ref)
    case .store(let table, let ticket, let ref):
      let bytes = host.context.pool.frame(ref).bytes
      let key = Array(bytes[1...Int(bytes[0])])
      let value = Array(bytes[(1 + Int(bytes[0]))...])
      host.store[table, default: [:]][key] = value.isEmpty ? nil : value
      host.context.pool.release(ref)
      if ticket != 0 {
        queue.push(.committed(ticket, host.number, life: ObjectIdentifier(host)), at: now + commit)
      }
    case .load(let table, let ticket, let ref):
      let value = host.store[table]?[host.context.pool.frame(ref).bytes]
      host.context.pool.release(ref)
      let scratch = Scratch(capacity: max(value?.count ?? 0, 1))
      scratch.frame.write(value ?? [])
      host.core.loaded(ticket, value.map { scratch.frame.prefix($0.count) }, &host.context)
    case .configure:
      break
    case .notify(let event):
      host.events.append(event)
    }
  }

  private func transmit(_ bytes: [UInt8], from host: Host, to endpoint: Endpoint) {
    host.sentBytes += bytes.count + 28
    guard let number = byEndpoint[endpoint], passes(host.number, number), random.below(1_000) >= lossPerMille
    else {
      return
    }
    queue.push(.arrival(bytes, from: host.endpoint, to: number), at: now + latency)
  }
}
