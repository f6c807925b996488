// MapReduce over the tree of broadcasts: a question goes out to all nodes of a ring, and one answer comes
// back.
//
// Whoever is asked about an arc shares it out among its links in it (`Arc`), as for a broadcast, and answers
// for itself meanwhile. When all its children have answered it folds the answers, and hands one to its
// parent. Nothing that a child does, or leaves undone, fails its parent:
//
// * Each child has a moment by which it must have answered, sooner than its parent's by the time that an
//   answer may need on its way. What is not in by then is missing, and named.
// * A child says at once that it is at work, and whenever it is asked. One that does not is silent: its part
//   goes to the link that stands next to it, up to three times.
// * Every message is answered by another, or sent again.
//
// The parts of children are disjoint and a node answers only for the arc in which it stands, so nobody is
// counted twice, whatever was sent again or handed on.
//
// The machine knows nothing of tasks. What is to be mapped or folded stands in `todo`; the layer above does
// it, and says so (`mapped`, `folded`).

import Base
import Session

/// The tasks of one node, on both rings.
public struct MapReduce: ~Copyable {
  /// What the layer above has to do.
  public enum Todo: Equatable, Sendable {
    /// To answer for this node, and to say `mapped`.
    case map(slice: UInt32)
    /// To fold the answers of a slice, and to say `folded`.
    case fold(slice: UInt32)
  }

  public static let slicesMax = 32
  static let waitsMax = 512
  static let uploadsMax = 64
  /// Of the slices, and of the uploads, those that one asker or parent may take up.
  static let slicesOfAskerMax = 16
  static let uploadsOfParentMax = 8
  /// Outcomes that wait for whoever asked; of more the oldest is forgotten.
  static let outcomesMax = 16
  /// Answers that wait to be folded, in bytes: those of a task that asks for much, from 32 children.
  static let keptBytesMax = 1 << 20
  static let triesMax: UInt8 = 3
  static let turnsMax: UInt8 = 3
  static let stepsMax: UInt8 = 64
  /// The wait for a word, at least and at most; and between two questions to a child that is at work, and
  /// to one that has a large share.
  static let patienceMin = Interval.milliseconds(150)
  static let patienceMax = Interval.seconds(1)
  static let pollPause = Interval.milliseconds(500)
  static let pollPauseOfLarge = Interval.milliseconds(150)
  /// What a child has less than its parent, beside a round trip: this, and one part of so many of what is
  /// left. Near the top, where a part is large, an answer may be sent once more; on the lowest of twenty
  /// levels a node still has time to ask.
  static let reserve = Interval.milliseconds(20)
  static let reserveParts: UInt64 = 64
  /// A map, or a way there and back, that takes longer makes a laggard.
  static let slow = Interval.milliseconds(400)
  /// A share of the ring that is large: who has taken one is asked sooner how it goes, as its death would
  /// cost the answer of many.
  static let largeShare: Double = 1 / 64

  private let anchor = Anchor()
  public internal(set) var counters = TaskCounters()
  public internal(set) var todo: [Todo] = []
  var slices: [TaskSlice] = []
  var waits: [TaskWait] = []
  var uploads: [TaskUpload] = []
  var outcomes: [TaskOutcome] = []
  /// Whoever asked here, by slice.
  private var tickets: [(slice: UInt32, ticket: UInt32)] = []
  private var admission = TaskAdmission()
  private var sequence: UInt64
  private var lastSlice: UInt32 = 0
  var lastTicket: UInt32 = 0
  public internal(set) var deadline: Instant = .never

  /// - Parameter incarnation: of this node: sequences rise over its restarts.
  public init(incarnation: UInt64) { sequence = incarnation << 24 }

  /// This node goes on with a greater incarnation.
  public mutating func raiseSequence(to incarnation: UInt64) { sequence = max(sequence, incarnation << 24) }

  /// Whether no task is under way here.
  public var isIdle: Bool { slices.isEmpty && waits.isEmpty && uploads.isEmpty && outcomes.isEmpty }

  // MARK: - Asking

  /// Asks all nodes of a ring, or of a part of it.
  /// - Parameters:
  ///   - name: of the task.
  ///   - arc: the part; nil is the whole ring.
  ///   - budget: when the answer is to be there, 60 s at most.
  ///   - community: that of the members who are asked; nil for the ring of all nodes.
  ///   - ticket: under which `takeOutcome` has the answer.
  /// - Returns: false when too much is asked here already.
  public mutating func ask(
    _ name: String, _ tree: TaskTree, in arc: Arc?, within budget: Interval, of community: Community?,
    unixSeconds: UInt64, ticket: UInt32, _ links: inout Links, _ context: inout Context
  ) -> Bool {
    guard slices.count < Self.slicesMax else {
      counters.noRoom &+= 1
      return false
    }
    sequence &+= 1
    let question = TaskQuestion(
      name, tree, sequence: sequence, askedAt: unixSeconds, budget: budget, by: links.identity, in: community)
    guard admission.mayAsk(question, at: context.now) else {
      counters.limited &+= 1
      return false
    }
    counters.begun &+= 1
    let slice = TaskSlice(
      number: nextSlice(), question: question, parent: nil, arc: arc ?? .all(but: links.id.high), steps: 0,
      beganAt: context.now, deadline: context.now + question.budget,
      awaitsMap: arc.map { tree == .way || $0.contains(links.id.high) } ?? true)
    tickets.append((slice.number, ticket))
    open(slice, &links, &context)
    return true
  }

