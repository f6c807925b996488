// Goal: what the device hands over is described rightly or refused, and its packets are those that a kernel
// would have cut.
// Method: random trains, cut by a second implementation (`Reference`), with checksums by an independent sum.

import Base
import Testing

@testable import VPN

@Suite struct OffloadCutterTests {
  static let seeds: [UInt64] = [1, 2, 3, 4]

  /// Memory with a packet at 16, and the train in it.
  private final class Given {
    let memory = Scratch(capacity: 70_000)
    let bytes: Int
    var buffer: Frame { memory.frame.prefix(bytes + 16) }

    init(_ packet: [UInt8]) {
      bytes = packet.count
      memory.frame.clear()
      memory.frame.dropping(16).write(packet)
    }

    func train(_ virtio: VirtioHeader) -> Train? { Train(buffer.dropping(16), virtio) }

    func plain(_ train: Train) -> [[UInt8]] {
      var cutter = Cutter(train, buffer: buffer, packetAt: 16)
      let slot = Scratch(capacity: 66_000)
      var packets: [[UInt8]] = []
      while let count = cutter.nextPlain(into: slot.frame) { packets.append(slot.frame.prefix(count).bytes) }
      return packets
    }

    func cut(_ train: Train) -> [[UInt8]] {
      var cutter = Cutter(train, buffer: buffer, packetAt: 16)
      var packets: [[UInt8]] = []
      while let text = cutter.next() {
        // What a caller does with it: fills the room, seals elsewhere.
        text.prefix(4).write([0xAA, 0xBB, 0xCC, 0xDD])
        packets.append(text.dropping(4).bytes)
      }
      return packets
    }
  }

  private static func virtio(_ packet: [UInt8], _ segmentBytes: Int) -> VirtioHeader {
    var virtio = VirtioHeader()
    virtio.flags = VirtioHeader.needsChecksum
    let kind = Reference.isV4(packet) ? VirtioHeader.tcp4 : VirtioHeader.tcp6
    virtio.gsoType = Reference.isTCP(packet) ? kind : VirtioHeader.udp
    virtio.gsoSize = UInt16(segmentBytes)
    virtio.checksumStart = UInt16(Reference.ipBytes(packet))
    virtio.checksumOffset = Reference.isTCP(packet) ? 16 : 6
    return virtio
  }

  private static func single(_ packet: [UInt8]) -> VirtioHeader {
    var header = virtio(packet, 0)
    header.gsoType = VirtioHeader.single
    return header
  }

  @Test(arguments: seeds) func trainsAreCutAsByAKernel(seed: UInt64) throws {
    var dice = OffloadDice(state: seed)
    for _ in 0..<60 {
      let flow = dice.flow()
      let segmentBytes = [1, 2, 3, 1 + dice.below(60), 1_348, 1 + dice.below(1_348)][dice.below(6)]
      let most = min(segmentBytes * (1 + dice.below(70)), 65_535 - flow.headerBytes)
      let payload = dice.bytes(1 + dice.below(most))
      let packet = flow.packet(payload)
      let expected = Reference.cut(packet, segmentBytes)
      let given = Given(packet)
      let train = try #require(given.train(Self.virtio(packet, segmentBytes)))
      #expect(train.count == expected.count && train.kind == (flow.isTCP ? .tcp : .udp))
      #expect(train.offload == (flow.isTCP ? 3 : 5) && !train.sumsInFull)
      #expect(train.trafficClass == flow.trafficClass && train.packetBytes == packet.count)
      #expect((0..<train.count).map { train.packetBytes(of: $0) } == expected.map(\.count))
      let full = given.plain(train)
      #expect(full == expected.map(Reference.withFullSum))
      #expect(full.allSatisfy(Reference.isRight))
      #expect(given.buffer.dropping(16).bytes == packet)
      #expect(given.cut(train) == expected)
    }
  }

  @Test func aTrainOfTheLargestSizeInTheSmallestSegmentsIsCut() throws {
    var dice = OffloadDice(state: 7)
    for isV4 in [true, false] {
      var flow = dice.flow(plain: true)
      (flow.isV4, flow.isTCP) = (isV4, true)
      (flow.from, flow.to) = (dice.bytes(isV4 ? 4 : 16), dice.bytes(isV4 ? 4 : 16))
      flow.tcpOptions = dice.bytes(12)
      let packet = flow.packet(dice.bytes(65_535 - flow.headerBytes))
      let given = Given(packet)
      let train = try #require(given.train(Self.virtio(packet, 1)))
      #expect(train.count == 65_535 - flow.headerBytes)
      var cutter = Cutter(train, buffer: given.buffer, packetAt: 16)
      var payload: [UInt8] = []
      while let text = cutter.next() { payload.append(text[text.count - 1]) }
      #expect(payload == Array(packet[flow.headerBytes...]))
    }
  }

