// The way up: the answer of a slice goes to the parent in parts, each of which is sent until it is taken.

import Base
import Session

extension MapReduce {
  /// Hands the answer of a slice to its parent.
  mutating func upload(
    _ tally: TaskTally, _ answer: [UInt8]?, took: Interval, to parent: (id: OverlayID, ticket: UInt32),
    on ring: RingKind, _ links: inout Links, _ context: inout Context
  ) {
    guard let slot = links.peer(parent.id), uploads.count < Self.uploadsMax else {
      counters.late &+= 1
      return
    }
    let scratch = Scratch(capacity: TaskMessage.answerBytesMax)
    var writer = WireWriter(scratch.frame)
    tally.encode(to: &writer)
    if let answer { writer.reserve(answer.count)?.write(answer) }
    if writer.overflowed { counters.noRoom &+= 1 }
    let whole = scratch.frame.prefix(writer.count)
    var parts: [[UInt8]] = []
    for start in stride(from: 0, to: whole.count, by: TaskMessage.partBytes) {
      parts.append(whole.slice(start, min(TaskMessage.partBytes, whole.count - start)).bytes)
    }
    let patience = patience(slot, links)
    let upload = TaskUpload(
      parent: parent.id, ring: ring, ticket: parent.ticket, took: took.wholeMilliseconds, patience: patience,
      parts: parts, dueAt: context.now + patience)
    uploads.append(upload)
    deadline = min(deadline, upload.dueAt)
    transmit(upload, &links, &context)
  }

  /// Sends the parts that are not taken yet.
  private mutating func transmit(_ upload: TaskUpload, _ links: inout Links, _ context: inout Context) {
    for (i, part) in upload.parts.enumerated() where upload.taken & 1 << UInt32(i) == 0 {
      part.withFrame { frame in
        send(
          .answer(
            ticket: upload.ticket, took: upload.took, part: UInt8(i), parts: UInt8(upload.parts.count),
            frame),
          to: upload.parent, on: upload.ring, &links, &context)
      }
    }
  }

  /// The parent wants to know what this node is at.
  mutating func report(
    to parent: (id: OverlayID, ticket: UInt32), on ring: RingKind, _ links: inout Links,
    _ context: inout Context
  ) {
    if let slice = slices.first(where: { $0.parent?.id == parent.id && $0.parent?.ticket == parent.ticket }) {
      let nodes = slice.counted &+ atWork(for: slice.number)
      send(.working(ticket: parent.ticket, nodes: nodes), to: parent.id, on: ring, &links, &context)
    } else if let upload = uploads.first(where: { $0.parent == parent.id && $0.ticket == parent.ticket }) {
      counters.resent &+= 1
      transmit(upload, &links, &context)
    }
  }

  mutating func onTaken(_ ticket: UInt32, _ part: UInt8, by parent: OverlayID) {
    guard let u = uploads.firstIndex(where: { $0.parent == parent && $0.ticket == ticket }),
      Int(part) < uploads[u].parts.count
    else { return }
    uploads[u].taken |= 1 << UInt32(part)
    uploads[u].tries = 1
    if uploads[u].isTaken { uploads.remove(at: u) }
  }

  mutating func expireUploads(_ links: inout Links, _ context: inout Context) {
    var u = 0
    while u < uploads.count {
      guard uploads[u].dueAt <= context.now else {
        u += 1
        continue
      }
      guard uploads[u].tries < Self.triesMax else {
        counters.late &+= 1
        uploads.remove(at: u)
        continue
      }
      uploads[u].tries += 1
      uploads[u].dueAt = context.now + uploads[u].patience
      counters.resent &+= 1
      transmit(uploads[u], &links, &context)
      u += 1
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
