// Where a node keeps its state, and where its local API listens.

import Glibc
import Platform

enum Locations {
  /// The longest path a Unix socket can have, in bytes.
  static let socketPathMax = 107
  private static let socketName = "api.sock"
  private static let systemSocket = "/run/p2pvpn/\(socketName)"

  /// The state directory: the given one, or the usual one of this user.
  static func state(_ given: String?) throws(Failure) -> String {
    if let given {
      guard !given.isEmpty else { throw Failure(.usage, "--state is empty: name a directory") }
      return absolute(given)
    }
    if ProcessFacts.isRoot { return "/var/lib/p2pvpn" }
    if let folder = environment("XDG_STATE_HOME"), folder.hasPrefix("/") { return folder + "/p2pvpn" }
    if let home = environment("HOME"), home.hasPrefix("/") { return home + "/.local/state/p2pvpn" }
    throw Failure(.failed, "there is no place for the state, for HOME is not set: name one with --state DIR")
  }

  /// Where a node makes its API socket.
  static func socket(state given: String?) throws(Failure) -> String {
    let path = given == nil ? try usualSocket() : try state(given) + "/" + socketName
    guard path.utf8.count <= socketPathMax else {
      throw Failure(
        .failed,
        "the path \(path) is too long for a socket (\(socketPathMax) bytes at most): choose a shorter --state"
      )
    }
    return path
  }

  /// Where a command finds the node that it talks to.
  static func socketToAsk(state given: String?, socket: String?) throws(Failure) -> String {
    if let socket { return absolute(socket) }
    let usual = try self.socket(state: given)
    // The node of the machine serves everybody who may open its socket.
    if given == nil, access(usual, F_OK) != 0, access(systemSocket, F_OK) == 0 || errno == EACCES {
      return systemSocket
    }
    return usual
  }

  private static func usualSocket() throws(Failure) -> String {
    if ProcessFacts.isRoot { return systemSocket }
    if let folder = environment("XDG_RUNTIME_DIR"), folder.hasPrefix("/") {
      return "\(folder)/p2pvpn/\(socketName)"
    }
    return try state(nil) + "/" + socketName
  }

  static func environment(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  private static func absolute(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
    defer { free(here) }
    return String(cString: here) + "/" + path
  }
}
