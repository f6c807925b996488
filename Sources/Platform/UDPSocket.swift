// The underlay: one UDP socket for both families, in batches of up to 64 datagrams.
//
// One dual-stack socket, so that a node has one port whatever the family of a peer; a plain IPv4 socket when
// the machine has no IPv6 or an IPv4 address is asked for. An IPv4 address is the IPv4-mapped one on both
// sides of the border (as in `IPAddress`), so the conversion is two words and no allocation.
//
// Datagrams are never fragmented, and the kernel's own guess of the path MTU is not believed
// (IP_PMTUDISC_PROBE): sizes are probed by the paths themselves. A datagram that does not go is dropped and
// counted; loss is what the protocol is made for. ICMP errors are counted only: anyone can forge them, and
// paths are judged by their probes.
//
// *Invariant:* between calls the socket holds up to 64 slots of the pool, ready for the next batch, so it
// must always be handed the same pool.
import Base
import CLinux
import Glibc

/// What became of a datagram.
public enum SendOutcome: Sendable, Equatable {
  case sent
  /// The socket's buffer or the device's queue is full.
  case full
  /// Larger than the MTU of the interface it would leave by.
  case tooLarge
  /// No route, or a firewall of this machine forbids it.
  case unreachable
}

/// A received datagram. The receiver owns the slot.
public struct Arrival: Sendable, BitwiseCopyable {
  public var packet: PacketRef
  public var from: Endpoint
}

/// A non-blocking UDP socket. Belongs to one thread.
public final class UDPSocket {
  public struct Counters: Sendable, Equatable {
    public var received: UInt64 = 0
    public var sent: UInt64 = 0
    /// Received, but longer than a slot takes.
    public var truncated: UInt64 = 0
    /// Received while the pool had no slot.
    public var noSlot: UInt64 = 0
    /// ICMP errors and the like that a call reported.
    public var reportedErrors: UInt64 = 0
    public var sendFull: UInt64 = 0
    public var sendTooLarge: UInt64 = 0
    public var sendUnreachable: UInt64 = 0
  }

  /// The most datagrams one call moves.
  public static let batchMax = Int(LINUX_BATCH_MAX)
  /// Bytes asked for as each of the two socket buffers: about 20 ms at 1 Gbit/s, counted with the kernel's
  /// overhead.
  public static let bufferBytesDefault = 4 << 20

  public let fd: Int32
  public let local: Endpoint
  /// Whether it takes IPv6 peers too.
  public let isDualStack: Bool
  /// The size of the receive buffer that the kernel granted, in bytes of its own accounting (twice the
  /// payload).
  public let receiveBufferBytes: Int
  public private(set) var counters = Counters()

  private let family: Int32
  private let reserve: UnsafeMutablePointer<PacketRef>
  private let inbox: UnsafeMutablePointer<linux_datagram>
  private var reserved = 0
  private let arrivals: UnsafeMutablePointer<Arrival>
  private var arrived = 0
  private let queue: UnsafeMutablePointer<PacketRef>
  private let outbox: UnsafeMutablePointer<linux_datagram>
  private var queued = 0

  /// - Parameters:
  ///   - listen: where; nil or port 0 lets the kernel pick a port. The unspecified IPv6 address means every
  ///     address of
  ///     both families, the unspecified IPv4 address every IPv4 address.
  ///   - bufferBytes: size of each socket buffer; more than the system's limit needs CAP_NET_ADMIN, else the
  ///     limit.
  ///   - mark: the firewall mark of what is sent (needs CAP_NET_ADMIN).
  public init(
    listen: Endpoint? = nil, bufferBytes: Int = bufferBytesDefault, mark: UInt32? = nil
  ) throws(CallError) {
    let wanted = listen ?? Endpoint(.unspecified, port: 0)
    let opened = try Self.open(wanted, mark: mark)
    fd = opened.fd
    family = opened.family
    isDualStack = family == AF_INET6 && !wanted.address.isV4
    Self.grow(fd, SO_RCVBUFFORCE, SO_RCVBUF, bufferBytes)
    Self.grow(fd, SO_SNDBUFFORCE, SO_SNDBUF, bufferBytes)
    receiveBufferBytes = Self.option(fd, SO_RCVBUF)
    var bound = linux_datagram()
    _ = linux_udp_local(fd, &bound)
    local = bound.endpoint
    reserve = .allocate(capacity: Self.batchMax)
    inbox = .allocate(capacity: Self.batchMax)
    arrivals = .allocate(capacity: Self.batchMax)
    queue = .allocate(capacity: Self.batchMax)
    outbox = .allocate(capacity: Self.batchMax)
  }

