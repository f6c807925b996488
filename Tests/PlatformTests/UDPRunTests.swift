// Goal: a run arrives as it was sent, however the kernels in between cut it and put it together, and its type
// of service with it.
// Method: real sockets on loopback, where a run crosses whole; namespaces for MTUs; a refusal is had from the
// kernel (it does not cut for a socket without checksums) and, for the code it gives elsewhere, pretended.
import Base
import CMallocCount
import Glibc
import Testing

@testable import Platform

/// Who sends to whom.
enum RunFamily: CaseIterable, Sendable {
  case v4, v6
  /// A socket of both families to an IPv4 socket and back: the address is IPv4-mapped.
  case mapped

  /// Two sockets; nil where the machine has no IPv6.
  func pair(aggregates: Bool = false) throws -> (UDPSocket, UDPSocket, Endpoint)? {
    let (v4, v6) = (Endpoint("127.0.0.1:0")!, Endpoint("[::1]:0")!)
    switch self {
    case .v4, .v6:
      let listen = self == .v4 ? v4 : v6
      guard let to = try? UDPSocket(listen: listen, aggregates: aggregates) else { return nil }
      return (try UDPSocket(listen: listen), to, to.local)
    case .mapped:
      let to = try UDPSocket(aggregates: aggregates)
      guard to.isDualStack else { return nil }
      return (try UDPSocket(), to, Endpoint(v4.address, port: to.local.port))
    }
  }
}

@Suite struct UDPRunTests {
  private static let segmentBytes = 1_000

  private struct Got: Equatable {
    var bytes: [UInt8]
    var segmentBytes: Int
    var tos: UInt8
  }

