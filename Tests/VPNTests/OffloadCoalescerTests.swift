// Goal: every packet that came and was taken reaches the device once, in order and unchanged, whatever comes
// between; what continues a train is merged, and nothing else is.
// Method: what the coalescer hands out is cut and summed by a second implementation (`Reference`) and
// compared with what went in.

import Base
import CMallocCount
import Testing

@testable import VPN

/// A coalescer, and all that it handed out.
private final class Bench {
  let memory = Scratch(capacity: Coalescer.bufferBytesMin)
  var coalescer: Coalescer
  let mtu: Int
  /// What the device was given, virtio header in front.
  var written: [[UInt8]] = []
  /// What must arrive, with full sums.
  var expected: [[UInt8]] = []
  var (merged, refused, abandoned) = (0, 0, 0)

  init(mtu: Int = 1_400, canPartial: Bool = true, canTCP: Bool = true, canUDP: Bool = true) {
    self.mtu = mtu
    coalescer = Coalescer(
      buffer: memory.frame, mtu: mtu, canPartial: canPartial, canTCP: canTCP, canUDP: canUDP)
  }

  func write(_ frame: Frame?) { if let frame { written.append(frame.bytes) } }

  func room(_ bytes: Int) -> Frame? {
    if let room = coalescer.room(bytes) { return room }
    write(coalescer.finish())
    return coalescer.room(bytes)
  }

  /// A record whose opening fails, or of which somebody thinks better.
  func forge(_ garbage: [UInt8]) {
    room(garbage.count)?.write(garbage)
    coalescer.abandon()
    abandoned += 1
  }

  func take(_ packet: [UInt8], _ hint: UInt16 = 3, key: UInt64 = 0, isWanted: Bool = true) {
    guard let room = room(packet.count + 4) else { return }
    room.write([9, 9, 9, 9] + packet)
    switch coalescer.offer(packet.count + 4, hint: hint, key: key) {
    case .merged:
      merged += 1
    case .fresh:
      guard isWanted else {
        coalescer.abandon()
        abandoned += 1
        return
      }
      write(coalescer.begin())
    case .refused:
      refused += 1
      return
    }
    expected.append(hint & 1 != 0 ? Reference.withFullSum(packet) : packet)
  }

  func finish() {
    write(coalescer.finish())
    #expect(coalescer.isEmpty && coalescer.finish() == nil)
  }

  /// Whether all that was taken arrived.
  func isRight() -> Bool {
    var arrived: [[UInt8]] = []
    for whole in written {
      guard let packets = Reference.delivered(whole, mtu: mtu) else { return false }
      arrived += packets
    }
    return arrived == expected
  }
}

@Suite struct OffloadCoalescerTests {
  static let seeds: [UInt64] = [1, 2, 3, 4]

  /// A flow whose packets may be merged.
  private static func flow(_ dice: inout OffloadDice) -> Reference.Flow {
    var flow = dice.flow(plain: true)
    if !flow.isTCP { flow.tcpOptions = [] }
    return flow
  }

  private static func hint(_ flow: Reference.Flow) -> UInt16 { flow.isTCP ? 3 : 5 }

  @Test(arguments: seeds) func whatWasCutIsJoinedToWhatItWas(seed: UInt64) {
    var dice = OffloadDice(state: seed)
    for _ in 0..<25 {
      var flow = Self.flow(&dice)
      let segmentBytes = [1, 2, 1 + dice.below(60), 1_300, 1 + dice.below(1_300)][dice.below(5)]
      let most = min(segmentBytes * 64, 65_535 - flow.headerBytes)
      if flow.isTCP, dice.chance(50) { flow.flags |= 0x08 }
      let packet = flow.packet(dice.bytes(segmentBytes + dice.below(most - segmentBytes + 1)))
      let segments = Reference.cut(packet, segmentBytes)
      let bench = Bench()
      for segment in segments { bench.take(segment, Self.hint(flow)) }
      bench.finish()
      #expect(bench.isRight() && bench.written.count == 1 && bench.merged == segments.count - 1)
      #expect(bench.written.map { Array($0[10...]) } == [packet])
    }
  }

