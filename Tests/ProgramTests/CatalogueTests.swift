// Goal: what a call takes and answers is declared once. Whatever does not fit the declaration is refused in
// words that say what is wrong, and what the node really answers fits.

import Base
import Logging
import Testing

@testable import p2pvpn

/// What comes of a request's text.
private func errand(_ text: String) -> Result<Call.Errand, RemoteCall.Refusal> {
  RemoteCall.errand(in: Array(text.utf8)).1
}

private func refusal(_ method: String, _ parameters: String) -> RemoteCall.Refusal? {
  let text = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(parameters)}"#
  if case .failure(let refusal) = errand(text) { return refusal }
  return nil
}

@Suite struct CatalogueTests {
  @Test func everyCallIsThereOnceAndDescribed() throws {
    let names = Catalogue.calls.map(\.name)
    #expect(Set(names).count == names.count)
    let help = try Help.text(about: nil)
    #expect(help["calls"].asArray.map { $0["name"].asString } == names)
    for call in Catalogue.calls {
      #expect(!call.text.isEmpty && call.text.hasSuffix("."))
      let one = try Help.text(about: call.name)
      #expect(one["calls"].asArray.count == 1)
      let keys = call.parameters.map(\.name)
      guard case .object(let properties) = one["calls"].asArray[0]["params"]["properties"] else {
        #expect(Bool(false), "\(call.name) has no form")
        continue
      }
      #expect(properties.map(\.key) == keys)
      for (field, property) in zip(call.parameters, properties) {
        #expect(property.value["description"].asString == field.text && !field.text.isEmpty)
        #expect(property.value["type"] != nil || property.value["anyOf"] != nil)
      }
    }
  }

  @Test func helpFitsItsOwnDeclaration() throws {
    let form = Shape.object([Field("schema", .integer(1...1), "")] + Answers.help)
    #expect(form.complaint(about: try Help.text(about: nil), called: "help") == nil)
    #expect(form.complaint(about: try Help.text(about: "ping"), called: "help") == nil)
  }

  @Test func helpNamesEveryEvent() throws {
    let topics = try Help.text(about: nil)["topics"].asArray
    #expect(topics.map { $0["name"].asString } == Topic.allCases.map(\.rawValue))
    let events = topics.flatMap { $0["events"].asArray.compactMap { $0["name"].asString } }
    #expect(Set(events) == Set(Announcement.allCases.map(\.rawValue)))
  }

