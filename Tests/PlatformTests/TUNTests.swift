// The virtual device and rtnetlink, each test in a network namespace of its own.
import Base
import Glibc
import Platform
import Testing

@Suite(.enabled(if: missingForTUN == nil, "\(missingForTUN ?? "")"))
struct TUNTests {
  private static let prefix = IPPrefix("100.80.1.2/16")!
  private static let prefix6 = IPPrefix("fd12:3456:789a::1/64")!

  /// A device with an address of each family, up.
  private static func device() throws -> TUNDevice {
    let device = try TUNDevice(offload: [])
    let netlink = try Netlink()
    try netlink.setUp(device.index, mtu: 1_400, txQueueLength: 500)
    try netlink.addAddress(device.index, prefix)
    try netlink.addAddress(device.index, prefix6)
    return device
  }

  /// The next packet with the wanted first nibble; the kernel also sends router solicitations of its own.
  private static func packet(_ device: TUNDevice, version: UInt8, next: UInt8) -> [UInt8]? {
    let frame = leaked([UInt8](repeating: 0, count: 2_048))
    while isReadable(device.fd, within: 2_000) {
      guard let count = device.read(plain: frame) else { continue }
      if frame[0] >> 4 == version, frame[version == 4 ? 9 : 6] == next { return frame.prefix(count).bytes }
    }
    return nil
  }

  @Test func kernelPicksTheName() throws {
    try inNetworkNamespace {
      let first = try TUNDevice()
      let second = try TUNDevice()
      #expect(first.name == "p2pvpn0")
      #expect(second.name == "p2pvpn1")
      #expect(first.index > 0)
      #expect(first.index != second.index)
    }
  }

  @Test func kernelMakesNoAddressOfItsOwn() throws {
    try inNetworkNamespace {
      let device = try TUNDevice()
      let netlink = try Netlink()
      try netlink.stopAddressGeneration(device.index)
      try netlink.setUp(device.index, mtu: 1_400)
      try netlink.addAddress(device.index, Self.prefix6)
      let addresses = try netlink.interfaces().filter { $0.index == device.index }
      #expect(addresses.map(\.prefix.address) == [Self.prefix6.address])
    }
  }

  @Test func deviceGoesWithItsOwner() throws {
    try inNetworkNamespace {
      do {
        let device = try TUNDevice(name: "short")
        #expect(if_nametoindex("short") == UInt32(device.index))
      }
      #expect(if_nametoindex("short") == 0)
    }
  }

  @Test func takenNameIsSaidSo() throws {
    try inNetworkNamespace {
      let device = try TUNDevice(name: "mine")
      do throws(CallError) {
        _ = try TUNDevice(name: device.name)
        Issue.record("attached twice")
      } catch {
        #expect(error.code == EBUSY)
        #expect(error.advice.contains("choose another"))
      }
      #expect(throws: CallError.self) { try TUNDevice(name: "lo") }
    }
  }

  @Test(arguments: ["", "sixteen-bytes-xx", "a/b"]) func badNameIsRefused(_ name: String) {
    #expect(throws: CallError.self) { try TUNDevice(name: name) }
  }

