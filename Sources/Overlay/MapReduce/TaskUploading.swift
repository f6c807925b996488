// The way up: the answer of a slice goes to the parent in parts, each of which is sent until it is taken.
// What the parent has not taken waits for its next question, as long as it may still ask; and what it has is
// kept in mind as long, so that a question that was overtaken does not begin everything anew.

import Base
import Session

extension MapReduce {
  /// Hands the answer of a slice to its parent.
  mutating func upload(
    _ slice: TaskSlice, _ answer: [UInt8]?, took: Interval, to parent: (id: OverlayID, ticket: UInt32),
    _ links: inout Links, _ context: inout Context
  ) {
    guard let slot = links.peer(parent.id), makeRoom(for: parent.id) else {
      counters.late &+= 1
      return
    }
    let scratch = Scratch(capacity: TaskMessage.answerBytesMax)
    var writer = WireWriter(scratch.frame)
    slice.tally.encode(to: &writer)
    if let answer { writer.reserve(answer.count)?.write(answer) }
    precondition(!writer.overflowed, "a tally and the longest answer fit")
    let whole = scratch.frame.prefix(writer.count)
    var parts: [[UInt8]] = []
    for start in stride(from: 0, to: whole.count, by: TaskMessage.partBytes) {
      parts.append(whole.slice(start, min(TaskMessage.partBytes, whole.count - start)).bytes)
    }
    let patience = patience(slot, links)
    let until = max(slice.deadline, context.now + patience * UInt64(Self.triesMax))
    uploads.append(
      TaskUpload(
        parent: parent, ring: slice.question.ring, asker: slice.question.asker,
        sequence: slice.question.sequence, until: until, took: took.wholeMilliseconds, patience: patience,
        parts: parts, sentAt: context.now, dueAt: context.now + patience))
    deadline = min(deadline, context.now + patience)
    transmit(uploads[uploads.count - 1], &links, &context)
  }

  /// What was taken gives way first.
  private mutating func makeRoom(for parent: OverlayID) -> Bool {
    guard uploads.count(where: { $0.parent.id == parent && !$0.isTaken }) < Self.uploadsOfParentMax else {
      return false
    }
    if uploads.count == Self.uploadsMax, let over = uploads.firstIndex(where: \.isTaken) {
      uploads.remove(at: over)
    }
    return uploads.count < Self.uploadsMax
  }

  /// Sends the parts that are not taken yet.
  private mutating func transmit(_ upload: TaskUpload, _ links: inout Links, _ context: inout Context) {
    for (i, part) in upload.parts.enumerated() where upload.taken & 1 << UInt32(i) == 0 {
      part.withFrame { frame in
        send(
          .answer(
            ticket: upload.parent.ticket, took: upload.took, part: UInt8(i),
            parts: UInt8(upload.parts.count), frame),
          to: upload.parent.id, on: upload.ring, &links, &context)
      }
    }
  }

  /// The parent wants to know what this node is at. It asks again when an answer is late by its own reckoning
  /// of the way: by this node's, which may be far longer, it would be sent too late.
  mutating func report(
    to parent: (id: OverlayID, ticket: UInt32), on ring: RingKind, _ links: inout Links,
    _ context: inout Context
  ) {
    if let slice = slices.first(where: { $0.parent.map { $0 == parent } == true }) {
      let nodes = slice.counted.plus(atWork(for: slice.number))
      send(.working(ticket: parent.ticket, nodes: nodes), to: parent.id, on: ring, &links, &context)
    } else if let u = uploads.firstIndex(where: { $0.parent == parent }),
      uploads[u].sentAt + Self.patienceMin <= context.now
    {
      uploads[u].sentAt = context.now
      counters.resent &+= 1
      transmit(uploads[u], &links, &context)
    }
  }

  mutating func onTaken(_ ticket: UInt32, _ part: UInt8, by parent: OverlayID) {
    guard let u = uploads.firstIndex(where: { $0.parent == (parent, ticket) }),
      Int(part) < uploads[u].parts.count, uploads[u].taken & 1 << UInt32(part) == 0
    else { return }
    uploads[u].taken |= 1 << UInt32(part)
    uploads[u].tries = 1
    guard uploads[u].taken == (1 << UInt32(uploads[u].parts.count)) - 1 else { return }
    uploads[u].parts = []
    uploads[u].dueAt = uploads[u].until
  }

  mutating func expireUploads(_ links: inout Links, _ context: inout Context) {
    counters.late &+= UInt64(uploads.count { $0.until <= context.now && !$0.isTaken })
    uploads.removeAll { $0.until <= context.now }
    for u in uploads.indices where uploads[u].dueAt <= context.now {
      guard uploads[u].tries < Self.triesMax else {
        uploads[u].dueAt = uploads[u].until
        continue
      }
      uploads[u].tries += 1
      uploads[u].sentAt = context.now
      uploads[u].dueAt = context.now + uploads[u].patience
      counters.resent &+= 1
      transmit(uploads[u], &links, &context)
    }
  }

  /// Sends a message to a linked node of the ring.
  mutating func send(
    _ message: TaskMessage, to id: OverlayID, on ring: RingKind, _ links: inout Links,
    _ context: inout Context
  ) {
    guard let slot = links.peer(id), links.peers[slot].isUp else { return }
    counters.sent &+= 1
    var bytes = 0
    let write: (inout WireWriter) -> Void = {
      message.encode(to: &$0)
      bytes = $0.count
    }
    switch ring {
    case .main: links.send(.task, to: slot, &context, write)
    case .members: links.sendToMember(.task, slot, &context, write)
    }
    counters.sentBytes &+= UInt64(bytes)
  }
}
