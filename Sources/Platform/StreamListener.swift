// The TCP port on which a node is connected to: the one that it has for UDP, on the same addresses.
import Base
import CLinux
import Glibc

/// A listening, non-blocking TCP socket. Belongs to one thread.
public final class StreamListener {
  /// Connections that the system holds until they are taken.
  private static let backlog: Int32 = 64

  public let fd: Int32
  public let local: Endpoint

  /// - Parameter listen: as for `UDPSocket`: the unspecified IPv6 address means every address of both
  ///   families.
  public init(listen: Endpoint) throws(CallError) {
    let address = listen.address
    let family = address.isV4 ? AF_INET : AF_INET6
    let flags = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    fd = try checked(socket(family, Int32(flags), 0), "socket")
    do throws(CallError) {
      // Else a node that starts again has to wait for the old connections to be forgotten.
      try Self.set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR")
      if family == AF_INET6 { try Self.set(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0, "IPV6_V6ONLY") }
      try checkedNegated(
        linux_udp_bind(fd, family, address.high, address.low, listen.port), "bind TCP \(listen)")
      try checked(Glibc.listen(fd, Self.backlog), "listen")
    } catch {
      close(fd)
      throw error
    }
    var bound = linux_datagram()
    _ = linux_udp_local(fd, &bound)
    local = bound.endpoint
  }

  deinit { close(fd) }

  /// What one try to take a connection came to.
  enum Outcome {
    case accepted(fd: Int32, from: Endpoint)
    case none
    /// That one was gone already.
    case gone
    /// The process or the machine has no descriptor or memory left; the next try fails as well.
    case exhausted
  }

  /// Takes the next connection.
  func accept() -> Outcome {
    var from = linux_datagram()
    let result = linux_tcp_accept(fd, &from)
    switch result {
    case 0...: return .accepted(fd: result, from: from.endpoint)
    case -EAGAIN: return .none
    case -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: return .exhausted
    default: return .gone
    }
  }

  private static func set(
    _ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32, _ text: String
  ) throws(CallError) {
    var value = value
    try checked(setsockopt(fd, level, name, &value, 4), "setsockopt \(text)")
  }
}
