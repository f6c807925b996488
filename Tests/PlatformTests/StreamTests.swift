// TCP connections that carry datagrams: StreamTable, StreamListener, StreamQueue. Real ones, on loopback
// only; the time that limits are measured by is the test's.
import Base
import Glibc
import Testing

@testable import Platform

/// A table, its loop, and what came.
private final class Node {
  static let listenerToken: UInt32 = 1
  let loop: EventLoop
  let listener: StreamListener
  let table: StreamTable
  var pool = PacketPool(capacity: 64)
  var got: [(bytes: [UInt8], from: Endpoint)] = []
  var ended: [SocketNumber] = []
  var now = Instant.start + .seconds(1)

  init(listen: Endpoint = Endpoint("127.0.0.1:0")!) throws {
    loop = try EventLoop()
    listener = try StreamListener(listen: listen)
    table = try StreamTable(
      loop, firstToken: 16, listener: listener, listenerToken: Self.listenerToken, source: .unspecified)
  }

  var endpoint: Endpoint { listener.local }

  /// One turn of a loop; waits for 10 ms when there is nothing.
  func turn() {
    var tokens: [UInt32] = []
    loop.wait(until: Clock.now() + .milliseconds(10)) { tokens.append($0) }
    table.expire(at: now)
    for token in tokens {
      if token == Self.listenerToken {
        table.accept(at: now)
        continue
      }
      table.serve(token: token, at: now)
      while let arrival = table.next(into: &pool) {
        got.append((pool.frame(arrival.packet).bytes, arrival.from))
        pool.release(arrival.packet)
      }
    }
    table.flush()
    while let number = table.takeEnded() { ended.append(number) }
  }

  func send(_ bytes: [UInt8], to endpoint: Endpoint) {
    guard let slot = pool.take(copying: leaked(bytes)) else { return }
    table.enqueue(slot, to: endpoint, at: now, pool: &pool)
  }
}

/// Turns of all until the condition holds, five seconds at most.
private func turns(_ nodes: [Node], until condition: () -> Bool) -> Bool {
  let end = Clock.now() + .seconds(5)
  while !condition() {
    if Clock.now() > end { return false }
    for node in nodes { node.turn() }
  }
  return true
}

/// A connection without rules.
private final class Raw {
  let fd: Int32

  init(to endpoint: Endpoint, from source: UInt32 = 0x7F00_0001) throws {
    fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(fd >= 0)
    try #require(Self.call(fd, source, 0, bind) == 0)
    try #require(Self.call(fd, endpoint.address.v4, endpoint.port, connect) == 0)
  }

  deinit { close(fd) }