  @Test(arguments: [
    ("peers", "{}"), ("peers", "null"), ("peers", #"{"limit":1,"after":null}"#), ("status", "{}"),
    ("peers", #"{"limit":10000,"after":"00112233445566778899aabbccddeeff00112233"}"#),
    ("ping", #"{"target":"x"}"#), ("ping", #"{"target":"x","timeout_ms":30000}"#),
    ("path", #"{"peer":"x","mode":"auto"}"#), ("log", "{}"), ("log", #"{"level":"debug"}"#), ("help", "{}"),
  ]) func whatIsDeclaredIsTaken(_ method: String, _ parameters: String) {
    #expect(refusal(method, parameters) == nil)
  }

  @Test(arguments: [
    ("peers", "[1]", -32_602, "named parameters"), ("peers", #""x""#, -32_602, "named parameters"),
    ("peers", #"{"limit":0}"#, -32_602, "limit is to be an integer from 1 to 10000, not 0"),
    ("peers", #"{"limit":"5"}"#, -32_602, "limit is to be an integer"),
    ("peers", #"{"limit":1.5}"#, -32_602, "limit is to be an integer"),
    ("peers", #"{"limit":1,"limit":2}"#, -32_602, "peers has limit twice"),
    ("peers", #"{"lmit":1}"#, -32_602, "did you mean limit?"),
    ("peers", #"{"after":"0011"}"#, -32_602, "after is to be the `next`"),
    ("status", #"{"x":1}"#, -32_602, "status has no parameters"),
    ("ping", "{}", -32_602, "ping wants target, a text"),
    ("ping", #"{"target":7}"#, -32_602, "target is to be"),
    ("ping", #"{"target":null}"#, -32_602, "target is to be"),
    ("ping", #"{"target":"x","timeout_ms":30001}"#, -32_602, "from 1 to 30000"),
    ("ping", #"{"target":"x","nonsense":1}"#, -32_602, "there is target, timeout_ms"),
    ("path", #"{"peer":"x","mode":"atuo"}"#, -32_602, "did you mean auto?"),
    ("path", #"{"peer":"x","mode":"no"}"#, -32_602, "one of auto, overlay"),
    ("log", #"{"level":"loud"}"#, -32_602, "one of trace, debug"),
    ("lgo", "{}", -32_601, "did you mean log?"),
    ("nonsense", "{}", -32_601, "`help` lists all"), ("help", #"{"call":"stats"}"#, -32_601, "status"),
  ]) func whatIsNotDeclaredIsRefused(_ method: String, _ parameters: String, _ code: Int64, _ words: String) {
    let refusal = refusal(method, parameters)
    #expect(refusal?.code == code)
    #expect(refusal?.message.contains(words) == true, "\(refusal?.message ?? "taken")")
  }

  @Test func longTextsAreRefusedAndNotRepeated() {
    let long = String(repeating: "a", count: 60_000)
    for refusal in [refusal("ping", #"{"target":"\#(long)"}"#), refusal(long, "{}")] {
      #expect((refusal?.message.utf8.count ?? .max) < 300)
    }
  }

  @Test func requestsAreNotTakenWithoutTheirFrame() {
    for text in [
      "", "{", "[]", "{}", #"{"jsonrpc":"1.0","method":"status"}"#, #"{"jsonrpc":"2.0","method":1}"#,
    ] {
      guard case .failure = errand(text) else {
        #expect(Bool(false), "\(text) was taken")
        continue
      }
    }
    let (id, answer) = RemoteCall.errand(in: Array(#"{"jsonrpc":"2.0","id":[1],"method":"status"}"#.utf8))
    #expect(id == .null, "an ID that is none is not repeated")
    guard case .failure = answer else { return #expect(Bool(false)) }
  }

  @Test func aValueLeftOutIsTheStandard() throws {
    let text = #"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"target":"x"}}"#
    guard case .success(.ask(.ping("x", let patience))) = errand(text) else { return #expect(Bool(false)) }
    #expect(patience == .seconds(5))
  }

  @Test func typedParametersHaveTheFormThatIsWanted() {
    func pair(_ key: String, _ value: String) -> CallCommand.Pair { CallCommand.Pair(key: key, value: value) }
    let typed = [pair("target", "1234"), pair("timeout_ms", "50")]
    #expect(CallCommand.values(typed, of: "ping") == ["target": "1234", "timeout_ms": 50])
    #expect(CallCommand.values([pair("limit", "ten")], of: "peers") == ["limit": "ten"])
    #expect(CallCommand.values([pair("x", "1")], of: "nonsense") == ["x": "1"])
  }
}

@Suite struct SpellingTests {
  @Test(arguments: [
    ("statsu", "status"), ("peer", "peers"), ("pings", "ping"), ("lgo", "log"), ("hlep", "help"),
    ("xyz", nil), ("", nil), (String(repeating: "p", count: 99), nil),
  ]) func theNearestWordIsFound(_ typed: String, _ word: String?) {
    #expect(Spelling.nearest(to: typed, in: ["status", "peers", "ping", "log", "help"]) == word)
  }
}

@Suite struct PageTests {
  private static func id(_ number: UInt64) -> OverlayID { OverlayID(high: number, middle: 0, low: 0) }

  /// Everything that is read in pages, with a change of the list between any two.
  private static func read(
    _ start: [UInt64], limit: Int, change: (Int, inout [UInt64]) -> Void = { _, _ in }
  ) -> [UInt64] {
    var (list, read, page, count) = (start, [UInt64](), Page(limit: limit, after: nil), 0)
    while true {
      let (part, next) = page.cut(list) { id($0) }
      #expect(part.count <= limit)
      read += part
      guard let next else { return read }
      page.after = next
      count += 1
      change(count, &list)
    }
  }

  @Test(arguments: [1, 2, 3, 7, 10, 11]) func pagesAreTheWholeList(limit: Int) {
    #expect(Self.read([5, 3, 9, 1, 8, 2, 7, 4, 10, 6], limit: limit) == Array(1...10))
    #expect(Self.read([], limit: limit) == [])
  }

  @Test func whoStaysIsReadOnceWhateverComesAndGoes() {
    let read = Self.read(Array(1...20).map { 10 * $0 }, limit: 3) { count, list in
      list.removeAll { $0 == UInt64(10 * (count * 3)) || $0 == 200 }
      list.append(UInt64(count))
      list.append(UInt64(100 + count))
      list.reverse()
    }
    #expect(Set(read).count == read.count && read == read.sorted())
    for stays in [10, 20, 40, 50, 70, 80, 100, 110, 190] { #expect(read.contains(UInt64(stays))) }
  }

  @Test func theLastPageHasNoNext() {
    #expect(Page(limit: 2, after: Self.id(8)).cut([9, 10]) { Self.id($0) }.next == nil)
    #expect(Page(limit: 2, after: Self.id(10)).cut([9, 10]) { Self.id($0) }.part.isEmpty)
    #expect(Page(limit: 1, after: nil).cut([9, 10]) { Self.id($0) }.next == Self.id(9))
  }

  @Test func anIDIsReadFromItsDigits() {
    let id = OverlayID(high: 0x0123_4567_89AB_CDEF, middle: 7, low: 9)
    #expect(OverlayID(digits: "\(id)") == id && OverlayID(digits: "\(id)".uppercased()) == id)
    for text in ["", "01", "\(id)0", "\(id)00", String(repeating: "g", count: 40)] {
      #expect(OverlayID(digits: text) == nil)
    }
  }
}