  @Test(arguments: seeds) func nothingIsLostOrChangedWhateverComesBetween(seed: UInt64) {
    var dice = OffloadDice(state: seed &* 77)
    let bench = Bench()
    for _ in 0..<150 {
      // A few flows, whose trains come in pieces.
      var trains: [(segments: [[UInt8]], hint: UInt16, key: UInt64)] = []
      for _ in 0...dice.below(3) {
        let flow = dice.chance(80) ? Self.flow(&dice) : dice.flow()
        let size = dice.chance(70) ? 1 + dice.below(40) : 1 + dice.below(1_300)
        let packet = flow.packet(dice.bytes(1 + dice.below(12 * size)))
        trains.append((Reference.cut(packet, size), Self.hint(flow), UInt64(dice.below(2))))
      }
      while let most = trains.indices.max(by: { trains[$0].segments.count < trains[$1].segments.count }),
        !trains[most].segments.isEmpty
      {
        let i = dice.chance(60) ? most : dice.below(trains.count)
        if trains[i].segments.isEmpty { continue }
        var packet = trains[i].segments.removeFirst()
        var hint = trains[i].hint
        if dice.chance(10) { continue }
        if dice.chance(20) { bench.forge(dice.bytes(dice.below(1_400))) }
        if dice.chance(10) { packet[dice.below(min(packet.count, 60))] ^= 1 << UInt8(dice.below(8)) }
        if dice.chance(5) { hint ^= 1 << UInt16(dice.below(5)) }
        bench.take(packet, hint, key: trains[i].key, isWanted: !dice.chance(10))
        if dice.chance(2) { bench.write(bench.coalescer.finish()) }
      }
    }
    bench.finish()
    #expect(bench.isRight())
    #expect(bench.merged > 300 && bench.refused > 10 && bench.abandoned > 10)
  }

  @Test func fullBuffersAreBegunAgainAtTheFront() {
    var dice = OffloadDice(state: 21)
    let bench = Bench()
    for round in 0..<24 {
      var flow = Self.flow(&dice)
      flow.flags = 0x10
      let (size, count) = [(1_300, 50), (1_300, 64), (60, 64), (700, 40)][round % 4]
      let bytes = min(size * count, 65_535 - flow.headerBytes)
      for segment in Reference.cut(flow.packet(dice.bytes(bytes)), size) {
        bench.take(segment, Self.hint(flow))
        if dice.chance(10) { bench.forge(dice.bytes(1_400)) }
      }
    }
    bench.finish()
    #expect(bench.isRight())
    #expect(bench.written.count == 24)
  }

  @Test func aLongPacketFindsRoomWhenTheOneBeforeIsHandedOut() {
    var dice = OffloadDice(state: 22)
    let bench = Bench()
    for _ in 0..<8 {
      let flow = Self.flow(&dice)
      let bytes = 65_535 - flow.headerBytes
      for segment in Reference.cut(flow.packet(dice.bytes(bytes)), 1_300) {
        bench.take(segment, Self.hint(flow))
      }
      bench.take(flow.packet(dice.bytes(bytes)), 1)
    }
    bench.finish()
    #expect(bench.isRight())
    #expect(bench.coalescer.room(Coalescer.bufferBytesMin) == nil && bench.coalescer.room(-1) == nil)
  }

