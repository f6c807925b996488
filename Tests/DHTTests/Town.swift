// Holders of leases on a virtual clock: whole networks below the tunnel, with stores that commit late, wires
// that a test may cut, and questions asked at any of them.

import Base
import Overlay
import Session
import Testing

@testable import DHT

/// What a question came to.
enum Answer: Equatable {
  case status(DirectoryStatus, owner: PublicKey?, sequence: UInt32?, remaining: UInt32)
  case failed

  static let granted = Answer.status(.granted, owner: nil, sequence: nil, remaining: 0)
  static let absent = Answer.status(.absent, owner: nil, sequence: nil, remaining: 0)
  static let invalid = Answer.status(.invalid, owner: nil, sequence: nil, remaining: 0)

  /// The owner of the lease that came with the answer.
  var owner: PublicKey? { if case .status(_, let owner, _, _) = self { owner } else { nil } }
  var sequence: UInt32? { if case .status(_, _, let sequence, _) = self { sequence } else { nil } }
  var status: DirectoryStatus? { if case .status(let status, _, _, _) = self { status } else { nil } }
}

/// One node.
final class Holder {
  let number: Int
  let id: OverlayID
  let endpoint: Endpoint
  var network: Network
  var context: Context
  var isAlive = true
  var store: [[UInt8]: [UInt8]] = [:]
  fileprivate(set) var answers: [UInt32: (at: Instant, answer: Answer)] = [:]

  init(_ number: Int, isFounder: Bool, store: [[UInt8]: [UInt8]] = [:], at now: Instant) {
    let identity = Town.identities[number]
    let seed = [UInt8](repeating: UInt8(number), count: 32)
    self.number = number
    id = identity.id
    endpoint = Endpoint(IPAddress(v4: 0x0A00_0001 + UInt32(number)), port: 7_741)
    let sessions = SessionTable(
      identity: identity, network: "test", incarnation: 100 + now.ns, capabilities: .aes256gcm, capacity: 64,
      seed: seed)
    network = Network(
      links: Links(
        identity: identity, sessions: sessions, relay: RelayLimit(bytesPerSecond: 1 << 30, at: now),
        seed: seed,
        at: now),
      ring: Ring(isFounder: isFounder, at: now),
      directory: Directory(unixAtStart: 1_000, isFounder: isFounder, at: now), incarnation: 100 + now.ns)
    context = Context(packets: 512, effects: 4_096, seed: UInt64(number) + 77, at: now)
    network.links.underlay.interfaces = [IPPrefix(endpoint.address, length: 8)]
    network.links.underlay.port = endpoint.port
    self.store = store
    for (key, value) in store.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      network.directory.recovered(Made.kept(value), at: now)
      _ = key
    }
  }

  var isReady: Bool { network.isReady }

  /// The store's answers, and what a test hands to the directory itself.
  func direct(_ body: (inout Directory, inout Links, borrowing Ring, inout Context) -> Void) {
    func split(_ network: inout Network) {
      body(&network.directory, &network.links, network.ring, &context)
    }
    split(&network)
  }

  var counters: DirectoryCounters { network.directory.counters }
  var count: Int { network.directory.count }
  var available: Int { context.pool.available }

  /// The live lease under the key.
  func entry(_ key: OverlayID) -> LeaseEntry? { network.directory.index.live(key, at: context.now) }
}

final class Town {
  private enum Happening {
    case arrival([UInt8], from: Int, to: Int)
    case committed(UInt32, ObjectIdentifier)
  }

  static let identities: [Identity] = {
    var random = SecureRandom(seed: [UInt8](repeating: 42, count: 32))
    return (0..<9).map { _ in Identity.generate(&random) }
  }()

  private(set) var now = Instant.start
  private(set) var holders: [Holder] = []
  var latency = Interval.milliseconds(10)
  var commit = Interval.milliseconds(1)
  /// Whether a datagram passes between these two.
  var passes: (Int, Int) -> Bool = { _, _ in true }
  private var queue: [(at: Instant, sequence: Int, what: Happening)] = []
  private var sequence = 0
  private var tag: UInt32 = 0

