// How a slice is shared out among children, and what becomes of a child that is silent.

import Base
import Session

extension MapReduce {
  /// Sends the parts of a slice to the links in it.
  mutating func share(_ slice: TaskSlice, _ links: inout Links, _ context: inout Context) {
    let ring = slice.question.ring
    let source = (parent: slice.parent?.id ?? links.id, origin: slice.question.asker.id)
    let children =
      slice.question.tree == .way
      ? BoundedArray() : links.children(in: slice.arc, on: ring, but: source, orPassing: true)
    guard !children.isEmpty else {
      // Nobody is known in it here: somebody nearer may know more.
      guard let guide = links.memberNearer(to: slice.arc, on: ring, but: source) else { return }
      return entrust(slice.arc, of: slice.number, to: guide, &links, &context)
    }
    var places = BoundedArray<32, UInt64>()
    for i in 0..<children.count { places.append(links.peers[Int(children[i])].id.high) }
    let shares = slice.arc.shares(of: places, around: links.id.high)
    for i in 0..<children.count {
      entrust(shares[i], of: slice.number, to: Int(children[i]), &links, &context)
    }
  }

  /// Asks a child about a part of a slice.
  private mutating func entrust(
    _ arc: Arc, of number: UInt32, to child: Int, turns: UInt8 = 0, _ links: inout Links,
    _ context: inout Context
  ) {
    guard let i = slices.firstIndex(where: { $0.number == number }) else { return }
    let until = childDeadline(slices[i].deadline, child, links, context.now)
    guard waits.count < Self.waitsMax, context.now < until else {
      if waits.count >= Self.waitsMax { counters.noRoom &+= 1 }
      return miss(arc, of: i, links)
    }
    if lastTicket == 0 { lastTicket = UInt32(truncatingIfNeeded: context.random.next()) }
    lastTicket &+= 1
    let patience = patience(child, links)
    let wait = TaskWait(
      slice: number, child: links.peers[child].id, arc: arc, ticket: lastTicket, patience: patience,
      askedAt: context.now, deadline: until, turns: turns, dueAt: context.now + patience)
    waits.append(wait)
    slices[i].waiting += 1
    deadline = min(deadline, wait.dueAt)
    ask(wait, slices[i], &links, &context)
  }

  private mutating func ask(
    _ wait: TaskWait, _ slice: TaskSlice, _ links: inout Links, _ context: inout Context
  ) {
    let budget = wait.deadline > context.now ? wait.deadline - context.now : .zero
    send(
      .ask(
        ticket: wait.ticket, budget: budget, steps: slice.steps &+ 1, wait.arc, slice.question),
      to: wait.child, on: slice.question.ring, &links, &context)
  }

  /// When a child has to answer. The time that it is told begins when the question has come, and its answer
  /// has to come back: that is a round trip.
  private func childDeadline(
    _ own: Instant, _ child: Int, _ links: borrowing Links, _ now: Instant
  ) -> Instant {
    guard now < own else { return now }
    let time = links.peers[child].bestPath?.roundTrip
    let roundTrip = time.flatMap { $0.samples > 0 ? $0.smoothed : nil } ?? RouteTable.usualRoundTrip
    let reserve = min(roundTrip, Self.patienceMax) + Self.reserve + (own - now) / Self.reserveParts
    return now + reserve < own ? Instant(ns: own.ns - reserve.ns) : now
  }

  func patience(_ slot: Int, _ links: borrowing Links) -> Interval {
    let timeout = links.peers[slot].bestPath?.roundTrip.timeout ?? Self.patienceMax
    return min(max(timeout, Self.patienceMin), Self.patienceMax)
  }

  /// Nobody answers for a part.
  private mutating func miss(_ arc: Arc, of slice: Int, _ links: borrowing Links) {
    counters.abandoned &+= 1
    let size = max(Double(links[slices[slice].question.ring].size), 1)
    slices[slice].tally.miss(arc, nodes: UInt32(max(1, min((size * arc.shareOfRing).rounded(), 4e9))))
  }

  // MARK: - Words of children

  private func wait(_ ticket: UInt32, _ slot: Int, _ links: borrowing Links) -> Int? {
    waits.firstIndex { $0.ticket == ticket && $0.child == links.peers[slot].id }
  }

