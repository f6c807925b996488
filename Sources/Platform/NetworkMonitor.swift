// Word that the machine's network has changed: a cable, a roaming laptop, a new address, a new default route.
//
// The kernel's messages say in detail what changed; a node only needs to know that its candidates may be
// stale, and reads them anew. So the messages are counted as one bit, and a lost one (the queue ran over)
// counts as a change.
import CLinux
import Glibc

/// A descriptor that becomes readable when links, addresses or routes change.
public final class NetworkMonitor {
  public let fd: Int32

  public init() throws(CallError) {
    let type = SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    fd = try checked(socket(AF_NETLINK, Int32(type), NETLINK_ROUTE), "socket AF_NETLINK")
    var address = sockaddr_nl()
    address.nl_family = sa_family_t(AF_NETLINK)
    address.nl_groups = UInt32(
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
    let size = socklen_t(MemoryLayout<sockaddr_nl>.size)
    let result = withUnsafeBytes(of: &address) { bytes in
      bind(fd, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), size)
    }
    do throws(CallError) {
      try checked(result, "bind AF_NETLINK")
    } catch {
      close(fd)
      throw error
    }
  }

  deinit { close(fd) }

  /// Reads all messages.
  /// - Returns: whether something changed since the last call.
  public func drain() -> Bool {
    var changed = false
    // Bounded, so that a storm of changes does not hold up the loop; the rest is read in its next turn.
    for _ in 0..<64 {
      // The contents do not matter, so they are not asked for: the rest of a message is cut off.
      let count = recv(fd, nil, 0, Int32(MSG_DONTWAIT | MSG_TRUNC))
      if count >= 0 || errno == ENOBUFS {
        changed = true
      } else if errno != EINTR {
        break
      }
    }
    return changed
  }
}
