// What is asked of all nodes, as it travels unchanged from node to node: signed by whoever asks, so that each
// node can judge by itself whether it answers, and how often it did.
//
//  offset  size  field
//       0    32  the asker's key
//      32     8  sequence: rises with all that the asker asks, also over its restarts
//      40     8  Unix time of the question, in seconds
//      48     2  milliseconds that the asker waits for an answer, 60,000 at most
//      50     1  tree (bits 0–1: 0 everybody, 1 way), ring (bit 2: 0 all nodes, 1 the members), others zero
//      51     1  length of the task's name, 1 … 24
//      52     n  name: lower-case letters and hyphens
//    52+n    64  the asker's signature of what stands before it

import Base
import Session

/// Which nodes a task asks.
public enum TaskTree: UInt8, Sendable, BitwiseCopyable {
  /// All nodes of the arc that is asked about: by the tree of broadcasts.
  case everybody = 0
  /// The nodes on the way to a place: each hands the question to the link nearest to it.
  case way = 1
}

/// A signed question.
public struct TaskQuestion: Sendable, Equatable {
  public static let nameBytesMax = 24
  private static let headerBytes = 52
  static let budgetMax = Interval.seconds(60)
  static let bytesMax = headerBytes + nameBytesMax + Signature.byteCount

  public let asker: PublicKey
  public let sequence: UInt64
  /// Unix time at which it was asked, in seconds, by the asker's clock.
  public let askedAt: UInt64
  /// How long the asker waits: nobody answers later.
  public let budget: Interval
  public let ring: RingKind
  public let tree: TaskTree
  public let name: String
  /// All of it, as it is passed on.
  let bytes: [UInt8]

  /// Makes a question of this node.
  /// - Parameters:
  ///   - name: of 1 … 24 lower-case letters and hyphens.
  ///   - community: that of the members who are asked; nil for the ring of all nodes.
  init(
    _ name: String, _ tree: TaskTree, sequence: UInt64, askedAt: UInt64, budget: Interval,
    by identity: Identity, in community: Community?
  ) {
    precondition(Self.isName(Array(name.utf8)))
    asker = identity.publicKey
    self.sequence = sequence
    self.askedAt = askedAt
    self.budget = min(budget, Self.budgetMax)
    ring = community == nil ? .main : .members
    self.tree = tree
    self.name = name
    let scratch = Scratch(capacity: Self.bytesMax)
    var writer = WireWriter(scratch.frame)
    asker.encode(to: &writer)
    writer.integer(sequence)
    writer.integer(askedAt)
    writer.integer(UInt16(self.budget.ns / 1_000_000))
    writer.byte(tree.rawValue | (community == nil ? 0 : 4))
    writer.byte(UInt8(name.utf8.count))
    writer.reserve(name.utf8.count)?.write(Array(name.utf8))
    let said = scratch.frame.prefix(writer.count)
    let signature = community.map { $0.sign(question: said, by: identity) } ?? identity.sign(question: said)
    signature.encode(to: &writer)
    bytes = scratch.frame.prefix(writer.count).bytes
  }

  /// Reads a question to its end. The signature is not looked at.
  init(_ frame: Frame) throws(WireError) {
    var reader = WireReader(frame)
    asker = try PublicKey(from: &reader)
    sequence = try reader.integer()
    askedAt = try reader.integer()
    budget = .milliseconds(UInt64(try reader.integer(UInt16.self)))
    try reader.require(budget <= Self.budgetMax)
    let flags = try reader.byte()
    guard flags < 8, let tree = TaskTree(rawValue: flags & 3) else { throw .invalid(offset: reader.offset) }
    self.tree = tree
    ring = flags & 4 == 0 ? .main : .members
    let name = try reader.take(Int(try reader.byte())).bytes
    try reader.require(Self.isName(name))
    self.name = String(decoding: name, as: UTF8.self)
    _ = try Signature(from: &reader)
    try reader.finish()
    bytes = frame.bytes
  }

  private static func isName(_ bytes: [UInt8]) -> Bool {
    (1...nameBytesMax).contains(bytes.count) && bytes.allSatisfy { (97...122).contains($0) || $0 == 45 }
  }

  /// Whether the asker has asked this, of this community or of all nodes, and its key is one that a node may
  /// have.
  func isAuthentic(in community: Community?, under suite: Suite) -> Bool {
    guard suite.admits(asker), (ring == .members) == (community != nil) else { return false }
    return bytes.withFrame { frame in
      let said = frame.prefix(frame.count - Signature.byteCount)
      guard let signature = try? Signature(decoding: frame.dropping(said.count)) else { return false }
      if let community { return community.verifies(signature, ofQuestion: said, by: asker, suite) }
      return suite.verifies(signature, ofQuestion: said, by: asker)
    }
  }
}

extension [UInt8] {
  /// Shows the bytes as a frame.
  public func withFrame<Result>(_ look: (Frame) -> Result) -> Result {
    let scratch = Scratch(capacity: Swift.max(count, 1))
    scratch.frame.write(self)
    return look(scratch.frame.prefix(count))
  }
}