  deinit {
    close(fd)
    reserve.deallocate()
    inbox.deallocate()
    arrivals.deallocate()
    queue.deallocate()
    outbox.deallocate()
  }

  /// Receives one batch: up to 64 datagrams into slots of `pool`, behind their headroom.
  /// - Returns: how many; `arrival(0 ..< count)` are they, until the next call. 0 when nothing was there.
  public func receive(into pool: inout PacketPool) -> Int {
    arrived = 0
    while reserved < Self.batchMax, pool.available > 0, let ref = pool.take(length: PacketPool.payloadMax) {
      reserve[reserved] = ref
      inbox[reserved] = linux_datagram(pool.frame(ref))
      reserved += 1
    }
    guard reserved > 0 else {
      discard()
      return 0
    }
    let count = receiveBatch()
    var kept = 0
    for i in 0..<count {
      if inbox[i].truncated != 0 {
        counters.truncated &+= 1
        reserve[kept] = reserve[i]
        inbox[kept] = inbox[i]
        kept += 1
      } else {
        var ref = reserve[i]
        ref.length = UInt16(inbox[i].length)
        arrivals[arrived] = Arrival(packet: ref, from: inbox[i].endpoint)
        arrived += 1
      }
    }
    for i in count..<reserved {
      reserve[kept] = reserve[i]
      inbox[kept] = inbox[i]
      kept += 1
    }
    reserved = kept
    counters.received &+= UInt64(arrived)
    return arrived
  }

  /// A datagram of the last batch. Each is to be asked for once, for its slot has one owner.
  public func arrival(_ index: Int) -> Arrival {
    precondition(index >= 0 && index < arrived)
    return arrivals[index]
  }

  /// Receives one batch and hands out its datagrams. `body` cannot use the pool meanwhile; who must, uses
  /// `arrival`.
  /// - Returns: how many there were.
  @discardableResult
  public func receive(into pool: inout PacketPool, _ body: (PacketRef, Endpoint) -> Void) -> Int {
    let count = receive(into: &pool)
    for i in 0..<count { body(arrivals[i].packet, arrivals[i].from) }
    return count
  }

  /// Gives back the slots that are held for the next batch and for `flush`, which forgets what was queued.
  public func returnSlots(to pool: inout PacketPool) {
    for i in 0..<reserved { pool.release(reserve[i]) }
    for i in 0..<queued { pool.release(queue[i]) }
    reserved = 0
    queued = 0
  }

  /// Sends one datagram now. What was queued before and not flushed goes later.
  @discardableResult
  public func send(_ frame: Frame, to endpoint: Endpoint) -> SendOutcome {
    var datagram = linux_datagram(frame, to: endpoint)
    return sent(linux_udp_send(fd, family, &datagram, 1), of: &datagram)
  }

  /// Queues a packet for `flush`, which also gives its slot back. A full queue is flushed first.
  public func enqueue(_ packet: PacketRef, to endpoint: Endpoint, pool: inout PacketPool) {
    if queued == Self.batchMax { flush(&pool) }
    queue[queued] = packet
    outbox[queued] = linux_datagram(pool.frame(packet), to: endpoint)
    queued += 1
  }

  /// Sends what was queued, in order and (unless something fails) with one system call.
  /// - Returns: how many went; the others are dropped and counted.
  @discardableResult
  public func flush(_ pool: inout PacketPool) -> Int {
    var done = 0
    var gone = 0
    while done < queued {
      let n = linux_udp_send(fd, family, outbox + done, Int32(queued - done))
      if n > 0 {
        counters.sent &+= UInt64(n)
        gone += Int(n)
        done += Int(n)
        continue
      }
      let outcome = sent(n, of: outbox + done)
      done += 1
      if outcome == .sent { gone += 1 }
      if outcome == .full {
        counters.sendFull &+= UInt64(queued - done)
        break
      }
    }
    for i in 0..<queued { pool.release(queue[i]) }
    queued = 0
    return gone
  }

