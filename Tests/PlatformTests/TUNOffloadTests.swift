// Goal: what the kernel leaves to the reader of a device comes with a header that says so, and what is
// written with such a header the kernel finishes.
// Method: devices in network namespaces of their own; a UDP socket there sends to a route into the device,
// and what came out of it goes in again with its ends exchanged.
import Base
import CMallocCount
import Glibc
import Platform
import Testing

@Suite(.enabled(if: missingForTUN == nil, "\(missingForTUN ?? "")"))
struct TUNOffloadTests {
  private static let prefix = IPPrefix("100.80.1.2/16")!
  private static let prefix6 = IPPrefix("fd12:3456:789a::1/64")!
  /// Somebody behind the device, of each family.
  private static let far = [Endpoint("100.80.200.1:9")!, Endpoint("[fd12:3456:789a::2]:9")!]
  private static let header = TUNDevice.headerBytes

  private static func device(_ offload: TUNOffload = .all) throws -> TUNDevice {
    let device = try TUNDevice(offload: offload)
    let netlink = try Netlink()
    try netlink.setUp(device.index, mtu: 1_400, txQueueLength: 500)
    try netlink.addAddress(device.index, prefix)
    try netlink.addAddress(device.index, prefix6)
    return device
  }

  /// The next UDP packet to somebody of `far`, with its virtio header.
  private static func packet(_ device: TUNDevice) -> Frame? {
    let frame = leaked([UInt8](repeating: 0, count: header + 65_535))
    while isReadable(device.fd, within: 2_000) {
      guard let count = device.read(into: frame) else { continue }
      let packet = frame.slice(header, count - header)
      let isV4 = packet[0] >> 4 == 4
      guard packet[isV4 ? 9 : 6] == 17, packet.big(isV4 ? 22 : 42, as: UInt16.self) == 9 else { continue }
      return frame.prefix(count)
    }
    return nil
  }

  /// Turns a packet round. Its sums stay right: they do not tell one word from another.
  private static func exchangeEnds(_ packet: Frame) {
    func exchange(_ a: Int, _ b: Int, _ count: Int) {
      for i in 0..<count { (packet[a + i], packet[b + i]) = (packet[b + i], packet[a + i]) }
    }
    if packet[0] >> 4 == 4 {
      exchange(12, 16, 4)
      exchange(20, 22, 2)
    } else {
      exchange(8, 24, 16)
      exchange(40, 42, 2)
    }
  }

  private static func release() -> (Int, Int) {
    var name = utsname()
    uname(&name)
    let text = withUnsafeBytes(of: &name.release) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    let parts = text.split { !$0.isNumber }.compactMap { Int($0) }
    return parts.count < 2 ? (0, 0) : (parts[0], parts[1])
  }

  @Test func kernelTakesWhatItKnows() throws {
    try inNetworkNamespace {
      let all = try TUNDevice()
      #expect(all.offload.contains([.checksum, .tcp]))
      #expect(all.offload.contains(.udp) || Self.release() < (6, 2))
      #expect(try TUNDevice(offload: []).offload == [])
      #expect(try TUNDevice(offload: .checksum).offload == .checksum)
      #expect(try TUNDevice(offload: .tcp).offload == [.checksum, .tcp], "TCP is nothing without the sum")
    }
  }

  @Test(arguments: far) func checksumIsLeftToTheReaderWhoAsksForIt(_ far: Endpoint) throws {
    try inNetworkNamespace {
      let ipBytes = far.address.isV4 ? 20 : 40
      for offload in [TUNOffload.all, .checksum, []] {
        let device = try Self.device(offload)
        let socket = try UDPSocket()
        #expect(socket.send(leaked([0xAB]), to: far) == .sent)
        let packet = try #require(Self.packet(device))
        #expect(packet.count == Self.header + ipBytes + 9)
        #expect(packet[1] == 0, "no superpacket")
        #expect(packet[packet.count - 1] == 0xAB)
        guard offload.contains(.checksum) else {
          #expect(packet.prefix(Self.header).bytes == [UInt8](repeating: 0, count: Self.header))
          continue
        }
        #expect(packet[0] & 1 == 1)
        #expect(Int(packet.little(6, as: UInt16.self)) == ipBytes)
        #expect(packet.little(8, as: UInt16.self) == 6)
      }
    }
  }

  @Test(arguments: far) func packetsGoInWithAHeaderAndWithout(_ far: Endpoint) throws {
    try inNetworkNamespace {
      let device = try Self.device(.checksum)
      let socket = try UDPSocket()
      let runs = UDPRuns()
      for isPlain in [false, true] {
        #expect(socket.send(leaked([1, 2, 3]), to: far) == .sent)
        let frame = try #require(Self.packet(device))
        let packet = frame.dropping(Self.header)
        Self.exchangeEnds(packet)
        if isPlain {
          // Its checksum is partial; without a header it has to be complete.
          let udp = far.address.isV4 ? 20 : 40
          let sum = Self.checksum(packet, from: udp)
          packet.setBig(udp + 6, sum)
          #expect(device.write(plain: packet))
        } else {
          #expect(device.write(frame))
        }
        #expect(isReadable(socket.fd, within: 2_000))
        #expect(socket.receive(runs: runs) == 1)
        #expect(runs[0].frame.bytes == [1, 2, 3])
        #expect(runs[0].from == far)
      }
      #expect(device.writeDrops == 0)
    }
  }

