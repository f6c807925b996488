// Goal: whatever a client sends, it gets a well-formed response: 100,000 requests that somebody may have
// meant, or not.

import Base
import Testing

@testable import p2pvpn

/// Requests as they come from programs with mistakes, and from nowhere.
private struct Mischief {
  var random: Random

  private mutating func below(_ count: Int) -> Int { Int(random.below(UInt64(count))) }
  private mutating func one(of texts: [String]) -> String { texts[below(texts.count)] }
  private mutating func noise(_ count: Int) -> [UInt8] {
    (0..<below(count)).map { _ in UInt8(random.below(256)) }
  }

  mutating func request() -> (head: [UInt8], body: [UInt8]) {
    var body = below(4) == 0 ? noise(200) : Array(call().utf8)
    if below(4) == 0 { change(&body) }
    var head = below(16) == 0 ? noise(200) : Array(self.head(body.count).utf8)
    if below(8) == 0 { change(&head) }
    return (head, body)
  }

  private mutating func head(_ count: Int) -> String {
    if below(2) == 0 { return "POST / HTTP/1.1\r\nContent-Length: \(count)" }
    let method = one(of: ["POST", "POST", "POST", "POST", "GET", "PUT", ""])
    var target = one(of: ["/", "/", "/", "/events", "/events?topics=", "/events?", "/x", "*"])
    if below(4) == 0 {
      let words = [
        "peers", "ring,paths", "%2C", "%", "%zz", "&", "=", "topics=claims", "é", "a=b&&", "nonsense",
      ]
      for _ in 0..<below(4) { target += one(of: words) }
    }
    let accept = one(of: ["*/*", "text/event-stream", "", "application/json, TEXT/event-stream;q=0.1"])
    return "\(method) \(target) HTTP/1.1\r\nAccept: \(accept)\r\nContent-Length: \(count)"
  }

  private mutating func call() -> String {
    let names = Catalogue.calls.map(\.name)
    let method = below(8) == 0 ? JSON.string(one(of: names + [""]) + "x").text : "\"\(one(of: names))\""
    let id = one(of: ["1", "null", "\"a\"", "[]", "{}", "1.5", "true"])
    let version = below(16) == 0 ? "1.0" : "2.0"
    return #"{"jsonrpc":"\#(version)","id":\#(id),"method":\#(method),"params":\#(parameters())}"#
  }

  private mutating func parameters() -> String {
    switch below(8) {
    case 0: return value()
    case 1: return "null"
    case 2: return #"{"target":"100.80.0.1"}"#
    case 3: return "{}"
    default: break
    }
    let names = Catalogue.calls.flatMap { $0.parameters.map(\.name) } + ["", "nonsense"]
    return "{" + (0..<below(4)).map { _ in "\"\(one(of: names))\":\(value())" }.joined(separator: ",") + "}"
  }

  private mutating func value() -> String {
    switch below(5) {
    case 0: one(of: ["null", "true", "false", "[]", "{}", "[[[[]]]]", #"{"a":{"b":[1]}}"#])
    case 1:
      one(of: ["0", "1", "-1", "10000", "1e3", "1e300", "0.5", "9223372036854775807", "92233720368547758070"])
    case 2: one(of: [#""auto""#, #""debug""#, #""100.80.0.1""#, #""fd00::1""#, #""peers""#])
    case 3: "\"\(Hex.string(noise(24)))\""
    default: JSON.string(String(decoding: noise(80), as: UTF8.self)).text
    }
  }

  /// One byte more, fewer, or another.
  private mutating func change(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    let at = below(bytes.count)
    switch below(3) {
    case 0: bytes.remove(at: at)
    case 1: bytes.insert(UInt8(random.below(256)), at: at)
    default: bytes[at] = UInt8(random.below(256))
    }
  }
}

@Suite struct RandomRequestTests {
  /// What the server writes, without a node.
  private static func response(_ head: [UInt8], _ body: [UInt8]) -> [UInt8] {
    do throws(HTTPError) {
      let request = try HTTPRequest(head: head)
      switch try Reply.to(request, body) {
      case .response(let text): return HTTPResponse.of("200 OK", text, staysOpen: request.staysOpen)
      case .question(let id, let question):
        let answer: Answer = .success(.string("\(question)"))
        return HTTPResponse.of("200 OK", RemoteCall.response(id, answer), staysOpen: request.staysOpen)
      case .events(let topics):
        #expect(!topics.isEmpty && Set(topics).count == topics.count)
        return HTTPResponse.stream
      }
    } catch {
      return HTTPResponse.of(error)
    }
  }

  /// What kind of response it is, if it is one.
  private static func kind(of response: [UInt8]) throws -> String? {
    if response == HTTPResponse.stream { return "stream" }
    let text = String(decoding: response, as: UTF8.self)
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
    guard parts.count == 2, text.hasPrefix("HTTP/1.1 "), parts[1].hasSuffix("\n"),
      parts[0].contains("\r\nContent-Length: \(parts[1].utf8.count)\r\n")
    else { return nil }
    let json = try JSONParser.parse(Array(parts[1].utf8))
    guard json["jsonrpc"] == "2.0" else { return nil }
    if json["error"] == nil { return json["result"] == nil ? nil : "result" }
    guard json["error"]["code"].asInteger != nil, json["error"]["message"].asString?.isEmpty == false else {
      return nil
    }
    return text.hasPrefix("HTTP/1.1 200 ") ? "refusal" : "error"
  }

  @Test(arguments: [UInt64(61), 62, 63, 64]) func eachGetsAWellFormedResponse(seed: UInt64) throws {
    var mischief = Mischief(random: Random(seed: seed))
    var counts: [String: Int] = [:]
    for _ in 0..<25_000 {
      let (head, body) = mischief.request()
      let response = Self.response(head, body)
      guard let kind = try Self.kind(of: response) else {
        Issue.record("\(String(decoding: response, as: UTF8.self)) for \(head), \(body)")
        return
      }
      counts[kind, default: 0] += 1
    }
    for kind in ["stream", "result", "refusal", "error"] {
      #expect(counts[kind, default: 0] > 300, "\(counts)")
    }
  }
}
