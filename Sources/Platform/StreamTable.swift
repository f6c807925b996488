// All TCP connections of a node: those that the core has begun, and those that others have.
//
// Anybody may connect, so what is accepted is bounded: a connection is *half-open* until this node has
// answered its first frame, which must be a handshake, within 3 s; there are at most 32 of these, 4 from one
// network, and 256 accepted ones in all, 32 from one network. A network is a /24, or for IPv6 a /48, so that
// nobody takes all places with addresses of his own. Who sends no whole frame for a minute is forgotten
// (paths are asked every 25 s): single bytes hold no place.
//
// When the process has no descriptor left, the listener rests for a second and the system keeps who waits.
//
// One read takes at most 32 KiB of a connection, from which whole frames are copied into slots of the pool;
// the beginning of a frame waits for its end in the connection's own memory. What is to be sent is queued,
// and leaves at the end of the driver's turn; the loop watches for room to write only while something waits.
// A datagram that finds no slot, or no room in the queue, is dropped and counted. Nothing here allocates for
// a datagram.
import Base
import Glibc

/// Connections by their numbers. Belongs to the thread of the loop.
public final class StreamTable {
  public struct Counters: Sendable, Equatable {
    public var received: UInt64 = 0
    public var queued: UInt64 = 0
    /// Not queued, because the queue was full, or too old.
    public var queueFull: UInt64 = 0
    /// Received while the pool had no slot.
    public var noSlot: UInt64 = 0
    /// For a connection that is no more.
    public var noStream: UInt64 = 0
    public var accepted: UInt64 = 0
    /// Closed at once, because there were too many.
    public var refused: UInt64 = 0
    /// Nobody answered the first frame in time, or there was none.
    public var expired: UInt64 = 0
    /// Closed for a length that no datagram has, or for a first frame that is no handshake.
    public var garbage: UInt64 = 0
    /// The system had no descriptor left.
    public var exhausted: UInt64 = 0
  }

  public static let halfOpenMax = 32
  public static let halfOpenPerNetworkMax = 4
  /// An eighth of all: those that share an address whose UDP is stopped find room, and seven more do.
  public static let acceptedPerNetworkMax = SocketNumber.acceptedStreamsMax / 8
  /// For the handshake of a connection that was accepted.
  public static let handshakeTime = Interval.seconds(3)
  /// For connecting.
  public static let connectTime = Interval.seconds(5)
  /// Without a record of ours. A path is asked more often, and what the other side sends proves nothing here.
  public static let silenceMax = Interval.seconds(60)
  /// Without descriptors, connections are not looked at for this long.
  public static let acceptPause = Interval.seconds(1)
  /// Taken in a turn.
  private static let acceptMax = 16
  /// The first byte of a handshake init (`PROTOCOL.md`).
  private static let initKind: UInt8 = 1
  private static let recordKind: UInt8 = 4
  private static let resetKind: UInt8 = 7
  private static let readBytes = 32 << 10

  public private(set) var counters = Counters()
  /// When `expire` has something to do.
  public private(set) var deadline: Instant = .never
  private let loop: EventLoop
  /// A connection's token is this and its number; that of the listener is its own.
  private let firstToken: UInt32
  private var listener: StreamListener?
  private let listenerToken: UInt32
  private let source: IPAddress
  private var own: [StreamSocket?]
  private var accepted: [StreamSocket?]
  private var lives: UInt16 = 0
  private var listensAgainAt: Instant = .never
  /// Numbers of connections with something new in their queues, and of those that are over.
  private var dirty: [SocketNumber] = []
  private var ended: [SocketNumber] = []
  /// What was read last, which of it was not handed out yet, and from whom.
  private let inbox: Frame
  private var inboxBytes = 0
  private var inboxAt = 0
  private var reading: StreamSocket?

  /// - Parameters:
  ///   - listener: nil when others cannot connect.
  ///   - source: the address that own connections come from, the unspecified one for any.
  public init(
    _ loop: EventLoop, firstToken: UInt32, listener: StreamListener?, listenerToken: UInt32, source: IPAddress
  ) throws(CallError) {
    self.loop = loop
    self.firstToken = firstToken
    self.listener = listener
    self.listenerToken = listenerToken
    self.source = source
    own = Array(repeating: nil, count: SocketNumber.ownStreamsMax)
    accepted = Array(repeating: nil, count: SocketNumber.acceptedStreamsMax)
    dirty.reserveCapacity(own.count + accepted.count)
    ended.reserveCapacity(own.count + accepted.count)
    let bytes = StreamQueue.headerBytes + PacketPool.payloadMax + Self.readBytes
    inbox = Frame(base: .allocate(byteCount: bytes, alignment: 64), count: bytes)
    if let listener { try loop.add(listener.fd, token: listenerToken) }
  }

  /// Takes connections at another port from now on. Those that stand stay. When it fails all is as before.
  public func listen(by fresh: StreamListener) throws(CallError) {
    try loop.add(fresh.fd, token: listenerToken)
    if let listener { loop.remove(listener.fd) }
    listensAgainAt = .never
    listener = fresh
  }

