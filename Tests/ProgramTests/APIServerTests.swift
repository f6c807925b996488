// Goal: the server of the local API serves many at a time, and each of them gets a well-formed answer
// whatever it sends and however it goes away. A loop without a node answers.

import Base
import Glibc
import Platform
import Synchronization
import Testing

@testable import p2pvpn

/// A server, and a loop that answers as the test says, on a thread of its own.
private final class StandIn {
  typealias Loop = @Sendable (Message) -> Void

  let path: String
  private let directory: String
  private let mailbox: Mailbox
  private let isOver = Flag()
  private let hasEnded = Semaphore(0)

  init(_ loop: @escaping Loop) throws {
    var name = Array("/tmp/p2pvpn-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    directory = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = directory + "/api.sock"
    mailbox = try Mailbox()
    try ControlServer(path: path, mailbox: mailbox).start()
    try detach { [mailbox, isOver, hasEnded] in
      while !isOver.isSet {
        var end = pollfd(fd: mailbox.wakeup.fd, events: Int16(POLLIN), revents: 0)
        poll(&end, 1, -1)
        for message in mailbox.take() { loop(message) }
      }
      hasEnded.signal()
    }
  }

  deinit {
    isOver.set()
    mailbox.wakeup.signal()
    hasEnded.wait()
    unlink(path)
    rmdir(directory)
  }

  var client: ControlClient { ControlClient(path: path) }
}

/// Something that was said by one thread to others.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

/// A connection to it, as any program makes one.
private final class Client {
  private let fd: Int32
  private var stream: ByteStream

