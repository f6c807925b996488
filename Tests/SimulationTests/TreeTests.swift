// Trees of broadcasts: the reckoned ones are those that members really grow, and each rule reaches everybody
// as long as no pointer is wrong.
import Base
import Overlay
import Testing

@testable import Scenarios

@Suite struct TreeTests {
  /// Members with links to some on both sides and to far ones, as rings have.
  private static func tables(_ count: Int, seed: UInt64) -> LinkTables {
    var random = Random(seed: seed)
    let places = (0..<count).map { _ in random.next() }.sorted()
    let links = (0..<count).map { member in
      var links = Set((1...4).flatMap { [(member + $0) % count, (member + 4 * count - $0) % count] })
      for _ in 0..<6 { links.insert(Int(random.below(UInt64(count)))) }
      links.remove(member)
      return links.sorted().map(Int32.init)
    }
    return LinkTables(places: places, links: links)
  }

  @Test(arguments: TreeShape.allCases, [2, 5, 30, 400])
  func treeReachesEverybodyOnce(_ shape: TreeShape, _ count: Int) {
    let tables = Self.tables(count, seed: UInt64(count))
    for origin in stride(from: 0, to: count, by: max(count / 7, 1)) {
      let tree = Tree(shape, from: origin, over: tables)
      #expect(tree.steps.allSatisfy { $0 != nil })
      #expect(tree.steps[origin] == 0)
      #expect(tree.sends.reduce(0, +) == count - 1, "one copy for each member")
    }
  }

  @Test func unknownLinksMissMoreOneWay() {
    let tables = Self.tables(400, seed: 3)
    func missed(_ shape: TreeShape) -> Int {
      (0..<200).reduce(0) { sum, draw in
        let wrong = WrongLinks(kind: .unknown, perMillion: 20_000, seed: UInt64(draw))
        return sum + Tree(shape, from: 2 * draw, over: tables, wrong).steps.count { $0 == nil }
      }
    }
    #expect(missed(.bothWays) * 2 < missed(.oneWay))
  }

  @Test func silentPartsAreLostUnlessTheyAreNoticed() {
    let tables = Self.tables(400, seed: 4)
    func missed(_ kind: WrongLinks.Kind) -> Int {
      let wrong = WrongLinks(kind: kind, perMillion: 10_000, seed: 1)
      return Tree(.bothWays, from: 9, over: tables, wrong).steps.count { $0 == nil }
    }
    #expect(missed(.none) == 0)
    #expect(missed(.noticed) < missed(.silent))
  }

  /// Subrings of the daemon's code: what one broadcast does is what the tables say, and it is narrow and
  /// flat.
  @Test(arguments: [10, 100]) func realTreesAreAsReckoned(_ members: Int) throws {
    var study = TreeStudy(seed: 1, wrongPerMille: 10)
    study.measure(members: members)
    let result = try #require(study.results.first)
    #expect(result.live.heard == members - 1)
    for check in study.checks { #expect(check.isMet, "\(check.name): \(check.value ?? -1)") }
    let lines = TreeReport.table(study) { text, _ in text }
    #expect(lines.contains { $0.contains("both ways") } && lines.contains { $0.contains("one way") })
    #expect(TreeReport.page(study).contains("<svg") && TreeReport.json(study).text.contains("missed_noticed"))
  }
}
