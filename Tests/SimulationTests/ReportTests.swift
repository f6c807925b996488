// The page, the table and the JSON of a run that was made up.
import Base
import Foundation
import Node
import Testing

@testable import Scenarios

@Suite struct PageTests {
  /// A short run that never was.
  private func verdict(scenario: String = "join") -> Verdict {
    var plan = Plan()
    plan.steps = [Step(at: 0, .start(0, via: [])), Step(at: 5, .crash(0, back: nil))]
    plan.end = 10_000
    plan.excused = [0...2_000]
    var record = Record(Schedule(Settings(scenario: scenario, nodes: 1, seed: 7), plan))
    for i in 0..<1_000 {
      var found = HandmadeRing(5).inspect()
      found.examples = ["S3: <b>two</b> cycles & more"]
      record.moments.append(
        Moment(
          at: Double(i) / 10, isExcused: false, found: found, subrings: Subrings(), datagrams: UInt64(i),
          bytes: UInt64(i * i))
      )
      record.hops.add(Double(i % 7))
      record.stretch.add(Double(i % 30) / 3)
      record.joinSeconds.add(Double(i) / 500)
    }
    record.lookups = [LookupTally](repeating: LookupTally(), count: 100)
    for i in 0..<100 {
      record.lookups[i].asked = 10
      record.lookups[i].right = 10 - i % 2
      record.lookups[i].wrong = i % 2
    }
    record.virtualSeconds = 100
    record.digest = 0xAB
    return Verdict(record, Join.self)
  }

  @Test func textMeansItself() {
    #expect(Markup.escape("<a href=\"x\">'&'</a>") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;")
    #expect(Markup.escape("a\u{0}b") == "a\u{FFFD}b")
    let page = Report.page(verdict(scenario: "<script>alert(1)</script>"), abstract: "\"><img src=x>")
    #expect(!page.contains("<script") && !page.contains("<img"))
    #expect(!page.contains("<b>two</b>"))
  }

  @Test func pageNeedsNothingElse() {
    let page = Report.page(verdict(), abstract: "what it shows")
    for word in ["http:", "https:", "src=", "url(", "@import", "<link", "<script"] {
      #expect(!page.contains(word), "\(word)")
    }
    #expect(page.contains("prefers-color-scheme: dark"))
    #expect(page.utf8.count < 400_000, "\(page.utf8.count)")
  }

  @Test func elementsAreClosed() {
    let page = Report.page(verdict(), abstract: "what it shows")
    for name in ["figure", "svg", "table", "section", "tr", "td", "ul", "pre", "main", "text"] {
      let opened =
        page.components(separatedBy: "<\(name)>").count + page.components(separatedBy: "<\(name) ").count
      #expect(opened - 2 == page.components(separatedBy: "</\(name)>").count - 1, "\(name)")
    }
    #expect(!page.contains("nan") && !page.contains("inf\""), "coordinates are numbers")
  }

  @Test func longCurvesAreThinnedAndKeepTheirExtremes() {
    var points = (0..<10_000).map { (x: Double($0), y: 1.0) }
    points[7_777].y = 0.25
    let thin = Chart.thinned(points)
    #expect(thin.count <= 420 && thin.contains { $0.y == 0.25 })
    #expect(zip(thin, thin.dropFirst()).allSatisfy { $0.x < $1.x })
  }

  @Test func axesHaveRoundSteps() {
    #expect(Chart.niceStep(10, 5) == 2 && Chart.niceStep(1, 4) == 0.5 && Chart.niceStep(730, 7) == 200)
  }

  @Test func jsonIsWhatOthersRead() throws {
    let text = Summary.json(verdict()).text
    let value = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let names = [
      "scenario", "nodes", "seed", "digest", "virtual_s", "wall_s", "events", "peak_rss_bytes", "checks",
      "figures",
    ]
    for name in names { #expect(value[name] != nil, "\(name)") }
    #expect(value["digest"] as? String == "00000000000000ab")
    let checks = try #require(value["checks"] as? [String: [String: Any]])
    for (name, check) in checks {
      #expect(check["ok"] is Bool && check["bound"] is Double && check["value"] != nil, "\(name)")
    }
    #expect(checks["s4_winding"]?["ok"] as? Bool == true)
    #expect((value["figures"] as? [String: Any])?["hops_mean"] as? Double != nil)
  }

  @Test func jsonStringsAreEscaped() throws {
    let wild = "a\"b\\c\n\t\u{1}é\u{1F600}</script>"
    let text = JSON.object([.init(wild, .array([.string(wild), .null, .bool(true), .number(.nan)]))]).text
    let value = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [Any]])
    #expect(value[wild]?.first as? String == wild)
    #expect(value[wild]?[3] is NSNull)
  }

  @Test func tableIsAligned() {
    let lines = Summary.table(verdict(), isVerbose: true) { text, _ in text }
    #expect(lines[0].hasPrefix("join: "))
    let checks = lines.filter { $0.hasPrefix("✓") || $0.hasPrefix("✗") }
    #expect(checks.count > 10)
    #expect(!lines.contains { $0.hasSuffix(" ") })
  }

  @Test(arguments: [0.0, 0.1, 0.25, 0.4, 0.5, 0.625, 0.75, 0.9, 1.0]) func turnsAreOnTheCircle(
    _ share: Double
  ) {
    let (cosine, sine) = RingCircle.turn(share)
    #expect(abs(cosine - cos(2 * Double.pi * share)) < 1e-12)
    #expect(abs(sine - sin(2 * Double.pi * share)) < 1e-12)
  }
}