  init(_ path: String) throws {
    fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    stream = ByteStream(fd: fd)
    stream.setPatience(timeval(tv_sec: 20, tv_usec: 0))
    var address = UnixAddress.of(path)
    let result = withUnsafeBytes(of: &address) {
      connect(fd, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    try #require(result == 0)
  }

  deinit { close(fd) }

  func say(_ text: String) { stream.write(Array(text.utf8)) }

  /// The head of the next response.
  func head() -> String {
    stream.read(through: HTTPRequest.headEnd, atMost: 8 << 10).map { String(decoding: $0, as: UTF8.self) }
      ?? ""
  }

  /// The next event that has data.
  func event() throws -> JSON {
    while true {
      let read = stream.read(through: ServerSentEvents.end, atMost: 1 << 20)
      let block = try #require(read)
      if let data = ServerSentEvents.data(of: block) { return try JSONParser.parse(data) }
    }
  }

  func body() -> String { stream.readAll(atMost: 8 << 20).map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

private func post(_ method: String, accept: String = "*/*") -> String {
  let body = #"{"jsonrpc":"2.0","id":7,"method":"\#(method)"}"#
  return
    "POST / HTTP/1.1\r\nAccept: \(accept)\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    + body
}

private func listen(_ topics: String = "") -> String { "GET /events\(topics) HTTP/1.1\r\n\r\n" }

@Suite struct ProgressTests {
  /// Answers every call after three words about its progress.
  private static let slow: StandIn.Loop = { message in
    guard case .question(_, let caller) = message else { return }
    for n in 1...3 { caller.progress(["nodes": .integer(Int64(n))]) }
    caller.resume(.success(["schema": 1, "wantsProgress": .bool(caller.wantsProgress)]))
  }

  @Test func whoWantsToHearOfProgressDoesBeforeTheAnswer() throws {
    let node = try StandIn(Self.slow)
    var heard: [Int64?] = []
    let answer = try node.client.call("status") { heard.append($0["nodes"].asInteger) }
    #expect(heard == [1, 2, 3] && answer["wantsProgress"] == true)
    #expect(try node.client.call("status")["wantsProgress"] == false, "who does not ask does not hear")
  }

  @Test func progressIsASequenceOfNotifications() throws {
    let node = try StandIn(Self.slow)
    let client = try Client(node.path)
    client.say(post("status", accept: "text/event-stream"))
    #expect(client.head().contains("\r\nContent-Type: text/event-stream\r\n"))
    for n in 1...3 {
      #expect(
        try client.event() == [
          "jsonrpc": "2.0", "method": "progress", "params": ["nodes": .integer(Int64(n))],
        ])
    }
    let response = try client.event()
    #expect(response["id"] == 7 && response["result"]["schema"] == 1 && client.body().isEmpty)
  }

  @Test func failuresAndRefusalsComeThroughAStream() throws {
    let node = try StandIn { message in
      if case .question(_, let caller) = message { caller.resume(.failure(Failure(.notFound, "nobody"))) }
    }
    #expect { try node.client.call("status") { _ in } } throws: {
      ($0 as? Failure)?.status == .notFound && ($0 as? Failure)?.message == "nobody"
    }
    #expect { try node.client.call("nonsense") { _ in } } throws: { ($0 as? Failure)?.status == .failed }
  }

  @Test func moreThanFitsIsCounted() throws {
    let text = JSON.string(String(repeating: "a", count: 1 << 10))
    let node = try StandIn { message in
      guard case .question(_, let caller) = message else { return }
      for _ in 0..<1_000 { caller.progress(["text": text]) }
      caller.resume(.success(["schema": 1]))
    }
    var (heard, lost) = (0, Int64(0))
    _ = try node.client.call("status") { said in
      if let count = said["lost"].asInteger { lost += count } else { heard += 1 }
    }
    #expect(heard + Int(lost) == 1_000 && heard > 0)
  }

  @Test func aCallIsToldThatItsCallerHasGone() throws {
    let (asked, noticed) = (Semaphore(0), Semaphore(0))
    let node = try StandIn { message in
      guard case .question(_, let caller) = message else { return }
      asked.signal()
      while !caller.isGone { sched_yield() }
      caller.resume(.success(nil))
      noticed.signal()
    }
    for accept in ["*/*", "text/event-stream"] {
      var client: Client? = try Client(node.path)
      client?.say(post("status", accept: accept))
      asked.wait()
      client = nil
      noticed.wait()
    }
  }
}

@Suite struct AnswerTests {
  @Test func anAnswerThatIsTooLargeIsAnErrorThatSaysWhatToDo() throws {
    let large = JSON.string(String(repeating: "a", count: RemoteCall.responseBytesMax))
    let node = try StandIn { message in
      if case .question(_, let caller) = message { caller.resume(.success(["text": large])) }
    }
    #expect { try node.client.call("peers") } throws: {
      ($0 as? Failure)?.message.contains("ask for it in pages") == true
    }
    let client = try Client(node.path)
    client.say(post("peers"))
    _ = client.head()
    let error = try JSONParser.parse(Array(client.body().utf8))["error"]
    #expect(error["code"] == .integer(RemoteCall.tooLarge))
  }

  @Test func anAnswerOfTheLargestSizeIsGivenWhole() throws {
    let frame = RemoteCall.response(1, .success("")).count
    let largest = JSON.string(String(repeating: "a", count: RemoteCall.responseBytesMax - frame))
    let node = try StandIn { message in
      if case .question(_, let caller) = message { caller.resume(.success(largest)) }
    }
    #expect(try node.client.call("status") == largest)
  }

  @Test func errorsOfHTTPAreJSONToo() throws {
    let node = try StandIn { _ in }
    for (request, status, words) in [
      ("GET / HTTP/1.1\r\n\r\n", "405", "help"), ("GET /x HTTP/1.1\r\n\r\n", "404", "/events"),
      (listen("?topics=pears"), "400", "peers, paths, ring, claims, warnings"),
      (listen("?x=1"), "400", "topics"),
      ("POST /events HTTP/1.1\r\n\r\n", "405", "GET"),
    ] {
      let client = try Client(node.path)
      client.say(request)
      let head = client.head()
      #expect(head.hasPrefix("HTTP/1.1 \(status) ") && head.contains("application/json"))
      let error = try JSONParser.parse(Array(client.body().utf8))["error"]
      #expect(error["message"].asString?.contains(words) == true)
    }
  }
}

@Suite struct EventStreamTests {
  /// Tells whoever comes that it has begun, and keeps it.
  private final class Room: Sendable {
    let listeners = Mutex(Listeners())
    let (came, left) = (Semaphore(0), Semaphore(0))

