// Goal: no datagram costs an allocation on its way over a connection.
// Method: two tables and a real connection on loopback; the heap is counted for this thread, which does all
// of it: queueing, writing, waiting, reading, handing over.
import Base
import CMallocCount
import Glibc
import Platform
import Testing

@Suite struct StreamAllocationTests {
  /// A table, its loop and its pool.
  private final class Node {
    static let listenerToken: UInt32 = 1
    let loop: EventLoop
    let listener: StreamListener
    let table: StreamTable
    var pool = PacketPool(capacity: 64)
    /// Where the last datagram came from, and how many there were.
    var from = Endpoint.none
    var received = 0
    private var token: UInt32?

    init() throws {
      loop = try EventLoop()
      listener = try StreamListener(listen: Endpoint("127.0.0.1:0")!)
      table = try StreamTable(
        loop, firstToken: 16, listener: listener, listenerToken: Self.listenerToken, source: .unspecified)
    }

    func send(_ datagram: Frame, to endpoint: Endpoint) {
      guard let slot = pool.take(copying: datagram) else { return }
      table.enqueue(slot, to: endpoint, at: .start, pool: &pool)
      table.flush()
    }

    func turn() {
      token = nil
      loop.wait(until: Clock.now() + .milliseconds(10)) { token = $0 }
      guard let token else { return }
      if token == Self.listenerToken { return table.accept(at: .start) }
      table.serve(token: token, at: .start)
      while let arrival = table.next(into: &pool) {
        received += 1
        from = arrival.from
        pool.release(arrival.packet)
      }
    }

    /// Turns until so many datagrams have come; a second at most.
    func receive(upTo count: Int) {
      let end = Clock.now() + .seconds(1)
      while received < count, Clock.now() < end { turn() }
    }
  }

  /// Small and large; of a burst of these the last is cut by the end of what is read at a time.
  @Test(arguments: [100, 1_452, PacketPool.payloadMax]) func datagramsOverAConnectionAllocateNothing(
    bytes: Int
  ) throws {
    let (a, b) = (try Node(), try Node())
    let scratch = Scratch(capacity: bytes)
    scratch.frame.write([UInt8](repeating: 1, count: bytes))
    let there = b.listener.local.through(.ownStream(place: 0, life: 1))
    try a.table.connect(to: there, at: .start)
    a.send(scratch.frame, to: there)
    let end = Clock.now() + .seconds(5)
    while b.received == 0, Clock.now() < end {
      a.turn()
      b.turn()
    }
    try #require(b.received == 1)
    let back = b.from
    func exchange(_ turns: Int) {
      for _ in 0..<turns {
        // A burst: more than one read takes, when they are large.
        for _ in 0..<20 { a.send(scratch.frame, to: there) }
        b.receive(upTo: b.received + 20)
        b.send(scratch.frame, to: back)
        a.receive(upTo: a.received + 1)
      }
    }
    exchange(5)
    let (there0, back0) = (b.received, a.received)
    allocations_begin()
    exchange(200)
    let allocations = allocations_end()
    if allocations > 0 { allocations_show_first(STDERR_FILENO) }
    #expect(allocations == 0)
    #expect(b.received == there0 + 4_000 && a.received == back0 + 200)
  }
}
