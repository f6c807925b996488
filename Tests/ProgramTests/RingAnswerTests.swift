// Goal: what tasks and crawls have found has the form that is declared and documented, reads well, and is
// never better than the ring.

import Base
import Glibc
import Testing

@testable import Node
@testable import Overlay
@testable import p2pvpn

private func outcome(_ name: String, _ tally: TaskTally = TaskTally()) -> TaskOutcome {
  TaskOutcome(
    ticket: 1, name: name, ring: .main, tally: tally, answer: nil, elapsed: .milliseconds(1_500))
}

/// A document of the project.
private func document(_ path: String, from here: String = #filePath) throws -> JSON {
  let root = here.split(separator: "/").dropLast(3).joined(separator: "/")
  let file = open("/\(root)/\(path)", O_RDONLY)
  try #require(file >= 0)
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 64 << 10)
  return try JSONParser.parse(Array(bytes[..<max(0, read(file, &bytes, bytes.count))]))
}

@Suite(.timeLimit(.minutes(10))) struct TaskReportTests {
  @Test func theHeadIsTheSameEverywhere() throws {
    let report = TaskReport.json(outcome("count"), of: nil)
    guard case .object(let members) = report else { return #expect(Bool(false)) }
    #expect(members.map(\.key) == TaskReport.head)
    #expect(["schema"] + Answers.mapreduce.map(\.name) == TaskReport.head)
    let schema = try document("docs/schema/mapreduce.schema.json")
    #expect(schema["required"].asArray.map(\.asString) == TaskReport.head)
    let form = Shape.object([Field("schema", .integer(1...1), "")] + Answers.mapreduce)
    #expect(form.complaint(about: report, called: "mapreduce") == nil)
  }

  @Test func noTaskUsesAKeyOfTheHead() {
    func keys<Task: RingTask>(_ task: Task.Type) -> [String] {
      let answer = Task.reduce([], in: .all(but: 0), isWhole: true)
      return Task.findings(of: answer, TaskTally()).map(\.name)
    }
    for task in RingTasks.all {
      let found = keys(task)
      #expect(Set(found).isDisjoint(with: TaskReport.head), "\(task.name)")
      #expect(Set(found).count == found.count, "\(task.name)")
    }
  }

  @Test(arguments: ["consistency", "consistency-calls"]) func withoutAnAnswerTheVerdictIsNull(_ task: String)
  {
    let report = TaskReport.json(outcome(task), of: "home")
    guard case .object(let members) = report else { return #expect(Bool(false)) }
    for key in ["method1", "method2", "method3", "final", "winding", "components", "whole"] {
      #expect(members.contains(JSON.Member(key: key, value: nil)), "\(key)")
    }
    #expect(TaskPresentation.lines(report).first == "0 nodes have answered")
    #expect(TaskReport.isVerdict(task) && !TaskReport.isVerdict("count"))
  }

  @Test func whatIsMissingIsShown() {
    var tally = TaskTally()
    tally.answered = 7
    tally.declined = 2
    for i in 0..<20 { tally.miss(Arc(from: UInt64(i), to: UInt64(i + 1)), nodes: 3) }
    for i in 0..<10 { tally.note(silent: OverlayID(high: UInt64(i), middle: 0, low: 0)) }
    let lines = TaskPresentation.lines(TaskReport.json(outcome("count", tally), of: nil))
    #expect(lines[0] == "7 nodes have answered, 2 do not say, about 60 missing")
    #expect(lines.contains("missing: about 12 nodes in other parts"))
    #expect(lines.contains { $0.hasPrefix("no sign of 10, dead most likely") && $0.hasSuffix("and others") })
    #expect(lines.last == "took 1.500 s: 1.500 on the way, 0.000 in maps, 0 levels")
  }

  @Test func aShareIsNeverRoundedUpToAll() {
    let answer: JSON = [
      "schema": 1, "nodes": 100_000, "whole": false, "final": .number(0.99999), "method1": .number(0.9999),
    ]
    let lines = TaskPresentation.lines(answer)
    #expect(lines[0] == "ring NOT whole: 100000 nodes, consistency 0.999")
    #expect(lines.contains { $0.hasPrefix("method1") && $0.hasSuffix("0.999") })
    #expect(TaskPresentation.share(1) == "1.000" && TaskPresentation.share(-1) == "0.000")
    #expect(TaskPresentation.share(1e300) == "1.000" && TaskPresentation.share(0) == "0.000")
  }

  @Test(arguments: [
    (-0.5, "-0.500"), (0.5, "0.500"), (-1.25, "-1.250"), (-0.0001, "0.000"), (2, "2.000"),
    (1e15, "1000000000000000.0"),
  ]) func numbersHaveTheirSign(_ number: Double, _ text: String) {
    #expect(TaskPresentation.rounded(number) == text)
  }
}

/// A ring of so many nodes, each of which sees `count` neighbours on each side; those in `dead` are named and
/// have not answered.
private func crawled(_ count: Int, dead: Set<Int> = []) -> CrawlResult {
  func id(_ i: Int) -> OverlayID {
    OverlayID(high: UInt64((i % count + count) % count + 1) << 40, middle: 0, low: 0)
  }
  func neighbours(_ i: Int, _ step: Int) -> BoundedArray<4, Testimony.Neighbour> {
    var list = BoundedArray<4, Testimony.Neighbour>()
    for n in 1...2 {
      let neighbour = Testimony.Neighbour(
        id: id(i + n * step), incarnation: 1, linkedFor: 10, silentFor: 1, path: .direct, roundTrip: 3,
        namesUs: true)
      _ = list.append(neighbour)
    }
    return list
  }
  let nodes = (0..<count).map { i -> CrawledNode in
    guard !dead.contains(i) else { return CrawledNode(id: id(i), outcome: .silent) }
    let word = Testimony(
      phase: .settled, isReady: true, incarnation: 1, uptime: 60, unchangedFor: 30,
      sizeEstimate: UInt32(count), left: neighbours(i, -1), right: neighbours(i, 1))
    return CrawledNode(id: id(i), word: word)
  }
  return CrawlResult(ring: .main, origin: id(0), nodes: nodes, took: .seconds(1), questions: count)
}

extension CrawledNode {
  fileprivate init(id: OverlayID, outcome: Outcome) {
    self.init(id: id)
    self.outcome = outcome
  }
}

@Suite(.timeLimit(.minutes(10))) struct CrawlAnswerTests {
  private static let schema = Field("schema", .integer(1...1), "")

  @Test(arguments: [false, true]) func aCrawlHasTheFormThatIsDeclared(_ isBroken: Bool) throws {
    let crawl = KeptCrawl(7, crawled(30, dead: isBroken ? [3, 4] : []))
    let answer = CrawlAnswer.summary(crawl, of: nil, explains: true)
    let form = Shape.object([Self.schema] + Answers.crawl)
    #expect(form.complaint(about: answer, called: "crawl") == nil)
    #expect(answer["whole"] == .bool(!isBroken) && answer["crawl"] == 7)
    #expect(answer["explanations"].asArray.isEmpty == !isBroken)
    guard case .object(let members) = answer else { return #expect(Bool(false)) }
    let required = try document("docs/schema/crawl.schema.json")["required"].asArray.map(\.asString)
    #expect(required == members.map(\.key).filter { $0 != "explanations" })
    let nodes = CrawlAnswer.nodes(crawl, Page(limit: 100, after: nil))
    let pages = Shape.object([Self.schema] + Answers.crawlNodes)
    #expect(pages.complaint(about: nodes, called: "crawl-nodes") == nil)
    #expect(nodes["nodes"].asArray.count { $0["faults"] != [] } == answer["outliers"].asArray.count)
  }

  @Test func moreThanIsListedIsCounted() {
    let crawl = KeptCrawl(1, crawled(1_000, dead: Set((0..<300).map { 3 * $0 })))
    for explains in [false, true] {
      let answer = CrawlAnswer.summary(crawl, of: nil, explains: explains)
      let beyond = answer["outliers_beyond"].asInteger ?? 0
      #expect(answer["outliers"].asArray.count == CrawlAnswer.listedMax && beyond > 0)
      let pairs = answer["unreachable_pairs"].asArray.count
      #expect(pairs <= CrawlAnswer.listedMax)
      #expect(Int(answer["unreachable_pairs_beyond"].asInteger ?? -1) == crawl.report.pairs.count - pairs)
      let lines = CrawlPresentation.lines(answer)
      #expect(lines.first == answer["verdict"].asString && lines.contains("and \(beyond) more"))
    }
  }

  @Test(arguments: [1, 7, 30, 31]) func pagesAreAllNodesOnce(limit: Int) {
    let crawl = KeptCrawl(1, crawled(30, dead: [5]))
    var (page, read) = (Page(limit: limit, after: nil), [String]())
    while true {
      let answer = CrawlAnswer.nodes(crawl, page)
      read += answer["nodes"].asArray.compactMap { $0["id"].asString }
      guard let next = answer["next"].asString else { break }
      page.after = OverlayID(digits: next)
    }
    #expect(read == crawl.result.nodes.map { "\($0.id)" })
  }

  @Test(arguments: [KeptCrawl.Form.svg, .dot]) func partsOfAPictureAreThePicture(_ form: KeptCrawl.Form) {
    let crawl = KeptCrawl(1, crawled(2_000))
    let whole = form == .svg ? CrawlDrawing(crawl.report).svg : crawl.report.dot
    var (text, start) = ("", 0)
    while true {
      let answer = CrawlAnswer.picture(crawl, form, from: start)
      let pages = Shape.object([Self.schema] + Answers.crawlPicture)
      #expect(pages.complaint(about: answer, called: "crawl-picture") == nil)
      text += answer["picture"].asString ?? ""
      guard let next = answer["next"].asInteger else { break }
      start = Int(next)
    }
    #expect(text == whole)
    #expect(crawl.picture(form, from: .max).part.isEmpty && crawl.picture(form, from: .max).next == nil)
  }

  @Test func noCharacterIsCutInTwo() {
    let bytes = Array("aé…b".utf8)
    for limit in 3...bytes.count {
      var (text, start) = ("", 0)
      while true {
        let (part, next) = KeptCrawl.cut(bytes, from: start, atMost: limit)
        text += part
        guard let next, next > start else { break }
        start = next
      }
      #expect(text == "aé…b")
    }
  }
}

@Suite struct KeptCrawlsTests {
  private static func at(_ seconds: UInt64) -> Instant { .start + .seconds(seconds) }
  private static func crawl(_ number: UInt32) -> KeptCrawl { KeptCrawl(number, crawled(3)) }

  @Test func aUseRenewsTheMinute() {
    var kept = KeptCrawls()
    #expect(kept.nextAt == .never)
    kept.keep(Self.crawl(1), at: Self.at(0))
    #expect(kept.use(1, at: Self.at(59)) != nil && kept.use(1, at: Self.at(118)) != nil)
    #expect(kept.nextAt == Self.at(178) && kept.use(2, at: Self.at(118)) == nil)
    #expect(kept.use(1, at: Self.at(178)) == nil && kept.nextAt == .never)
  }

  @Test func theOneThatIsLongestUnusedMakesRoom() {
    var kept = KeptCrawls()
    kept.keep(Self.crawl(1), at: Self.at(0))
    kept.keep(Self.crawl(2), at: Self.at(1))
    #expect(kept.use(1, at: Self.at(2)) != nil)
    kept.keep(Self.crawl(3), at: Self.at(3))
    #expect(kept.use(2, at: Self.at(4)) == nil)
    #expect(kept.use(1, at: Self.at(4)) != nil && kept.use(3, at: Self.at(4)) != nil)
    kept.forget(at: Self.at(64))
    #expect(kept.nextAt == .never)
  }
}