  private static func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
  }

  /// All that comes until there are `bytes`, each run as it is.
  private func gather(_ socket: UDPSocket, _ runs: UDPRuns, bytes: Int) -> [Got] {
    var list: [Got] = []
    var sum = 0
    while sum < bytes, isReadable(socket.fd, within: 1_000) {
      for i in 0..<socket.receive(runs: runs) {
        let run = runs[i]
        list.append(Got(bytes: run.frame.bytes, segmentBytes: run.segmentBytes, tos: run.tos))
        sum += run.frame.count
      }
    }
    return list
  }

  @Test(arguments: RunFamily.allCases, [1, 2, 63, 64]) func runArrivesAsARun(
    _ family: RunFamily, _ datagrams: Int
  ) throws {
    guard let (a, b, to) = try family.pair(aggregates: true) else { return }
    guard a.segments, b.isAggregating else { return }  // before Linux 5.0
    let runs = UDPRuns()
    // The last is shorter, and then as long as the others.
    for short in [400, 0] {
      let bytes = Self.pattern(datagrams * Self.segmentBytes - short)
      let before = (a.batch.counters, b.batch.counters)
      #expect(a.send(run: leaked(bytes), segmentBytes: Self.segmentBytes, to: to) == .sent)
      let got = gather(b, runs, bytes: bytes.count)
      let segment = datagrams == 1 ? bytes.count : Self.segmentBytes
      #expect(got == [Got(bytes: bytes, segmentBytes: segment, tos: 0)])
      #expect(runs[0].datagrams == datagrams)
      #expect(runs[0].from.port == a.local.port)
      #expect(runs[0].from.address.isLoopback)
      #expect(a.batch.counters.sent == before.0.sent + UInt64(datagrams))
      #expect(b.batch.counters.received == before.1.received + UInt64(datagrams))
      #expect(a.batch.counters.runsSent == before.0.runsSent + (datagrams > 1 ? 1 : 0))
      #expect(b.batch.counters.runsReceived == before.1.runsReceived + (datagrams > 1 ? 1 : 0))
    }
    #expect(a.batch.counters.runsInPieces == 0)
  }

  @Test(arguments: RunFamily.allCases, [1, 2, 63, 64]) func socketThatDoesNotAggregateSeesDatagrams(
    _ family: RunFamily, _ datagrams: Int
  ) throws {
    guard let (a, b, to) = try family.pair() else { return }
    #expect(!b.isAggregating)
    let bytes = Self.pattern(datagrams * Self.segmentBytes - 400)
    #expect(a.send(run: leaked(bytes), segmentBytes: Self.segmentBytes, to: to, tos: 0x02) == .sent)
    let got = gather(b, UDPRuns(), bytes: bytes.count)
    #expect(got.count == datagrams)
    #expect(got.flatMap(\.bytes) == bytes)
    #expect(got.allSatisfy { $0.segmentBytes == $0.bytes.count && $0.tos == 0x02 })
    #expect(got.last?.bytes.count == 600)
    #expect(b.batch.counters.received == UInt64(datagrams))
    #expect(b.batch.counters.runsReceived == 0)
  }

  @Test(arguments: RunFamily.allCases) func runOfTheLargestSizeArrives(_ family: RunFamily) throws {
    guard let (a, b, to) = try family.pair(aggregates: true), a.segments, b.isAggregating else { return }
    let runs = UDPRuns()
    let whole = Self.pattern(UDPSocket.runBytesWhole)
    #expect(a.send(run: leaked(whole), segmentBytes: 1_100, to: to) == .sent)
    #expect(gather(b, runs, bytes: whole.count) == [Got(bytes: whole, segmentBytes: 1_100, tos: 0)])
    // The kernel cuts what is longer before loopback's device; it arrives nevertheless.
    let longest = Self.pattern(UDPSocket.runBytesMax)
    #expect(a.send(run: leaked(longest), segmentBytes: 1_100, to: to) == .sent)
    #expect(gather(b, runs, bytes: longest.count).flatMap(\.bytes) == longest)
    #expect(a.batch.counters.runsInPieces == 0)
  }

  @Test(arguments: RunFamily.allCases, [UInt8(0x01), 0x02, 0x03, 0xB8, 0xBB]) func typeOfServiceGoesAlong(
    _ family: RunFamily, _ tos: UInt8
  ) throws {
    guard let (a, b, to) = try family.pair(aggregates: true) else { return }
    let runs = UDPRuns()
    let bytes = Self.pattern(3 * Self.segmentBytes)
    func exchange(_ from: UDPSocket, _ at: UDPSocket, _ to: Endpoint, _ tos: UInt8) -> Endpoint? {
      // A run, one datagram, and a run that is not cut by the kernel.
      #expect(from.send(run: leaked(bytes), segmentBytes: Self.segmentBytes, to: to, tos: tos) == .sent)
      #expect(from.send(run: leaked([1]), segmentBytes: Self.segmentBytes, to: to, tos: tos) == .sent)
      from.batch.cutAnswer = -EINVAL
      #expect(from.send(run: leaked(bytes), segmentBytes: Self.segmentBytes, to: to, tos: tos) == .sent)
      from.batch.cutAnswer = 0
      let got = gather(at, runs, bytes: 2 * bytes.count + 1)
      #expect(got.flatMap(\.bytes) == bytes + [1] + bytes)
      #expect(got.allSatisfy { $0.tos == tos })
      return runs.count > 0 ? runs[0].from : nil
    }
    let back = try #require(exchange(a, b, to, tos))
    #expect(back.address.isV4 == (family != .v6))
    _ = exchange(b, a, back, tos)
    _ = exchange(a, b, to, 0)
  }

  @Test(arguments: RunFamily.allCases) func emptyDatagramIsARunOfOne(_ family: RunFamily) throws {
    guard let (a, b, to) = try family.pair(aggregates: true) else { return }
    #expect(a.send(run: leaked([]), segmentBytes: 1, to: to) == .sent)
    #expect(isReadable(b.fd))
    let runs = UDPRuns()
    #expect(b.receive(runs: runs) == 1)
    #expect(runs[0].frame.isEmpty)
    #expect(runs[0].segmentBytes == 0)
    #expect(runs[0].datagrams == 1)
    #expect(b.receive(runs: runs) == 0)
    #expect(runs.count == 0)
  }

  @Test func oneReadBringsSixteenRunsOfSeveralSenders() throws {
    let b = try UDPSocket(listen: Endpoint("127.0.0.1:0")!, number: SocketNumber(3), aggregates: true)
    let senders = try (0..<4).map { _ in try UDPSocket(listen: Endpoint("127.0.0.1:0")!) }
    guard b.isAggregating, senders[0].segments else { return }
    for i in 0..<20 {
      let bytes = [UInt8](repeating: UInt8(i), count: 2 * (100 + i))
      #expect(senders[i % 4].send(run: leaked(bytes), segmentBytes: 100 + i, to: b.local) == .sent)
    }
    let runs = UDPRuns()
    var seen = 0
    for expected in [16, 4] {
      #expect(b.receive(runs: runs) == expected)
      for i in 0..<runs.count {
        #expect(runs[i].frame.bytes == [UInt8](repeating: UInt8(seen), count: 2 * (100 + seen)))
        #expect(runs[i].segmentBytes == 100 + seen)
        #expect(runs[i].from == senders[seen % 4].local.through(SocketNumber(3)))
        seen += 1
      }
    }
    #expect(b.batch.counters.received == 40)
    #expect(b.batch.counters.runsReceived == 20)
  }

  @Test func socketForWhichTheKernelDoesNotCutSendsInPieces() throws {
    let pair = try RunFamily.v4.pair(aggregates: true)
    let (a, b, to) = try #require(pair)
    guard a.segments else { return }
    var on: Int32 = 1
    try #require(setsockopt(a.fd, SOL_SOCKET, SO_NO_CHECK, &on, 4) == 0)
    let bytes = Self.pattern(64 * Self.segmentBytes - 1)
    for _ in 0..<3 {
      #expect(a.send(run: leaked(bytes), segmentBytes: Self.segmentBytes, to: to) == .sent)
      #expect(gather(b, UDPRuns(), bytes: bytes.count).flatMap(\.bytes) == bytes)
    }
    #expect(a.batch.counters.cutsRefused == 1, "and the address is remembered")
    #expect(a.batch.counters.runsInPieces == 3)
    #expect(a.batch.counters.runsSent == 0)
    #expect(a.batch.counters.sent == 192)
  }

  @Test func refusalIsOfOneAddressAndForAWhile() throws {
    let pair = try RunFamily.v4.pair(aggregates: true)
    let (a, b, to) = try #require(pair)
    let other = try UDPSocket(listen: Endpoint("127.0.0.9:0")!, aggregates: true)
    guard a.segments else { return }
    let runs = UDPRuns()
    let run = leaked(Self.pattern(10))
    a.batch.cutAnswer = -EIO
    #expect(a.send(run: run, segmentBytes: 5, to: to) == .sent)
    #expect(a.batch.counters.cutsRefused == 1)
    a.batch.cutAnswer = 0
    #expect(a.send(run: run, segmentBytes: 5, to: other.local) == .sent)
    #expect(a.batch.counters.runsSent == 1)
    for i in 0..<1_024 {
      #expect(a.send(run: run, segmentBytes: 5, to: to) == .sent)
      if i % 32 == 0 { while b.receive(runs: runs) > 0 {} }
    }
    #expect(a.batch.counters.runsSent == 1)
    #expect(a.batch.counters.runsInPieces == 1_025)
    #expect(a.send(run: run, segmentBytes: 5, to: to) == .sent)
    #expect(a.batch.counters.runsSent == 2)
    #expect(a.batch.counters.cutsRefused == 1)
  }

  @Test func refusalsAreForgottenOneByOne() {
    var refusals = CutRefusals()
    let addresses = (0..<200).map { IPAddress(v4: UInt32($0)) }
    for address in addresses { refusals.add(address) }
    // An address may have put another one out; none is refused that was not added.
    let isRefusedUnasked = refusals.take(IPAddress(v4: 1_000))
    #expect(!isRefusedUnasked)
    for _ in 0..<CutRefusals.runs { for address in addresses { _ = refusals.take(address) } }
    for address in addresses {
      let isRefused = refusals.take(address)
      #expect(!isRefused)
    }
    refusals.add(addresses[0])
    refusals.add(addresses[0])
    var refused: UInt32 = 0
    while refusals.take(addresses[0]) { refused += 1 }
    #expect(refused == CutRefusals.runs)
  }

  @Test func badDestinationIsNotTakenForARefusal() throws {
    let a = try UDPSocket(listen: Endpoint("127.0.0.1:0")!)
    let nowhere = Endpoint("127.0.0.1:0")!
    #expect(a.send(run: leaked(Self.pattern(30)), segmentBytes: 10, to: nowhere) == .unreachable)
    #expect(a.batch.counters.sendUnreachable == 3)
    #expect(a.batch.counters.cutsRefused == 0)
    #expect(a.batch.counters.runsInPieces == 0)
  }

  @Test(.enabled(if: missingForTUN == nil, "\(missingForTUN ?? "")"), arguments: ["127.0.0.1", "::1"])
  func datagramAboveTheRoutesMTUIsTooLarge(_ address: String) throws {
    try inNetworkNamespace {
      try Netlink().setUp(1, mtu: 1_400)
      let local = Endpoint(try #require(IPAddress(address)), port: 0)
      guard let b = try? UDPSocket(listen: local, aggregates: true) else { return }
      let a = try UDPSocket()
      let fits = 1_400 - 8 - (local.address.isV4 ? 20 : 40)
      let large = leaked(Self.pattern(10 * (fits + 1)))
      #expect(a.send(run: large, segmentBytes: fits + 1, to: b.local) == .tooLarge)
      #expect(a.batch.counters.sendTooLarge == 10)
      a.batch.cutAnswer = -EINVAL  // as kernels before Linux 6.14 say it
      #expect(a.send(run: large, segmentBytes: fits + 1, to: b.local) == .tooLarge)
      #expect(a.batch.counters.sendTooLarge == 20)
      a.batch.cutAnswer = 0
      #expect(a.send(run: leaked(Self.pattern(fits + 1)), segmentBytes: 9_000, to: b.local) == .tooLarge)
      #expect(a.batch.counters.cutsRefused == 0)
      #expect(a.batch.counters.sent == 0)
      let bytes = Self.pattern(10 * fits)
      #expect(a.send(run: leaked(bytes), segmentBytes: fits, to: b.local) == .sent)
      #expect(gather(b, UDPRuns(), bytes: bytes.count).flatMap(\.bytes) == bytes)
    }
  }

  @Test(.enabled(if: missingForTUN == nil, "\(missingForTUN ?? "")"))
  func runWithoutARouteIsUnreachable() throws {
    try inNetworkNamespace {
      let a = try UDPSocket()
      let run = leaked(Self.pattern(30))
      #expect(a.send(run: run, segmentBytes: 10, to: Endpoint("192.0.2.1:7741")!) == .unreachable)
      #expect(a.send(run: run, segmentBytes: 10, to: Endpoint("[2001:db8::1]:7741")!) == .unreachable)
      #expect(a.batch.counters.sendUnreachable == 6)
    }
  }

  /// Cut by the kernel, and not.
  @Test(arguments: RunFamily.allCases, [Int32(0), -EIO]) func runsAllocateNothing(
    _ family: RunFamily, _ answer: Int32
  ) throws {
    guard let (a, b, to) = try family.pair(aggregates: true) else { return }
    a.batch.cutAnswer = answer
    let run = leaked(Self.pattern(40 * Self.segmentBytes))
    let runs = UDPRuns()
    var bytes = 0
    func exchange(_ turns: Int) {
      for _ in 0..<turns {
        a.send(run: run, segmentBytes: Self.segmentBytes, to: to, tos: 2)
        while isReadable(b.fd, within: 0) {
          for i in 0..<b.receive(runs: runs) { bytes += runs[i].frame.count }
        }
      }
    }
    exchange(5)
    allocations_begin()
    exchange(200)
    let allocations = allocations_end()
    if allocations > 0 { allocations_show_first(STDERR_FILENO) }
    #expect(allocations == 0)
    #expect(bytes == 205 * run.count)
  }
}
