// The nodes nearest to this one that others speak of: eight a side, so that whoever loses a neighbour knows
// whom to ask next.
//
// It is hearsay. Nobody in here counts for the order of the ring or for ownership before a handshake with it
// (verify before adopt), and one voucher fills at most a part of the list.

import Base
import Session

/// A node that somebody named.
struct KnownNode: BitwiseCopyable {
  let key: PublicKey
  let id: OverlayID
  /// Who named it, and so reaches it.
  let voucher: OverlayID
}

/// The nearest named nodes of both sides.
struct KnownNodes {
  /// Nodes a side.
  static let side = 8
  /// Of these, so many at most by one voucher's word: one liar cannot be all we know. (The nearest four of a
  /// neighbour's own list are what it honestly knows of a side.)
  static let byVoucherMax = 4

  private(set) var nodes: [KnownNode] = []

  func contains(_ key: PublicKey) -> Bool { nodes.contains { $0.key == key } }

  mutating func remove(_ key: PublicKey) { nodes.removeAll { $0.key == key } }

  /// Takes a node in when it is one of the nearest of a side; the farthest of that side gives way.
  mutating func insert(_ node: KnownNode, around me: OverlayID) {
    if contains(node.key) { return }
    nodes.append(node)
    if nodes.count <= Self.side { return }
    let limited = limitedByVoucher(around: me)
    let kept = nearest(limited) { me.clockwise(to: $0) } + nearest(limited) { $0.clockwise(to: me) }
    nodes.removeAll { node in !kept.contains(node.key) }
  }

  private func nearest(_ nodes: [KnownNode], by distance: (OverlayID) -> OverlayID) -> [PublicKey] {
    nodes.sorted { distance($0.id) < distance($1.id) }.prefix(Self.side).map(\.key)
  }

  /// Without those beyond the share of their voucher on each side, nearest first.
  private func limitedByVoucher(around me: OverlayID) -> [KnownNode] {
    let sorted = nodes.sorted { $0.id.distance(to: me) < $1.id.distance(to: me) }
    return sorted.enumerated().filter { i, node in
      let isRight = Self.isRight(node.id, of: me)
      let before = sorted[..<i].filter {
        $0.voucher == node.voucher && Self.isRight($0.id, of: me) == isRight
      }
      return before.count < Self.byVoucherMax
    }.map(\.element)
  }

  private static func isRight(_ id: OverlayID, of me: OverlayID) -> Bool {
    me.clockwise(to: id) < id.clockwise(to: me)
  }
}