  mutating func onWorking(
    _ ticket: UInt32, _ nodes: UInt32, from slot: Int, _ links: borrowing Links, _ now: Instant
  ) {
    guard let w = wait(ticket, slot, links) else { return }
    waits[w].isWorking = true
    waits[w].tries = 0
    waits[w].nodes = nodes
    waits[w].dueAt = now + pollPause(for: waits[w].arc)
  }

  private func pollPause(for arc: Arc) -> Interval {
    arc.shareOfRing > Self.largeShare ? Self.pollPauseOfLarge : Self.pollPause
  }

  /// The child does not do it: it is asked too much. It is missing, and others see to its part.
  mutating func onRefused(_ ticket: UInt32, from slot: Int, _ links: inout Links, _ context: inout Context) {
    guard let w = wait(ticket, slot, links) else { return }
    let wait = waits.remove(at: w)
    guard let i = slices.firstIndex(where: { $0.number == wait.slice }) else { return }
    if wait.arc.contains(wait.child.high) { miss(.only(wait.child.high), of: i, links) }
    handOn(wait, &links, &context)
  }

  /// - Returns: whether the child need not send it again.
  mutating func onAnswer(
    _ ticket: UInt32, _ took: UInt32, _ part: UInt8, of parts: UInt8, _ bytes: Frame, from slot: Int,
    _ links: borrowing Links, _ now: Instant
  ) -> Bool {
    guard let w = wait(ticket, slot, links) else {
      counters.late &+= 1
      return true
    }
    if waits[w].parts.isEmpty { waits[w].parts = Array(repeating: [], count: Int(parts)) }
    guard waits[w].parts.count == Int(parts) else {
      counters.malformed &+= 1
      return true
    }
    guard waits[w].parts[Int(part)].isEmpty else { return true }
    guard keptBytes + bytes.count <= Self.keptBytesMax else {
      counters.noRoom &+= 1
      return false
    }
    waits[w].parts[Int(part)] = bytes.bytes
    waits[w].isWorking = true
    waits[w].tries = 0
    waits[w].dueAt = now + pollPause(for: waits[w].arc)
    guard !waits[w].parts.contains(where: \.isEmpty) else { return true }
    let wait = waits.remove(at: w)
    guard let i = slices.firstIndex(where: { $0.number == wait.slice }) else { return true }
    slices[i].waiting -= 1
    take(Array(wait.parts.joined()), took, wait, in: i, links, now)
    closeIfAllIn(wait.slice)
    return true
  }

  /// Takes in what a child has answered for its part.
  private mutating func take(
    _ bytes: [UInt8], _ took: UInt32, _ wait: TaskWait, in i: Int, _ links: borrowing Links, _ now: Instant
  ) {
    let read = bytes.withFrame { frame -> (TaskTally, [UInt8])? in
      var reader = WireReader(frame)
      guard let tally = try? TaskTally(from: &reader) else { return nil }
      return (tally, reader.rest().bytes)
    }
    guard let (head, answer) = read else {
      counters.malformed &+= 1
      return miss(wait.arc, of: i, links)
    }
    var tally = head
    tally.depth.grow(by: 1)
    let whole = (now - wait.askedAt).wholeMilliseconds
    let way = whole > took ? whole - took : 0
    if way >= Self.slow.wholeMilliseconds {
      tally.note(TaskTally.Laggard(id: wait.child, isMap: false, milliseconds: way))
    }
    slices[i].tally.mapMilliseconds = tally.mapMilliseconds
    slices[i].tally.add(tally)
    if !answer.isEmpty { slices[i].answers.append((tally.answered, answer)) }
  }

  /// Answers, and parts of answers, that wait for others.
  private var keptBytes: Int {
    slices.reduce(0) { $0 + $1.answers.reduce(0) { $0 + $1.bytes.count } }
      + waits.reduce(0) { $0 + $1.parts.reduce(0) { $0 + $1.count } }
  }

  // MARK: - Time

  /// Does what is due.
  public mutating func expire(_ links: inout Links, _ context: inout Context) {
    guard deadline <= context.now else { return }
    var w = 0
    while w < waits.count {
      if waits[w].dueAt <= context.now { askAgain(w, &links, &context) } else { w += 1 }
    }
    for i in slices.indices where slices[i].deadline <= context.now && !slices[i].isClosing {
      endInTime(i, links, context.now)
    }
    expireUploads(&links, &context)
    readDeadline()
  }