  /// How many nodes have been counted so far; nil when the task is over.
  public func progress(of ticket: UInt32) -> Int? {
    guard let number = tickets.first(where: { $0.ticket == ticket })?.slice,
      let slice = slices.first(where: { $0.number == number })
    else { return nil }
    return Int(slice.counted.plus(atWork(for: number)))
  }

  /// What came of a task that began here: once.
  public mutating func takeOutcome(of ticket: UInt32) -> TaskOutcome? {
    outcomes.firstIndex { $0.ticket == ticket }.map { outcomes.remove(at: $0) }
  }

  /// Nobody waits for the answer any more.
  public mutating func cancel(ticket: UInt32) {
    outcomes.removeAll { $0.ticket == ticket }
    guard let i = tickets.firstIndex(where: { $0.ticket == ticket }) else { return }
    let number = tickets.remove(at: i).slice
    slices.removeAll { $0.number == number }
    waits.removeAll { $0.slice == number }
  }

  private mutating func nextSlice() -> UInt32 {
    lastSlice &+= 1
    return lastSlice
  }

  func atWork(for slice: UInt32) -> UInt32 {
    waits.reduce(0) { $1.slice == slice ? $0.plus($1.nodes) : $0 }
  }

  // MARK: - Being asked

  /// Takes a message of a linked peer.
  /// - Parameter community: of the ring on which it came; nil on that of all nodes.
  public mutating func receive(
    _ body: Frame, from slot: Int, of community: Community?, unixSeconds: UInt64, _ links: inout Links,
    _ context: inout Context
  ) {
    guard let message = try? TaskMessage(decoding: body) else {
      counters.malformed &+= 1
      return
    }
    let ring: RingKind = community == nil ? .main : .members
    switch message {
    case .ask(let ticket, let budget, let steps, let arc, let question):
      let parent = (id: links.peers[slot].id, ticket: ticket)
      guard steps < Self.stepsMax, question.ring == ring, budget <= question.budget else {
        counters.malformed &+= 1
        return
      }
      if isKnown(parent, question) { return report(to: parent, on: ring, &links, &context) }
      guard hasRoom(for: question),
        admit(question, of: community, unixSeconds: unixSeconds, links, &context)
      else { return send(.refused(ticket: ticket), to: parent.id, on: ring, &links, &context) }
      counters.slices &+= 1
      open(
        TaskSlice(
          number: nextSlice(), question: question, parent: parent, arc: arc, steps: steps,
          beganAt: context.now, deadline: context.now + budget,
          awaitsMap: question.tree == .way || arc.contains(links.id.high)),
        &links, &context)
    case .poll(let ticket):
      let parent = (id: links.peers[slot].id, ticket: ticket)
      guard isKnown(parent, nil) else {
        return send(.refused(ticket: ticket), to: parent.id, on: ring, &links, &context)
      }
      report(to: parent, on: ring, &links, &context)
    case .working(let ticket, let nodes): onWorking(ticket, nodes, from: slot, links, context.now)
    case .answer(let ticket, let took, let part, let parts, let bytes):
      guard onAnswer(ticket, took, part, of: parts, bytes, from: slot, links, context.now) else { return }
      send(.taken(ticket: ticket, part: part), to: links.peers[slot].id, on: ring, &links, &context)
    case .taken(let ticket, let part): onTaken(ticket, part, by: links.peers[slot].id)
    case .refused(let ticket): onRefused(ticket, from: slot, &links, &context)
    }
  }

  /// Some slices are kept for what is asked here.
  private func hasRoom(for question: TaskQuestion) -> Bool {
    slices.count < Self.slicesMax - 4
      && slices.count { $0.question.asker == question.asker } < Self.slicesOfAskerMax
  }

  private mutating func admit(
    _ question: TaskQuestion, of community: Community?, unixSeconds: UInt64, _ links: borrowing Links,
    _ context: inout Context
  ) -> Bool {
    let news = admission.hear(
      question, of: community, under: links.identity.suite, unixSeconds: unixSeconds, at: context.now)
    switch news {
    case .admitted: return true
    case .limited: counters.limited &+= 1
    case .forged: counters.forged &+= 1
    }
    return false
  }

  /// Whether this node sees to what a parent asks under a ticket, or has answered it.
  /// - Parameter question: nil: whatever it was.
  private func isKnown(_ parent: (id: OverlayID, ticket: UInt32), _ question: TaskQuestion?) -> Bool {
    let isOpen = slices.contains { slice in
      slice.parent.map { $0 == parent } == true && (question.map { $0 == slice.question } ?? true)
    }
    let isAnswered = uploads.contains { upload in
      upload.parent == parent
        && (question.map { ($0.asker, $0.sequence) == (upload.asker, upload.sequence) } ?? true)
    }
    return isOpen || isAnswered
  }