  /// The complement of the sum of all words from `offset` on, among which is the partial sum.
  private static func checksum(_ packet: Frame, from offset: Int) -> UInt16 {
    var sum: UInt32 = 0
    for i in offset..<packet.count { sum += UInt32(packet[i]) << ((i - offset) % 2 == 0 ? 8 : 0) }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
  }

  @Test(arguments: far) func runOfASocketIsOneSuperpacketBothWays(_ far: Endpoint) throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let socket = try UDPSocket(aggregates: true)
      guard device.offload.contains(.udp), socket.segments, socket.isAggregating else { return }
      let ipBytes = far.address.isV4 ? 20 : 40
      let bytes = (0..<30_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
      #expect(socket.send(run: leaked(bytes), segmentBytes: 1_300, to: far, tos: 2) == .sent)
      let frame = try #require(Self.packet(device))
      #expect(frame.count == Self.header + ipBytes + 8 + 30_000)
      #expect(frame[0] & 1 == 1)
      #expect(frame[1] == 5)
      #expect(frame.little(4, as: UInt16.self) == 1_300)
      #expect(Int(frame.little(6, as: UInt16.self)) == ipBytes)
      Self.exchangeEnds(frame.dropping(Self.header))
      #expect(device.write(frame))
      #expect(isReadable(socket.fd, within: 2_000))
      let runs = UDPRuns()
      #expect(socket.receive(runs: runs) == 1)
      #expect(runs[0].frame.bytes == bytes)
      #expect(runs[0].segmentBytes == 1_300)
      #expect(runs[0].tos == 2)
      #expect(runs[0].from == far)
    }
  }

  @Test func frameWithoutAWholeHeaderIsRefused() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      #expect(!device.write(leaked([UInt8](repeating: 0, count: 9))))
      #expect(!device.write(leaked([UInt8](repeating: 0, count: 10))))
      #expect(!device.write(plain: leaked([])))
      #expect(device.writeDrops == 3)
    }
  }

  @Test func deletedInterfaceIsNoticedWithHeadersToo() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let frame = leaked([UInt8](repeating: 0, count: 2_048))
      while device.read(into: frame) != nil {}
      #expect(!device.isLost)
      try Netlink().removeInterface(device.index)
      while device.read(into: frame) != nil {}
      #expect(device.isLost)
    }
  }

  @Test(.enabled(if: access("/usr/sbin/ip", X_OK) == 0 || access("/sbin/ip", X_OK) == 0, "needs ip(8)"))
  func superpacketsAreBounded() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let netlink = try Netlink()
      try netlink.setGSOLimits(device.index, bytes: 60_000, segments: 64)
      let command = try #require(popen("PATH=/usr/sbin:/sbin:$PATH ip -d link show dev \(device.name)", "r"))
      var bytes = [UInt8](repeating: 0, count: 4_096)
      let count = fread(&bytes, 1, bytes.count, command)
      pclose(command)
      let words = String(decoding: bytes.prefix(count), as: UTF8.self).split(whereSeparator: \.isWhitespace)
      func value(_ name: Substring) -> Int? {
        words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? Int(words[$0 + 1]) : nil }
      }
      #expect(value("gso_max_size") == 60_000)
      #expect(value("gso_max_segs") == 64)
      // Programs that know of a limit for IPv4 say it.
      #expect(value("gso_ipv4_max_size") ?? 60_000 == 60_000)
      // It holds: a longer run of a socket here comes as packets.
      let socket = try UDPSocket()
      guard device.offload.contains(.udp), socket.segments else { return }
      let run = leaked([UInt8](repeating: 1, count: 62_000))
      #expect(socket.send(run: run, segmentBytes: 1_300, to: Self.far[0]) == .sent)
      #expect(try #require(Self.packet(device)).count == Self.header + 28 + 1_300)
    }
  }

  @Test func interfaceThatIsNotThereHasNoLimits() throws {
    try inNetworkNamespace {
      #expect(throws: CallError.self) { try Netlink().setGSOLimits(4_711, bytes: 60_000, segments: 64) }
    }
  }

  @Test(arguments: [TUNOffload.all, []]) func packetsAllocateNothing(_ offload: TUNOffload) throws {
    try inNetworkNamespace {
      let device = try Self.device(offload)
      let socket = try UDPSocket()
      let frame = leaked([UInt8](repeating: 0, count: Self.header + 65_535))
      let payload = leaked([7])
      var count = 0
      func exchange(_ turns: Int) {
        for _ in 0..<turns {
          socket.send(payload, to: Self.far[0])
          if offload.isEmpty {
            while let length = device.read(plain: frame) {
              count += device.write(plain: frame.prefix(length)) ? 1 : 0
            }
          } else {
            while let length = device.read(into: frame) {
              count += device.write(frame.prefix(length)) ? 1 : 0
            }
          }
        }
      }
      exchange(5)
      let before = count
      allocations_begin()
      exchange(200)
      let allocations = allocations_end()
      if allocations > 0 { allocations_show_first(STDERR_FILENO) }
      #expect(allocations == 0)
      #expect(count >= before + 200)
    }
  }
}
