// How many members receive a group, and who they are while they are few.
//
//  offset  size  field
//       0     2  count; 65,535 also means more
//       2     1  number of IDs: the count if that is at most 16, else 0
//       3   20n  their IDs, rising

import Base

/// The receivers of a group, or those behind a member.
struct Receivers: Equatable, BitwiseCopyable, Sendable {
  /// As many as a sender serves itself.
  static let namedMax = 16
  /// As many as a tree serves; what more have joined goes to all members.
  static let treeMax: UInt16 = 256

  private(set) var count: UInt16 = 0
  /// All of them, in order; nobody when they are too many.
  private(set) var named = BoundedArray<16, OverlayID>()

  var isEmpty: Bool { count == 0 }
  /// Whether all are named.
  var areFew: Bool { count <= Self.namedMax }

  mutating func add(_ id: OverlayID) {
    guard areFew else {
      if count < .max { count += 1 }
      return
    }
    let place = named.firstIndex { $0 >= id } ?? named.count
    if place < named.count, named[place] == id { return }
    if named.isFull { named.removeAll() } else { named.insert(id, at: place) }
    count += 1
  }

  /// Adds those of another list. Whoever is named in both counts once.
  mutating func add(_ others: Receivers) {
    if others.areFew {
      for i in 0..<others.named.count { add(others.named[i]) }
    } else {
      let (sum, isTooMuch) = count.addingReportingOverflow(others.count)
      count = isTooMuch ? .max : sum
      named.removeAll()
    }
  }
}

extension Receivers: WireCodable {
  init(from reader: inout WireReader) throws(WireError) {
    count = try reader.integer()
    named = try reader.list { (r: inout WireReader) throws(WireError) in try OverlayID(from: &r) }
    try reader.require(named.count == (areFew ? Int(count) : 0))
    for i in 1..<max(named.count, 1) { try reader.require(named[i - 1] < named[i]) }
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(count)
    writer.list(named) { $0.encode(to: &$1) }
  }
}