  deinit { inbox.base.deallocate() }

  /// How many there are.
  public var count: Int { own.reduce(0) { $0 + ($1 == nil ? 0 : 1) } + acceptedCount { _ in true } }

  public var halfOpenCount: Int { acceptedCount { $0.state == .halfOpen } }

  private func acceptedCount(_ counts: (StreamSocket) -> Bool) -> Int {
    accepted.reduce(0) { $0 + ($1.map(counts) == true ? 1 : 0) }
  }

  private func find(_ number: SocketNumber) -> StreamSocket? {
    guard number.isStream else { return nil }
    let stream = number.isAcceptedStream ? accepted[number.place] : own[number.place]
    return stream?.endpoint.socket == number ? stream : nil
  }

  private func token(_ stream: StreamSocket) -> UInt32 { token(stream.endpoint.socket) }

  private func token(_ number: SocketNumber) -> UInt32 { firstToken + UInt32(number.value) }

  // MARK: - Beginning

  /// Begins a connection under the number in the endpoint. What is sent meanwhile waits.
  public func connect(to endpoint: Endpoint, at now: Instant) throws(CallError) {
    precondition(endpoint.socket.isOwnStream)
    let stream = try StreamSocket.connect(to: endpoint, from: source, at: now)
    try loop.add(stream.fd, token: token(stream))
    own[endpoint.socket.place] = stream
    watch(stream, writes: true)
    deadline = min(deadline, now + Self.connectTime)
  }

  /// Takes the connections that others have made.
  public func accept(at now: Instant) {
    guard let listener else { return }
    for _ in 0..<Self.acceptMax {
      switch listener.accept() {
      case .none: return
      case .gone: continue
      case .exhausted:
        counters.exhausted &+= 1
        // Else the loop would tell of it at once again, for ever.
        loop.remove(listener.fd)
        listensAgainAt = now + Self.acceptPause
        deadline = min(deadline, listensAgainAt)
        return
      case .accepted(let fd, let from): admit(fd, from, at: now)
      }
    }
  }

  private func admit(_ fd: Int32, _ from: Endpoint, at now: Instant) {
    let (all, halfOpen) = neighbours(of: from.address)
    guard let place = accepted.firstIndex(where: { $0 == nil }), halfOpenCount < Self.halfOpenMax,
      halfOpen < Self.halfOpenPerNetworkMax, all < Self.acceptedPerNetworkMax
    else { return refuse(fd) }
    lives &+= 1
    let number = SocketNumber.acceptedStream(place: place, life: lives)
    guard (try? loop.add(fd, token: token(number))) != nil else { return refuse(fd) }
    let stream = StreamSocket(fd: fd, endpoint: from.through(number), .halfOpen, at: now)
    accepted[place] = stream
    counters.accepted &+= 1
    deadline = min(deadline, now + Self.handshakeTime)
  }

  private func refuse(_ fd: Int32) {
    counters.refused &+= 1
    StreamSocket.refuse(fd)
  }

  /// How many connections one network has here.
  private func neighbours(of address: IPAddress) -> (all: Int, halfOpen: Int) {
    var count = (all: 0, halfOpen: 0)
    for case let stream? in accepted where stream.endpoint.address.isOneNetwork(with: address) {
      count.all += 1
      if stream.state == .halfOpen { count.halfOpen += 1 }
    }
    return count
  }

  // MARK: - Ending

  /// Closes a connection; what the system takes at once still leaves.
  public func close(_ number: SocketNumber) {
    guard let stream = find(number) else { return }
    if stream.state != .connecting { _ = write(stream) }
    forget(stream)
  }

  /// A connection that is over without the core's doing, each once.
  public func takeEnded() -> SocketNumber? { ended.popLast() }

  private func forget(_ stream: StreamSocket) {
    let number = stream.endpoint.socket
    loop.remove(stream.fd)
    if number.isAcceptedStream { accepted[number.place] = nil } else { own[number.place] = nil }
  }

  private func end(_ stream: StreamSocket) {
    if stream.endpoint.socket.isOwnStream || stream.hasSpoken { ended.append(stream.endpoint.socket) }
    forget(stream)
  }

  /// Does what is due.
  public func expire(at now: Instant) {
    guard deadline <= now else { return }
    deadline = .never
    if listensAgainAt <= now, let listener {
      listensAgainAt = .never
      if (try? loop.add(listener.fd, token: listenerToken)) == nil { listensAgainAt = now + Self.acceptPause }
    }
    deadline = min(deadline, listensAgainAt)
    for stream in own { if let stream { expire(stream, now) } }
    for stream in accepted { if let stream { expire(stream, now) } }
  }