  private static func call(
    _ fd: Int32, _ address: UInt32, _ port: UInt16,
    _ function: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32
  ) -> Int32 {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = address.bigEndian
    return withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        function(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  func write(_ bytes: [UInt8]) { _ = Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

  /// What is there; nil at the end.
  func read() -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(fd, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    if count > 0 { return Array(bytes[..<count]) }
    return count < 0 && errno == EAGAIN ? [] : nil
  }
}

private func framed(_ bytes: [UInt8]) -> [UInt8] {
  [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
}

@Suite struct StreamTests {
  private static let first = SocketNumber.ownStream(place: 3, life: 7)

  @Test func datagramsKeepTheirBordersInBothDirections() throws {
    let (a, b) = (try Node(), try Node())
    let sizes = [1, 2, 255, 256, 1_452, PacketPool.payloadMax]
    let sent = sizes.map { size in [1] + [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size - 1)
    }
    let way = b.endpoint.through(Self.first)
    try a.table.connect(to: way, at: a.now)
    for bytes in sent { a.send(bytes, to: way) }
    #expect(turns([a, b]) { b.got.count == sent.count })
    #expect(b.got.map(\.bytes) == sent)
    let back = try #require(b.got.first?.from)
    #expect(back.socket.isAcceptedStream && back.listening == .none && back.address == a.endpoint.address)
    #expect(b.table.halfOpenCount == 1, "nobody has answered")
    for bytes in sent.reversed() { b.send(bytes, to: back) }
    #expect(turns([a, b]) { a.got.count == sent.count })
    #expect(a.got.map(\.bytes) == sent.reversed())
    #expect(a.got.allSatisfy { $0.from == way })
    #expect(b.table.halfOpenCount == 0)
    #expect(a.pool.available == a.pool.capacity && b.pool.available == b.pool.capacity)
  }

  @Test func bytesThatComeSinglyMakeTheSameDatagrams() throws {
    let node = try Node()
    let raw = try Raw(to: node.endpoint)
    let bytes = framed([1, 2, 3]) + framed([UInt8](repeating: 9, count: 300)) + framed([4])
    for byte in bytes {
      raw.write([byte])
      node.turn()
    }
    #expect(turns([node]) { node.got.count == 3 })
    #expect(node.got.map(\.bytes.count) == [3, 300, 1])
  }

  @Test(arguments: [
    [0, 0], framed([4, 1, 2]),
    [UInt8(PacketPool.payloadMax >> 8), UInt8(PacketPool.payloadMax & 0xFF) + 1, 1],
    [0xFF, 0xFF, 1, 1], framed([1]) + [0, 0],
  ]) func garbageEndsTheConnection(_ bytes: [UInt8]) throws {
    let node = try Node()
    let raw = try Raw(to: node.endpoint)
    raw.write(bytes)
    #expect(turns([node]) { node.table.counters.garbage == 1 })
    #expect(node.table.count == 0)
    #expect(turns([node]) { raw.read() == nil })
    #expect(node.ended.count == node.got.count, "only of whom the core has heard, it hears again")
  }

  @Test func whoSaysNothingIsClosedAfterThreeSeconds() throws {
    let node = try Node()
    let raw = try Raw(to: node.endpoint)
    raw.write([0])
    #expect(turns([node]) { node.table.halfOpenCount == 1 })
    #expect(node.table.deadline == node.now + StreamTable.handshakeTime)
    node.now = node.table.deadline
    node.turn()
    #expect(node.table.count == 0 && node.table.counters.expired == 1 && node.table.deadline == .never)
    #expect(turns([node]) { raw.read() == nil })
  }

  @Test func halfOpenOnesAreFewAndFewOfOneNetwork() throws {
    let node = try Node()
    var raws: [Raw] = []
    for i in 0..<UInt32(StreamTable.halfOpenPerNetworkMax + 1) {
      raws.append(try Raw(to: node.endpoint, from: 0x7F00_0101 + i))
    }
    #expect(turns([node]) { node.table.counters.refused == 1 })
    #expect(node.table.halfOpenCount == StreamTable.halfOpenPerNetworkMax)
    for network in 2...UInt32(StreamTable.halfOpenMax / StreamTable.halfOpenPerNetworkMax) {
      for i in 0..<UInt32(StreamTable.halfOpenPerNetworkMax) {
        raws.append(try Raw(to: node.endpoint, from: 0x7F00_0001 + network << 8 + i))
      }
    }
    #expect(turns([node]) { node.table.halfOpenCount == StreamTable.halfOpenMax })
    raws.append(try Raw(to: node.endpoint, from: 0x7F00_6401))
    #expect(turns([node]) { node.table.counters.refused == 2 })
    #expect(node.table.count == StreamTable.halfOpenMax)
    // One that is answered makes room for another.
    raws[0].write(framed([1, 2]))
    #expect(turns([node]) { node.got.count == 1 })
    node.send([2], to: node.got[0].from)
    raws.append(try Raw(to: node.endpoint, from: 0x7F00_6401))
    #expect(turns([node]) { node.table.count == StreamTable.halfOpenMax + 1 })
  }

  @Test func oneNetworkHasAnEighthOfThePlacesAtMost() throws {
    let node = try Node()
    var raws: [Raw] = []
    for i in 0..<UInt32(StreamTable.acceptedPerNetworkMax) {
      raws.append(try Raw(to: node.endpoint, from: 0x7F00_0101 + i))
      raws.last!.write(framed([1]))
      try #require(turns([node]) { node.got.count == raws.count })
      node.send([2], to: node.got.last!.from)
    }
    #expect(node.table.halfOpenCount == 0 && node.table.count == StreamTable.acceptedPerNetworkMax)
    raws.append(try Raw(to: node.endpoint, from: 0x7F00_01F0))
    #expect(turns([node]) { node.table.counters.refused == 1 })
    raws.append(try Raw(to: node.endpoint, from: 0x7F00_0201))
    #expect(turns([node]) { node.table.count == StreamTable.acceptedPerNetworkMax + 1 })
    // One that goes makes room.
    raws.removeFirst()
    #expect(turns([node]) { node.ended.count == 1 })
    raws.append(try Raw(to: node.endpoint, from: 0x7F00_01F0))
    #expect(turns([node]) { node.table.count == StreamTable.acceptedPerNetworkMax + 1 })
    #expect(node.table.counters.refused == 1)
  }

  /// Whoever was answered once would hold a place for ever.
  @Test func onlyRecordsOfOurOwnHoldAPlace() throws {
    let node = try Node()
    let raw = try Raw(to: node.endpoint)
    raw.write(framed([1]))
    try #require(turns([node]) { node.got.count == 1 })
    let from = node.got[0].from
    node.send([2], to: from)
    for _ in 0..<4 {
      node.now = node.now + .seconds(25)
      node.send([4, 0], to: from)
      node.turn()
    }
    #expect(node.table.count == 1)
    for n in 2...3 {
      node.now = node.now + .seconds(25)
      raw.write(framed([4, 0]))
      node.send([7], to: from)
      try #require(turns([node]) { node.got.count == n })
    }
    #expect(node.table.count == 1)
    node.now = node.now + .seconds(25)
    #expect(turns([node]) { node.table.count == 0 })
    #expect(node.ended == [from.socket])
  }

  /// In a process of its own: the limit is the process's.
  @Test func listenerMoves() throws {
    let (one, other) = (try Node(), try Node())
    let before = one.endpoint
    let old = try Raw(to: before)
    #expect(turns([one]) { one.table.count == 1 })
    let fresh = try StreamListener(listen: Endpoint("127.0.0.1:0")!)
    try one.table.listen(by: fresh)
    try other.table.connect(to: fresh.local.through(Self.first), at: other.now)
    other.send([1, 5, 6], to: fresh.local.through(Self.first))
    #expect(turns([one, other]) { !one.got.isEmpty }, "the new port takes connections")
    old.write(framed([1, 8, 9]))
    #expect(turns([one]) { one.got.count == 2 }, "what came in by the old port stays")
    let late = try Raw(to: before)
    for _ in 0..<3 { one.turn() }
    #expect(one.table.count == 2, "nobody comes in by the old one")
    withExtendedLifetime(late) {}
  }

  @Test func listenerRestsWhileNoDescriptorIsLeft() async {
    await #expect(processExitsWith: .success) {
      let node = try Node()
      let raw = try Raw(to: node.endpoint)
      var before = rlimit()
      try #require(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before) == 0)
      let next = dup(raw.fd)
      close(next)
      var limit = rlimit(rlim_cur: rlim_t(next), rlim_max: before.rlim_max)
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
      try #require(turns([node]) { node.table.counters.exhausted == 1 })
      let deadline = node.now + StreamTable.acceptPause
      try #require(node.table.deadline == deadline)
      // Who waits is reported no more, so nothing spins, and is looked at a second later.
      for _ in 0..<3 { node.turn() }
      try #require(node.table.counters.exhausted == 1)
      node.now = deadline
      try #require(turns([node]) { node.table.counters.exhausted == 2 })
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before) == 0)
      node.now = node.table.deadline
      try #require(turns([node]) { node.table.counters.accepted == 1 })
    }
  }

  @Test func refusedAndEndedConnectionsAreToldOnce() throws {
    let (a, b) = (try Node(), try Node())
    let gone = try Node().endpoint
    let way = gone.through(Self.first)
    try? a.table.connect(to: way, at: a.now)
    #expect(turns([a]) { a.ended == [Self.first] })
    let other = b.endpoint.through(.ownStream(place: 3, life: 8))
    try a.table.connect(to: other, at: a.now)
    a.send([1], to: other)
    #expect(turns([a, b]) { b.got.count == 1 })
    a.table.close(other.socket)
    #expect(turns([a, b]) { b.ended.count == 1 })
    #expect(a.ended == [Self.first], "who closes it needs not be told")
    #expect(a.table.count == 0 && b.table.count == 0)
    a.send([1], to: other)
    #expect(a.table.counters.noStream == 1 && a.pool.available == a.pool.capacity)
  }

  @Test func datagramsWithoutASlotAreDropped() throws {
    let node = try Node()
    let raw = try Raw(to: node.endpoint)
    let held = (0..<node.pool.capacity).compactMap { _ in node.pool.take(length: 1) }
    raw.write(framed([1, 1]) + framed([1, 2]))
    #expect(turns([node]) { node.table.counters.noSlot == 2 })
    for slot in held { node.pool.release(slot) }
    raw.write(framed([1, 3]))
    #expect(turns([node]) { node.got.map(\.bytes) == [[1, 3]] })
  }

  @Test func whoDoesNotReadLosesWholeDatagrams() throws {
    let node = try Node()
    let raw = try Raw(to: node.endpoint)
    raw.write(framed([1]))
    #expect(turns([node]) { node.got.count == 1 })
    let back = node.got[0].from
    // Far more than all queues hold; the clock of the limits goes on by a millisecond each time.
    var number: UInt32 = 0
    for _ in 0..<3_000 {
      for _ in 0..<4 {
        number += 1
        node.send([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1_400), to: back)
      }
      node.table.flush()
      node.now = node.now + .milliseconds(1)
    }
    #expect(node.table.counters.queueFull > 0)
    let taken = node.table.counters.queued
    // A question still gets through.
    node.send([7, 7, 7], to: back)
    #expect(node.table.counters.queued == taken + 1)
    var bytes: [UInt8] = []
    let wanted = Int(taken) * 1_402 + 5
    #expect(
      turns([node]) {
        while let more = raw.read(), !more.isEmpty { bytes += more }
        return bytes.count >= wanted
      })
    #expect(bytes.count == wanted)
    var at = 0
    var isWhole = true
    while at + 1_402 <= bytes.count - 5 {
      isWhole = isWhole && bytes[at] == 5 && bytes[at + 1] == 0x78
      isWhole = isWhole && Set(bytes[(at + 2)..<(at + 1_402)]).count == 1
      at += 1_402
    }
    #expect(isWhole && Array(bytes[at...]) == framed([7, 7, 7]))
  }
}

