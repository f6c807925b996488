// Real sockets, on loopback only.
import Base
import Glibc
import Platform
import Testing

@Suite struct UDPSocketTests {
  private static let v4 = Endpoint("127.0.0.1:0")!
  private static let v6 = Endpoint("[::1]:0")!

  /// All that arrives within a second, until there are `count` datagrams.
  private func gather(_ socket: UDPSocket, _ pool: inout PacketPool, _ count: Int) -> [(
    bytes: [UInt8], from: Endpoint
  )] {
    var list: [(bytes: [UInt8], from: Endpoint)] = []
    while list.count < count, isReadable(socket.fd, within: 1_000) {
      let n = socket.receive(into: &pool)
      for i in 0..<n {
        let arrival = socket.batch.arrival(i)
        list.append((pool.frame(arrival.packet).bytes, arrival.from))
        pool.release(arrival.packet)
      }
    }
    return list
  }

  @Test(arguments: [v4, v6]) func datagramArrivesWithItsSource(_ address: Endpoint) throws {
    let a = try UDPSocket(listen: address)
    let b = try UDPSocket(listen: address)
    #expect(a.local.address == address.address)
    #expect(a.local.port != 0)
    var pool = PacketPool(capacity: 128)
    #expect(a.send(leaked([1, 2, 3]), to: b.local) == .sent)
    #expect(a.send(leaked([]), to: b.local) == .sent)
    let got = gather(b, &pool, 2)
    try #require(got.count == 2)
    #expect(got[0].bytes == [1, 2, 3])
    #expect(got[0].from == a.local)
    #expect(got[1].bytes == [])
    #expect(b.batch.counters.received == 2)
    #expect(a.batch.counters.sent == 2)
  }

