// The nodes nearest to this one that others speak of: eight a side, so that whoever loses a neighbour knows
// whom to ask next.
//
// It is hearsay. Nobody in here counts for the order of the ring or for ownership before a handshake with it
// (verify before adopt), and one voucher fills at most a part of the list.

import Base
import Session

/// A node that somebody named.
struct KnownNode: BitwiseCopyable {
  let node: NamedNode
  let id: OverlayID
  /// Who named it, and so reaches it.
  let voucher: OverlayID
  /// How often it was asked in vain, and when it may be asked again.
  var failures: UInt8 = 0
  var notBefore: Instant = .start
}

/// The nearest named nodes of both sides.
struct KnownNodes {
  /// Nodes a side.
  static let side = 8
  /// Of these, so many at most by one voucher's word: one liar cannot be all we know. (The four nearest of a
  /// neighbour's own list are what it honestly knows of a side.)
  static let byVoucherMax = 4
  /// A node that did not answer this often is not there.
  static let failuresMax: UInt8 = 4

  /// Nearest first, clockwise and counter-clockwise.
  private var right: [KnownNode] = []
  private var left: [KnownNode] = []

  func contains(_ key: PublicKey) -> Bool {
    right.contains { $0.node.key == key } || left.contains { $0.node.key == key }
  }

  mutating func remove(_ key: PublicKey) {
    right.removeAll { $0.node.key == key }
    left.removeAll { $0.node.key == key }
  }

  /// Visits those that may be asked, the nearest of each side first.
  func forEachOpen(at now: Instant, _ body: (KnownNode) -> Void) {
    for node in right where node.notBefore <= now { body(node) }
    for node in left where node.notBefore <= now { body(node) }
  }

  /// The node did not answer. Others may reach it all the same, so it is not forgotten at once.
  mutating func postpone(_ key: PublicKey, until instant: Instant) {
    Self.postpone(key, until: instant, in: &right)
    Self.postpone(key, until: instant, in: &left)
  }

  private static func postpone(_ key: PublicKey, until instant: Instant, in list: inout [KnownNode]) {
    guard let i = list.firstIndex(where: { $0.node.key == key }) else { return }
    list[i].failures += 1
    list[i].notBefore = instant
    if list[i].failures == failuresMax { list.remove(at: i) }
  }

  /// Takes a node in when it is one of the nearest of its side; the farthest gives way.
  /// - Returns: whether it was taken. *Precondition:* it is not in here yet.
  mutating func insert(_ node: KnownNode, around me: OverlayID) -> Bool {
    let forth = me.clockwise(to: node.id)
    let back = node.id.clockwise(to: me)
    if forth < back {
      return Self.insert(node, into: &right) { forth < me.clockwise(to: $0) }
    }
    return Self.insert(node, into: &left) { back < $0.clockwise(to: me) }
  }

  private static func insert(
    _ node: KnownNode, into list: inout [KnownNode], isBefore: (OverlayID) -> Bool
  ) -> Bool {
    let place = list.firstIndex { isBefore($0.id) } ?? list.count
    guard place < side else { return false }
    let fromVoucher = list.indices.filter { list[$0].voucher == node.voucher }
    if fromVoucher.count >= byVoucherMax {
      guard let farthest = fromVoucher.last, farthest >= place else { return false }
      list.remove(at: farthest)
    } else if list.count == side {
      list.removeLast()
    }
    list.insert(node, at: place)
    return true
  }
}
