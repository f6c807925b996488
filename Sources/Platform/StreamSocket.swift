// One TCP connection that carries datagrams: each with its length, two bytes in network order, before it.
//
// Small segments leave at once (TCP_NODELAY), and the system takes little beyond what is on its way
// (TCP_NOTSENT_LOWAT), so that what waits, waits in our queue, where it can be judged. A dead connection is
// noticed by the paths above in seconds; the system's own time-outs are for those over which nothing goes.
import Base
import CLinux
import Glibc

/// A non-blocking connection. Belongs to one thread.
final class StreamSocket {
  enum State {
    /// Until the system says that it stands.
    case connecting
    /// Somebody has connected, and nothing was sent to him yet: his handshake is not accepted.
    case halfOpen
    case open
  }

  /// The system's queue beyond what is on its way, in bytes: 100 ms at 2.6 Mbit/s, 20 full segments.
  private static let unsentMax: Int32 = 32 << 10
  /// After this without an acknowledgement of what was sent the system gives up, in milliseconds.
  private static let userTimeout: Int32 = 10_000

  let fd: Int32
  /// The other end, and the number of the connection.
  let endpoint: Endpoint
  let beganAt: Instant
  var state: State
  /// When it was last of use to this node.
  var usedAt: Instant
  var hasSpoken = false
  /// Something was queued in this turn.
  var isDirty = false
  /// The loop also watches for room to write.
  var isWatchedForWrites = false
  var queue = StreamQueue()
  /// The beginning of a frame whose end has not come yet.
  let rest: Frame
  var restBytes = 0

  /// Takes a descriptor.
  init(fd: Int32, endpoint: Endpoint, _ state: State, at now: Instant) {
    self.fd = fd
    self.endpoint = endpoint
    self.state = state
    beganAt = now
    usedAt = now
    let bytes = StreamQueue.headerBytes + PacketPool.payloadMax
    rest = Frame(base: .allocate(byteCount: bytes, alignment: 8), count: bytes)
    set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, Self.unsentMax)
    set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Self.userTimeout)
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 30)
    set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
    set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
  }

  deinit {
    rest.base.deallocate()
    close(fd)
  }

  /// Begins a connection. It may have failed already: `finishConnecting` says so.
  /// - Parameter source: the address that it comes from, the unspecified one for any.
  static func connect(
    to endpoint: Endpoint, from source: IPAddress, at now: Instant
  ) throws(CallError) -> StreamSocket {
    let family = endpoint.address.isV4 ? AF_INET : AF_INET6
    let flags = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    let fd = try checked(socket(family, Int32(flags), 0), "socket")
    let stream = StreamSocket(fd: fd, endpoint: endpoint, .connecting, at: now)
    if !source.isUnspecified, source.isV4 == endpoint.address.isV4 {
      try checkedNegated(linux_udp_bind(fd, family, source.high, source.low, 0), "bind \(source)")
    }
    let address = endpoint.address
    let result = linux_tcp_connect(fd, family, address.high, address.low, endpoint.port)
    guard result == 0 || result == -EINPROGRESS else {
      throw CallError("connect \(endpoint)", code: -result)
    }
    return stream
  }

  /// The system has come to an end with connecting, one way or the other.
  /// - Returns: whether the connection stands.
  func finishConnecting() -> Bool {
    var error: Int32 = 0
    var size = socklen_t(4)
    guard getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0, error == 0 else { return false }
    state = .open
    return true
  }

  /// Closing resets the connection, and leaves nothing of it in the system.
  func forgetOnClose() { Self.forgetOnClose(fd) }

  /// Resets a connection that nobody has taken.
  static func refuse(_ fd: Int32) {
    forgetOnClose(fd)
    close(fd)
  }

  private static func forgetOnClose(_ fd: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
  }

  private func set(_ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    setsockopt(fd, level, name, &value, 4)
  }
}