  /// Judges the `result` of sending one datagram; tries again when the error was not about it.
  private func sent(_ result: Int32, of datagram: UnsafeMutablePointer<linux_datagram>) -> SendOutcome {
    var result = result
    // An error that was pending on the socket is reported by the next call, instead of its work.
    var attempts = 0
    while attempts < 3, result == -EINTR || result == -ECONNREFUSED || result == -EPROTO {
      if result != -EINTR { counters.reportedErrors &+= 1 }
      result = linux_udp_send(fd, family, datagram, 1)
      attempts += 1
    }
    switch result {
    case 0...:
      counters.sent &+= 1
      return .sent
    case -EAGAIN, -ENOBUFS, -ENOMEM:
      counters.sendFull &+= 1
      return .full
    case -EMSGSIZE:
      counters.sendTooLarge &+= 1
      return .tooLarge
    default:
      counters.sendUnreachable &+= 1
      return .unreachable
    }
  }

  private func receiveBatch() -> Int {
    for _ in 0..<8 {
      let count = linux_udp_receive(fd, inbox, Int32(reserved))
      if count >= 0 { return Int(count) }
      if count == -EAGAIN { return 0 }
      if count != -EINTR { counters.reportedErrors &+= 1 }
    }
    return 0
  }

  /// Throws away a batch, because no slot is free: else the loop would be told of it again at once, for ever.
  private func discard() {
    for _ in 0..<Self.batchMax {
      guard recv(fd, nil, 0, Int32(MSG_DONTWAIT)) >= 0 else { return }
      counters.noSlot &+= 1
    }
  }
}

// Set-up.
extension UDPSocket {
  private static func open(_ wanted: Endpoint, mark: UInt32?) throws(CallError) -> (fd: Int32, family: Int32)
  {
    if wanted.address.isV4 { return (try open(wanted, AF_INET, mark), AF_INET) }
    do {
      return (try open(wanted, AF_INET6, mark), AF_INET6)
    } catch {
      let noIPv6 = error.code == EAFNOSUPPORT || error.code == EADDRNOTAVAIL
      guard noIPv6, wanted.address.isUnspecified else { throw error }
      return (try open(Endpoint(IPAddress(v4: 0), port: wanted.port), AF_INET, mark), AF_INET)
    }
  }

  private static func open(_ wanted: Endpoint, _ family: Int32, _ mark: UInt32?) throws(CallError) -> Int32 {
    let flags = SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    let fd = try checked(socket(family, Int32(flags), 0), "socket")
    do throws(CallError) {
      if family == AF_INET6 { try set(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0, "IPV6_V6ONLY") }
      try set(fd, Int32(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, "IP_MTU_DISCOVER")
      if family == AF_INET6 {
        try set(fd, Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, "IPV6_MTU_DISCOVER")
      }
      if let mark { try set(fd, SOL_SOCKET, SO_MARK, Int32(bitPattern: mark), "SO_MARK") }
      let address = wanted.address
      try checkedNegated(
        linux_udp_bind(fd, family, address.high, address.low, wanted.port), "bind \(wanted)",
        advice: bindAdvice)
      return fd
    } catch {
      close(fd)
      throw error
    }
  }

  private static func bindAdvice(_ code: Int32) -> String {
    switch code {
    case EADDRINUSE: "another program uses this port; stop it or listen on another one"
    case EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one"
    case EADDRNOTAVAIL:
      "no interface of this machine has this address; leave the address out to use all of them"
    default: ""
    }
  }

  private static func set(
    _ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32, _ text: String
  ) throws(CallError) {
    var value = value
    try checked(setsockopt(fd, level, name, &value, 4), "setsockopt \(text)")
  }

  private static func grow(_ fd: Int32, _ force: Int32, _ plain: Int32, _ bytes: Int) {
    var value = Int32(clamping: bytes)
    if setsockopt(fd, SOL_SOCKET, force, &value, 4) < 0 { _ = setsockopt(fd, SOL_SOCKET, plain, &value, 4) }
  }

  private static func option(_ fd: Int32, _ name: Int32) -> Int {
    var value: Int32 = 0
    var size = socklen_t(4)
    _ = getsockopt(fd, SOL_SOCKET, name, &value, &size)
    return Int(value)
  }
}

extension linux_datagram {
  fileprivate init(_ frame: Frame) {
    self.init()
    base = frame.base
    capacity = UInt32(frame.count)
  }

  fileprivate init(_ frame: Frame, to endpoint: Endpoint) {
    self.init(frame)
    length = UInt32(frame.count)
    high = endpoint.address.high
    low = endpoint.address.low
    port = endpoint.port
  }

  fileprivate var endpoint: Endpoint { Endpoint(IPAddress(high: high, low: low), port: port) }
}
