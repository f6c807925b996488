// Goal: events reach those who listen, in a form that every reader of server-sent events takes. A reader that
// is slow loses some, is told how many and where, and costs nobody anything.

import Base
import Platform
import Testing

@testable import p2pvpn

/// The values of a text of server-sent events.
private func values(_ text: [UInt8]) throws -> [JSON] {
  try String(decoding: text, as: UTF8.self).components("\n\n").compactMap {
    ServerSentEvents.data(of: Array($0.utf8))
  }.map { try JSONParser.parse($0) }
}

extension String {
  /// The parts between `mark`s.
  fileprivate func components(_ mark: String) -> [String] {
    var (parts, rest) = ([String](), Substring(self))
    while let range = rest.firstRange(of: mark) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts
  }
}

@Suite struct ServerSentEventsTests {
  @Test func anEventIsOneLineWithoutSurprises() throws {
    let value: JSON = ["text": "a\nb\r\u{0}\u{85}\u{2028}:\"", "n": 1]
    let text = ServerSentEvents.event(value)
    #expect(text.starts(with: "data: {".utf8) && text.suffix(2).elementsEqual("\n\n".utf8))
    #expect(text.count { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } == 2)
    #expect(try values(text) == [value])
  }

  @Test func whatOthersWriteIsRead() {
    func data(_ text: String) -> String? {
      ServerSentEvents.data(of: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(data("data: 1") == "1" && data("data:1") == "1" && data("data:  1") == " 1")
    #expect(data("event: x\ndata: 1\nid: 7\ndata: 2") == "1\n2")
    #expect(data(":") == nil && data("") == nil && data("event: x") == nil && data("data:") == "")
  }
}

@Suite struct EventQueueTests {
  private static let event = ServerSentEvents.event(["n": 1])

  @Test func whatFitsIsHandedOverInOrder() throws {
    let queue = EventQueue(waking: try Wakeup())
    for n in 1...10 { queue.append(ServerSentEvents.event(["n": .integer(Int64(n))])) }
    let (bytes, lost, isClosed) = queue.take()
    #expect(try values(bytes).map { $0["n"].asInteger } == Array(1...10))
    #expect(lost == 0 && !isClosed)
    #expect(queue.take().bytes.isEmpty)
    queue.close()
    #expect(queue.take().isClosed)
  }

  @Test func aFullQueueCountsWhatItLoses() throws {
    let queue = EventQueue(waking: try Wakeup())
    let most = EventQueue.bytesMax / Self.event.count
    for _ in 0..<most + 7 { queue.append(Self.event) }
    let (bytes, lost, _) = queue.take()
    #expect(bytes.count == most * Self.event.count && lost == 7)
    queue.append(Self.event)
    let after = queue.take()
    #expect(after.bytes == Self.event && after.lost == 0, "it is told once")
  }

  @Test func nothingComesBetweenWhatWasLost() throws {
    let queue = EventQueue(waking: try Wakeup())
    let large = ServerSentEvents.event([
      "text": .string(String(repeating: "a", count: EventQueue.bytesMax / 2))
    ])
    queue.append(large)
    queue.append(large)
    queue.append(Self.event)
    let (bytes, lost, _) = queue.take()
    #expect(bytes == large && lost == 2, "a small one that would fit comes after a lost one")
  }

  @Test func oneLargerThanTheQueueIsLost() throws {
    let queue = EventQueue(waking: try Wakeup())
    queue.append([UInt8](repeating: 65, count: EventQueue.bytesMax + 1))
    let (bytes, lost, _) = queue.take()
    #expect(bytes.isEmpty && lost == 1)
  }
}

@Suite struct ListenersTests {
  @Test func eachHearsItsTopics() throws {
    let wakeup = try Wakeup()
    let all = Listener(Topic.allCases, waking: wakeup)
    let some = Listener([.paths, .ring], waking: wakeup)
    var listeners = Listeners()
    #expect(listeners.isEmpty)
    listeners.add(all)
    listeners.add(some)
    var made = 0
    for topic in Topic.allCases {
      listeners.hear(topic) {
        made += 1
        return ["topic": .string(topic.rawValue)]
      }
    }
    #expect(made == Topic.allCases.count, "an event is put into text once")
    #expect(try values(all.queue.take().bytes).map { $0["topic"].asString } == Topic.allCases.map(\.rawValue))
    #expect(try values(some.queue.take().bytes).map { $0["topic"].asString } == ["paths", "ring"])
    listeners.remove(all)
    listeners.hear(.peers) {
      #expect(Bool(false), "nobody wants it")
      return nil
    }
    listeners.close()
    let end = some.queue.take()
    #expect(try values(end.bytes).map { $0["event"].asString } == ["ends"] && end.isClosed)
    #expect(all.queue.take().bytes.isEmpty && listeners.isEmpty)
  }

  @Test func theLossIsToldAsAnEvent() {
    let lost = Listener.lost(3)
    #expect(lost["topic"] == "stream" && lost["event"] == "lost" && lost["count"] == 3 && lost["schema"] == 1)
  }
}

@Suite struct AnnouncementTests {
  private static let id = OverlayID(high: 0x0123_4567_89AB_CDEF, middle: 7, low: 9)

  /// Facts of the kinds that the table wants.
  private static func facts(of announcement: Announcement) -> [Fact] {
    announcement.terms.facts.map { field in
      switch field.shape {
      case .choice(let words): .text(words[0])
      case .integer: .count(4)
      case .nullable: .endpoint(.none)
      default: ["peer", "node"].contains(field.name) ? .id(id) : .text("words in a row")
      }
    }
  }

  @Test(arguments: Announcement.allCases) func everyEventHasTheFormThatHelpShows(_ announcement: Announcement)
  {
    let terms = announcement.terms
    let event = announcement.event(Self.facts(of: announcement), at: "2026-02-03T04:05:06.789Z")
    let head = [
      Field("schema", .integer(1...1), ""), Field("topic", .choice([terms.topic.rawValue]), ""),
      Field("event", .choice([announcement.rawValue]), ""), Field("time", .text, ""),
    ]
    #expect(Shape.object(head + terms.facts).complaint(about: event, called: "event") == nil)
    #expect(terms.facts.allSatisfy { !$0.text.isEmpty } && !terms.message.isEmpty)
    #expect(announcement.metadata(Self.facts(of: announcement)).count == terms.facts.count)
  }

  @Test func iDsAreWholeInEventsAndShortInTheLog() {
    #expect(Announcement.linkUp.event([.id(Self.id)], at: "")["peer"] == JSON(Self.id))
    #expect(Announcement.linkUp.metadata([.id(Self.id)])["peer"] == "0123456789")
    let path = Announcement.pathChanged
    let facts: [Fact] = [.id(Self.id), .text("overlay"), .endpoint(.none)]
    #expect(path.event(facts, at: "")["endpoint"] == .null && path.metadata(facts)["endpoint"] == "none")
  }

  @Test func eventsReadWell() {
    let facts: [Fact] = [.id(Self.id), .text("direct"), .endpoint(Endpoint("192.0.2.1:7741")!)]
    let event = Announcement.pathChanged.event(facts, at: "2026-02-03T04:05:06.789Z")
    #expect(
      Presentation.event(event)
        == "04:05:06.789 paths path-changed peer=0123456789 path=direct endpoint=192.0.2.1:7741")
    let warning = Announcement.warningSet.event([.text("alone"), .text("two words")], at: "x")
    #expect(Presentation.event(warning).hasSuffix(#"warning=alone text="two words""#))
    #expect(!Presentation.event([]).isEmpty && !Presentation.event([:]).isEmpty)
  }
}

@Suite struct ConcernsTests {
  @Test func onlyNewsIsTold() {
    var concerns = Concerns()
    let news = [concerns.set(.alone, "a"), concerns.set(.alone, "a"), concerns.set(.alone, "b")]
    #expect(news == [true, false, true])
    #expect(concerns.texts == ["b"] && concerns.has(.alone) && !concerns.has(.udp))
    let isNews = concerns.set(.udp, "c")
    #expect(isNews && concerns.texts == ["b", "c"])
    let passed = [concerns.clear(.alone), concerns.clear(.alone)]
    #expect(passed == [true, false] && concerns.texts == ["c"])
  }
}
