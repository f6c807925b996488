// Goal: a crawl finds everybody on a ring and what they say, ends in any case, and is a burden to nobody.
// Method: whole nodes on a virtual clock; what was found is compared with the nodes themselves.

import Base
import Session
import Simulator
import Testing

@testable import Node
@testable import Overlay

@Suite struct CrawlTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))

  private func network(_ count: Int, seed: UInt64) throws -> World {
    let world = World(seed: seed)
    for n in 0..<count { world.add(bootstraps: n == 0 ? [] : [0]) }
    try #require(world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    world.run(for: .seconds(20))
    return world
  }

  /// Crawls from a node.
  private func crawl(
    _ world: World, from node: Int, _ terms: CrawlTerms = CrawlTerms(), within limit: Interval = .seconds(60)
  ) throws -> CrawlResult {
    let host = world.hosts[node]
    let before = host.events.count
    try #require(begins(9, world, host, terms))
    _ = world.run(upTo: limit) { host.core.crawlProgress(9)?.isOver == true }
    let ends = host.events[before...].filter { if case .crawled(9) = $0 { true } else { false } }
    #expect(ends.count == 1)
    let result = try #require(take(host, 9))
    #expect(progress(host, 9) == nil)
    return result
  }

  private func answered(_ result: CrawlResult) -> [OverlayID] {
    result.nodes.filter { $0.outcome == .answered }.map(\.id)
  }

  private func ids(_ hosts: [Host]) -> [OverlayID] { hosts.map { $0.core.id }.sorted() }

  /// Whether the node has begun a crawl.
  private func begins(_ ticket: UInt32, _ world: World, _ host: Host, _ terms: CrawlTerms = CrawlTerms())
    -> Bool
  {
    var hasBegun = false
    world.act(host) { hasBegun = host.core.crawl(terms, ticket: ticket, &host.context) }
    return hasBegun
  }

  private func progress(_ host: Host, _ ticket: UInt32) -> CrawlProgress? { host.core.crawlProgress(ticket) }

  private func take(_ host: Host, _ ticket: UInt32) -> CrawlResult? {
    host.core.takeCrawl(ticket, at: host.context.now)
  }

  private func living(_ world: World) -> [Host] { world.hosts.filter(\.isAlive) }

  @Test(arguments: [1, 2, 3, 5, 30]) func everybodyIsFound(count: Int) throws {
    let world = try network(count, seed: 50 + UInt64(count))
    for width in [1, 16] {
      let result = try crawl(world, from: count / 2, CrawlTerms(width: width))
      #expect(answered(result) == ids(living(world)))
      #expect(result.nodes.count == count && !result.isCutShort)
      #expect(result.questions == count - 1, "each is asked once, and this node asks itself nothing")
      let report = CrawlReport(result)
      #expect(report.isWhole && report.pairs.isEmpty && report.outliers.isEmpty, "\(report.verdict)")
      for node in result.nodes {
        let host = try #require(living(world).first { $0.core.id == node.id })
        let view = host.core.ringView
        let word = try #require(node.word)
        #expect((0..<word.left.count).map { word.left[$0].id } == (0..<view.left.count).map { view.left[$0] })
        #expect(
          (0..<word.right.count).map { word.right[$0].id } == (0..<view.right.count).map { view.right[$0] })
        #expect(word.isReady && word.incarnation == host.configuration.incarnation && word.missed.isEmpty)
        let nearest = [word.left, word.right].filter { !$0.isEmpty }.map { $0[0] }
        #expect(nearest.allSatisfy { $0.namesUs && $0.incarnation == 1_000 && $0.linkedFor >= 15 })
      }
    }
  }

  @Test func walkGoesLinkByLink() throws {
    let world = try network(20, seed: 61)
    let one = try crawl(world, from: 3, CrawlTerms(width: 1))
    let many = try crawl(world, from: 3, CrawlTerms(width: 16))
    #expect(answered(one) == answered(many))
    #expect(one.took >= .milliseconds(19 * 20), "one question after the other, each with a way back")
    #expect(many.took < one.took / 3)
  }

  @Test(arguments: [1, 16]) func theDeadAreNamedAndDoNotStopIt(width: Int) throws {
    let world = try network(24, seed: 62)
    let inOrder = living(world).sorted { $0.core.id < $1.core.id }
    let dead = ids([inOrder[5], inOrder[6], inOrder[15]])
    for id in dead { world.kill(inOrder.first { $0.core.id == id }!.number) }
    let result = try crawl(world, from: inOrder[0].number, CrawlTerms(width: width))
    #expect(answered(result) == ids(living(world)))
    let missing = result.nodes.filter { $0.outcome != .answered }
    // A walk takes so long that the last one has been given up before its neighbours are asked.
    #expect(width == 1 ? dead.starts(with: missing.map(\.id)) : missing.map(\.id) == dead)
    #expect(missing.allSatisfy { $0.isNeighbour && $0.tries >= 2 && $0.tries <= 3 })
    #expect(result.took < .seconds(16))
    let report = CrawlReport(result)
    #expect(report.missing == missing.map(\.id) && !report.isWhole && report.components == 1)
    for explanation in report.explanations() where explanation.faults == .missing {
      let isRight =
        switch explanation.cause {
        case .lagging(let id, _), .dead(let id, _): id == explanation.id
        default: false
        }
      #expect(isRight && explanation.opinions.contains { $0.neighbour != nil })
    }
  }

  @Test func whoNeverAnswersIsAskedThreeTimes() throws {
    let world = try network(12, seed: 63)
    let silent = world.hosts[7]
    world.act(silent) {
      // Its looks are used up for a day.
      silent.core.network.links.looks = TokenBucket(rate: 0, burst: 0, at: .start)
    }
    let result = try crawl(world, from: 2)
    let node = try #require(result.nodes.first { $0.id == silent.core.id })
    #expect(node.outcome == .silent && node.tries == 3)
    #expect(answered(result).count == 11)
    #expect(silent.snapshot.links.looksLimited == 3)
    #expect(result.took >= .seconds(5) && result.took < .seconds(6))
  }

  @Test(arguments: [UInt64(64), 65, 66]) func lossCostsTimeAndNobody(seed: UInt64) throws {
    let world = try network(30, seed: seed)
    world.lossPerMille = 50
    for width in [1, 16] {
      let result = try crawl(world, from: 4, CrawlTerms(width: width))
      #expect(answered(result) == ids(living(world)), "width \(width)")
    }
  }

  @Test func boundedCrawlIsCutShort() throws {
    let world = try network(20, seed: 67)
    let result = try crawl(world, from: 1, CrawlTerms(nodesMax: 12))
    #expect(result.nodes.count == 12 && result.isCutShort)
  }

  @Test func takingEndsACrawlAndFourAreTheMost() throws {
    let world = try network(20, seed: 68)
    let host = world.hosts[3]
    for ticket in 0..<4 { #expect(begins(UInt32(ticket), world, host, CrawlTerms(width: 1))) }
    #expect(!begins(4, world, host))
    world.run(for: .milliseconds(70))
    let reached = try #require(progress(host, 2))
    #expect(reached.answered > 1 && reached.answered < 20 && !reached.isOver && reached.estimate >= 10)
    let result = try #require(take(host, 2))
    #expect(result.isCutShort && answered(result).count == reached.answered)
    world.run(for: .seconds(5))
    // Of those that are over, the oldest gives way.
    #expect(begins(5, world, host) && begins(6, world, host))
    #expect(progress(host, 0) == nil && progress(host, 1)?.isOver == true)
  }

  @Test func membersAskMembers() throws {
    let world = World(seed: 69)
    for n in 0..<4 { world.add(bootstraps: n == 0 ? [] : [0]) }
    for _ in 0..<12 { world.add(community: home, bootstraps: [0]) }
    try #require(world.run(upTo: .seconds(60)) { world.hosts.allSatisfy { $0.snapshot.isReady } } != nil)
    world.run(for: .seconds(20))
    let members = ids(Array(world.hosts[4...]))
    for width in [1, 16] {
      let result = try crawl(world, from: 9, CrawlTerms(ring: .members, width: width))
      #expect(result.nodes.map(\.id) == members && answered(result) == members)
    }
    let seed = world.hosts[1]
    #expect(!begins(1, world, seed, CrawlTerms(ring: .members)))
  }

  @Test func onlyTheOneThatWasAskedIsHeardAndOnce() throws {
    let ring = HandmadeCrawl(12)
    var context = Context(packets: 16, effects: 16, seed: 1)
    let own = try #require(ring.nodes[0].word)
    var crawl = Crawl(ticket: 1, CrawlTerms(), from: ring.id(0), own, salt: 5, at: context.now)
    let asked = crawl.takeQuestions(&context)
    #expect(asked.map(\.id) == [1, 2, 3, 4, 8, 9, 10, 11].map(ring.id))
    let (id, nonce, word) = (asked[0].id, asked[0].nonce, ring.nodes[1].word)
    let strangers = [
      Looked(nonce: nonce &+ 1, id: id, ring: .main, testimony: word),
      Looked(nonce: nonce, id: asked[1].id, ring: .main, testimony: word),
      Looked(nonce: nonce, id: id, ring: .members, testimony: word),
    ]
    for stranger in strangers {
      let isTaken = crawl.hear(stranger, at: context.now)
      #expect(!isTaken)
    }
    let answer = Looked(nonce: nonce, id: id, ring: .main, testimony: word, hops: 3)
    let (first, again) = (crawl.hear(answer, at: context.now), crawl.hear(answer, at: context.now))
    #expect(first && !again)
    // Its fourth neighbour to the right is new.
    let next = crawl.takeQuestions(&context)
    #expect(next.map(\.id) == [ring.id(5)])
    #expect(crawl.progress == CrawlProgress(named: 10, asked: 10, answered: 2, estimate: 12, isOver: false))
  }

  @Test func whoIsSaidNotToBeThereIsAskedOnceMore() throws {
    let ring = HandmadeCrawl(2)
    var context = Context(packets: 16, effects: 16, seed: 1)
    let own = try #require(ring.nodes[0].word)
    var crawl = Crawl(ticket: 1, CrawlTerms(), from: ring.id(0), own, salt: 5, at: context.now)
    let asked = crawl.takeQuestions(&context)
    let nonce = try #require(asked.first).nonce
    let notice = Looked(nonce: nonce, id: ring.id(1), ring: .main, testimony: nil)
    var isHeard = crawl.hear(notice, at: context.now)
    var due = crawl.takeQuestions(&context)
    #expect(isHeard && due.isEmpty && crawl.deadline == .start + .milliseconds(500))
    context.now = crawl.deadline
    due = crawl.takeQuestions(&context)
    #expect(due.map(\.nonce) == [nonce])
    isHeard = crawl.hear(notice, at: context.now)
    due = crawl.takeQuestions(&context)
    #expect(isHeard && due.isEmpty && crawl.isOver)
    let result = crawl.result(at: context.now)
    #expect(result.nodes.map(\.outcome) == [.answered, .notThere] && !result.isCutShort)
  }

  @Test func floodOfQuestionsIsAnsweredInMeasure() throws {
    let world = try network(6, seed: 70)
    let (asker, asked) = (world.hosts[1], world.hosts[4])
    let before = world.sent(4).datagrams
    for burst in 0..<20 {
      world.act(asker) {
        for n in 0..<100 {
          asker.core.look(at: asked.core.id, on: .main, nonce: UInt64(100 * burst + n), &asker.context)
        }
        asker.core.settle(&asker.context)
      }
      world.run(for: .milliseconds(100))
    }
    // 2,000 questions in 2 s: 100 at once and 50 a second have answers.
    #expect(asked.snapshot.links.looksLimited >= 1_750)
    #expect(world.sent(4).datagrams - before < 2_600, "confirmations of hops, and 200 answers")
    let isAtRest = asker.core.network.links.looked.isEmpty
    #expect(isAtRest)
  }
}
