// Who is at the other end of a Unix socket, as the kernel has noted it at `connect` (unix(7), SO_PEERCRED).
import Glibc

public enum PeerCredentials {
  /// The user who has connected; nil for what is no Unix socket.
  public static func user(of fd: Int32) -> UInt32? {
    // The kernel's `struct ucred`: process, user, group. 32 bits each, everywhere.
    var peer: (process: Int32, user: UInt32, group: UInt32) = (0, .max, .max)
    var length = socklen_t(MemoryLayout.size(ofValue: peer))
    let result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length)
    return result == 0 && length == 12 ? peer.user : nil
  }
}
