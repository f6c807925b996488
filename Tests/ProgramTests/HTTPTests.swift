// Goal: the local API understands what clients send, refuses the rest with a status, and never mistakes the
// body of one request for another request.

import Base
import Glibc
import Platform
import Testing

@testable import p2pvpn

private func head(_ lines: String...) throws -> HTTPRequest {
  try HTTPRequest(head: Array(lines.joined(separator: "\r\n").utf8))
}

@Suite(.timeLimit(.minutes(10))) struct HTTPRequestTests {
  @Test func headsAreUnderstood() throws {
    let request = try head("POST / HTTP/1.1", "Host: x", "content-LENGTH: \t12 ", "Expect: 100-Continue")
    #expect(request.method == "POST" && request.path == "/" && request.bodyBytes == 12)
    #expect(request.staysOpen && request.awaitsContinue)
    #expect(try head("GET /a HTTP/1.1").bodyBytes == 0)
    #expect(try !head("GET / HTTP/1.0").staysOpen)
    #expect(try head("GET / HTTP/1.0", "Connection: keep-alive").staysOpen)
    #expect(try !head("GET / HTTP/1.1", "Connection: Close").staysOpen)
    #expect(try !head("GET / HTTP/1.1", "Connection: TE, close").staysOpen)
    #expect(try !head("GET / HTTP/1.1", "Connection: close", "Connection: TE").staysOpen)
    #expect(try head("GET / HTTP/1.1", "Connection: TE").staysOpen)
    #expect(try !head("GET / HTTP/1.0", "Connection: TE").staysOpen)
  }

  @Test(arguments: [
    "", "POST", "POST /", "POST / HTTP/2", "POST / HTTP/1.1 x", "POST  / HTTP/1.1", "POST / http/1.1",
    "POST / HTTP/1.1\r\nno colon", "POST / HTTP/1.1\r\n: x", "POST / HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\nContent-Length:", "POST / HTTP/1.1\r\nContent-Length: -1",
    "POST / HTTP/1.1\r\nContent-Length: +1", "POST / HTTP/1.1\r\nContent-Length: 0x1",
    "POST / HTTP/1.1\r\nContent-Length: 1 2", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1", "POST / HTTP/1.1\r\nContent-Length : 1",
    "POST / HTTP/1.1\r\nA: b\r\n Content-Length: 1", "POST / HTTP/1.1\r\nContent-Length: ٣",
  ]) func whatIsNoHeadIsRefused(_ text: String) {
    #expect { try HTTPRequest(head: Array(text.utf8)) } throws: {
      ($0 as? HTTPError)?.status == "400 Bad Request"
    }
  }

  @Test func chunkedBodiesAreRefused() {
    #expect { try head("POST / HTTP/1.1", "Transfer-Encoding: chunked") } throws: {
      ($0 as? HTTPError)?.status == "411 Length Required"
    }
  }

  @Test(arguments: [UInt64(21), 22]) func changedAndCutHeadsNeverTrap(seed: UInt64) {
    let bytes = Array("POST / HTTP/1.1\r\nHost: p2pvpn\r\nContent-Length: 12\r\nConnection: close".utf8)
    for count in bytes.indices { _ = try? HTTPRequest(head: bytes[..<count]) }
    var random = Random(seed: seed)
    for _ in 0..<2_000 {
      var changed = bytes
      changed[Int(random.below(UInt64(bytes.count)))] = UInt8(random.below(256))
      guard let request = try? HTTPRequest(head: changed) else { continue }
      #expect(request.bodyBytes >= 0)
    }
  }
}

/// A server of the local API without a node behind it, and a connection to it.
private final class Conversation {
  private let directory: TemporaryDirectory
  private let server: ControlServer
  private let socket: Int32
  private var stream: ByteStream

