// The local API's questions to a whole ring: tasks, and crawls. They take seconds, say meanwhile how far they
// are, and end early when nobody waits for them any more.

import Base
import Node
import Overlay

/// What a task or a crawl is asked to do.
struct RingWish: Sendable {
  enum Kind: Sendable, Equatable {
    case task(String)
    case crawl(width: Int)
  }

  var kind: Kind
  /// Whether members are asked, on their subring, and not all nodes.
  var isOfCommunity: Bool
  /// Whether it is to be said why nodes stand out.
  var explains = false
  /// The longest time that it may take.
  var patience: Interval
}

/// What a caller wants of a crawl that is over.
enum CrawlPart: Sendable {
  case nodes(Page)
  /// A part of the picture, from a byte on.
  case picture(KeptCrawl.Form, from: Int)
}

/// Tasks and crawls under way, and crawls that were made of late.
struct RingWork {
  /// How often callers are told how far it is.
  static let beat = Interval.milliseconds(250)
  /// A crawl asks this many nodes at most: each takes some 700 bytes, twice that while it is kept and judged.
  static let nodesMax = 50_000

  /// Tickets of those that wait.
  var open: [(ticket: UInt32, wish: RingWish, endsAt: Instant)] = []
  var kept = KeptCrawls()
  var beatAt: Instant = .never
}

extension Daemon {
  func survey(_ wish: RingWish, _ caller: Caller) {
    let ring: RingKind = wish.isOfCommunity ? .members : .main
    guard ring == .main || configuration.tunnel != nil else {
      return caller.resume(.failure(Failure(.failed, "a seed has no community: ask a member, or all nodes")))
    }
    let ticket = wait(Waiter(target: "", caller: caller))
    ringWork.open.append((ticket, wish, context.now + wish.patience))
    switch wish.kind {
    case .task(let name):
      do throws(TaskRefusal) {
        try core.ask(name, on: ring, within: wish.patience, ticket: ticket, &context)
      } catch {
        fail(ticket, Self.failure(error, name))
      }
    case .crawl(let width):
      let terms = CrawlTerms(ring: ring, width: width, nodesMax: RingWork.nodesMax)
      if !core.crawl(terms, ticket: ticket, &context) {
        fail(ticket, Failure(.failed, "too many crawls at a time: try again when one is over"))
      }
    }
    drain()
    if !ringWork.open.isEmpty { ringWork.beatAt = min(ringWork.beatAt, context.now + RingWork.beat) }
  }

  private static func failure(_ refusal: TaskRefusal, _ name: String) -> Failure {
    switch refusal {
    case .unknown: Failure(.notFound, "no task is called \(name): `p2pvpn mapreduce --help` lists them")
    case .noCommunity: Failure(.failed, "a seed has no community: ask a member, or all nodes")
    case .tooMuch: Failure(.failed, "too many tasks: a node may ask for one a second, a few at once")
    }
  }

  private func fail(_ ticket: UInt32, _ failure: Failure) {
    ringWork.open.removeAll { $0.ticket == ticket }
    answer(ticket) { _ in .failure(failure) }
  }

  // What came of it.

  func answerTask(_ ticket: UInt32) {
    guard let outcome = core.takeOutcome(ofTask: ticket) else { return }
    ringWork.open.removeAll { $0.ticket == ticket }
    let community = outcome.ring == .members ? configuration.tunnel?.community.name : nil
    answerLater(ticket) { .success(TaskReport.json(outcome, of: community)) }
  }

  func answerCrawl(_ ticket: UInt32) {
    guard let i = ringWork.open.firstIndex(where: { $0.ticket == ticket }),
      let result = core.takeCrawl(ticket, at: context.now)
    else { return }
    let wish = ringWork.open.remove(at: i).wish
    guard waiters[ticket]?.caller.isGone == false else {
      return fail(ticket, Failure(.failed, "nobody waits for it"))
    }
    let crawl = KeptCrawl(ticket, result)
    ringWork.kept.keep(crawl, at: context.now)
    ringWork.beatAt = min(ringWork.beatAt, ringWork.kept.nextAt)
    let community = wish.isOfCommunity ? configuration.tunnel?.community.name : nil
    answerLater(ticket) { .success(CrawlAnswer.summary(crawl, of: community, explains: wish.explains)) }
  }

  /// Judging a large ring takes time, which the node does not have: the thread of the caller does it.
  private func answerLater(_ ticket: UInt32, _ answer: @escaping @Sendable () -> Answer) {
    waiters.removeValue(forKey: ticket)?.caller.resume(answer)
  }

  /// Nodes or a picture of a crawl that was made of late.
  func show(_ part: CrawlPart, ofCrawl number: UInt32, _ caller: Caller) {
    guard let crawl = ringWork.kept.use(number, at: context.now) else {
      let message = "there is no such crawl (any more): one is kept for a minute after its last use"
      return caller.resume(.failure(Failure(.notFound, message)))
    }
    caller.resume {
      switch part {
      case .nodes(let page): .success(CrawlAnswer.nodes(crawl, page))
      case .picture(let form, let start): .success(CrawlAnswer.picture(crawl, form, from: start))
      }
    }
  }

  // Time.

  /// Tells callers how far it is, and ends what takes too long or is waited for by nobody.
  func beat() {
    guard ringWork.beatAt <= context.now else { return }
    ringWork.kept.forget(at: context.now)
    for entry in ringWork.open {
      guard let caller = waiters[entry.ticket]?.caller else { continue }
      let isOver = caller.isGone || entry.endsAt <= context.now
      switch entry.wish.kind {
      case .task:
        // In time it answers with what is in.
        if caller.isGone {
          core.cancelTask(entry.ticket)
          fail(entry.ticket, Failure(.failed, "nobody waits for it"))
        } else if let nodes = core.progress(ofTask: entry.ticket) {
          let ring: RingKind = entry.wish.isOfCommunity ? .members : .main
          let estimate = max(core.sizeEstimate(of: ring), nodes)
          caller.progress(["nodes": .integer(Int64(nodes)), "of_about": .integer(Int64(estimate))])
        }
      case .crawl:
        if isOver {
          answerCrawl(entry.ticket)
        } else if let progress = core.crawlProgress(entry.ticket) {
          let of = max(progress.estimate, progress.named)
          caller.progress(["nodes": .integer(Int64(progress.answered)), "of_about": .integer(Int64(of))])
        }
      }
    }
    ringWork.beatAt = ringWork.open.isEmpty ? ringWork.kept.nextAt : context.now + RingWork.beat
  }
}
