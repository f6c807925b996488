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
  case svg
  case dot
}

/// Tasks and crawls under way, and crawls that were made of late.
struct RingWork {
  /// How often callers are told how far it is.
  static let beat = Interval.milliseconds(250)
  /// Crawls that can be asked for nodes and pictures, and how long after their end.
  static let keptMax = 2
  static let keptFor = Interval.seconds(60)

  /// Tickets of those that wait.
  var open: [(ticket: UInt32, wish: RingWish, endsAt: Instant)] = []
  var kept: [(number: UInt32, result: CrawlResult, until: Instant)] = []
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
      if !core.crawl(CrawlTerms(ring: ring, width: width), ticket: ticket, &context) {
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
    if ringWork.kept.count == RingWork.keptMax { ringWork.kept.removeFirst() }
    ringWork.kept.append((ticket, result, context.now + RingWork.keptFor))
    ringWork.beatAt = min(ringWork.beatAt, context.now + RingWork.keptFor)
    let community = wish.isOfCommunity ? configuration.tunnel?.community.name : nil
    answerLater(ticket) {
      .success(CrawlAnswer.summary(result, number: ticket, of: community, explains: wish.explains))
    }
  }

  /// Judging a large ring takes time, which the node does not have: the thread of the caller does it.
  private func answerLater(_ ticket: UInt32, _ answer: @escaping @Sendable () -> Answer) {
    waiters.removeValue(forKey: ticket)?.caller.resume(answer)
  }

  /// Nodes or a picture of a crawl that was made of late.
  func show(_ part: CrawlPart, ofCrawl number: UInt32, _ caller: Caller) {
    guard let result = ringWork.kept.first(where: { $0.number == number })?.result else {
      return caller.resume(
        .failure(Failure(.notFound, "there is no such crawl (any more): crawls are kept for a minute")))
    }
    caller.resume {
      switch part {
      case .nodes(let page): .success(CrawlAnswer.nodes(result, page))
      case .svg: .success(["schema": 1, "picture": .string(CrawlDrawing(CrawlReport(result)).svg)])
      case .dot: .success(["schema": 1, "picture": .string(CrawlReport(result).dot)])
      }
    }
  }

  // Time.

  /// Tells callers how far it is, and ends what takes too long or is waited for by nobody.
  func beat() {
    guard ringWork.beatAt <= context.now else { return }
    ringWork.kept.removeAll { $0.until <= context.now }
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
          let estimate = core.sizeEstimate(of: entry.wish.isOfCommunity ? .members : .main)
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
    let keptUntil = ringWork.kept.map(\.until).min() ?? .never
    ringWork.beatAt = ringWork.open.isEmpty ? keptUntil : context.now + RingWork.beat
  }
}
