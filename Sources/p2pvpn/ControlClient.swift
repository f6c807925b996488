// The other end of the local API: one blocking HTTP request over the Unix socket, one call.

import Glibc
import Platform

/// A node that runs on this machine, as the commands see it.
struct ControlClient {
  private static let answerBytesMax = 16 << 20
  let path: String

  /// Calls a method of the node.
  /// - Parameter seconds: how long an answer may take.
  func call(_ method: String, _ parameters: JSON = [:], patience seconds: Int = 15) throws(Failure) -> JSON {
    try RemoteCall.result(in: try post(RemoteCall.request(method, parameters), patience: seconds))
  }

  private func post(_ body: [UInt8], patience seconds: Int) throws(Failure) -> [UInt8] {
    let fd = try connected()
    defer { close(fd) }
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let head =
      "POST / HTTP/1.1\r\nHost: p2pvpn\r\nConnection: close\r\nContent-Type: application/json\r\n"
      + "Content-Length: \(body.count)\r\n\r\n"
    var stream = ByteStream(fd: fd)
    guard stream.write(Array(head.utf8) + body) else {
      throw Failure(.failed, "the node behind \(path) closed the connection: try again")
    }
    if let answer = stream.readAll(atMost: Self.answerBytesMax) { return try Self.body(of: answer) }
    if errno == EAGAIN {
      throw Failure(
        .timedOut, "the node behind \(path) did not answer within \(seconds) s: look into its log")
    }
    // It ended, and the kernel says so in its own way.
    return try Self.body(of: [])
  }

  private func connected() throws(Failure) -> Int32 {
    guard path.utf8.count <= Locations.socketPathMax else {
      throw Failure(
        .usage, "the path \(path) is too long for a socket (\(Locations.socketPathMax) bytes at most)")
    }
    let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw Failure(CallError("socket", code: errno)) }
    var address = UnixAddress.of(path)
    let result = withUnsafeBytes(of: &address) {
      connect(fd, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    guard result < 0 else { return fd }
    let code = errno
    close(fd)
    switch code {
    case ENOENT, ECONNREFUSED, ENOTDIR:
      throw Failure(
        .notRunning,
        "no node is running behind \(path): start one with `p2pvpn join`, or name its --state DIR")
    case EACCES, EPERM:
      throw Failure(
        .notPermitted, "the node behind \(path) belongs to another user: run as that user, or as root")
    default:
      throw Failure(CallError("connect \(path)", code: code))
    }
  }

  /// The body of an HTTP response that was read to its end.
  private static func body(of response: [UInt8]) throws(Failure) -> [UInt8] {
    let end = Array("\r\n\r\n".utf8)
    guard response.starts(with: "HTTP/1.1 200 ".utf8),
      let split = response.indices.first(where: { response[$0...].starts(with: end) })
    else {
      if response.isEmpty {
        var failure = Failure(.notRunning, "the node ended before it answered")
        failure.isCutShort = true
        throw failure
      }
      throw Failure(.failed, "the node's answer is not understood: is another program on that socket?")
    }
    return Array(response[(split + end.count)...])
  }
}