@Suite struct StreamQueueTests {
  private let data = leaked([UInt8](repeating: 1, count: 1_000))
  private let question = leaked([UInt8](repeating: 2, count: 60))

  @Test func dataWaitsForATenthOfASecondAtMost() {
    var queue = StreamQueue()
    var now = Instant.start + .seconds(10)
    var taken: [Bool] = []
    taken.append(queue.append(data, at: now))
    now = now + .milliseconds(60)
    taken.append(queue.append(data, at: now))
    now = now + .milliseconds(60)
    // The first has waited 120 ms.
    taken.append(queue.append(data, at: now))
    taken.append(queue.append(question, at: now))
    queue.removeFirst(1_002)
    // What is there now has waited 60 ms.
    taken.append(queue.append(data, at: now))
    queue.removeFirst(queue.waiting.count)
    let left = queue.waiting.count
    #expect(left == 0)
    now = now + .seconds(5)
    taken.append(queue.append(data, at: now))
    #expect(taken == [true, true, false, true, true, true])
  }

  @Test func memoryIsBoundedAndKeepsRoomForQuestions() {
    var queue = StreamQueue()
    let now = Instant.start + .seconds(10)
    var count = 0
    while queue.append(data, at: now) { count += 1 }
    #expect(count == (StreamQueue.capacity - StreamQueue.reserve) / 1_002)
    var questions = 0
    while queue.append(question, at: now) { questions += 1 }
    let waiting = queue.waiting.count
    #expect(questions > 250 && waiting <= StreamQueue.capacity)
    // What is left moves to the front when the end is reached.
    queue.removeFirst(1_002 * 10)
    let isTaken = queue.append(question, at: now)
    let front = queue.waiting
    #expect(isTaken && front[0] == 3 && front[2] == 1)
  }
}
