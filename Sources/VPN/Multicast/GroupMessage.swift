// The messages about multicast groups: from a member to the one above it in the tree, and between a sender
// and the root.

import Base

/// Who receives a group at the sender and behind it, for the member that stands next on the way to the root.
/// It ends what was reported before, and, with nobody in it, the report itself.
struct GroupReport: Equatable, BitwiseCopyable, WireCodable {
  let group: IPAddress
  let receivers: Receivers

  init(group: IPAddress, receivers: Receivers) {
    self.group = group
    self.receivers = receivers
  }

  init(from reader: inout WireReader) throws(WireError) {
    group = try IPAddress(from: &reader)
    try reader.require(GroupScope(group) == .receivers)
    receivers = try Receivers(from: &reader)
  }

  func encode(to writer: inout WireWriter) {
    group.encode(to: &writer)
    receivers.encode(to: &writer)
  }
}

/// A routed message with payload kind `group`. The nonce is the sender's, and comes back with each answer.
enum GroupMessage: Equatable, BitwiseCopyable {
  /// To the root: "who receives this group?"
  case ask(IPAddress, nonce: UInt64)
  /// The answer, and each change in the minute after the question.
  case plan(IPAddress, nonce: UInt64, Receivers)
  /// The root is another one now.
  case askAgain(IPAddress, nonce: UInt64)
}

extension GroupMessage: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    let type = try reader.byte()
    let group = try IPAddress(from: &reader)
    try reader.require(GroupScope(group) == .receivers)
    let nonce: UInt64 = try reader.integer()
    switch type {
    case 1: self = .ask(group, nonce: nonce)
    case 2: self = .plan(group, nonce: nonce, try Receivers(from: &reader))
    case 3: self = .askAgain(group, nonce: nonce)
    default: throw .invalid(offset: 0)
    }
  }

  func encode(to writer: inout WireWriter) {
    let (type, group, nonce): (UInt8, IPAddress, UInt64) =
      switch self {
      case .ask(let group, let nonce): (1, group, nonce)
      case .plan(let group, let nonce, _): (2, group, nonce)
      case .askAgain(let group, let nonce): (3, group, nonce)
      }
    writer.byte(type)
    group.encode(to: &writer)
    writer.integer(nonce)
    if case .plan(_, _, let receivers) = self { receivers.encode(to: &writer) }
  }
}