  init() throws {
    directory = try TemporaryDirectory()
    server = try ControlServer(path: directory.path + "/api.sock", mailbox: try Mailbox())
    try server.start()
    socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    stream = ByteStream(fd: socket)
    var address = UnixAddress.of(server.path)
    let result = withUnsafeBytes(of: &address) {
      connect(socket, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    try #require(result == 0)
  }

  deinit { close(socket) }

  /// Sends the texts, each in a write of its own, and nothing after them.
  func say(_ texts: String...) {
    for text in texts { stream.write(Array(text.utf8)) }
    shutdown(socket, Int32(SHUT_WR))
  }

  /// Everything that comes back until the server closes.
  func answer() -> String {
    stream.readAll(atMost: 1 << 20).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

@Suite(.timeLimit(.minutes(10))) struct ControlServerTests {
  private static func post(_ body: String, length: Int? = nil) -> String {
    "POST / HTTP/1.1\r\nContent-Length: \(length ?? body.utf8.count)\r\n\r\n\(body)"
  }

  private static func statuses(_ answer: String) -> [String] {
    let heads = answer.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("HTTP/1.1 ") }
    return heads.map { String($0.dropFirst(9)) }
  }

  private static func call(_ id: Int) -> String { #"{"jsonrpc":"2.0","id":\#(id),"method":"none"}"# }

  private func answer(to text: String) throws -> String {
    let conversation = try Conversation()
    conversation.say(text)
    return conversation.answer()
  }

  @Test func requestsInOneWriteAreAnsweredInOrder() throws {
    let text = try answer(to: Self.post(Self.call(1)) + Self.post(Self.call(2)) + Self.post(Self.call(3)))
    #expect(Self.statuses(text) == ["200 OK", "200 OK", "200 OK"])
    let ids = text.matches(of: /"id":(\d)/).map { String($0.output.1) }
    #expect(ids == ["1", "2", "3"])
  }

  @Test func aRequestInPiecesIsAnswered() throws {
    let conversation = try Conversation()
    conversation.say("POST / HT", "TP/1.1\r\nContent-Len", "gth: 2\r\n\r", "\n{", "}")
    #expect(Self.statuses(conversation.answer()) == ["200 OK"])
  }

  @Test func aBodyThatIsCutHasNoAnswer() throws {
    #expect(try answer(to: Self.post("{}", length: 3)) == "")
    #expect(try answer(to: "POST / HTTP/1.1\r\nContent-Length: 2\r\n") == "")
  }

  @Test func aBodyThatIsLongerThanItSaysIsNoSecondRequest() throws {
    #expect(Self.statuses(try answer(to: Self.post("{}xx", length: 2))) == ["200 OK"])
    #expect(
      Self.statuses(try answer(to: Self.post("{}xx\r\n\r\n", length: 2))) == ["200 OK", "400 Bad Request"])
  }

  @Test func aHugeHeadIsRefused() throws {
    let head = "POST / HTTP/1.1\r\nA: " + String(repeating: "a", count: 64 << 10) + "\r\n\r\n"
    #expect(Self.statuses(try answer(to: head)) == ["431 Request Header Fields Too Large"])
  }

  @Test(arguments: [("/", "POST"), ("/events", "GET")]) func whatIsAllowedIsSaid(
    _ path: String, _ method: String
  ) throws {
    let text = try answer(to: "PUT \(path) HTTP/1.1\r\n\r\n")
    #expect(Self.statuses(text) == ["405 Method Not Allowed"] && text.contains("\r\nAllow: \(method)\r\n"))
    let head = try answer(to: "HEAD \(path) HTTP/1.1\r\n\r\n")
    #expect(head.contains("\r\nAllow: \(method)\r\n") && head.hasSuffix("\r\n\r\n"))
  }

  @Test func aHugeBodyIsRefusedBeforeItComes() throws {
    let text = try answer(to: Self.post("", length: RemoteCall.requestBytesMax + 1))
    #expect(Self.statuses(text) == ["413 Content Too Large"])
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", "405 Method Not Allowed"), ("POST /x HTTP/1.1\r\n\r\n", "404 Not Found"),
    (" / HTTP/1.1\r\n\r\n", "405 Method Not Allowed"), ("\u{0}\u{1}\r\n\r\n", "400 Bad Request"),
  ]) func badRequestsAreRefusedAndTheConnectionCloses(_ text: String, _ status: String) throws {
    let said = try answer(to: text + Self.post(Self.call(1)))
    #expect(Self.statuses(said) == [status])
    #expect(said.contains("Connection: close"))
  }

  @Test func theBodyIsAskedForWhenTheClientWaits() throws {
    let text = try answer(to: "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
    #expect(Self.statuses(text) == ["100 Continue", "200 OK"])
  }
}

@Suite struct ByteStreamTests {
  /// Two ends of a connection.
  private final class Pair {
    private(set) var ends: [Int32] = [-1, -1]

    init() throws {
      try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
    }

    deinit { for end in ends { close(end) } }
  }

  @Test func whoSendsLittleByLittleHasOneDeadline() throws {
    let pair = try Pair()
    var stream = ByteStream(fd: pair.ends[0])
    ByteStream(fd: pair.ends[1]).write(Array("half".utf8))
    stream.deadline = Clock.now() + .milliseconds(1)
    errno = 0
    let head = stream.read(through: HTTPRequest.headEnd, atMost: 100)
    #expect(head == nil && errno == EAGAIN)
  }

  @Test func whoMayNotIsToldBeforeAnythingIsRead() throws {
    let pair = try Pair()
    var client = ByteStream(fd: pair.ends[1])
    client.write(Array("nonsense that nobody reads".utf8))
    shutdown(pair.ends[1], Int32(SHUT_WR))
    var connection = Connection(
      fd: pair.ends[0], mailbox: try Mailbox(), streams: Semaphore(1), wakeup: try Wakeup(),
      isPermitted: false)
    connection.serve()
    let answer = client.readAll(atMost: 1 << 10).map { String(decoding: $0, as: UTF8.self) } ?? ""
    #expect(answer.hasPrefix("HTTP/1.1 403 ") && answer.contains("another user"))
  }
}

/// A fresh directory, removed with the socket in it.
private final class TemporaryDirectory {
  let path: String

  init() throws {
    var name = Array("/tmp/p2pvpn-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    unlink(path + "/api.sock")
    rmdir(path)
  }
}