  /// A ring of `count` nodes, settled.
  init(_ count: Int) throws {
    for _ in 0..<count { add() }
    try #require(until(.seconds(30)) { self.holders.allSatisfy(\.isReady) } != nil)
    run(for: .seconds(3))
  }

  @discardableResult
  func add() -> Holder {
    let holder = Holder(holders.count, isFounder: holders.isEmpty, at: now)
    holders.append(holder)
    begin(holder)
    return holder
  }

  /// The node comes back with its store.
  @discardableResult
  func restart(_ number: Int) -> Holder {
    let old = holders[number]
    old.isAlive = false
    let holder = Holder(number, isFounder: false, store: old.store, at: now)
    holders[number] = holder
    begin(holder)
    return holder
  }

  private func begin(_ holder: Holder) {
    act(holder) {
      if let other = holders.first(where: { $0.isAlive && $0 !== holder }) {
        holder.network.links.addBootstrap(other.endpoint, key: nil, &holder.context)
      }
      holder.network.expire(&holder.context)
    }
  }

  /// The living nodes from the owner of the key on, clockwise.
  func order(from key: OverlayID) -> [Holder] {
    holders.filter(\.isAlive).sorted { key.clockwise(to: $0.id) < key.clockwise(to: $1.id) }
  }

  static func signing(_ record: Int) -> SigningKey {
    let bytes = [UInt8(record >> 8), UInt8(record & 255)] + [UInt8](repeating: 1, count: 30)
    return SigningKey(seed: Key(bytes: bytes)!)
  }

  static func key(_ record: Int) -> OverlayID { signing(record).publicKey.id }

  static func lease(_ record: Int, owner: UInt8 = 2, sequence: UInt32 = 1, timeToLive: UInt32 = 600)
    -> [UInt8]
  {
    Lease.make(
      recordKey: signing(record), owner: Made.key(owner), epoch: 1, sequence: sequence,
      timeToLive: timeToLive, body: [UInt8](repeating: 7, count: 20))
  }

  /// Whether the node would answer for the key.
  func speaks(_ holder: Holder, _ key: OverlayID) -> Bool {
    var answer = false
    holder.direct { directory, links, ring, _ in answer = directory.speaks(for: key, links, ring) }
    return answer
  }

  // Questions. The answers are waited for by the tags that come back.

  func put(_ lease: [UInt8], at holder: Holder) -> UInt32 {
    tag += 1
    act(holder) { holder.network.put(lease, tag: tag, &holder.context) }
    return tag
  }

  func get(_ key: OverlayID, at holder: Holder) -> UInt32 {
    tag += 1
    act(holder) { holder.network.get(key, tag: tag, &holder.context) }
    return tag
  }

  func answer(_ tag: UInt32, at holder: Holder, within limit: Interval = .seconds(14)) -> Answer? {
    _ = until(limit) { holder.answers[tag] != nil }
    return holder.answers[tag]?.answer
  }

  /// Stores the lease and waits for the answer.
  func stored(_ lease: [UInt8], at holder: Holder) -> Answer? { answer(put(lease, at: holder), at: holder) }

  /// Asks for the lease and waits for the answer.
  func found(_ key: OverlayID, at holder: Holder) -> Answer? { answer(get(key, at: holder), at: holder) }

  // Time.

  func run(for interval: Interval) {
    let end = now + interval
    while step(until: end) {}
    now = end
  }

  func until(_ limit: Interval, _ condition: () -> Bool) -> Interval? {
    let begin = now
    while !condition() {
      if !step(until: begin + limit) {
        now = begin + limit
        return condition() ? limit : nil
      }
    }
    return now - begin
  }