  /// Changes of the second of two packets that could be merged.
  private static let breaking: [(name: String, change: @Sendable (inout Reference.Flow) -> Void)] = [
    ("class", { $0.trafficClass ^= 1 }), ("hops", { $0.hops -= 1 }), ("source", { $0.from[3] ^= 1 }),
    ("destination", { $0.to[$0.to.count - 1] ^= 1 }), ("port", { $0.ports[1] ^= 1 }),
    ("other port", { $0.ports[3] ^= 1 }),
  ]
  private static let breakingV4: [(name: String, change: @Sendable (inout Reference.Flow) -> Void)] = [
    ("fragmentation", { $0.mayFragment.toggle() }), ("identification", { $0.id += 1 }),
    ("same identification", { $0.id -= 1 }), ("options", { $0.ipOptions = [1, 1, 1, 0] }),
  ]
  private static let breakingV6: [(name: String, change: @Sendable (inout Reference.Flow) -> Void)] = [
    ("flow label", { $0.flowLabel ^= 1 })
  ]
  private static let breakingTCP: [(name: String, change: @Sendable (inout Reference.Flow) -> Void)] = [
    ("sequence", { $0.sequence &+= 1 }), ("repetition", { $0.sequence &-= 100 }),
    ("acknowledgement", { $0.acknowledgement ^= 1 }), ("window", { $0.window ^= 1 }),
    ("urgent pointer", { $0.urgent = 1 }), ("option bytes", { $0.tcpOptions[2] ^= 1 }),
    ("data offset", { $0.tcpOptions += [1, 1, 1, 1] }), ("FIN", { $0.flags |= 0x01 }),
    ("SYN", { $0.flags |= 0x02 }), ("RST", { $0.flags |= 0x04 }), ("URG", { $0.flags |= 0x20 }),
    ("ECE", { $0.flags |= 0x40 }), ("CWR", { $0.flags |= 0x80 }), ("no ACK", { $0.flags = 0 }),
  ]

  /// Two packets of a train, the second changed.
  private static func pair(
    _ isV4: Bool, _ isTCP: Bool, second: Int = 100, _ change: (inout Reference.Flow) -> Void = { _ in }
  ) -> ([UInt8], [UInt8]) {
    var dice = OffloadDice(state: 5)
    var flow = Reference.Flow()
    (flow.isV4, flow.isTCP) = (isV4, isTCP)
    (flow.from, flow.to) = (dice.bytes(isV4 ? 4 : 16), dice.bytes(isV4 ? 4 : 16))
    flow.tcpOptions = isTCP ? [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8] : []
    flow.id = 500
    let first = flow.packet(dice.bytes(100))
    flow.sequence &+= 100
    flow.id += 1
    change(&flow)
    return (first, flow.packet(dice.bytes(second)))
  }

  private static func isMerged(
    _ packets: ([UInt8], [UInt8]), _ hints: (UInt16, UInt16), _ keys: (UInt64, UInt64) = (1, 1)
  ) -> Bool {
    let bench = Bench()
    bench.take(packets.0, hints.0, key: keys.0)
    bench.take(packets.1, hints.1, key: keys.1)
    bench.finish()
    #expect(bench.isRight() && bench.refused == 0)
    return bench.written.count == 1
  }

  @Test(arguments: [true, false], [true, false])
  func onlyWhatContinuesIsMerged(isV4: Bool, isTCP: Bool) {
    let train: UInt16 = isTCP ? 3 : 5
    #expect(Self.isMerged(Self.pair(isV4, isTCP), (train, train)))
    let changes =
      Self.breaking + (isV4 ? Self.breakingV4 : Self.breakingV6) + (isTCP ? Self.breakingTCP : [])
    for (name, change) in changes {
      #expect(!Self.isMerged(Self.pair(isV4, isTCP, change), (train, train)), "\(name)")
    }
    #expect(Self.isMerged(Self.pair(isV4, isTCP, second: 1), (train, train)))
    for bytes in [0, 101, 500] {
      #expect(!Self.isMerged(Self.pair(isV4, isTCP, second: bytes), (train, train)), "\(bytes) bytes")
    }
    let pair = Self.pair(isV4, isTCP)
    #expect(!Self.isMerged(pair, (train, train), (1, 2)))
    #expect(!Self.isMerged(pair, (train, 1)) && !Self.isMerged(pair, (1, train)))
    let full = (Reference.withFullSum(pair.0), Reference.withFullSum(pair.1))
    #expect(!Self.isMerged(full, (0, 0)) && !Self.isMerged(full, (train, 0)))
    if isV4 {
      var wrong = pair
      wrong.1[10] ^= 1
      #expect(!Self.isMerged(wrong, (train, train)))
      wrong = pair
      wrong.0[10] ^= 1
      #expect(!Self.isMerged(wrong, (train, train)))
    }
    if isTCP {
      #expect(Self.isMerged(Self.pair(isV4, true) { $0.flags |= 0x08 }, (3, 3)))
      var reserved = pair
      reserved.1[Reference.ipBytes(pair.0) + 12] |= 1
      #expect(!Self.isMerged(reserved, (3, 3)))
      reserved.0[Reference.ipBytes(pair.0) + 12] |= 1
      #expect(!Self.isMerged(reserved, (3, 3)))
    }
  }

