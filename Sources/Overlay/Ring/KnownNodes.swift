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

  /// Whether a node whose ID begins with these 64 bits is in here.
  func contains(leading word: UInt64) -> Bool {
    right.contains { $0.id.high == word } || left.contains { $0.id.high == word }
  }

  mutating func remove(_ key: PublicKey) {
    right.removeAll { $0.node.key == key }
    left.removeAll { $0.node.key == key }
  }

  /// Visits all, the nearest of each side first.
  func visit(_ body: (KnownNode) -> Void) {
    for node in right { body(node) }
    for node in left { body(node) }
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
    let isRight = Self.isRight(node.id, of: me)
    guard let (place, leaving) = place(for: node.id, voucher: node.voucher, around: me) else { return false }
    if isRight {
      if let leaving { right.remove(at: leaving) }
      right.insert(node, at: place)
    } else {
      if let leaving { left.remove(at: leaving) }
      left.insert(node, at: place)
    }
    return true
  }

  /// Whether a node with this ID would be taken in by the word of `voucher`.
  func wants(_ id: OverlayID, voucher: OverlayID, around me: OverlayID) -> Bool {
    place(for: id, voucher: voucher, around: me) != nil
  }

  /// On whose side the node stands: where the way to it is shorter.
  private static func isRight(_ id: OverlayID, of me: OverlayID) -> Bool {
    me.clockwise(to: id) < id.clockwise(to: me)
  }

  /// Where the node would stand in the list of its side, and who would leave for it.
  private func place(
    for id: OverlayID, voucher: OverlayID, around me: OverlayID
  ) -> (place: Int, leaving: Int?)? {
    let isRight = Self.isRight(id, of: me)
    let list = isRight ? right : left
    let place =
      list.firstIndex {
        isRight
          ? me.clockwise(to: id) < me.clockwise(to: $0.id) : id.clockwise(to: me) < $0.id.clockwise(to: me)
      } ?? list.count
    let fromVoucher = list.indices.filter { list[$0].voucher == voucher }
    if fromVoucher.count >= Self.byVoucherMax {
      guard let farthest = fromVoucher.last, farthest >= place else { return nil }
      return (place, farthest)
    }
    guard list.count == Self.side else { return (place, nil) }
    // One that did not answer gives way first, or the dead would keep the living out.
    if let silent = list.lastIndex(where: { $0.failures > 0 }) {
      return (silent < place ? place - 1 : place, silent)
    }
    return place < Self.side ? (place, Self.side - 1) : nil
  }
}
