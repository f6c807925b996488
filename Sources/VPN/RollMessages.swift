// What is said in a roll call: the question, as the payload of a broadcast, and the answer, as the payload of
// a message that is routed among members to the one that asked.
//
// The question:
//
//  offset  size  field
//       0     8  nonce
//       8     2  milliseconds over which the answers shall be spread, 2,000 at most
//
// The answer:
//
//  offset  size  field
//       0     8  nonce of the question
//       8    32  key of the member
//      40     1  length of its name, 0 … 63; 0: it has none
//      41     n  name
//    41+n     2  length of its claim, 0 while it has no IPv4 address
//    43+n     m  claim, a lease
//  43+n+m    64  the member's signature of all that stands before, made as that of a broadcast

import Base
import DHT
import Session

/// "Who is there?"
struct RollQuestion: Equatable, BitwiseCopyable {
  static let bytes = 10
  /// However many members there are.
  static let spreadMax = Interval.seconds(2)

  let nonce: UInt64
  /// Each member waits for a random part of this.
  let spread: Interval
}

extension RollQuestion: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    nonce = try reader.integer()
    spread = .milliseconds(UInt64(try reader.integer(UInt16.self)))
    try reader.require(spread <= Self.spreadMax)
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(nonce)
    writer.integer(UInt16(spread.ns / 1_000_000))
  }
}

/// "I am." Frames point into what was read.
struct RollAnswer {
  /// All but name and claim.
  static let overhead = 8 + 32 + 1 + 2 + 64
  static let bytesMax = overhead + MemberName.bytesMax + Lease.bytesMax

  let nonce: UInt64
  let key: PublicKey
  let name: MemberName?
  let lease: Frame
  let signed: Frame
  let signature: Signature

  /// Writes an answer of this node.
  /// - Parameter lease: its claim; empty when it has none.
  /// - Returns: its bytes.
  static func make(
    nonce: UInt64, name: MemberName?, lease: [UInt8], by identity: Identity, in community: Community
  ) -> [UInt8] {
    let scratch = Scratch(capacity: bytesMax)
    var writer = WireWriter(scratch.frame)
    writer.integer(nonce)
    identity.publicKey.encode(to: &writer)
    if let name { name.encode(to: &writer) } else { writer.byte(0) }
    writer.integer(UInt16(lease.count))
    writer.reserve(lease.count)?.write(lease)
    let signed = scratch.frame.prefix(writer.count)
    community.sign(signed, by: identity).encode(to: &writer)
    return scratch.frame.prefix(writer.count).bytes
  }
}

extension RollAnswer: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    let whole = reader
    let start = reader.offset
    nonce = try reader.integer()
    key = try PublicKey(from: &reader)
    var ahead = reader
    let hasName = try ahead.byte() > 0
    if !hasName { reader = ahead }
    name = hasName ? try MemberName(from: &reader) : nil
    let length = Int(try reader.integer(UInt16.self))
    try reader.require(length <= Lease.bytesMax)
    lease = try reader.take(length)
    var behind = whole
    signed = try behind.take(reader.offset - start)
    signature = try Signature(from: &reader)
  }

  func encode(to writer: inout WireWriter) {
    writer.bytes(signed)
    signature.encode(to: &writer)
  }
}

extension RollAnswer: Equatable {
  static func == (a: RollAnswer, b: RollAnswer) -> Bool {
    a.nonce == b.nonce && a.key == b.key && a.name == b.name && a.lease.bytes == b.lease.bytes
      && a.signed.bytes == b.signed.bytes && a.signature == b.signature
  }
}
