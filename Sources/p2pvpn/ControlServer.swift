// The local API: HTTP on a Unix socket that only the owner may open.
//
// It runs on threads of its own beside the loop, and touches the node only through the mailbox.

import FlyingFox
import FlyingSocks
import Glibc

import struct Foundation.Data

/// The server of the local API.
final class ControlServer: Sendable {
  let path: String
  private let server: HTTPServer
  private let mailbox: Mailbox

  /// - Parameter path: short enough for a socket; its folder exists. A socket that is there is replaced: whoever
  ///   holds the state directory's lock is its owner.
  init(path: String, mailbox: Mailbox) {
    self.path = path
    self.mailbox = mailbox
    unlink(path)
    // Longer than the longest ping and look-up.
    let configuration = HTTPServer.Configuration(
      address: sockaddr_un.unix(path: path), timeout: 60, sharedRequestReplaySize: RemoteCall.requestBytesMax,
      pool: HTTPServer.defaultPool(logger: .disabled), logger: .disabled)
    server = HTTPServer(config: configuration, handler: Calls(mailbox: mailbox))
  }

  func start() {
    Task.detached { [server, mailbox] in
      do {
        try await server.run()
      } catch {
        mailbox.post(.serverFailed(String(describing: error)))
      }
    }
    Task.detached { [server, path] in
      try? await server.waitUntilListening()
      chmod(path, 0o600)
    }
  }

  /// Takes the socket away, so that nobody waits for a node that is gone. Connections end with the process.
  func withdraw() { unlink(path) }
}

/// One HTTP request: one call.
private struct Calls: HTTPHandler {
  let mailbox: Mailbox

  func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
    guard request.path == "/" else { return Self.response(.notFound, "there is only /\n") }
    guard request.method == .POST else { return Self.response(.methodNotAllowed, "POST a JSON-RPC 2.0 request\n") }
    guard let length = request.bodySequence.count, length <= RemoteCall.requestBytesMax else {
      return Self.response(.payloadTooLarge, "a request has up to \(RemoteCall.requestBytesMax) bytes\n")
    }
    let (id, question) = RemoteCall.question(in: [UInt8](try await request.bodyData))
    switch question {
    case .success(let question): return Self.json(RemoteCall.response(id, await mailbox.ask(question)))
    case .failure(let refusal): return Self.json(RemoteCall.response(id, refusal))
    }
  }

  private static func json(_ text: String) -> HTTPResponse {
    HTTPResponse(statusCode: .ok, headers: [.contentType: "application/json"], body: Data((text + "\n").utf8))
  }

  private static func response(_ status: HTTPStatusCode, _ text: String) -> HTTPResponse {
    HTTPResponse(statusCode: status, headers: [.contentType: "text/plain"], body: Data(text.utf8))
  }
}