    func hear(_ message: Message) {
      switch message {
      case .question(.listen(let listener), let caller):
        listeners.withLock { $0.add(listener) }
        caller.resume(.success(["topic": "stream", "event": "begins"]))
        came.signal()
      case .unlisten(let listener):
        listeners.withLock { $0.remove(listener) }
        left.signal()
      case .question(_, let caller): caller.resume(.success(["schema": 1]))
      default: break
      }
    }

    func say(_ topic: Topic, _ event: JSON) { listeners.withLock { $0.hear(topic) { event } } }
  }

  private static func client(of node: StandIn, in room: Room, _ topics: String = "") throws -> Client {
    let client = try Client(node.path)
    client.say(listen(topics))
    room.came.wait()
    #expect(client.head().contains("text/event-stream"))
    #expect(try client.event()["event"] == "begins")
    return client
  }

  @Test func twentyHearTheSameBesideCalls() throws {
    let room = Room()
    let node = try StandIn { room.hear($0) }
    let clients = try (0..<20).map { _ in try Self.client(of: node, in: room) }
    let one = try Self.client(of: node, in: room, "?topics=paths%2Cring&topics=peers")
    for n in 1...100 {
      room.say(.claims, ["n": 0])
      room.say(.peers, ["n": .integer(Int64(n))])
      #expect(try node.client.call("status") == ["schema": 1])
    }
    for n in 1...100 {
      for client in clients {
        #expect(try client.event()["n"] == 0)
        #expect(try client.event()["n"] == .integer(Int64(n)))
      }
      #expect(try one.event()["n"] == .integer(Int64(n)), "of other topics it hears nothing")
    }
  }

  @Test func whoGoesIsFreedAtOnce() throws {
    let room = Room()
    let node = try StandIn { room.hear($0) }
    for _ in 0..<2 * Listener.countMax {
      var client: Client? = try Self.client(of: node, in: room)
      #expect(client != nil)
      client = nil
      room.left.wait()
    }
    #expect(room.listeners.withLock { $0.isEmpty })
  }

  @Test func moreThanTheMostAreToldSo() throws {
    let room = Room()
    let node = try StandIn { room.hear($0) }
    let clients = try (0..<Listener.countMax).map { _ in try Self.client(of: node, in: room) }
    #expect { try node.client.events([]) { _ in } } throws: {
      ($0 as? Failure)?.message.contains("\(Listener.countMax) programs read events") == true
    }
    #expect(try node.client.call("status") == ["schema": 1], "calls have places of their own")
    withExtendedLifetime(clients) {}
  }

  @Test func whoReadsNothingLosesSomeAndIsToldHowManyAndDisturbsNobody() throws {
    let room = Room()
    let node = try StandIn { room.hear($0) }
    let idle = try Self.client(of: node, in: room)
    let reader = try Self.client(of: node, in: room)
    let text = JSON.string(String(repeating: "a", count: 1 << 10))
    for n in 1...2_000 {
      room.say(.peers, ["n": .integer(Int64(n)), "text": text])
      #expect(try reader.event()["n"] == .integer(Int64(n)))
    }
    room.say(.peers, ["n": 0])
    var (count, lost) = (0, 0)
    while true {
      let event = try idle.event()
      if event["event"] == "lost" {
        lost += Int(try #require(event["count"].asInteger))
        // It is in the stream again.
        room.say(.peers, ["n": -1])
      } else if event["n"] == 0 || event["n"] == -1 {
        break
      } else {
        count += 1
        if lost == 0 { #expect(event["n"] == .integer(Int64(count)), "nothing is missing before the loss") }
      }
    }
    #expect(lost > 0 && count + lost >= 2_000 && count + lost <= 2_001)
  }

  @Test func theStreamEndsWithTheNode() throws {
    let room = Room()
    let node = try StandIn { room.hear($0) }
    let client = try Self.client(of: node, in: room)
    room.listeners.withLock { $0.close() }
    #expect(try client.event()["event"] == "ends")
    #expect(client.body().isEmpty)
  }
}
