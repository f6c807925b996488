// Crawls of a node: begun and taken by the driver, moved by the answers and by time.

import Base
import Overlay

extension NodeCore {
  /// Begins to ask every node of a ring what it sees of its place. The end is a `crawled` event with the
  /// ticket; then, or before, `takeCrawl` has what was found.
  /// - Returns: false when there are too many crawls, or this node is not on that ring.
  public mutating func crawl(_ terms: CrawlTerms, ticket: UInt32, _ context: inout Context) -> Bool {
    guard let word = testimony(on: terms.ring, at: context.now),
      !crawls.contains(where: { $0.ticket == ticket })
    else { return false }
    if crawls.count == Crawl.limit {
      // Nobody has come for it.
      guard let over = crawls.firstIndex(where: { $0.isOver }) else { return false }
      crawls.remove(at: over)
    }
    crawls.append(
      Crawl(ticket: ticket, terms, from: id, word, salt: context.random.next(), at: context.now))
    askForCrawl(crawls.count - 1, &context)
    settle(&context)
    return true
  }

  /// How far a crawl is; nil when there is none with this ticket.
  public func crawlProgress(_ ticket: UInt32) -> CrawlProgress? {
    crawls.first { $0.ticket == ticket }?.progress
  }

  /// Takes what a crawl has found, and forgets it. One that is under way ends there.
  public mutating func takeCrawl(_ ticket: UInt32, at now: Instant) -> CrawlResult? {
    guard let i = crawls.firstIndex(where: { $0.ticket == ticket }) else { return nil }
    return crawls.remove(at: i).result(at: now)
  }

  var crawlDeadline: Instant { crawls.reduce(.never) { min($0, $1.deadline) } }

  /// Time has passed.
  @inline(never) mutating func expireCrawls(_ context: inout Context) {
    guard !crawls.isEmpty else { return }
    for i in crawls.indices where crawls[i].deadline <= context.now { askForCrawl(i, &context) }
    settle(&context)
  }

  /// - Returns: whether a crawl had asked.
  mutating func hearForCrawl(_ looked: Looked, _ context: inout Context) -> Bool {
    for i in crawls.indices where crawls[i].hear(looked, at: context.now) {
      askForCrawl(i, &context)
      return true
    }
    return false
  }

  @inline(never) private mutating func askForCrawl(_ i: Int, _ context: inout Context) {
    let wasOver = crawls[i].isOver
    for question in crawls[i].takeQuestions(&context) {
      look(at: question.id, on: crawls[i].terms.ring, nonce: question.nonce, &context)
    }
    if !wasOver, crawls[i].isOver { context.notify(.crawled(ticket: crawls[i].ticket)) }
  }
}