  @Test func addressesAreSetAndListed() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let list = try Netlink().interfaces().filter {
        $0.index == device.index && !$0.prefix.address.isLinkLocal
      }
      #expect(
        list == [
          InterfaceAddress(
            index: device.index, name: device.name, prefix: Self.prefix, isUp: true, isLoopback: false),
          InterfaceAddress(
            index: device.index, name: device.name, prefix: Self.prefix6, isUp: true, isLoopback: false),
        ])
    }
  }

  @Test func addressMayBeSetTwiceAndRemovedOnce() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let netlink = try Netlink()
      try netlink.addAddress(device.index, Self.prefix)
      try netlink.addAddress(device.index, Self.prefix6)
      try netlink.removeAddress(device.index, Self.prefix)
      #expect(try netlink.interfaces().contains { $0.prefix == Self.prefix } == false)
      #expect(throws: CallError("remove address \(Self.prefix)", code: EADDRNOTAVAIL)) {
        try netlink.removeAddress(device.index, Self.prefix)
      }
    }
  }

  @Test func interfaceThatIsNotThereIsSaidSo() throws {
    try inNetworkNamespace {
      do throws(CallError) {
        try Netlink().addAddress(4_711, Self.prefix)
        Issue.record("accepted")
      } catch {
        #expect(error.description == "add address 100.80.1.2/16: No such device")
        #expect(!error.advice.isEmpty)
      }
    }
  }

  @Test func loopbackIsListedAsSuch() throws {
    try inNetworkNamespace {
      let netlink = try Netlink()
      #expect(try netlink.interfaces().isEmpty)
      try netlink.setUp(1, mtu: 65_536)
      let addresses = try netlink.interfaces()
      #expect(
        addresses.contains {
          $0.name == "lo" && $0.isLoopback && $0.isUp && $0.prefix == IPPrefix("127.0.0.1/8")
        })
    }
  }

  @Test func kernelRoutesThePrefixIntoTheDevice() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let socket = try UDPSocket()
      #expect(socket.send(leaked([0xAB]), to: Endpoint("100.80.200.1:9")!) == .sent)
      let packet = try #require(Self.packet(device, version: 4, next: 17))
      #expect(packet.count == 29)
      #expect(Array(packet[12..<16]) == [100, 80, 1, 2])
      #expect(Array(packet[16..<20]) == [100, 80, 200, 1])
      #expect(packet.last == 0xAB)
      // IPv6 works at once: without waiting for duplicate address detection.
      #expect(socket.send(leaked([0xCD]), to: Endpoint("[fd12:3456:789a::2]:9")!) == .sent)
      let packet6 = try #require(Self.packet(device, version: 6, next: 17))
      #expect(packet6.count == 49)
      #expect(packet6.last == 0xCD)
    }
  }

  @Test func routeBeyondThePrefixLeadsIntoTheDeviceUntilItIsRemoved() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let netlink = try Netlink()
      let socket = try UDPSocket()
      let far = Endpoint("198.51.100.7:9")!
      #expect(socket.send(leaked([1]), to: far) == .unreachable)
      let route = IPPrefix("198.51.100.0/24")!
      try netlink.addRoute(route, device.index)
      try netlink.addRoute(route, device.index)
      #expect(socket.send(leaked([1]), to: far) == .sent)
      #expect(Self.packet(device, version: 4, next: 17) != nil)
      try netlink.removeRoute(route, device.index)
      #expect(socket.send(leaked([1]), to: far) == .unreachable)
      let route6 = IPPrefix("2001:db8:5::/48")!
      try netlink.addRoute(route6, device.index)
      #expect(socket.send(leaked([1]), to: Endpoint("[2001:db8:5::1]:9")!) == .sent)
    }
  }

  @Test func writtenPacketReachesTheKernel() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let socket = try UDPSocket(listen: Endpoint(Self.prefix.address, port: 7_000))
      // An IPv4 packet by hand: 100.80.9.9:53 to us, one byte, no UDP checksum.
      var packet: [UInt8] = [0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 100, 80, 9, 9, 100, 80, 1, 2]
      let sum = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) {
        $0 + UInt32(packet[$1]) << 8 + UInt32(packet[$1 + 1])
      }
      let check = ~UInt16(truncatingIfNeeded: sum & 0xFFFF + sum >> 16)
      packet[10] = UInt8(check >> 8)
      packet[11] = UInt8(check & 255)
      packet += [0, 53, 0x1B, 0x58, 0, 9, 0, 0, 0xEE]
      #expect(device.write(plain: leaked(packet)))
      var pool = PacketPool(capacity: 64)
      #expect(isReadable(socket.fd))
      let count = socket.receive(into: &pool)
      #expect(count == 1)
      #expect(socket.batch.arrival(0).from == Endpoint("100.80.9.9:53"))
      #expect(pool.frame(socket.batch.arrival(0).packet).bytes == [0xEE])
    }
  }

  @Test func whatIsNoPacketIsRefusedAndCounted() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      #expect(!device.write(plain: leaked([0x15, 0, 0, 0])))
      #expect(device.writeDrops == 1)
      let down = try TUNDevice()
      #expect(!down.write(plain: leaked([0x45] + [UInt8](repeating: 0, count: 19))))
    }
  }

  @Test func deletedInterfaceIsNoticed() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      let frame = leaked([UInt8](repeating: 0, count: 2_048))
      while device.read(plain: frame) != nil {}
      #expect(!device.isLost)
      try Netlink().removeInterface(device.index)
      #expect(isReadable(device.fd))
      while device.read(plain: frame) != nil {}
      #expect(device.isLost)
      #expect(!device.write(plain: leaked([0x45])))
    }
  }

  @Test func monitorTellsOfChangesAndOnlyThen() throws {
    try inNetworkNamespace {
      let monitor = try NetworkMonitor()
      #expect(!monitor.drain())
      let device = try Self.device()
      #expect(isReadable(monitor.fd))
      #expect(monitor.drain())
      while isReadable(monitor.fd, within: 300) { _ = monitor.drain() }
      #expect(!monitor.drain())
      try Netlink().addRoute(IPPrefix("198.51.100.0/24")!, device.index)
      #expect(isReadable(monitor.fd))
      #expect(monitor.drain())
    }
  }

  @Test func afterDroppingPrivilegesOnlyTheNetworkMayBeChanged() throws {
    try inNetworkNamespace {
      let device = try Self.device()
      try dropPrivileges()
      try Netlink().addAddress(device.index, IPPrefix("100.81.0.1/24")!)
      #expect(chown("/tmp", 1, 1) == -1)
      #expect(errno == EPERM)
      #expect(unshare(cloneNewNet) == -1, "CAP_SYS_ADMIN is gone")
    }
  }
}