  private func expire(_ stream: StreamSocket, _ now: Instant) {
    let endsAt =
      switch stream.state {
      case .connecting: stream.beganAt + Self.connectTime
      case .halfOpen: stream.beganAt + Self.handshakeTime
      case .open: stream.usedAt + Self.silenceMax
      }
    guard endsAt <= now else {
      deadline = min(deadline, endsAt)
      return
    }
    if stream.state == .halfOpen {
      counters.expired &+= 1
      stream.forgetOnClose()
    }
    end(stream)
  }

  // MARK: - Reading

  /// Reads from a connection that the loop has named, and writes what waits; `next` hands out what came.
  public func serve(token: UInt32, at now: Instant) {
    reading = nil
    guard let stream = find(SocketNumber(UInt16(truncatingIfNeeded: token &- firstToken))) else { return }
    if stream.state == .connecting {
      guard stream.finishConnecting() else { return end(stream) }
      stream.usedAt = now
      deadline = min(deadline, now + Self.silenceMax)
    }
    if stream.isWatchedForWrites, !write(stream) { return end(stream) }
    inbox.prefix(stream.restBytes).copy(stream.rest.prefix(stream.restBytes))
    let count = recv(
      stream.fd, inbox.base + stream.restBytes, Self.readBytes, Int32(MSG_DONTWAIT))
    if count <= 0 {
      if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
      return end(stream)
    }
    inboxBytes = stream.restBytes + count
    inboxAt = 0
    reading = stream
  }

  /// The next datagram of the connection that was served; nil when there is no more. The receiver owns the
  /// slot.
  public func next(into pool: inout PacketPool) -> Arrival? {
    while let stream = reading {
      // The core may have closed it meanwhile.
      guard find(stream.endpoint.socket) === stream else { break }
      let left = inboxBytes - inboxAt
      let length = left < StreamQueue.headerBytes ? 0 : Int(inbox.big(inboxAt, as: UInt16.self))
      if left >= StreamQueue.headerBytes, length == 0 || length > PacketPool.payloadMax {
        discard(stream)
        break
      }
      guard left >= StreamQueue.headerBytes, left >= StreamQueue.headerBytes + length else {
        stream.restBytes = left
        stream.rest.prefix(left).copy(inbox.slice(inboxAt, left))
        break
      }
      let datagram = inbox.slice(inboxAt + StreamQueue.headerBytes, length)
      inboxAt += StreamQueue.headerBytes + length
      if stream.state == .halfOpen, !stream.hasSpoken, datagram[0] != Self.initKind {
        discard(stream)
        break
      }
      stream.hasSpoken = true
      guard let slot = pool.take(copying: datagram) else {
        counters.noSlot &+= 1
        continue
      }
      counters.received &+= 1
      return Arrival(packet: slot, from: stream.endpoint)
    }
    reading = nil
    return nil
  }

  private func discard(_ stream: StreamSocket) {
    counters.garbage &+= 1
    stream.forgetOnClose()
    end(stream)
  }

  // MARK: - Writing

  /// Queues a datagram for `flush`. Takes its slot.
  public func enqueue(_ packet: PacketRef, to endpoint: Endpoint, at now: Instant, pool: inout PacketPool) {
    let datagram = pool.frame(packet)
    if let stream = find(endpoint.socket), !datagram.isEmpty {
      // A reset answers anybody: it is no sign that the peer is known.
      if stream.state == .halfOpen, datagram[0] != Self.resetKind {
        stream.state = .open
        stream.usedAt = now
        deadline = min(deadline, now + Self.silenceMax)
      }
      if datagram[0] == Self.recordKind { stream.usedAt = now }
      if stream.queue.append(datagram, at: now) {
        counters.queued &+= 1
        if !stream.isDirty { dirty.append(endpoint.socket) }
        stream.isDirty = true
      } else {
        counters.queueFull &+= 1
      }
    } else {
      counters.noStream &+= 1
    }
    pool.release(packet)
  }

  /// Sends what was queued, as far as the system takes it.
  public func flush() {
    for i in 0..<dirty.count {
      guard let stream = find(dirty[i]) else { continue }
      stream.isDirty = false
      if stream.state != .connecting, !stream.isWatchedForWrites, !write(stream) { end(stream) }
    }
    dirty.removeAll(keepingCapacity: true)
  }

  /// - Returns: false when the connection is over.
  private func write(_ stream: StreamSocket) -> Bool {
    while !stream.queue.isEmpty {
      let waiting = stream.queue.waiting
      let count = send(
        stream.fd, waiting.base, waiting.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
      if count > 0 {
        stream.queue.removeFirst(count)
      } else if count < 0, errno == EAGAIN {
        watch(stream, writes: true)
        return true
      } else if count == 0 || errno != EINTR {
        return false
      }
    }
    watch(stream, writes: false)
    return true
  }

  private func watch(_ stream: StreamSocket, writes: Bool) {
    guard stream.isWatchedForWrites != writes else { return }
    stream.isWatchedForWrites = writes
    loop.watch(stream.fd, token: token(stream), writes: writes)
  }
}
