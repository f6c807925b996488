// The local API: HTTP on a Unix socket that only the owner may open.
//
// One thread accepts, and each connection has one of its own (`Connection`), 64 at most, of which 32 may read
// events; others wait. They block as they like. The node is touched by the loop alone: questions go through
// the mailbox, and the connection waits for the answer.

import Base
import Glibc
import Platform

/// The server of the local API.
final class ControlServer: Sendable {
  /// A thread serves one connection and needs little: the parsers are bounded in depth.
  private static let stackBytes = 256 << 10
  static let connectionsMax: UInt32 = 64

  let path: String
  private let listener: Int32
  private let mailbox: Mailbox
  private let places = Semaphore(connectionsMax)
  private let streams = Semaphore(UInt32(Listener.countMax))

  /// Makes the socket. One that is there is replaced: whoever holds the state directory's lock is its owner.
  /// - Parameter path: short enough for a socket; its folder exists.
  init(path: String, mailbox: Mailbox) throws(Failure) {
    self.path = path
    self.mailbox = mailbox
    listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    unlink(path)
    var address = UnixAddress.of(path)
    let bound = withUnsafeBytes(of: &address) {
      bind(listener, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    // Nobody gets in before `listen`, so there is no moment at which others could.
    guard bound == 0, chmod(path, 0o600) == 0, listen(listener, 64) == 0 else {
      let code = errno
      close(listener)
      throw Failure(
        CallError("make the API socket \(path)", code: code, advice: "choose another place with --state DIR"))
    }
  }

  /// Serves from now on, on threads of its own.
  func start() throws(CallError) {
    try detach(stackBytes: Self.stackBytes) { [self] in
      while true {
        places.wait()
        let connection = accept(listener, nil, nil)
        if connection >= 0 {
          admit(connection)
          continue
        }
        // Out of descriptors or memory: that passes.
        if errno != EINTR && errno != ECONNABORTED { usleep(100_000) }
        places.signal()
      }
    }
  }

  /// Takes the socket away, so that nobody waits for a node that is gone. Connections end with the process.
  func withdraw() { unlink(path) }

  private func admit(_ fd: Int32) {
    do throws(CallError) {
      let wakeup = try Wakeup()
      try detach(stackBytes: Self.stackBytes) { [self] in
        var connection = Connection(
          fd: fd, mailbox: mailbox, streams: streams, wakeup: wakeup, isPermitted: Self.isPermitted(fd))
        connection.serve()
        leave(fd)
      }
    } catch {
      leave(fd)
    }
  }

  private func leave(_ fd: Int32) {
    close(fd)
    places.signal()
  }

  /// The kernel knows who has connected: the node's owner may, and root. The modes of the socket keep others
  /// out; somebody may have changed them.
  private static func isPermitted(_ fd: Int32) -> Bool {
    let user = PeerCredentials.user(of: fd)
    return user == 0 || user == geteuid()
  }
}

enum UnixAddress {
  /// - Parameter path: at most `Locations.socketPathMax` bytes.
  static func of(_ path: String) -> sockaddr_un {
    precondition(path.utf8.count <= Locations.socketPathMax)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return address
  }
}
