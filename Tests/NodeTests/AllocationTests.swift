// Goal: no packet costs an allocation, in any of the nodes that it passes through.
// Method: nodes are brought up on the virtual clock; then packets are handed from one core to the next by
// hand, as a driver would, while the heap is counted for this thread.

import Base
import CMallocCount
import Glibc
import Node
import Session
import Simulator
import Testing

/// How many packets are counted.
private let packets = 10_000
/// Packets before the count: the first record of a counter space may allocate.
private let warmUp = 100

@Suite struct AllocationTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))

  @Test func packetsOnADirectPathAllocateNothing() throws {
    let world = try network { _, _ in true }
    let (a, b) = (world.hosts[1], world.hosts[2])
    try #require(path(world) == .lan)
    let packet = Self.packet(from: addresses(world)[0], to: addresses(world)[1], bytes: 1_200)
    let result = Self.exchange(packet, from: a, to: b)
    #expect(result.delivered == packets + warmUp)
    #expect(result.allocations == 0)
  }

  @Test func packetsOverTCPAllocateNothing() throws {
    var options = WorldOptions(seed: 42)
    options.isLaboratory = true
    options.cryptography = .real
    let world = World(options)
    world.add(.seed, bootstraps: [])
    world.add(.member(home), bootstraps: [0])
    world.add(.member(home), bootstraps: [1], site: Site(.blocked))
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    try #require(path(world) == .tcp)
    let (a, b) = (world.hosts[1], world.hosts[2])
    let there = try #require(a.snapshot.peers.first { $0.id == b.core.id }?.endpoint)
    let back = try #require(b.snapshot.peers.first { $0.id == a.core.id }?.endpoint)
    let (from, to) = (home.ula(of: a.core.id), home.ula(of: b.core.id))
    let scratch = Scratch(capacity: 1_200)
    let header: [UInt8] = [0x60, 0, 0, 0, 0x04, 0x88, 59, 64]
    let names = [from.high, from.low, to.high, to.low].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
    }
    scratch.frame.write(header + names)
    let result = Self.counted {
      Self.send(scratch.frame, &a.core, &a.context, back, &b.core, &b.context, there)
    }
    #expect(result.delivered == packets + warmUp)
    #expect(result.allocations == 0)
  }

  @Test func packetsInTwoPartsAllocateNothing() throws {
    let world = try network { Set([$0, $1]) != [1, 2] }
    pin(world)
    try #require(path(world) == .overlay)
    let packet = Self.packet(from: addresses(world)[0], to: addresses(world)[1], bytes: 1_400)
    let result = Self.exchange(packet, from: world.hosts[1], through: world.hosts[0], to: world.hosts[2])
    #expect(result.delivered == packets + warmUp)
    #expect(result.allocations == 0)
  }

  @Test func packetsOverTheRingAllocateNothing() throws {
    let world = try network { Set([$0, $1]) != [1, 2] }
    pin(world)
    try #require(path(world) == .overlay)
    let packet = Self.packet(from: addresses(world)[0], to: addresses(world)[1], bytes: 800)
    let result = Self.exchange(packet, from: world.hosts[1], through: world.hosts[0], to: world.hosts[2])
    #expect(result.delivered == packets + warmUp)
    #expect(result.allocations == 0)
  }

  @Test func packetsThroughACircuitAllocateNothing() throws {
    let world = try network { Set([$0, $1]) != [1, 2] }
    try #require(path(world) == .proxy)
    let packet = Self.packet(from: addresses(world)[0], to: addresses(world)[1], bytes: 1_400)
    let before = world.hosts[0].snapshot.links.circuitForwarded
    let result = Self.exchange(packet, from: world.hosts[1], through: world.hosts[0], to: world.hosts[2])
    #expect(result.delivered == packets + warmUp)
    #expect(result.allocations == 0)
    let forwarded = world.hosts[0].snapshot.links.circuitForwarded - before
    #expect(forwarded == UInt64(packets + warmUp), "each of them whole")
  }

  /// A counter that never counts would pass every test.
  @Test func countSeesAnAllocation() {
    allocations_begin()
    let array = [UInt8](repeating: 1, count: Int.random(in: 10...20))
    let scratch = Scratch(capacity: array.count)
    let count = allocations_end()
    #expect(count >= 2 && scratch.frame.count == array.count)
  }

  // MARK: - Nodes

  /// A seed and two members that have exchanged a packet.
  private func network(_ passes: @escaping (Int, Int) -> Bool) throws -> World {
    let world = World(seed: 41)
    world.passes = passes
    world.add()
    for _ in 0..<2 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let all = addresses(world)
    world.send(echo(from: all[0], to: all[1], number: 1), from: 1)
    world.run(for: .seconds(3))
    return world
  }

  /// Keeps the traffic of the two members on the ring.
  private func pin(_ world: World) {
    for (one, other) in [(1, 2), (2, 1)] {
      let host = world.hosts[one]
      let slot = host.core.peer(with: world.hosts[other].core.id)!
      world.act(host) { host.core.pin(slot, toOverlay: true, &host.context) }
    }
  }

  private func path(_ world: World) -> PathKind? {
    world.hosts[1].snapshot.peers.first { $0.id == world.hosts[2].core.id }?.path
  }

  /// An IPv4 packet of this size.
  private static func packet(from source: IPAddress, to destination: IPAddress, bytes: Int) -> [UInt8] {
    var packet = echo(from: source, to: destination, number: 1)
    packet += [UInt8](repeating: 7, count: bytes - packet.count)
    packet[2] = UInt8(bytes >> 8)
    packet[3] = UInt8(bytes & 255)
    return packet
  }

  // MARK: - Handing over

  private static func exchange(_ packet: [UInt8], from a: Host, to b: Host) -> (
    delivered: Int, allocations: UInt64
  ) {
    let scratch = Scratch(capacity: packet.count)
    scratch.frame.write(packet)
    return counted { send(scratch.frame, &a.core, &a.context, a.endpoint, &b.core, &b.context, b.endpoint) }
  }

  private static func exchange(_ packet: [UInt8], from a: Host, through c: Host, to b: Host) -> (
    delivered: Int, allocations: UInt64
  ) {
    let scratch = Scratch(capacity: packet.count)
    scratch.frame.write(packet)
    return counted {
      send(scratch.frame, &a.core, &a.context)
      carry(&a.context, a.endpoint, &c.core, &c.context, c.endpoint)
      carry(&c.context, c.endpoint, &b.core, &b.context, b.endpoint)
      return end(&b.context)
    }
  }

  /// Does `round` for each packet. Says where the first allocation was, if there is one.
  private static func counted(_ round: () -> Int) -> (delivered: Int, allocations: UInt64) {
    var delivered = 0
    for _ in 0..<warmUp { delivered += round() }
    allocations_begin()
    for _ in 0..<packets { delivered += round() }
    let allocations = allocations_end()
    if allocations > 0 { allocations_show_first(STDERR_FILENO) }
    return (delivered, allocations)
  }

  private static func send(
    _ packet: Frame, _ core: inout NodeCore, _ context: inout Context, _ endpoint: Endpoint,
    _ other: inout NodeCore, _ otherContext: inout Context, _ otherEndpoint: Endpoint
  ) -> Int {
    send(packet, &core, &context)
    carry(&context, endpoint, &other, &otherContext, otherEndpoint)
    return end(&otherContext)
  }

  /// A packet comes from the device.
  private static func send(_ packet: Frame, _ core: inout NodeCore, _ context: inout Context) {
    context.now = context.now + .microseconds(20)
    guard let ref = context.pool.take(copying: packet) else { return }
    core.send(ref, &context)
    _ = core.deadline
  }

  /// Hands the datagrams that one node sends to another over; what else it wants is of no interest.
  private static func carry(
    _ from: inout Context, _ source: Endpoint, _ core: inout NodeCore, _ context: inout Context,
    _ destination: Endpoint
  ) {
    context.now = from.now
    for i in 0..<from.effects.count {
      switch from.effects[i] {
      case .transmit(let ref, let endpoint):
        if endpoint == destination, let copy = context.pool.take(copying: from.pool.frame(ref)) {
          core.receive(copy, from: source, &context)
          _ = core.deadline
        }
        from.pool.release(ref)
      case .deliver(let ref), .store(_, _, let ref), .load(_, _, let ref):
        from.pool.release(ref)
      case .configure, .notify, .open, .connect, .rebind, .close:
        break
      }
    }
    from.effects.removeAll()
  }

  /// - Returns: how many packets went to the device.
  private static func end(_ context: inout Context) -> Int {
    var delivered = 0
    for i in 0..<context.effects.count {
      switch context.effects[i] {
      case .deliver(let ref):
        delivered += 1
        context.pool.release(ref)
      case .transmit(let ref, _), .store(_, _, let ref), .load(_, _, let ref):
        context.pool.release(ref)
      case .configure, .notify, .open, .connect, .rebind, .close:
        break
      }
    }
    context.effects.removeAll()
    return delivered
  }
}
