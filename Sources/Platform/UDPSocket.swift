// The underlay: a UDP socket for both families, in batches of up to 64 datagrams.
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
// Sockets of one node share a batch (`UDPBatch`): a spare one costs a descriptor and nothing else.
import Base
import CLinux
import Glibc

/// A non-blocking UDP socket. Belongs to one thread.
public final class UDPSocket {
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
  public let batch: UDPBatch
  public let number: SocketNumber
  /// Whether the kernel may hand over many datagrams as one: then what comes is read with `receive(runs:)`.
  public let isAggregating: Bool
  /// Whether the kernel knows how to cut a run into datagrams (Linux 4.18). There may be routes where it will
  /// not.
  public let segments: Bool
  private let family: Int32

  /// - Parameters:
  ///   - listen: where; nil or port 0 lets the kernel pick a port. The unspecified IPv6 address means every
  ///     address of
  ///     both families, the unspecified IPv4 address every IPv4 address.
  ///   - bufferBytes: size of each socket buffer; more than the system's limit needs CAP_NET_ADMIN, else the
  ///     limit.
  ///   - mark: the firewall mark of what is sent (needs CAP_NET_ADMIN).
  ///   - number: what the core calls it; stands in the endpoints of what is received.
  ///   - aggregates: whether runs are to come as runs, if the kernel can (`isAggregating`).
  ///   - segments: whether they may leave as runs, if it can.
  ///   - batch: that of the node's other sockets, if it has any.
  public init(
    listen: Endpoint? = nil, bufferBytes: Int = bufferBytesDefault, mark: UInt32? = nil,
    number: SocketNumber = .main, aggregates: Bool = false, segments: Bool = true,
    batch: UDPBatch = UDPBatch()
  ) throws(CallError) {
    self.batch = batch
    self.number = number
    let wanted = listen ?? Endpoint(.unspecified, port: 0)
    let opened = try Self.open(wanted, mark: mark)
    fd = opened.fd
    family = opened.family
    isDualStack = family == AF_INET6 && !wanted.address.isV4
    Self.grow(fd, SO_RCVBUFFORCE, SO_RCVBUF, bufferBytes)
    Self.grow(fd, SO_SNDBUFFORCE, SO_SNDBUF, bufferBytes)
    receiveBufferBytes = Self.option(fd, SO_RCVBUF)
    isAggregating = aggregates && linux_udp_aggregate(fd) == 0
    self.segments = segments && linux_udp_segments(fd) == 0
    linux_udp_report_tos(fd, family)
    var bound = linux_datagram()
    _ = linux_udp_local(fd, &bound)
    local = bound.endpoint
  }

  deinit { close(fd) }

  /// Receives one batch: up to 64 datagrams into slots of `pool`, behind their headroom.
  /// - Returns: how many; `batch.arrival(0 ..< count)` are they, until the next call. 0 when nothing was
  ///   there.
  /// - Precondition: the socket is not aggregating; a run would not fit into a slot.
  public func receive(into pool: inout PacketPool) -> Int {
    precondition(!isAggregating)
    return batch.receive(fd, number, &pool)
  }

  /// Receives one batch and hands out its datagrams. `body` cannot use the pool meanwhile; who must, uses
  /// `batch.arrival`.
  /// - Returns: how many there were.
  @discardableResult
  public func receive(into pool: inout PacketPool, _ body: (PacketRef, Endpoint) -> Void) -> Int {
    let count = receive(into: &pool)
    for i in 0..<count {
      let arrival = batch.arrival(i)
      body(arrival.packet, arrival.from)
    }
    return count
  }

  /// Receives up to 16 runs with one call, from any socket. They stay until the next call with these `runs`.
  /// - Returns: how many; `runs[0 ..< count]` are they. 0 when nothing was there.
  public func receive(runs: UDPRuns) -> Int { runs.receive(fd, number, batch) }

  /// Sends a run now: the bytes of `frame`, cut into datagrams of `segmentBytes`, of which the last may be
  /// shorter.
  ///
  /// The kernel cuts it, with one call (UDP_SEGMENT). Where it will not, the datagrams go one by one in this
  /// call, and `batch` remembers the address for a while.
  /// - Parameters:
  ///   - frame: at most `runBytesMax` bytes in at most `runSegmentsMax` datagrams; or one datagram.
  ///   - segmentBytes: more than 0.
  ///   - tos: type of service or traffic class of the IP header; 0 is the socket's own, which is 0 too.
  /// - Returns: `.tooLarge` when a datagram exceeds the MTU of its route. When it is not `.sent`, some of the
  ///   datagrams may have gone nevertheless.
  @discardableResult
  public func send(run frame: Frame, segmentBytes: Int, to endpoint: Endpoint, tos: UInt8 = 0) -> SendOutcome
  {
    batch.send(run: frame, segmentBytes, to: endpoint, tos: tos, fd, family, mayCut: segments)
  }

  /// Sends one datagram now. What was queued before and not flushed goes later.
  @discardableResult
  public func send(_ frame: Frame, to endpoint: Endpoint) -> SendOutcome {
    batch.send(frame, to: endpoint, fd, family)
  }

  /// Queues a packet for `batch.flush`, which also gives its slot back. A full queue is flushed first, and so
  /// is one with packets of another socket.
  public func enqueue(_ packet: PacketRef, to endpoint: Endpoint, pool: inout PacketPool) {
    batch.enqueue(packet, to: endpoint, fd, family, &pool)
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
