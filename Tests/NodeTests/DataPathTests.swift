// Goal: a train of the device comes out of the other node's device as it went in, by the quick way and by the
// usual one; nothing that others make up gets that far; and no packet costs an allocation.
// Method: two members on the virtual clock, then trains handed from one core to the other as a driver would.

import Base
import CMallocCount
import Glibc
import Session
import Simulator
import Testing
import VPN

@testable import Node

@Suite struct DataPathTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private static let packetAt = 64

  /// One node's half of the quick way, as a driver has it.
  private final class Side {
    let host: Host
    let packet = Scratch(capacity: 70_000)
    private let memory = Scratch(capacity: 140_000)
    var run = DatagramRun()
    var coalescer: Coalescer

    init(_ host: Host) {
      self.host = host
      coalescer = Coalescer(
        buffer: memory.frame, mtu: Tunnel.mtu, canPartial: true, canTCP: true, canUDP: true)
    }
  }

  private func pair() throws -> (Side, Side) {
    let world = World(seed: 43)
    world.add()
    for _ in 0..<2 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    let (a, b) = (world.hosts[1], world.hosts[2])
    world.send(echo(from: home.ula(of: a.core.id), to: home.ula(of: b.core.id), number: 1), from: 1)
    world.send(echo(from: home.ula(of: b.core.id), to: home.ula(of: a.core.id), number: 1), from: 2)
    world.run(for: .seconds(5))
    return (Side(a), Side(b))
  }

  /// A TCP superpacket over IPv6, unsummed, behind its virtio header.
  private func superpacket(from: IPAddress, to: IPAddress, payload: Int, segment: Int) -> [UInt8] {
    let length = 20 + payload
    var bytes: [UInt8] = [1, payload > segment ? 4 : 0, 60, 0]
    bytes += [UInt8(segment & 255), UInt8(segment >> 8), 40, 0, 16, 0]
    bytes += [0x60, 0, 0, 0, UInt8(length >> 8), UInt8(length & 255), 6, 64]
    for word in [from.high, from.low, to.high, to.low] {
      bytes += (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
    }
    bytes += [0x12, 0x34, 0x56, 0x78, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 0x10, 0xFF, 0xFF, 0, 0, 0, 0]
    bytes += (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    return bytes
  }

  /// Hands what the device has to `from`, and the runs to `to`. Calls `body` for what that device is given.
  /// - Returns: whether the quick way took it.
  private func carry(
    _ bytes: Frame, from: Side, to: Side, forge: Int? = nil, _ body: (Frame) -> Void
  ) -> Bool {
    let header = Self.packetAt - 10
    from.packet.frame.dropping(header).copy(bytes)
    let frame = from.packet.frame.slice(Self.packetAt, bytes.count - 10)
    guard let virtio = VirtioHeader(bytes), let train = Train(frame, virtio) else { return false }
    guard
      var outgoing = from.host.core.begin(
        train, in: from.packet.frame, packetAt: Self.packetAt, &from.host.context)
    else { return false }
    var isAll = false
    while !isAll {
      isAll = from.host.core.seal(&outgoing, into: &from.run, &from.host.context)
      deliver(from, to, forge, body)
    }
    return true
  }

  private func deliver(_ from: Side, _ to: Side, _ forge: Int?, _ body: (Frame) -> Void) {
    let run = from.run.frame
    if let forge { run[forge] ^= 1 }
    var offset = 0
    while offset < run.count {
      let step = to.host.core.receive(
        run: run.dropping(offset), segmentBytes: from.run.segmentBytes, from: from.host.endpoint,
        trafficClass: 0, into: &to.coalescer, &to.host.context)
      if case .write(let finished) = step.next { body(finished) }
      offset += step.taken
    }
    if let finished = to.coalescer.finish() { body(finished) }
    from.run.removeAll()
  }

  @Test(arguments: [1, 100, 1_100, 1_101, 20_000, 50_000])
  func trainsComeOutAsTheyWentIn(payload: Int) throws {
    let (a, b) = try pair()
    let bytes = superpacket(
      from: home.ula(of: a.host.core.id), to: home.ula(of: b.host.core.id), payload: payload, segment: 1_100)
    let scratch = Scratch(capacity: bytes.count)
    scratch.frame.write(bytes)
    var packets: [[UInt8]] = []
    let wentQuickly = carry(scratch.frame, from: a, to: b) { packets.append($0.bytes) }
    #expect(wentQuickly && packets.count == 1)
    let packet = try #require(packets.first)
    #expect(packet.count == bytes.count)
    // The checksum's field holds the pseudo-header's sum in the one, nothing in the other.
    #expect(Array(packet[10..<66]) == Array(bytes[10..<66]) && packet[68...] == bytes[68...])
    #expect(packet[0] == 1 && packet[1] == bytes[1])
  }

  @Test func nothingMadeUpGetsThrough() throws {
    let (a, b) = try pair()
    let (from, to) = (home.ula(of: a.host.core.id), home.ula(of: b.host.core.id))
    let scratch = Scratch(capacity: 3_000)
    // An address that is not the sender's own does not leave it, and goes the usual way to be refused.
    let foreign = superpacket(from: IPAddress(high: from.high, low: 77), to: to, payload: 100, segment: 1_100)
    scratch.frame.write(foreign)
    #expect(!carry(scratch.frame.prefix(foreign.count), from: a, to: b) { _ in })
    // Records that were changed on the way are not opened, and cost the others nothing.
    let bytes = superpacket(from: from, to: to, payload: 2_200, segment: 1_100)
    scratch.frame.write(bytes)
    var packets: [[UInt8]] = []
    _ = carry(scratch.frame.prefix(bytes.count), from: a, to: b, forge: 40) { packets.append($0.bytes) }
    #expect(packets.count == 1 && packets.first?.count == 10 + 60 + 1_100)
  }

  /// A slot holds no longer one with what is put around messages that are passed on.
  @Test(arguments: [PacketPool.payloadMax + 1, 1_792, 9_000, 65_507])
  func datagramsLongerThanAnyOfOursAreDroppedAndCounted(bytes: Int) throws {
    let (_, b) = try pair()
    let scratch = Scratch(capacity: bytes)
    for kind in [1, 4, 5, 7, 9] as [UInt8] {
      scratch.frame[0] = kind
      let free = b.host.context.pool.available
      let step = b.host.core.receive(
        run: scratch.frame, segmentBytes: bytes, from: b.host.endpoint, trafficClass: 0, into: &b.coalescer,
        &b.host.context)
      #expect(step.taken == bytes && b.host.context.pool.available == free)
    }
    #expect(b.host.core.dataPath.dropped == 5 && b.coalescer.finish() == nil)
  }

  @Test func trainsAllocateNothing() throws {
    let (a, b) = try pair()
    let bytes = superpacket(
      from: home.ula(of: a.host.core.id), to: home.ula(of: b.host.core.id), payload: 40_000, segment: 1_100)
    let scratch = Scratch(capacity: bytes.count)
    scratch.frame.write(bytes)
    var delivered = 0
    for _ in 0..<20 { _ = carry(scratch.frame, from: a, to: b) { delivered += $0.count } }
    delivered = 0
    allocations_begin()
    for _ in 0..<1_000 { _ = carry(scratch.frame, from: a, to: b) { delivered += $0.count } }
    let allocations = allocations_end()
    if allocations > 0 { allocations_show_first(STDERR_FILENO) }
    #expect(allocations == 0 && delivered == 1_000 * bytes.count)
  }
}
