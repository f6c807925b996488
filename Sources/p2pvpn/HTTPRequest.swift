// As much of HTTP/1.1 (RFC 9112) as calls over a Unix socket need: a request with a body of known length, a
// response of known length, connections that stay open.
//
// Written by hand because a library would bring a URL loader with it, and with that libcurl and 20 more: four
// times the memory of the node itself.

import Base

/// What is wrong with a request, as the status of its response.
struct HTTPError: Error, Sendable {
  let status: String
  /// One line for people.
  let reason: String
  /// The exit code of a program that has come upon it.
  var exit = ExitStatus.failed

  static func bad(_ reason: String) -> HTTPError { HTTPError(status: "400 Bad Request", reason: reason) }
}

/// The head of a request, understood.
struct HTTPRequest: Sendable, Equatable {
  /// The longest head, in bytes.
  static let headBytesMax = 8 << 10
  static let headEnd = Array("\r\n\r\n".utf8)

  let method: String
  let path: String
  /// What follows the path and a question mark, as it was sent.
  let query: String
  let bodyBytes: Int
  /// Whether the connection serves another request after this one.
  let staysOpen: Bool
  /// Whether the client waits to be asked for the body (RFC 9110 §10.1.1).
  let awaitsContinue: Bool
  /// Whether the client takes a stream of events for an answer.
  let acceptsEvents: Bool

  /// - Parameter head: the bytes before the empty line.
  init(head: some Collection<UInt8>) throws(HTTPError) {
    guard let text = String(validating: head, as: UTF8.self) else { throw .bad("the head is not text") }
    let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0" else {
      throw .bad("not an HTTP/1.1 request")
    }
    method = String(words[0])
    let target = words[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    path = String(target[0])
    query = target.count > 1 ? String(target[1]) : ""
    var length: Int?
    var connection = words[2] == "HTTP/1.1" ? "keep-alive" : "close"
    var (expects, accepts) = (false, false)
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else {
        throw .bad("a header without a colon")
      }
      // Who reads such a name leniently takes the body for another request (RFC 9112 §5.1).
      guard !line[..<colon].contains(where: \.isWhitespace) else {
        throw .bad("white space in the name of a header")
      }
      let value = Self.trimmed(line[line.index(after: colon)...])
      switch line[..<colon].lowercased() {
      case "content-length":
        guard length == nil, value.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(value) else {
          throw .bad("the length is no number")
        }
        length = number
      case "transfer-encoding":
        throw HTTPError(status: "411 Length Required", reason: "send a Content-Length")
      case "connection": connection = value.lowercased()
      case "accept": accepts = value.lowercased().contains(ServerSentEvents.type)
      case "expect": expects = value.lowercased() == "100-continue"
      default: break
      }
    }
    bodyBytes = length ?? 0
    staysOpen = connection != "close"
    awaitsContinue = expects
    acceptsEvents = accepts
  }

  private static func trimmed(_ value: Substring) -> Substring {
    func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" }
    guard let last = value.lastIndex(where: { !isSpace($0) }) else { return "" }
    return value[...last].drop(while: isSpace)
  }

  /// The query's parameters in their order, with %XX (RFC 3986) decoded.
  var parameters: [(name: String, value: String)] {
    query.split(separator: "&").map { part in
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (Self.decoded(pair[0]), pair.count > 1 ? Self.decoded(pair[1]) : "")
    }
  }

  private static func decoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%"), let two = Hex.bytes(String(decoding: rest.prefix(2), as: UTF8.self)),
        two.count == 1
      else {
        bytes.append(byte)
        continue
      }
      bytes += two
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// What goes back to a client.
enum HTTPResponse {
  /// A response of known length, always JSON.
  static func of(_ status: String, _ json: [UInt8], staysOpen: Bool) -> [UInt8] {
    let head =
      "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(json.count + 1)\r\n"
      + "Connection: \(staysOpen ? "keep-alive" : "close")\r\n\r\n"
    return Array(head.utf8) + json + [UInt8(ascii: "\n")]
  }

  /// The response to what was no proper request; the connection ends with it.
  static func of(_ error: HTTPError) -> [UInt8] {
    let refusal = RemoteCall.refusal(Failure(error.exit, error.reason))
    return of(error.status, RemoteCall.response(nil, refusal), staysOpen: false)
  }

  /// The head of a stream of events, which ends when the connection does.
  static let stream = Array(
    ("HTTP/1.1 200 OK\r\nContent-Type: \(ServerSentEvents.type)\r\nCache-Control: no-store\r\n"
      + "Connection: close\r\n\r\n").utf8)
}
