// A connection to the local API, served by a thread of its own: requests one after the other, or one stream.
//
// While the thread waits for the loop it also watches the other end of the socket. Who closes it is noticed
// at once: a stream is freed, and a call that takes long is told that nobody waits any more.

import Glibc
import Platform

/// What a request comes to.
enum Reply {
  /// A JSON-RPC response that needs no node.
  case response([UInt8])
  case question(id: JSON, Question)
  case events([Topic])

  /// What is to be done about a request. Every sequence of bytes comes to a reply or an error of HTTP.
  static func to(_ request: HTTPRequest, _ body: [UInt8]) throws(HTTPError) -> Reply {
    switch request.path {
    case "/":
      guard request.method == "POST" else {
        throw HTTPError(
          status: "405 Method Not Allowed", reason: "POST a JSON-RPC 2.0 request, such as the method help")
      }
      let (id, errand) = RemoteCall.errand(in: body)
      switch errand {
      case .success(.ask(let question)): return .question(id: id, question)
      case .success(.answered(let value)): return .response(RemoteCall.response(id, .success(value)))
      case .failure(let refusal): return .response(RemoteCall.response(id, refusal))
      }
    case "/events":
      guard request.method == "GET" else {
        throw HTTPError(status: "405 Method Not Allowed", reason: "GET the stream of events")
      }
      return .events(try topics(request))
    default: throw HTTPError(status: "404 Not Found", reason: "there is only / and /events")
    }
  }

  private static func topics(_ request: HTTPRequest) throws(HTTPError) -> [Topic] {
    var wanted: [Topic] = []
    for (name, value) in request.parameters {
      guard name == "topics" else {
        throw .bad("/events has no \(Spelling.shortened(name)): there is topics")
      }
      for word in value.split(separator: ",") {
        guard let topic = Topic(rawValue: String(word)) else {
          let all = Topic.allCases.map(\.rawValue).joined(separator: ", ")
          throw .bad("there is no topic \(Spelling.shortened(String(word))): there are \(all)")
        }
        if !wanted.contains(topic) { wanted.append(topic) }
      }
    }
    return wanted.isEmpty ? Topic.allCases : wanted
  }
}

struct Connection {
  /// A connection that says nothing for this long is closed, and one that takes nothing.
  private static let patience = timeval(tv_sec: 30, tv_usec: 0)
  /// A reader that has taken nothing for this long will not come back.
  private static let streamPatience = timeval(tv_sec: 300, tv_usec: 0)
  /// A stream is never silent for longer, in milliseconds.
  private static let keepAlive: Int32 = 15_000

  private let mailbox: Mailbox
  private let streams: Semaphore
  /// Signalled by the loop when there is something for this connection.
  private let wakeup: Wakeup
  private let isPermitted: Bool
  private var stream: ByteStream

  init(fd: Int32, mailbox: Mailbox, streams: Semaphore, wakeup: Wakeup, isPermitted: Bool) {
    (self.mailbox, self.streams, self.wakeup, self.isPermitted) = (mailbox, streams, wakeup, isPermitted)
    stream = ByteStream(fd: fd)
  }

  /// Serves until either end has had enough. The owner closes the socket.
  mutating func serve() {
    stream.setPatience(Self.patience)
    var staysOpen = true
    while staysOpen {
      do throws(HTTPError) {
        guard let (request, body) = try nextRequest() else { return }
        staysOpen = try answer(request, body) && request.staysOpen
      } catch {
        staysOpen = false
        stream.write(HTTPResponse.of(error))
      }
    }
  }

