// Goal: no bytes are taken for a packet that are not one, "unreachable" is what a kernel accepts, and halves
// make the packet they were.
// Method: packets made by hand, checksums by an independent sum.

import Base
import Testing

@testable import VPN

/// Packets for tests.
enum Packets {
  static let a = IPAddress("100.83.1.2")!
  static let b = IPAddress("100.83.9.9")!
  static let a6 = IPAddress("fd12:3456:789a::1")!
  static let b6 = IPAddress("fd12:3456:789a::2")!

  static func bytes(_ address: IPAddress) -> [UInt8] {
    let all = [address.high, address.low].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
    }
    return address.isV4 ? Array(all.suffix(4)) : all
  }

  static func v4(_ payload: [UInt8], proto: UInt8 = 17, from: IPAddress = a, to: IPAddress = b) -> [UInt8] {
    let length = 20 + payload.count
    return [0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0, 0, 64, proto, 0, 0] + bytes(from)
      + bytes(to) + payload
  }

  static func v6(_ payload: [UInt8], next: UInt8 = 17, from: IPAddress = a6, to: IPAddress = b6) -> [UInt8] {
    [0x60, 0, 0, 0, UInt8(payload.count >> 8), UInt8(payload.count & 255), next, 64] + bytes(from) + bytes(to)
      + payload
  }

  static func frame(_ bytes: [UInt8]) -> Frame {
    let frame = Frame(base: .allocate(byteCount: max(bytes.count, 1), alignment: 16), count: bytes.count)
    frame.write(bytes)
    return frame
  }

  /// The one's complement sum of 16-bit words, written from scratch: 0xFFFF for what carries its own
  /// checksum.
  static func sum(_ bytes: [UInt8]) -> Int {
    var total = 0
    for (i, byte) in bytes.enumerated() { total += Int(byte) << (i % 2 == 0 ? 8 : 0) }
    while total > 0xFFFF { total = (total >> 16) + (total & 0xFFFF) }
    return total
  }
}

@Suite struct PacketTests {
  private func parsed(_ bytes: [UInt8]) -> IPPacket? { IPPacket(Packets.frame(bytes)) }

  @Test func wholePacketsAreRead() throws {
    let four = try #require(parsed(Packets.v4([1, 2, 3], proto: 6)))
    #expect(four.source == Packets.a && four.destination == Packets.b && four.proto == 6)
    #expect(four.headerBytes == 20)
    let six = try #require(parsed(Packets.v6([1, 2, 3], next: 58)))
    #expect(six.source == Packets.a6 && six.destination == Packets.b6 && six.proto == 58)
    #expect(six.headerBytes == 40)
    #expect(parsed(Packets.v4([])) != nil && parsed(Packets.v6([])) != nil)
  }

  @Test func truncatedAndOverlongPacketsAreRefused() {
    for packet in [Packets.v4([1, 2, 3, 4]), Packets.v6([1, 2, 3, 4])] {
      for count in packet.indices { #expect(parsed(Array(packet[..<count])) == nil, "\(count) bytes") }
      #expect(parsed(packet + [0]) == nil)
    }
  }

  @Test func wrongFieldsAreRefused() {
    var packet = Packets.v4([UInt8](repeating: 0, count: 60))
    for version in [UInt8(0), 1, 5, 7, 15] {
      packet[0] = version << 4 | 5
      #expect(parsed(packet) == nil, "version \(version)")
    }
    for words in UInt8(0)..<16 {
      packet[0] = 0x40 | words
      #expect((parsed(packet) != nil) == (words >= 5), "\(words) words of header")
    }
    var short = Packets.v4([])
    short[0] = 0x46
    #expect(parsed(short) == nil, "the header is longer than the packet")
  }

  @Test func randomBytesNeverTrap() {
    var random = Random(seed: 1)
    for _ in 0..<5_000 {
      var bytes = (0..<random.below(120)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if !bytes.isEmpty, random.below(2) == 0 { bytes[0] = random.below(2) == 0 ? 0x45 : 0x60 }
      let room = Packets.frame([UInt8](repeating: 0, count: 512))
      _ = Unreachable.write(answering: Packets.frame(bytes), from: Packets.a, into: room)
      _ = parsed(bytes)
    }
  }

  private func answer(_ packet: [UInt8], from host: IPAddress) -> [UInt8]? {
    let room = Packets.frame([UInt8](repeating: 0xAA, count: 512))
    return Unreachable.write(answering: Packets.frame(packet), from: host, into: room).map {
      room.prefix($0).bytes
    }
  }

  @Test(arguments: [0, 1, 7, 100, 1_380]) func unreachableIsWellFormed(payload: Int) throws {
    let packet = Packets.v4((0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 37) })
    let answer = try #require(self.answer(packet, from: Packets.a))
    #expect(answer.count == 28 + min(packet.count, 128))
    #expect(Packets.sum(Array(answer[..<20])) == 0xFFFF && Packets.sum(Array(answer[20...])) == 0xFFFF)
    #expect(answer[9] == 1 && answer[20] == 3 && answer[21] == 1)
    #expect(Array(answer[28...]) == Array(packet.prefix(128)))
    let header = try #require(parsed(answer))
    #expect(header.source == Packets.a && header.destination == Packets.a)
  }

  @Test(arguments: [0, 1, 7, 100, 1_360]) func unreachableOfIPv6IsWellFormed(payload: Int) throws {
    let packet = Packets.v6((0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 41) })
    let answer = try #require(self.answer(packet, from: Packets.a6))
    #expect(
      answer.count == 48 + min(packet.count, 128) && answer[6] == 58 && answer[40] == 1 && answer[41] == 3)
    let length = answer.count - 40
    let pseudo = Array(answer[8..<40]) + [0, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0, 58]
    #expect(Packets.sum(pseudo + answer[40...]) == 0xFFFF)
    let header = try #require(parsed(answer))
    #expect(header.destination == Packets.a6)
  }

  @Test func errorsAreNeverAnswered() {
    for type in UInt8(0)...255 {
      let isQuestion = type == 8 || type == 0
      let answer = self.answer(Packets.v4([type, 0, 0, 0, 0, 0, 0, 0], proto: 1), from: Packets.a)
      #expect((answer != nil) == isQuestion, "ICMP type \(type)")
      let answer6 = self.answer(Packets.v6([type, 0, 0, 0, 0, 0, 0, 0], next: 58), from: Packets.a6)
      #expect((answer6 != nil) == (type >= 128), "ICMPv6 type \(type)")
    }
    var fragment = Packets.v4([1, 2, 3, 4, 5, 6, 7, 8])
    fragment[6] = 0x20
    #expect(answer(fragment, from: Packets.a) != nil, "the first fragment")
    fragment[7] = 1
    #expect(answer(fragment, from: Packets.a) == nil, "a later fragment")
    #expect(answer(Packets.v4([]), from: Packets.a6) == nil, "of another family")
    #expect(answer([1, 2, 3], from: Packets.a) == nil)
  }
}

