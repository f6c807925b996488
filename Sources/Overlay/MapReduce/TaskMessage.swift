// The messages of tasks between linked nodes: control messages of type `task` on the ring of all nodes, and
// of the same name between members. The first byte is the kind; a ticket is the parent's number for a child.
//
//  ask      1: ticket 4, budget in milliseconds 2, steps 1, arc 16, question (`TaskQuestion`)
//  working  2: ticket 4, nodes counted so far 4
//  poll     3: ticket 4: "are you still at it?"
//  answer   4: ticket 4, milliseconds that the slice took 4, part 1, parts 1, bytes of the answer (1,000 in
//              each part but the last)
//  taken    5: ticket 4, part 1
//  refused  6: ticket 4: nothing will come

import Base

/// A message about a slice of a task.
enum TaskMessage {
  case ask(ticket: UInt32, budget: Interval, steps: UInt8, Arc, TaskQuestion)
  /// The child has taken the slice over, or still works at it.
  case working(ticket: UInt32, nodes: UInt32)
  case poll(ticket: UInt32)
  case answer(ticket: UInt32, took: UInt32, part: UInt8, parts: UInt8, Frame)
  case taken(ticket: UInt32, part: UInt8)
  case refused(ticket: UInt32)

  /// Bytes of an answer in a message: fits a record on every path.
  static let partBytes = 1_000
  /// Parts of an answer at most.
  static let partsMax = 26
  /// Of the longest answer, with the head of its tally, in bytes.
  static let answerBytesMax = partBytes * partsMax
}

extension TaskMessage: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    let kind = try reader.byte()
    let ticket: UInt32 = try reader.integer()
    switch kind {
    case 1:
      let budget = Interval.milliseconds(UInt64(try reader.integer(UInt16.self)))
      try reader.require(budget <= TaskQuestion.budgetMax)
      let steps = try reader.byte()
      let arc = Arc(from: try reader.integer(), to: try reader.integer())
      self = .ask(ticket: ticket, budget: budget, steps: steps, arc, try TaskQuestion(reader.rest()))
    case 2: self = .working(ticket: ticket, nodes: try reader.integer())
    case 3: self = .poll(ticket: ticket)
    case 4:
      let took: UInt32 = try reader.integer()
      let (part, parts) = (try reader.byte(), try reader.byte())
      try reader.require(part < parts && Int(parts) <= Self.partsMax)
      let isLast = part == parts - 1
      try reader.require(
        reader.remaining > 0
          && (isLast ? reader.remaining <= Self.partBytes : reader.remaining == Self.partBytes))
      self = .answer(ticket: ticket, took: took, part: part, parts: parts, reader.rest())
    case 5: self = .taken(ticket: ticket, part: try reader.byte())
    case 6: self = .refused(ticket: ticket)
    default: throw .invalid(offset: reader.offset)
    }
  }

  func encode(to writer: inout WireWriter) {
    func begin(_ kind: UInt8, _ ticket: UInt32) {
      writer.byte(kind)
      writer.integer(ticket)
    }
    switch self {
    case .ask(let ticket, let budget, let steps, let arc, let question):
      begin(1, ticket)
      writer.integer(UInt16(budget.ns / 1_000_000))
      writer.byte(steps)
      writer.integer(arc.from)
      writer.integer(arc.to)
      writer.reserve(question.bytes.count)?.write(question.bytes)
    case .working(let ticket, let nodes):
      begin(2, ticket)
      writer.integer(nodes)
    case .poll(let ticket): begin(3, ticket)
    case .answer(let ticket, let took, let part, let parts, let bytes):
      begin(4, ticket)
      writer.integer(took)
      writer.byte(part)
      writer.byte(parts)
      writer.bytes(bytes)
    case .taken(let ticket, let part):
      begin(5, ticket)
      writer.byte(part)
    case .refused(let ticket): begin(6, ticket)
    }
  }
}

extension TaskMessage: Equatable {
  static func == (a: TaskMessage, b: TaskMessage) -> Bool { a.bytes == b.bytes }

  private var bytes: [UInt8] {
    let scratch = Scratch(capacity: Self.partBytes + 64)
    return encode(into: scratch.frame).map { scratch.frame.prefix($0).bytes } ?? []
  }
}