  @Test func pushAndAShortSegmentEndTheTrain() {
    for isV4 in [true, false] {
      let bench = Bench()
      var flow = Reference.Flow()
      (flow.isV4, flow.from, flow.to) = (isV4, [UInt8](1...(isV4 ? 4 : 16)), [UInt8](1...(isV4 ? 4 : 16)))
      for (bytes, flags) in [(50, 0x10), (50, 0x18), (50, 0x10), (40, 0x10), (40, 0x18), (40, 0x10)] {
        flow.flags = UInt8(flags)
        bench.take(flow.packet([UInt8](repeating: 7, count: bytes)))
        flow.sequence += UInt32(bytes)
        flow.id += 1
      }
      bench.finish()
      #expect(bench.isRight())
      #expect(bench.written.map { $0.count - 10 - flow.headerBytes } == [100, 90, 40, 40])
    }
  }

  /// Segments in each superpacket that a long train of TCP over IPv4 becomes.
  private static func runs(_ count: Int, of bytes: Int, mtu: Int) -> [Int] {
    let bench = Bench(mtu: mtu)
    var flow = Reference.Flow()
    (flow.from, flow.to) = ([1, 2, 3, 4], [5, 6, 7, 8])
    for _ in 0..<count {
      bench.take(flow.packet([UInt8](repeating: 7, count: bytes)))
      flow.sequence += UInt32(bytes)
      flow.id += 1
    }
    bench.finish()
    #expect(bench.isRight())
    return bench.written.map { ($0.count - 50) / bytes }
  }

  @Test func trainsEndAtTheirLimits() {
    #expect(Self.runs(70, of: 50, mtu: 1_400) == [64, 6])
    // 40 + 50 × 1,300 bytes fit the length field, another segment does not.
    #expect(Self.runs(60, of: 1_300, mtu: 1_400) == [50, 10])
    #expect(Self.runs(3, of: 1_300, mtu: 1_340) == [3])
    #expect(Self.runs(3, of: 1_300, mtu: 1_339) == [1, 1, 1])
  }

  @Test func illegalHintsAreRefusedAndLeaveNothingBehind() {
    let (tcp, udp) = (Self.pair(true, true).0, Self.pair(false, false).0)
    var zero = udp
    zero.replaceSubrange(46..<48, with: [0, 0])
    var fragment = tcp
    fragment[6] = 0x20
    let dhcp = Self.pair(true, false) { $0.ports = [0, 68, 0, 67] }.1
    let gre = Packets.v4([UInt8](repeating: 1, count: 30), proto: 47)
    for hint in UInt16(0)...9 {
      let cases: [([UInt8], [UInt16])] = [
        (tcp, [0, 1, 3]), (udp, [0, 1, 5]), (zero, [0]), (fragment, [0]), (dhcp, [0]), (gre, [0]),
        (Array([0x50] + tcp.dropFirst()), []), (Array(tcp.dropLast()), []), ([], []),
      ]
      for (packet, legal) in cases {
        let bench = Bench()
        let (first, second) = Self.pair(true, true)
        bench.take(first)
        bench.take(packet, hint)
        bench.take(second)
        bench.finish()
        #expect(bench.isRight())
        #expect(bench.refused == (legal.contains(hint) ? 0 : 1), "hint \(hint) of \(packet.count) bytes")
      }
    }
  }

  @Test func aDeviceWithoutOffloadsIsGivenPlainPackets() {
    for (canPartial, canTCP, canUDP) in [(false, false, false), (true, false, false), (true, true, false)] {
      for (isV4, isTCP) in [(true, true), (true, false), (false, true), (false, false)] {
        let bench = Bench(canPartial: canPartial, canTCP: canTCP, canUDP: canUDP)
        let (first, second) = Self.pair(isV4, isTCP)
        bench.take(first, isTCP ? 3 : 5)
        bench.take(second, isTCP ? 3 : 5)
        bench.finish()
        #expect(bench.isRight())
        #expect(bench.written.count == (canTCP && isTCP ? 1 : 2))
        #expect(bench.written.allSatisfy { ($0[0] == 1) == canPartial })
      }
    }
  }

