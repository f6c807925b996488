// The sockets of a node: the one that it listens on, and those that the core has opened beside it.

import Base
import Platform

/// Sockets by the core's numbers. Belongs to the thread of the loop.
final class Sockets {
  /// Tokens of the loop below this are the daemon's; this and the number stand for a socket beside the main
  /// one.
  static let firstToken: UInt32 = 16

  private(set) var main: UDPSocket
  /// The main one of the start, if there is another one now: who knows its port still comes in.
  private(set) var former: UDPSocket?
  let streams: StreamTable
  private let loop: EventLoop
  /// By number, from 1 on; empty until the first is wanted.
  private var spares: [UDPSocket?] = []

  /// - Parameters:
  ///   - listener: the TCP port; nil when it is not to be had.
  ///   - listenerToken: what the loop says when somebody has connected.
  init(
    main: UDPSocket, listener: StreamListener?, listenerToken: UInt32, loop: EventLoop
  ) throws(CallError) {
    self.main = main
    self.loop = loop
    streams = try StreamTable(
      loop, firstToken: Self.firstToken, listener: listener, listenerToken: listenerToken,
      source: main.local.address)
  }

  /// Queues a datagram for `flush`. Takes its slot.
  func enqueue(_ packet: PacketRef, to endpoint: Endpoint, at now: Instant, pool: inout PacketPool) {
    if endpoint.socket == .main { return main.enqueue(packet, to: endpoint, pool: &pool) }
    if endpoint.socket.isStream { return streams.enqueue(packet, to: endpoint, at: now, pool: &pool) }
    guard let socket = spare(endpoint.socket) else { return pool.release(packet) }
    socket.enqueue(packet, to: endpoint, pool: &pool)
  }

  /// Sends what was queued.
  func flush(_ pool: inout PacketPool) {
    main.batch.flush(&pool)
    streams.flush()
  }

  /// The UDP socket that the loop has named; nil when it is a connection.
  func socket(token: UInt32) -> UDPSocket? { spare(SocketNumber(UInt16(token - Self.firstToken))) }

  func spare(_ number: SocketNumber) -> UDPSocket? {
    guard number.isSpare, spares.count >= Int(number.value) else { return nil }
    return spares[Int(number.value) - 1]
  }

  /// Opens a socket where the main one is, on a port of the system's choice.
  func open(_ number: SocketNumber) throws(CallError) {
    precondition(number.isSpare)
    let socket = try UDPSocket(
      listen: Endpoint(main.local.address, port: 0), number: number, batch: main.batch)
    try loop.add(socket.fd, token: Self.firstToken + UInt32(number.value))
    if spares.isEmpty { spares = [UDPSocket?](repeating: nil, count: Int(SocketNumber.sparesMax)) }
    spares[Int(number.value) - 1] = socket
  }

  /// Puts a socket on a port of the system's choice in the place of the main one, with its token of the loop,
  /// and listens for connections on the same port where it can be had.
  func rebind(token: UInt32, pool: inout PacketPool) throws(CallError) {
    let fresh = try UDPSocket(
      listen: Endpoint(main.local.address, port: 0), aggregates: main.isAggregating, segments: main.segments,
      batch: main.batch)
    try loop.add(fresh.fd, token: token)
    if former == nil {
      former = main
    } else {
      flush(&pool)
      loop.remove(main.fd)
    }
    main = fresh
    // Whoever moves is behind a box, and few connect to it: without the TCP port it goes on.
    if let listener = try? StreamListener(listen: fresh.local) { try? streams.listen(by: listener) }
  }

  /// Closes a socket; what was queued for it leaves first.
  func close(_ number: SocketNumber, pool: inout PacketPool) {
    if number.isStream { return streams.close(number) }
    guard let socket = spare(number) else { return }
    flush(&pool)
    loop.remove(socket.fd)
    spares[Int(number.value) - 1] = nil
  }
}
