// The other end of the local API: one blocking HTTP request over the Unix socket, one call or one stream.

import Glibc
import Platform

/// A node that runs on this machine, as the commands see it.
struct ControlClient {
  private static let answerBytesMax = 16 << 20
  /// Longer than the node is ever silent on a stream, in seconds.
  private static let streamPatience = 60
  let path: String

  /// Calls a method of the node.
  /// - Parameters:
  ///   - seconds: how long an answer may take, or the next word about progress.
  ///   - onProgress: is handed what the call says before its answer comes (`Call.progress`).
  func call(
    _ method: String, _ parameters: JSON = [:], patience seconds: Int = 15,
    onProgress: ((JSON) -> Void)? = nil
  ) throws(Failure) -> JSON {
    let accept = onProgress == nil ? "application/json" : "\(ServerSentEvents.type), application/json"
    var answer = try exchange(
      "POST /", "Accept: \(accept)\r\nContent-Type: application/json\r\n",
      body: RemoteCall.request(method, parameters), patience: seconds)
    defer { close(answer.stream.fd) }
    guard answer.isStream else { return try RemoteCall.result(in: try body(of: &answer, within: seconds)) }
    var heardAt = PingCommand.now()
    while let block = try nextBlock(of: &answer, within: seconds) {
      guard let data = ServerSentEvents.data(of: block) else {
        // The node is there; the call says nothing.
        if PingCommand.now() - heardAt > Double(seconds) { throw tooLate(seconds) }
        continue
      }
      heardAt = PingCommand.now()
      let message = try RemoteCall.parsed(data)
      guard message["method"].asString == "progress" else { return try RemoteCall.result(in: message) }
      onProgress?(message["params"])
    }
    throw cutShort
  }

  /// Reads events until the node leaves.
  /// - Parameter topics: all if there are none.
  func events(_ topics: [String], _ onEvent: (JSON) -> Void) throws(Failure) {
    let query = topics.isEmpty ? "" : "?topics=\(topics.joined(separator: ","))"
    var answer = try exchange("GET /events\(query)", "Accept: \(ServerSentEvents.type)\r\n")
    defer { close(answer.stream.fd) }
    guard answer.isStream else {
      _ = try RemoteCall.result(in: try body(of: &answer, within: Self.streamPatience))
      throw notUnderstood
    }
    while let block = try nextBlock(of: &answer, within: Self.streamPatience) {
      if let data = ServerSentEvents.data(of: block) { onEvent(try RemoteCall.parsed(data)) }
    }
  }

  // One exchange.

  /// A response whose head has been read.
  private struct Response {
    var stream: ByteStream
    let isStream: Bool
  }

  private func exchange(
    _ request: String, _ headers: String, body: [UInt8] = [], patience seconds: Int = streamPatience
  ) throws(Failure) -> Response {
    var stream = ByteStream(fd: try connected())
    do throws(Failure) {
      stream.setPatience(timeval(tv_sec: seconds, tv_usec: 0))
      let head =
        "\(request) HTTP/1.1\r\nHost: p2pvpn\r\nConnection: close\r\n\(headers)"
        + "Content-Length: \(body.count)\r\n\r\n"
      guard stream.write(Array(head.utf8) + body) else {
        throw Failure(.failed, "the node behind \(path) closed the connection: try again")
      }
      errno = 0
      guard let head = stream.read(through: HTTPRequest.headEnd, atMost: HTTPRequest.headBytesMax) else {
        if errno == EAGAIN { throw tooLate(seconds) }
        throw stream.isEmpty ? cutShort : notUnderstood
      }
      let text = String(decoding: head, as: UTF8.self)
      guard text.hasPrefix("HTTP/1.1 ") else { throw notUnderstood }
      return Response(stream: stream, isStream: text.contains("\r\nContent-Type: \(ServerSentEvents.type)"))
    } catch {
      close(stream.fd)
      throw error
    }
  }

  /// Everything until the node closes.
  private func body(of answer: inout Response, within seconds: Int) throws(Failure) -> [UInt8] {
    errno = 0
    if let body = answer.stream.readAll(atMost: Self.answerBytesMax) { return body }
    throw errno == EAGAIN ? tooLate(seconds) : cutShort
  }

  /// The next event of a stream; nil at its end.
  private func nextBlock(of answer: inout Response, within seconds: Int) throws(Failure) -> [UInt8]? {
    errno = 0
    if let block = answer.stream.read(through: ServerSentEvents.end, atMost: Self.answerBytesMax) {
      return block
    }
    if errno == EAGAIN { throw tooLate(seconds) }
    return nil
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

  // What can go wrong on the way.

  private func tooLate(_ seconds: Int) -> Failure {
    Failure(.timedOut, "the node behind \(path) did not answer within \(seconds) s: look into its log")
  }

  private var cutShort: Failure {
    var failure = Failure(.notRunning, "the node ended before it answered")
    failure.isCutShort = true
    return failure
  }

  private var notUnderstood: Failure {
    Failure(.failed, "the node's answer is not understood: is another program on that socket?")
  }
}