  /// Shares a slice out, and has this node answer for itself.
  private mutating func open(_ slice: TaskSlice, _ links: inout Links, _ context: inout Context) {
    slices.append(slice)
    deadline = min(deadline, slice.deadline)
    if slice.awaitsMap { todo.append(.map(slice: slice.number)) }
    share(slice, &links, &context)
    if let parent = slice.parent, awaitsChildren(slice.number) {
      send(
        .working(ticket: parent.ticket, nodes: 0), to: parent.id, on: slice.question.ring, &links, &context)
    }
    closeIfAllIn(slice.number)
  }

  /// This node's own answer will take a while: its parent is told, if it was not.
  public mutating func takeTime(_ slice: UInt32, _ links: inout Links, _ context: inout Context) {
    guard let slice = slices.first(where: { $0.number == slice }), let parent = slice.parent,
      slice.waiting == 0
    else { return }
    send(.working(ticket: parent.ticket, nodes: 0), to: parent.id, on: slice.question.ring, &links, &context)
  }

  /// Whether more than this node's own answer is missing, which comes at once and says enough.
  private func awaitsChildren(_ number: UInt32) -> Bool {
    slices.contains { $0.number == number && $0.waiting > 0 }
  }

  // MARK: - Coming in

  /// The slice that is to be mapped or folded; nil when it is over.
  public func question(of slice: UInt32) -> (question: TaskQuestion, arc: Arc, isWhole: Bool, until: Instant)?
  {
    slices.first { $0.number == slice }.map {
      ($0.question, $0.arc, $0.parent == nil && $0.arc.from == $0.arc.to, $0.deadline)
    }
  }

  /// Whether the layer above has something to do.
  public var hasTodo: Bool { !todo.isEmpty }

  /// The next thing that the layer above has to do.
  public mutating func takeTodo() -> Todo? { todo.isEmpty ? nil : todo.removeFirst() }

  /// This node has answered for itself.
  /// - Parameter answer: nil when it does not say.
  public mutating func mapped(_ slice: UInt32, _ answer: [UInt8]?, took: Interval, _ links: borrowing Links) {
    guard let i = slices.firstIndex(where: { $0.number == slice }), slices[i].awaitsMap else { return }
    slices[i].awaitsMap = false
    slices[i].tally.mapMilliseconds = took.wholeMilliseconds
    if took >= Self.slow {
      slices[i].tally.note(
        TaskTally.Laggard(id: links.id, isMap: true, milliseconds: took.wholeMilliseconds))
    }
    if let answer {
      slices[i].tally.answered.grow(by: 1)
      slices[i].answers.append((1, answer))
    } else {
      slices[i].tally.declined.grow(by: 1)
    }
    closeIfAllIn(slice)
  }

  mutating func closeIfAllIn(_ number: UInt32) {
    guard let i = slices.firstIndex(where: { $0.number == number }), !slices[i].isClosing,
      !slices[i].awaitsMap, slices[i].waiting == 0
    else { return }
    slices[i].isClosing = true
    todo.append(.fold(slice: number))
  }

  /// The answers of a slice, to be folded: once.
  public mutating func takeAnswers(of slice: UInt32) -> [(nodes: UInt32, bytes: [UInt8])] {
    guard let i = slices.firstIndex(where: { $0.number == slice }) else { return [] }
    defer { slices[i].answers = [] }
    return slices[i].answers
  }

  /// The answers of a slice are folded: the slice is over.
  /// - Parameters:
  ///   - answer: nil when there was none.
  ///   - lost: nodes whose answers are not in it, because this node does not understand them.
  /// - Returns: the ticket of whoever asked here.
  public mutating func folded(
    _ slice: UInt32, _ answer: [UInt8]?, lost: UInt32, _ links: inout Links, _ context: inout Context
  ) -> UInt32? {
    guard let i = slices.firstIndex(where: { $0.number == slice }) else { return nil }
    var done = slices.remove(at: i)
    let elapsed = context.now - done.beganAt
    done.tally.answered -= min(lost, done.tally.answered)
    done.tally.missingBeyond.grow(by: lost)
    if let parent = done.parent {
      upload(done, answer, took: elapsed, to: parent, &links, &context)
      return nil
    }
    guard let t = tickets.firstIndex(where: { $0.slice == slice }) else { return nil }
    let ticket = tickets.remove(at: t).ticket
    if outcomes.count == Self.outcomesMax { outcomes.removeFirst() }
    outcomes.append(
      TaskOutcome(
        ticket: ticket, name: done.question.name, ring: done.question.ring, tally: done.tally, answer: answer,
        elapsed: elapsed))
    return ticket
  }
}

extension Interval {
  /// In whole milliseconds, as messages have it.
  var wholeMilliseconds: UInt32 { UInt32(clamping: ns / 1_000_000) }
}