  /// Asks a child again, or gives it up: then the next of `waits` stands in its place.
  private mutating func askAgain(_ w: Int, _ links: inout Links, _ context: inout Context) {
    let ring = slices.first { $0.number == waits[w].slice }?.question.ring ?? .main
    guard let child = links.peer(waits[w].child) else {
      return handOn(waits.remove(at: w), hasParted: true, &links, &context)
    }
    guard links.peers[child].isUp, waits[w].tries < Self.triesMax else {
      let wait = waits.remove(at: w)
      if let i = slices.firstIndex(where: { $0.number == wait.slice }) {
        slices[i].tally.note(silent: wait.child)
      }
      return handOn(wait, &links, &context)
    }
    waits[w].tries += 1
    waits[w].dueAt = context.now + waits[w].patience
    let slice = slices.first { $0.number == waits[w].slice }
    // The last time twice: of ten thousand nodes that are asked thrice one would be lost now and then, where
    // one message of a hundred is.
    for _ in 0..<(waits[w].tries == Self.triesMax ? 2 : 1) {
      counters.resent &+= 1
      if waits[w].isWorking {
        send(.poll(ticket: waits[w].ticket), to: waits[w].child, on: ring, &links, &context)
      } else if let slice {
        ask(waits[w], slice, &links, &context)
      }
    }
  }

  /// A child does nothing: its part goes to whoever stands next to it. On a way nobody does.
  /// - Parameter hasParted: the link was let go, and the child may well be there for others.
  private mutating func handOn(
    _ wait: TaskWait, hasParted: Bool = false, _ links: inout Links, _ context: inout Context
  ) {
    guard let i = slices.firstIndex(where: { $0.number == wait.slice }) else { return }
    let question = slices[i].question
    if question.tree == .way { miss(wait.arc, of: i, links) }
    var parts = BoundedArray<2, Arc>()
    if question.tree == .everybody {
      if hasParted { parts.append(wait.arc) } else { parts = wait.arc.parts(around: wait.child.high) }
    }
    for p in 0..<parts.count {
      if wait.turns < Self.turnsMax, wait.deadline > context.now,
        let heir = links.heir(
          of: parts[p], on: question.ring, after: wait.child, but: question.asker.id)
      {
        counters.handedOn &+= 1
        entrust(parts[p], of: wait.slice, to: heir, turns: wait.turns + 1, &links, &context)
      } else {
        miss(parts[p], of: i, links)
      }
    }
    slices[i].waiting -= 1
    closeIfAllIn(wait.slice)
  }

  /// A link is lost: whoever waits for it waits no more.
  public mutating func onDown(_ child: OverlayID, _ now: Instant) {
    for w in waits.indices where waits[w].child == child {
      waits[w].dueAt = now
      deadline = min(deadline, now)
    }
  }

  /// The time of a slice is over: what is not in is missing.
  private mutating func endInTime(_ i: Int, _ links: borrowing Links, _ now: Instant) {
    let number = slices[i].number
    for wait in waits where wait.slice == number {
      miss(wait.arc, of: i, links)
      slices[i].tally.note(
        TaskTally.Laggard(
          id: wait.child, isMap: false, milliseconds: (now - wait.askedAt).wholeMilliseconds))
    }
    waits.removeAll { $0.slice == number }
    slices[i].waiting = 0
    if slices[i].awaitsMap {
      slices[i].awaitsMap = false
      slices[i].tally.miss(.only(links.id.high), nodes: 1)
      slices[i].tally.note(
        TaskTally.Laggard(
          id: links.id, isMap: true, milliseconds: (now - slices[i].beganAt).wholeMilliseconds))
    }
    closeIfAllIn(number)
  }

  private mutating func readDeadline() {
    deadline = .never
    for wait in waits { deadline = min(deadline, wait.dueAt) }
    for slice in slices where !slice.isClosing { deadline = min(deadline, slice.deadline) }
    for upload in uploads { deadline = min(deadline, upload.dueAt) }
  }
}