  private mutating func nextRequest() throws(HTTPError) -> (HTTPRequest, [UInt8])? {
    guard let head = stream.read(through: HTTPRequest.headEnd, atMost: HTTPRequest.headBytesMax) else {
      return nil
    }
    let request = try HTTPRequest(head: head)
    guard isPermitted else {
      throw HTTPError(
        status: "403 Forbidden", reason: "this node belongs to another user: run as that user, or as root",
        exit: .notPermitted)
    }
    guard request.bodyBytes <= RemoteCall.requestBytesMax else {
      throw HTTPError(
        status: "413 Content Too Large", reason: "a request has up to \(RemoteCall.requestBytesMax) bytes")
    }
    if request.awaitsContinue { stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
    guard let body = stream.read(count: request.bodyBytes) else { return nil }
    return (request, body)
  }

  /// - Returns: whether the connection can be used for another request.
  private mutating func answer(_ request: HTTPRequest, _ body: [UInt8]) throws(HTTPError) -> Bool {
    switch try Reply.to(request, body) {
    case .response(let text): return respond(text, staysOpen: request.staysOpen)
    case .question(let id, let question):
      if request.acceptsEvents {
        if stream.write(HTTPResponse.stream) {
          let answer = ask(question, wantsProgress: true)
          stream.write(ServerSentEvents.event(RemoteCall.response(id, answer)))
        }
        return false
      }
      let answer = ask(question, wantsProgress: false)
      return respond(RemoteCall.response(id, answer), staysOpen: request.staysOpen)
    case .events(let topics):
      try tell(of: topics)
      return false
    }
  }

  private func respond(_ text: [UInt8], staysOpen: Bool) -> Bool {
    stream.write(HTTPResponse.of("200 OK", text, staysOpen: staysOpen))
  }

  // Questions.

  /// Asks the loop, and passes on what it says before it answers.
  private func ask(_ question: Question, wantsProgress: Bool) -> Answer {
    let caller = Caller(waking: wakeup, wantsProgress: wantsProgress)
    return mailbox.ask(question, caller) {
      while true {
        wakeup.clear()
        let answer = caller.takeAnswer()
        let progress = caller.takeProgress()
        if !progress.isEmpty, !stream.write(progress) { caller.leave() }
        if let answer { return answer }
        switch pause(watching: !caller.isGone, for: wantsProgress ? Self.keepAlive : -1) {
        case .woken: break
        case .left: caller.leave()
        case .silence: if !stream.write(ServerSentEvents.comment) { caller.leave() }
        }
      }
    }
  }

  // Events.

  /// Writes a stream of events until the reader or the node goes.
  private mutating func tell(of topics: [Topic]) throws(HTTPError) {
    guard streams.takeNow() else {
      throw HTTPError(
        status: "503 Service Unavailable",
        reason: "\(Listener.countMax) programs read events already, which is the most: end one of them")
    }
    defer { streams.signal() }
    let listener = Listener(topics, waking: wakeup)
    switch ask(.listen(listener), wantsProgress: false) {
    case .failure(let failure):
      throw HTTPError(status: "503 Service Unavailable", reason: failure.message, exit: failure.status)
    case .success(let beginning):
      stream.setPatience(Self.streamPatience)
      if stream.write(HTTPResponse.stream + ServerSentEvents.event(beginning)) { tell(listener) }
      mailbox.post(.unlisten(listener))
    }
  }

  private func tell(_ listener: Listener) {
    while true {
      wakeup.clear()
      var (events, lost, isClosed) = listener.queue.take()
      if lost > 0 { events += ServerSentEvents.event(Listener.lost(lost)) }
      guard events.isEmpty || stream.write(events), !isClosed else { return }
      switch pause(watching: true, for: Self.keepAlive) {
      case .woken: break
      case .left: return
      case .silence: guard stream.write(ServerSentEvents.comment) else { return }
      }
    }
  }

  // Waiting.

  /// Why a wait has ended.
  private enum Ending {
    /// The loop has something.
    case woken
    /// The client has closed its end. One that only will not say anything more has not.
    case left
    case silence
  }

  /// Waits for the loop or, if `watching`, for the client to go; at most so many milliseconds (−1: for ever).
  private func pause(watching: Bool, for milliseconds: Int32) -> Ending {
    // What is asked of the client's end is nothing: that it has gone is told in any case. A descriptor below
    // 0 is left out.
    var ends = [
      pollfd(fd: wakeup.fd, events: Int16(POLLIN), revents: 0),
      pollfd(fd: watching ? stream.fd : -1, events: 0, revents: 0),
    ]
    let count = poll(&ends, 2, milliseconds)
    if count == 0 { return .silence }
    // Interrupted: a look at what is there does no harm.
    if count < 0 || ends[0].revents != 0 { return .woken }
    return .left
  }
}