  private func step(until end: Instant) -> Bool {
    let first = queue.indices.min { (queue[$0].at, queue[$0].sequence) < (queue[$1].at, queue[$1].sequence) }
    var timer: Holder?
    var timerAt = Instant.never
    for holder in holders where holder.isAlive && max(holder.network.deadline, now) < timerAt {
      timer = holder
      timerAt = max(holder.network.deadline, now)
    }
    let arrivalAt = first.map { queue[$0].at } ?? .never
    guard min(arrivalAt, timerAt) <= end else { return false }
    if arrivalAt <= timerAt, let first {
      now = max(now, arrivalAt)
      handle(queue.remove(at: first).what)
    } else if let timer {
      now = timerAt
      act(timer) { timer.network.expire(&timer.context) }
    }
    return true
  }

  private func handle(_ happening: Happening) {
    switch happening {
    case .arrival(let bytes, let from, let to):
      let holder = holders[to]
      guard holder.isAlive else { return }
      act(holder) {
        guard let ref = holder.context.pool.take(length: bytes.count) else { return }
        holder.context.pool.frame(ref).write(bytes)
        _ = holder.network.receive(ref, from: holders[from].endpoint, &holder.context)
      }
    case .committed(let ticket, let life):
      guard let holder = holders.first(where: { ObjectIdentifier($0) == life }), holder.isAlive else {
        return
      }
      act(holder) {
        holder.direct { directory, links, _, context in directory.stored(ticket, &links, &context) }
      }
    }
  }

  /// Does something with a node, and what follows from it.
  func act(_ holder: Holder, _ body: () -> Void) {
    holder.context.now = now
    body()
    holder.network.pump(&holder.context)
    var i = 0
    while i < holder.context.effects.count {
      carryOut(holder.context.effects[i], of: holder)
      holder.network.pump(&holder.context)
      i += 1
    }
    holder.context.effects.removeAll()
    for i in 0..<holder.network.events.count { take(holder.network.events[i], at: holder) }
    holder.network.events.removeAll()
  }

  private func take(_ event: NetworkEvent, at holder: Holder) {
    switch event {
    case .directory(.answered(let tag, let status, let remaining, let packet)):
      let lease = packet.flatMap { try? Lease(decoding: holder.context.pool.frame($0)) }
      holder.answers[tag] = (
        now, .status(status, owner: lease?.owner, sequence: lease?.sequence, remaining: remaining)
      )
      if let packet { holder.context.pool.release(packet) }
    case .directory(.failed(let tag)): holder.answers[tag] = (now, .failed)
    default: break
    }
  }

  private func carryOut(_ effect: Effect, of holder: Holder) {
    switch effect {
    case .transmit(let ref, let endpoint):
      let bytes = holder.context.pool.frame(ref).bytes
      holder.context.pool.release(ref)
      let to = Int(endpoint.address.v4 &- 0x0A00_0001)
      if passes(holder.number, to) { plan(.arrival(bytes, from: holder.number, to: to), after: latency) }
    case .store(let table, let ticket, let ref):
      let bytes = holder.context.pool.frame(ref).bytes
      holder.context.pool.release(ref)
      let split = 1 + Int(bytes[0])
      let value = Array(bytes[split...])
      if table == .records { holder.store[Array(bytes[1..<split])] = value.isEmpty ? nil : value }
      if ticket != 0 { plan(.committed(ticket, ObjectIdentifier(holder)), after: commit) }
    case .load(_, let ticket, let ref):
      let value = holder.store[holder.context.pool.frame(ref).bytes]
      holder.context.pool.release(ref)
      let room = Scratch(capacity: max(value?.count ?? 0, 1))
      room.frame.write(value ?? [])
      holder.direct { directory, links, _, context in
        directory.loaded(ticket, value.map { room.frame.prefix($0.count) }, &links, &context)
      }
    case .deliver, .configure, .notify, .open, .connect, .rebind, .close:
      break
    }
  }

  private func plan(_ what: Happening, after delay: Interval) {
    sequence += 1
    queue.append((now + delay, sequence, what))
  }
}