  @Test func aTrainOfTCPIsCutSmallerForASmallerPath() throws {
    var dice = OffloadDice(state: 9)
    for _ in 0..<50 {
      let flow = dice.flow()
      let packet = flow.packet(dice.bytes(1 + dice.below(20_000)))
      let given = Given(packet)
      let train = try #require(given.train(Self.virtio(packet, 1_348)))
      let limit = 1 + dice.below(2_000)
      let limited = train.limited(to: limit)
      let size = flow.isTCP ? min(limit, 1_348) : 1_348
      #expect(limited.offload == train.offload)
      #expect(given.cut(limited) == Reference.cut(packet, size))
    }
  }

  @Test(arguments: seeds) func singlePacketsStayAsTheyAreOrAreCompleted(seed: UInt64) throws {
    var dice = OffloadDice(state: seed)
    for _ in 0..<100 {
      let flow = dice.flow()
      let packet = flow.packet(dice.bytes(dice.below(1_300)))
      let partial = Given(packet)
      let train = try #require(partial.train(Self.single(packet)))
      #expect(train.kind == .single && train.offload == 1 && train.count == 1 && !train.sumsInFull)
      #expect(partial.plain(train) == [Reference.withFullSum(packet)])
      #expect(partial.cut(train) == [packet])
      let complete = Given(Reference.withFullSum(packet))
      let other = try #require(complete.train(VirtioHeader()))
      #expect(other.offload == 0 && complete.cut(other) == [Reference.withFullSum(packet)])
    }
  }

  @Test func whatMayNotBePartialIsSummedByTheSender() throws {
    var dice = OffloadDice(state: 3)
    // DHCP, alone and as a train.
    for ports: [UInt8] in [[0, 68, 0, 67], [4, 4, 0, 68], [0, 67, 9, 9]] {
      var flow = dice.flow(plain: true)
      (flow.isTCP, flow.ports, flow.tcpOptions) = (false, ports, [])
      let packet = flow.packet(dice.bytes(700))
      let given = Given(packet)
      let single = try #require(given.train(Self.single(packet)))
      #expect(single.sumsInFull && single.offload == 0)
      #expect(given.plain(single) == [Reference.withFullSum(packet)])
      #expect(given.cut(single) == [Reference.withFullSum(packet)])
      let again = Given(packet)
      let train = try #require(again.train(Self.virtio(packet, 100)))
      #expect(train.sumsInFull && train.offload == 0 && train.count == 7)
      #expect(again.plain(train) == Reference.cut(packet, 100).map(Reference.withFullSum))
      #expect(again.cut(train) == Reference.cut(packet, 100).map(Reference.withFullSum))
    }
    // The inner header of a tunnel: whatever lies there.
    let packet = Packets.v4(dice.bytes(101), proto: 47)
    var virtio = VirtioHeader()
    (virtio.flags, virtio.checksumStart, virtio.checksumOffset) = (VirtioHeader.needsChecksum, 48, 16)
    let given = Given(packet)
    let train = try #require(given.train(virtio))
    #expect(train.sumsInFull && train.offload == 0)
    var expected = packet
    expected.replaceSubrange(64..<66, with: Reference.big(0xFFFF - Packets.sum(Array(packet[48...])), 2))
    #expect(given.cut(train) == [expected])
  }