@Suite struct ReassemblyTests {
  private func add(
    _ reassembly: inout Reassembly, _ context: inout Context, _ bytes: [UInt8], peer: Int = 1,
    counter: UInt64, isFirst: Bool
  ) -> [UInt8]? {
    guard let packet = context.pool.take(copying: Packets.frame(bytes)) else { return nil }
    let whole = reassembly.add(peer: peer, counter: counter, isFirst: isFirst, packet, &context)
    context.pool.release(packet)
    guard let whole else { return nil }
    defer { context.pool.release(whole) }
    return context.pool.frame(whole).bytes
  }

  @Test func halvesMeetInEitherOrder() {
    for isFirstFirst in [true, false] {
      var reassembly = Reassembly()
      var context = Context(packets: 100, effects: 8, seed: 1)
      let halves: [(bytes: [UInt8], counter: UInt64, isFirst: Bool)] = [([1, 2], 8, true), ([3], 9, false)]
      let order = isFirstFirst ? halves : halves.reversed()
      let early = add(
        &reassembly, &context, order[0].bytes, counter: order[0].counter, isFirst: order[0].isFirst)
      let whole = add(
        &reassembly, &context, order[1].bytes, counter: order[1].counter, isFirst: order[1].isFirst)
      #expect(early == nil && whole == [1, 2, 3])
      let available = context.pool.available
      #expect(available == 100)
    }
  }

  @Test func strangersAndDuplicatesDoNotMix() {
    var reassembly = Reassembly()
    var context = Context(packets: 100, effects: 8, seed: 1)
    #expect(add(&reassembly, &context, [1], counter: 8, isFirst: true) == nil)
    #expect(add(&reassembly, &context, [9], counter: 8, isFirst: true) == nil, "a duplicate")
    #expect(add(&reassembly, &context, [2], peer: 2, counter: 9, isFirst: false) == nil, "another peer")
    #expect(add(&reassembly, &context, [2], counter: 8, isFirst: false) == nil, "another packet")
    #expect(add(&reassembly, &context, [2], counter: 10, isFirst: false) == nil, "another packet")
    #expect(add(&reassembly, &context, [2], counter: 1 << 56 | 9, isFirst: false) == nil, "another space")
    #expect(add(&reassembly, &context, [2], counter: 9, isFirst: false) == [1, 2])
  }

  @Test func halfWaitsOneSecond() {
    var reassembly = Reassembly()
    var context = Context(packets: 100, effects: 8, seed: 1)
    _ = add(&reassembly, &context, [1], counter: 8, isFirst: true)
    _ = add(&reassembly, &context, [1], counter: 18, isFirst: true)
    context.now = .start + .seconds(1)
    #expect(add(&reassembly, &context, [2], counter: 9, isFirst: false) == [1, 2])
    context.now = .start + .milliseconds(1_001)
    #expect(add(&reassembly, &context, [2], counter: 19, isFirst: false) == nil)
    let expired = reassembly.expired
    #expect(expired == 1)
  }

  @Test func fullTableLetsTheOldestGo() {
    var reassembly = Reassembly()
    var context = Context(packets: 200, effects: 8, seed: 1)
    for n in 0..<UInt64(100) {
      context.now = Instant(ns: n)
      _ = add(&reassembly, &context, [1], counter: 10 * n, isFirst: true)
    }
    let available = context.pool.available
    #expect(available == 200 - Reassembly.capacity)
    #expect(add(&reassembly, &context, [2], counter: 10 * 99 + 1, isFirst: false) == [1, 2])
    #expect(add(&reassembly, &context, [2], counter: 10 * 36 + 1, isFirst: false) == [1, 2])
    #expect(add(&reassembly, &context, [2], counter: 10 * 35 + 1, isFirst: false) == nil, "gone")
  }

  @Test func halvesThatAreTooLargeTogetherAreDropped() {
    var reassembly = Reassembly()
    var context = Context(packets: 10, effects: 8, seed: 1)
    let half = [UInt8](repeating: 1, count: 1_400)
    _ = add(&reassembly, &context, half, counter: 8, isFirst: true)
    #expect(add(&reassembly, &context, half, counter: 9, isFirst: false) == nil)
    let available = context.pool.available
    #expect(available == 10)
  }
}
