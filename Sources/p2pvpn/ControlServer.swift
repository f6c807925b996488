// The local API: HTTP on a Unix socket that only the owner may open.
//
// One thread accepts, and each connection has one of its own, sixteen at most (others wait); they block as
// they like. The node is touched by the loop alone: questions go through the mailbox, and the connection
// waits for the answer.

import Base
import Glibc
import Platform

/// The server of the local API.
final class ControlServer: Sendable {
  /// A connection that says nothing for this long is closed.
  private static let patience = timeval(tv_sec: 30, tv_usec: 0)

  let path: String
  private let listener: Int32
  private let mailbox: Mailbox
  private let places = Semaphore(16)

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
    try detach { [self] in
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

  private func admit(_ connection: Int32) {
    do throws(CallError) {
      try detach { [self] in
        serve(connection)
        leave(connection)
      }
    } catch {
      leave(connection)
    }
  }

  private func leave(_ connection: Int32) {
    close(connection)
    places.signal()
  }

  private func serve(_ connection: Int32) {
    var limit = Self.patience
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var stream = ByteStream(fd: connection)
    var staysOpen = true
    while staysOpen {
      do throws(HTTPError) {
        guard let head = stream.read(through: HTTPRequest.headEnd, atMost: HTTPRequest.headBytesMax) else {
          return
        }
        let request = try HTTPRequest(head: head)
        staysOpen = request.staysOpen
        guard request.bodyBytes <= RemoteCall.requestBytesMax else {
          throw HTTPError(
            status: "413 Content Too Large", reason: "a request has up to \(RemoteCall.requestBytesMax) bytes"
          )
        }
        if request.awaitsContinue { stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
        guard let body = stream.read(count: request.bodyBytes) else { return }
        let text = try answer(request, body) + "\n"
        let response = HTTPRequest.response("200 OK", type: "application/json", text, staysOpen: staysOpen)
        guard stream.write(response) else { return }
      } catch {
        staysOpen = false
        stream.write(
          HTTPRequest.response(error.status, type: "text/plain", error.reason + "\n", staysOpen: false))
      }
    }
  }

  private func answer(_ request: HTTPRequest, _ body: [UInt8]) throws(HTTPError) -> String {
    guard request.path == "/" else { throw HTTPError(status: "404 Not Found", reason: "there is only /") }
    guard request.method == "POST" else {
      throw HTTPError(status: "405 Method Not Allowed", reason: "POST a JSON-RPC 2.0 request")
    }
    let (id, question) = RemoteCall.question(in: body)
    switch question {
    case .success(let question): return RemoteCall.response(id, mailbox.ask(question))
    case .failure(let refusal): return RemoteCall.response(id, refusal)
    }
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