  @Test func contradictionsAreRefused() throws {
    var dice = OffloadDice(state: 5)
    var flow = dice.flow(plain: true)
    (flow.isV4, flow.isTCP, flow.from, flow.to) = (true, true, [10, 0, 0, 1], [10, 0, 0, 2])
    let packet = flow.packet(dice.bytes(5_000))
    let right = Self.virtio(packet, 1_000)
    let given = Given(packet)
    #expect(given.train(right) != nil)
    let wrong: [(inout VirtioHeader) -> Void] = [
      { $0.flags = 0 }, { $0.flags = VirtioHeader.dataValid }, { $0.gsoType = VirtioHeader.tcp6 },
      { $0.gsoType = VirtioHeader.udp }, { $0.gsoSize = 0 }, { $0.checksumStart += 1 },
      { $0.checksumOffset = 6 }, { $0.checksumStart = 0 }, { $0.checksumStart = 65_535 },
      { $0.checksumOffset = 65_535 },
    ]
    for (i, change) in wrong.enumerated() {
      var virtio = right
      change(&virtio)
      #expect(given.train(virtio) == nil, "change \(i)")
    }
    var single = right
    (single.gsoType, single.checksumStart, single.checksumOffset) = (0, 4_990, 100)
    #expect(given.train(single) == nil)
    (single.checksumStart, single.checksumOffset) = (10, 2)
    #expect(given.train(single) == nil)
    flow.flags = 0x12
    let syn = flow.packet(dice.bytes(5_000))
    #expect(Given(syn).train(Self.virtio(syn, 1_000)) == nil)
    var fragment = packet
    fragment[6] = 0x20
    #expect(Given(fragment).train(right) == nil)
    #expect(Given(flow.packet([])).train(right) == nil)
    #expect(Given(Array(packet.dropLast())).train(right) == nil)
  }

  @Test func headersOfTheDeviceAreReadAndWritten() throws {
    let memory = Scratch(capacity: 10)
    var header = VirtioHeader()
    header.flags = 1
    header.gsoType = VirtioHeader.tcp6 | VirtioHeader.ecn
    header.headerBytes = 0x0102
    header.gsoSize = 0x0304
    header.checksumStart = 0x0506
    header.checksumOffset = 0x0708
    header.write(to: memory.frame)
    #expect(memory.frame.bytes == [1, 0x84, 2, 1, 4, 3, 6, 5, 8, 7])
    #expect(VirtioHeader(memory.frame) == header)
    for count in 0..<10 { #expect(VirtioHeader(memory.frame.prefix(count)) == nil) }
    for flags in UInt8(0)...255 {
      memory.frame[0] = flags
      #expect((VirtioHeader(memory.frame) != nil) == (flags <= 3))
    }
    memory.frame[0] = 0
    for type in UInt8(0)...255 {
      memory.frame[1] = type
      #expect((VirtioHeader(memory.frame) != nil) == [0, 1, 4, 5, 0x81, 0x84].contains(type), "type \(type)")
    }
  }

  @Test func checksumsAreThoseOfTheSlowWay() {
    var dice = OffloadDice(state: 11)
    let memory = Scratch(capacity: 2_100)
    for _ in 0..<500 {
      let bytes =
        dice.chance(10) ? [UInt8](repeating: 255, count: dice.below(300)) : dice.bytes(dice.below(300))
      let frame = memory.frame.slice(dice.below(9), bytes.count)
      frame.write(bytes)
      let initial = dice.chance(50) ? 0 : dice.below(1 << 40)
      let expected = Packets.sum(bytes)
      let both = { (a: Int, b: Int) in
        var sum = a + b
        while sum > 0xFFFF { sum = (sum >> 16) + (sum & 0xFFFF) }
        return sum
      }
      #expect(Int(Checksum.folded(Checksum.sum(frame, UInt64(initial)))) == both(expected, initial))
      #expect(Int(Checksum.fold(Checksum.sum(frame))) == 0xFFFF - expected)
    }
  }

  @Test func onlyPartialPacketsThatMayBeSoAreCompleted() throws {
    var dice = OffloadDice(state: 13)
    let memory = Scratch(capacity: 2_000)
    for _ in 0..<200 {
      let flow = dice.flow()
      let packet = flow.packet(dice.bytes(dice.below(1_300)))
      var received = packet
      // The field itself is not believed.
      received[Reference.sumAt(packet)] = 0x77
      memory.frame.write(received)
      #expect(Partial.complete(memory.frame.prefix(packet.count)))
      #expect(memory.frame.prefix(packet.count).bytes == Reference.withFullSum(packet))
    }
    let refused = [
      Packets.v4(dice.bytes(40), proto: 47), Packets.v4(dice.bytes(19), proto: 6), Packets.v6([1], next: 44),
      Packets.v4([0, 68, 0, 67, 0, 9, 1, 1, 0]), Packets.v4([4, 4, 4, 4, 0, 9, 0, 0, 0]),
      Packets.v4([4, 4, 4, 4, 0, 8, 1, 1, 0]),
    ]
    for packet in refused {
      memory.frame.write(packet)
      #expect(!Partial.complete(memory.frame.prefix(packet.count)))
      #expect(memory.frame.prefix(packet.count).bytes == packet)
    }
  }
}
