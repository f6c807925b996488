// Goal: the JSON reader takes what RFC 8259 allows and nothing else, and no bytes make it trap.

import Base
import Testing

@testable import p2pvpn

/// A value; nil when the text is refused.
private func read(_ text: String) -> JSON? { try? JSONParser.parse(Array(text.utf8)) }

@Suite struct JSONTests {
  private static let document: JSON = [
    "schema": 1, "none": nil, "yes": true, "no": false, "half": .number(0.5), "least": .integer(.min),
    "list": [1, [], [:], "a\"b\\c/\u{8}\u{C}\n\r\t\u{0}\u{1F}\u{7F}é€😀"], "": ["nested": ["more": [nil]]],
    "far": .number(1.5e300), "near": .number(-.leastNonzeroMagnitude),
  ]

  @Test(arguments: [
    ("0", JSON.integer(0)), ("-0", 0), ("-1", -1), ("9223372036854775807", .integer(.max)),
    ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .number(9_223_372_036_854_775_808)),
    ("1.0", .number(1)), ("0.25", .number(0.25)), ("1e2", .number(100)), ("1E+2", .number(100)),
    ("-1.5e-1", .number(-0.15)), ("0e0", .number(0)), (" \t\r\n7 \n", 7),
  ]) func numbersAreRead(_ text: String, _ value: JSON) { #expect(read(text) == value) }

  @Test(arguments: [
    "", " ", "-", "+1", "01", "-01", "1.", ".5", "-.5", "1e", "1e+", "1.e1", "0x1", "1_0", "1,", "Infinity",
    "-Infinity", "NaN", "1e400", "-1e400", "--1", "1-1", "1 2", "٣",
  ]) func whatIsNoNumberIsRefused(_ text: String) { #expect(read(text) == nil) }

  @Test(arguments: [
    (#""""#, ""), (#""a""#, "a"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
    (#""\u0041\u00e9\u20AC""#, "Aé€"),
    (#""\ud83d\ude00""#, "😀"), (#""\uD83D\uDE00!""#, "😀!"), (#""\u0000""#, "\u{0}"), (#""é😀""#, "é😀"),
    (#""\uFFFF\uE000""#, "\u{FFFF}\u{E000}"), (#""\uD800\uDC00\uDBFF\uDFFF""#, "\u{10000}\u{10FFFF}"),
  ]) func stringsAreRead(_ text: String, _ value: String) { #expect(read(text) == .string(value)) }

  @Test(arguments: [
    #"""#, #""a"#, #""\"#, #""\""#, #""\x41""#, #""\u""#, #""\u12""#, #""\u12g4""#, #""\u+123""#,
    #""\ud83d""#,
    #""\ud83d\n""#, #""\ud83dx""#, #""\ud83d\u0041""#, #""\ude00\ud83d""#, #""\ude00""#, "'a'", "\"\n\"",
    "\"\u{0}\"", "\"\u{1F}\"", #""a" "b""#,
  ]) func whatIsNoStringIsRefused(_ text: String) { #expect(read(text) == nil) }

  @Test func bytesThatAreNotUTF8AreRefused() {
    for bytes in [[0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xC3]] as [[UInt8]] {
      #expect(throws: JSONError.self) { try JSONParser.parse([0x22] + bytes + [0x22]) }
      #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
    }
    #expect(throws: JSONError.self) { try JSONParser.parse([0xEF, 0xBB, 0xBF, 0x30]) }
  }

  @Test(arguments: [
    "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{1:2}", "{\"a\"}", "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1 \"b\":2}", "{\"a\":1]", "{,}", "{'a':1}", "{a:1}", "tru", "truee", "TRUE", "nul", "null null",
    "[]]",
    "/* */ 1", "1 // one",
  ]) func whatIsNoValueIsRefused(_ text: String) { #expect(read(text) == nil) }

  @Test func nestingIsBounded() {
    func nested(_ depth: Int, _ begin: String, _ end: String) -> JSON? {
      read(String(repeating: begin, count: depth) + String(repeating: end, count: depth))
    }
    #expect(nested(32, "[", "]") != nil)
    #expect(nested(33, "[", "]") == nil)
    #expect(nested(100_000, "[", "]") == nil)
    #expect(nested(100_000, "{\"a\":", "}") == nil)
    #expect(read(String(repeating: "[", count: 1 << 20)) == nil)
  }

  @Test func theFirstOfEqualKeysCounts() { #expect(read(#"{"a":1,"a":2}"#)?["a"] == 1) }

  @Test func errorsSayWhere() {
    #expect { try JSONParser.parse(Array("[1, x]".utf8)) } throws: { ($0 as? JSONError)?.offset == 4 }
  }

  @Test func whatIsWrittenIsReadAsTheSame() {
    let text = Self.document.text
    #expect(read(text) == Self.document)
    #expect(read(text)?.text == text)
    #expect(text.utf8.allSatisfy { $0 >= 32 && $0 != 127 }, "no control character leaves")
    #expect(JSON.number(.infinity).text == "null" && JSON.number(.nan).text == "null")
  }

  @Test(arguments: [UInt64(1), 2, 3]) func valuesOfAllKindsComeBack(seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<200 {
      let value = Self.value(&random, depth: 0)
      #expect(read(value.text) == value)
    }
  }

  @Test func everyTruncationIsRefused() {
    let bytes = Array(Self.document.text.utf8)
    for count in bytes.indices {
      #expect(throws: JSONError.self, "\(count) bytes") { try JSONParser.parse(Array(bytes[..<count])) }
    }
  }

  @Test(arguments: [UInt64(11), 12]) func changedBytesNeverTrap(seed: UInt64) {
    let bytes = Array(Self.document.text.utf8)
    var random = Random(seed: seed)
    for _ in 0..<2_000 {
      var changed = bytes
      for _ in 0...random.below(3) {
        let at = Int(random.below(UInt64(bytes.count)))
        if random.below(2) == 0 {
          changed[at] ^= 1 << UInt8(random.below(8))
        } else {
          changed[at] = Array("{}[]\",:\\u0123456789eE+-.".utf8)[Int(random.below(24))]
        }
      }
      guard let value = try? JSONParser.parse(changed) else { continue }
      #expect(read(value.text) == value, "\(String(decoding: changed, as: UTF8.self))")
    }
  }

  private static func value(_ random: inout Random, depth: Int) -> JSON {
    switch random.below(depth < 4 ? 7 : 5) {
    case 0: return [nil, true, false][Int(random.below(3))]
    case 1: return .integer(Int64(bitPattern: random.next() >> random.below(64)))
    case 2:
      let number = Double(bitPattern: random.next())
      return .number(number.isFinite ? number : 0.1)
    case 3, 4: return .string(text(&random))
    case 5:
      var values: [JSON] = []
      for _ in 0..<random.below(5) { values.append(value(&random, depth: depth + 1)) }
      return .array(values)
    default:
      var members: [JSON.Member] = []
      for _ in 0..<random.below(5) {
        members.append(JSON.Member(key: text(&random), value: value(&random, depth: depth + 1)))
      }
      return .object(members)
    }
  }

  private static func text(_ random: inout Random) -> String {
    var text = ""
    for _ in 0..<random.below(8) {
      let range: UInt64 = [0x80, 0x800, 0x11_0000][Int(random.below(3))]
      if let scalar = Unicode.Scalar(UInt32(random.below(range))) { text.unicodeScalars.append(scalar) }
    }
    return text
  }
}

@Suite struct RemoteCallTests {
  private func refusal(_ text: String) -> Int64? {
    guard case .failure(let refusal) = RemoteCall.errand(in: Array(text.utf8)).1 else { return nil }
    return refusal.code
  }

  @Test func requestsAreUnderstood() throws {
    let bytes = RemoteCall.request("ping", ["target": "100.80.0.1", "timeout_ms": 250])
    let (id, errand) = RemoteCall.errand(in: bytes)
    guard case .ask(.ping("100.80.0.1", let patience)) = try errand.get() else {
      Issue.record("not a ping")
      return
    }
    #expect(id == 1 && patience == .milliseconds(250))
    for method in ["status", "peers", "leave"] {
      #expect(throws: Never.self) { try RemoteCall.errand(in: RemoteCall.request(method, [:])).1.get() }
    }
  }

  @Test func whatIsNotUnderstoodIsRefusedWithTheCodeOfTheSpecification() {
    #expect(refusal("") == -32_700)
    #expect(refusal("{") == -32_700)
    #expect(refusal("[]") == -32_600)
    #expect(refusal("3") == -32_600)
    #expect(refusal(#"{"jsonrpc":"1.0","method":"status"}"#) == -32_600)
    #expect(refusal(#"{"jsonrpc":"2.0","method":7}"#) == -32_600)
    #expect(refusal(#"{"jsonrpc":"2.0","method":"no such"}"#) == -32_601)
  }

  @Test(arguments: [
    #""ping""#, #""ping","params":[]"#, #""ping","params":{"target":1}"#,
    #""ping","params":{"target":"a","timeout_ms":0}"#, #""ping","params":{"target":"a","timeout_ms":30001}"#,
    #""ping","params":{"target":"a","timeout_ms":1.5}"#, #""ping","params":{"target":"a","timeout_ms":"1"}"#,
    #""ping","params":{"target":"a","timeout_ms":1e300}"#, #""lookup","params":{}"#,
    #""path","params":{"peer":"a"}"#,
    #""path","params":{"peer":"a","mode":"sideways"}"#,
  ]) func parametersAreChecked(_ rest: String) {
    #expect(refusal(#"{"jsonrpc":"2.0","id":1,"method":"# + rest + "}") == -32_602)
  }

  @Test(arguments: [
    p2pvpn.ExitStatus.failed, .usage, .notRunning, .notPermitted, .timedOut, .notFound, .notReady,
  ]) func failuresKeepTheirExitCodeOnTheWay(_ status: p2pvpn.ExitStatus) {
    let text = RemoteCall.response("x", .failure(Failure(status, "why \"so\"")))
    #expect { try RemoteCall.result(in: text) } throws: {
      ($0 as? Failure)?.status == status && ($0 as? Failure)?.message == "why \"so\""
    }
  }

  @Test func answersOfOtherProgramsAreFailures() throws {
    #expect(try RemoteCall.result(in: RemoteCall.response(1, .success(["a": 1]))) == ["a": 1])
    for text in ["", "<html>", #"{"error":{"code":5}}"#, #"{"error":7}"#, #"{"error":{"code":1e300}}"#] {
      #expect { try RemoteCall.result(in: Array(text.utf8)) } throws: {
        ($0 as? Failure)?.status == .failed
      }
    }
  }
}