  @Test(arguments: seeds) func randomBytesDoNoHarm(seed: UInt64) {
    var dice = OffloadDice(state: seed &* 991)
    let bench = Bench(mtu: 300)
    let memory = Scratch(capacity: 128)
    let slot = Scratch(capacity: 128)
    var cut = 0
    for _ in 0..<6_000 {
      var packet =
        dice.chance(10) ? dice.bytes(dice.below(80)) : dice.flow().packet(dice.bytes(dice.below(8)))
      for _ in 0..<dice.below(3) where !packet.isEmpty {
        packet[dice.below(packet.count)] = UInt8(dice.below(256))
      }
      if dice.chance(10) { packet.removeLast(dice.below(packet.count + 1)) }
      bench.take(packet, UInt16(dice.below(9)))
      // And what a strange device might say.
      guard packet.count <= 120, !packet.isEmpty else { continue }
      memory.frame.dropping(4).write(packet)
      var virtio = VirtioHeader()
      virtio.flags = UInt8(dice.below(4))
      virtio.gsoType = [0, 1, 4, 5][dice.below(4)]
      virtio.gsoSize = UInt16(dice.below(10))
      virtio.checksumStart = UInt16(dice.chance(80) ? [20, 24, 40][dice.below(3)] : dice.below(140))
      virtio.checksumOffset = UInt16(dice.chance(80) ? [6, 16][dice.below(2)] : dice.below(140))
      guard let train = Train(memory.frame.slice(4, packet.count), virtio) else { continue }
      var plain = Cutter(train, buffer: memory.frame, packetAt: 4)
      var cutter = Cutter(train, buffer: memory.frame, packetAt: 4)
      while plain.nextPlain(into: slot.frame) != nil { cut += 1 }
      while cutter.next() != nil { cut += 1 }
    }
    bench.finish()
    #expect(bench.isRight() && cut > 1_000 && bench.refused > 500)
  }

  @Test func nothingIsAllocated() throws {
    var dice = OffloadDice(state: 4)
    var flow = Self.flow(&dice)
    (flow.isTCP, flow.isV4, flow.tcpOptions) = (true, false, [])
    (flow.from, flow.to) = (dice.bytes(16), dice.bytes(16))
    let packet = flow.packet(dice.bytes(20_000))
    let memory = Scratch(capacity: 30_000)
    let space = Scratch(capacity: Coalescer.bufferBytesMin)
    var coalescer = Coalescer(buffer: space.frame, mtu: 1_400, canPartial: true, canTCP: true, canUDP: true)
    memory.frame.dropping(4).write(packet)
    var virtio = VirtioHeader()
    (virtio.flags, virtio.gsoType, virtio.gsoSize) = (1, VirtioHeader.tcp6, 1_000)
    (virtio.checksumStart, virtio.checksumOffset) = (40, 16)
    // Twice: whatever is made once for all is made the first time.
    for round in 0..<2 {
      memory.frame.dropping(4).write(packet)
      allocations_begin()
      let merged = Self.pass(memory.frame.prefix(packet.count + 4), virtio, &coalescer)
      let allocations = allocations_end()
      #expect(merged == 19)
      if round == 1 { #expect(allocations == 0) }
    }
  }

  /// A train from one device to another.
  private static func pass(_ buffer: Frame, _ virtio: VirtioHeader, _ coalescer: inout Coalescer) -> Int {
    guard let train = Train(buffer.dropping(4), virtio) else { return 0 }
    var cutter = Cutter(train, buffer: buffer, packetAt: 4)
    var merged = 0
    while let text = cutter.next() {
      guard let room = coalescer.room(text.count) else { return 0 }
      room.copy(text)
      switch coalescer.offer(text.count, hint: train.offload, key: 1) {
      case .merged: merged += 1
      case .fresh: _ = coalescer.begin()
      case .refused: return 0
      }
    }
    _ = coalescer.finish()
    return merged
  }
}