  @Test func oneSocketServesBothFamilies() throws {
    let node = try UDPSocket()
    guard node.isDualStack else { return }  // a machine without IPv6
    let v4 = try UDPSocket(listen: Self.v4)
    let v6 = try UDPSocket(listen: Self.v6)
    var pool = PacketPool(capacity: 256)
    #expect(v4.send(leaked([4]), to: Endpoint(Self.v4.address, port: node.local.port)) == .sent)
    #expect(v6.send(leaked([6]), to: Endpoint(Self.v6.address, port: node.local.port)) == .sent)
    let got = gather(node, &pool, 2)
    #expect(Set(got.map(\.from)) == [v4.local, v6.local])
    for datagram in got { #expect(node.send(leaked(datagram.bytes), to: datagram.from) == .sent) }
    #expect(gather(v4, &pool, 1).first?.bytes == [4])
    #expect(gather(v6, &pool, 1).first?.bytes == [6])
  }

  @Test func queuedPacketsGoInOneBatchAndGiveTheirSlotsBack() throws {
    let a = try UDPSocket(listen: Self.v4)
    let b = try UDPSocket(listen: Self.v4)
    var pool = PacketPool(capacity: 256)
    for i in 0..<150 {
      let ref = pool.take(copying: leaked([UInt8(i), 0xAA]))
      a.enqueue(try #require(ref), to: b.local, pool: &pool)
    }
    #expect(pool.available == 256 - 22, "two full batches have gone by themselves")
    let gone = a.batch.flush(&pool)
    #expect(gone == 22)
    #expect(pool.available == 256)
    let got = gather(b, &pool, 150)
    #expect(got.map { Int($0.bytes[0]) } == Array(0..<150))
    b.batch.returnSlots(to: &pool)
    #expect(pool.available == 256)
  }

  @Test func oneBadDatagramDoesNotHoldUpTheBatch() throws {
    let a = try UDPSocket(listen: Self.v4)
    let b = try UDPSocket(listen: Self.v4)
    var pool = PacketPool(capacity: 128)
    // Port 0 is no destination.
    let targets = [b.local, Endpoint(Self.v4.address, port: 0), b.local]
    for (i, target) in targets.enumerated() {
      let ref = pool.take(copying: leaked([UInt8(i)]))
      a.enqueue(try #require(ref), to: target, pool: &pool)
    }
    let gone = a.batch.flush(&pool)
    #expect(gone == 2)
    #expect(a.batch.counters.sendUnreachable == 1)
    #expect(gather(b, &pool, 2).map(\.bytes) == [[0], [2]])
  }

  @Test func datagramLongerThanASlotIsDroppedAndCounted() throws {
    let a = try UDPSocket(listen: Self.v4)
    let b = try UDPSocket(listen: Self.v4)
    var pool = PacketPool(capacity: 64)
    let largest = [UInt8](repeating: 7, count: PacketPool.payloadMax)
    a.send(leaked([1]), to: b.local)
    a.send(leaked(largest + [8]), to: b.local)
    a.send(leaked(largest), to: b.local)
    let got = gather(b, &pool, 2)
    #expect(got.map(\.bytes) == [[1], largest])
    #expect(b.batch.counters.truncated == 1)
    b.batch.returnSlots(to: &pool)
    #expect(pool.available == 64)
  }

  @Test func tooLargeDatagramIsReported() throws {
    let a = try UDPSocket(listen: Self.v4)
    #expect(a.send(leaked([UInt8](repeating: 0, count: 65_508)), to: a.local) == .tooLarge)
    #expect(a.batch.counters.sendTooLarge == 1)
  }

  @Test func emptyPoolDropsAndCounts() throws {
    let a = try UDPSocket(listen: Self.v4)
    let b = try UDPSocket(listen: Self.v4)
    var pool = PacketPool(capacity: 1)
    let held = try #require({ pool.take(length: 1) }())
    a.send(leaked([1]), to: b.local)
    a.send(leaked([2]), to: b.local)
    #expect(isReadable(b.fd))
    let none = b.receive(into: &pool)
    #expect(none == 0)
    #expect(b.batch.counters.noSlot == 2)
    pool.release(held)
    a.send(leaked([3]), to: b.local)
    #expect(gather(b, &pool, 1).map(\.bytes) == [[3]])
  }

  @Test func refusedDatagramDoesNotStopTheSocket() throws {
    let a = try UDPSocket(listen: Self.v4)
    let b = try UDPSocket(listen: Self.v4)
    let nobody: Endpoint
    do { nobody = try UDPSocket(listen: Self.v4).local }
    var pool = PacketPool(capacity: 128)
    for _ in 0..<3 { a.send(leaked([9]), to: nobody) }
    #expect(a.send(leaked([1]), to: b.local) == .sent)
    #expect(gather(b, &pool, 1).map(\.bytes) == [[1]])
    b.send(leaked([2]), to: a.local)
    #expect(gather(a, &pool, 1).map(\.bytes) == [[2]])
  }

  @Test func closureFormHandsOutWhatArrived() throws {
    let a = try UDPSocket(listen: Self.v4)
    let b = try UDPSocket(listen: Self.v4)
    var pool = PacketPool(capacity: 128)
    a.send(leaked([1, 2]), to: b.local)
    #expect(isReadable(b.fd))
    var lengths: [UInt16] = []
    let count = b.receive(into: &pool) { packet, from in
      #expect(from == a.local)
      lengths.append(packet.length)
    }
    #expect(count == 1)
    #expect(lengths == [2])
    let nothing = b.receive(into: &pool) { _, _ in Issue.record("nothing is there") }
    #expect(nothing == 0)
  }

  @Test func takenPortIsSaidSo() throws {
    let first = try UDPSocket(listen: Self.v4)
    do throws(CallError) {
      _ = try UDPSocket(listen: first.local)
      Issue.record("bound twice")
    } catch {
      #expect(error.description == "bind \(first.local): Address already in use")
      #expect(error.advice.contains("port"))
    }
  }

  @Test func foreignAddressIsSaidSo() {
    #expect(throws: CallError.self) { try UDPSocket(listen: Endpoint("192.0.2.77:0")!) }
  }

  @Test(.enabled(if: geteuid() == 0, "needs root: larger socket buffers than the system's limit"))
  func buffersAreAsLargeAsAskedFor() throws {
    let socket = try UDPSocket(listen: Self.v4, bufferBytes: 6 << 20)
    #expect(socket.receiveBufferBytes == 12 << 20)
  }

  @Test(.enabled(if: missingForTUN == nil, "\(missingForTUN ?? "")"))
  func machineWithoutARouteIsUnreachable() throws {
    try inNetworkNamespace {
      let socket = try UDPSocket()
      #expect(socket.send(leaked([1]), to: Endpoint("192.0.2.1:7741")!) == .unreachable)
      #expect(socket.send(leaked([1]), to: Endpoint("[2001:db8::1]:7741")!) == .unreachable)
      #expect(socket.batch.counters.sendUnreachable == 2)
    }
  }
}
