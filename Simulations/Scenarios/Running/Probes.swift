// The workload: questions at random nodes for random keys, and for random nodes.
//
// At the end of a run, in the audit, many more are asked. Of four questions three ask for the owner of a
// random key and one for a given living node. An answer is right when the truth at the moment of the question
// or at that of the answer agrees with it. Who gets none within three seconds asks once more. Questions whose
// asker or target dies or sleeps meanwhile do not count.

import Base
import Overlay

/// Asks and counts.
final class Probes {
  static let patience = Interval.seconds(3)
  private static let tries: UInt8 = 2

  private struct Question {
    let asker: Int
    let target: OverlayID
    /// The node that is looked for; -1 when it is the owner of the target.
    let node: Int
    let firstAsked: Instant
    var asked: Instant
    var tries: UInt8 = 1
    var isOpen = true
  }

  private let stage: Stage
  private var random: Random
  private let gap: Interval
  private let auditGap: Interval
  private let auditFrom: Instant
  private var questions: [Question] = []
  private var firstOpen = 0
  private(set) var nextAt: Instant
  private(set) var tallies: [LookupTally] = []
  private(set) var pairsAsked = 0
  private(set) var pairsReached = 0
  private(set) var hops = Sample()
  private(set) var stretch = Sample()
  private(set) var seconds = Sample()
  private let measureFrom: Instant
  private let stopAt: Instant

  init(_ stage: Stage, _ plan: Plan) {
    self.stage = stage
    measureFrom = .start + .milliseconds(plan.measureFrom)
    auditFrom = .start + .milliseconds(plan.auditFrom)
    random = Random(seed: stage.settings.seed).split(0xA5C)
    gap = Self.gap(stage.settings.lookupsPerSecond)
    auditGap = Self.gap(stage.settings.auditsPerSecond)
    let end = Instant.start + .milliseconds(plan.end)
    nextAt = Instant.start + gap
    // Who asks in the last seconds would not get to know the answer.
    stopAt = Instant.start + (end - (Instant.start + Self.patience * 2))
  }

  private static func gap(_ perSecond: Double) -> Interval {
    perSecond > 0 ? Interval(ns: UInt64(1e9 / perSecond)) : Interval(ns: .max / 2)
  }

  /// Asks the next question, and again what has no answer yet.
  func onTime(_ now: Instant) {
    nextAt = now + (now >= auditFrom ? auditGap : gap)
    askAgain(now)
    guard now <= stopAt, let asker = randomNode() else { return }
    if random.below(4) == 0 {
      guard let other = randomNode(), other != asker,
        stage.component(ofNode: other) == stage.component(ofNode: asker)
      else { return }
      ask(asker, stage.ids[other], node: other, now)
    } else {
      let key = OverlayID(high: random.next(), middle: random.next(), low: UInt32(random.below(1 << 32)))
      ask(asker, key, node: -1, now)
    }
  }

  /// A living node that has joined; nil when a few tries find none.
  private func randomNode() -> Int? {
    let living = stage.census.living
    guard !living.isEmpty else { return nil }
    for _ in 0..<8 {
      let node = living[Int(random.below(UInt64(living.count)))].node
      if stage.hasJoined[node], !stage.world.isPaused(node) { return node }
    }
    return nil
  }

  private func ask(_ asker: Int, _ target: OverlayID, node: Int, _ now: Instant) {
    questions.append(Question(asker: asker, target: target, node: node, firstAsked: now, asked: now))
    send(questions.count - 1)
  }

  private func send(_ number: Int) {
    let question = questions[number]
    // Both tries have nonces of their own: a late answer to the first counts as one.
    let nonce = UInt64(number) << 1 | UInt64(question.tries - 1)
    let mode = question.node >= 0 ? RoutingMode.exact : .owner
    stage.world.withCore(question.asker) { core, context in
      core.locate(question.target, mode: mode, nonce: nonce, &context)
    }
  }

  private func askAgain(_ now: Instant) {
    while firstOpen < questions.count, !questions[firstOpen].isOpen { firstOpen += 1 }
    var i = firstOpen
    while i < questions.count, questions[i].firstAsked + Self.patience <= now {
      if questions[i].isOpen, questions[i].asked + Self.patience <= now { lapse(i, now) }
      i += 1
    }
  }

  private func lapse(_ i: Int, _ now: Instant) {
    let question = questions[i]
    let isMoot =
      !stage.isAwake(question.asker) || (question.node >= 0 && !stage.isAwake(question.node))
    if isMoot {
      questions[i].isOpen = false
    } else if question.tries < Self.tries {
      questions[i].tries += 1
      questions[i].asked = now
      send(i)
    } else {
      close(i) { $0.asked += 1 }
    }
  }

  /// An answer has come to a node.
  func onLocated(_ node: Int, nonce: UInt64, _ id: OverlayID, hops count: UInt8) {
    let number = Int(nonce >> 1)
    guard number < questions.count, questions[number].isOpen, questions[number].asker == node else { return }
    let question = questions[number]
    guard question.node < 0 else {
      return close(number, isReached: id == question.target)
    }
    let isRight = stage.isOwner(id, of: question.target, for: node)
    close(number) { tally in
      tally.asked += 1
      if isRight {
        tally.right += 1
        if nonce & 1 == 0, question.tries == 1 { tally.rightAtFirst += 1 }
      } else {
        tally.wrong += 1
      }
    }
    guard isRight, question.firstAsked >= measureFrom, question.tries == 1 else { return }
    hops.add(Double(count))
    seconds.add((stage.world.now - question.asked).seconds)
    measureStretch(question, id)
  }

  private func measureStretch(_ question: Question, _ id: OverlayID) {
    let rank = stage.census.position(of: id)
    guard rank < stage.census.living.count, stage.census.living[rank].id == id,
      stage.census.living[rank].node != question.asker
    else { return }
    let straight = stage.roundTrip(question.asker, stage.census.living[rank].node)
    stretch.add((stage.world.now - question.asked).seconds / straight.seconds)
  }

  private func close(_ number: Int, isReached: Bool = false, _ count: (inout LookupTally) -> Void = { _ in })
  {
    questions[number].isOpen = false
    let question = questions[number]
    if question.node >= 0 {
      guard question.firstAsked >= measureFrom else { return }
      pairsAsked += 1
      if isReached { pairsReached += 1 }
      return
    }
    let second = Int(question.firstAsked.ns / 1_000_000_000)
    while tallies.count <= second { tallies.append(LookupTally()) }
    count(&tallies[second])
  }
}
