// Goal: of the nodes that others name, the nearest of both sides are remembered, and nobody's word fills more
// than his share.
// Method: random insertions and removals, compared with sorted lists.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct KnownNodesTests {
  /// One side of the list, said plainly: sorted, then cut.
  private struct NaiveSide {
    var nodes: [(distance: OverlayID, node: KnownNode)] = []

    mutating func insert(_ node: KnownNode, _ distance: OverlayID) -> Bool {
      nodes.append((distance, node))
      nodes.sort { $0.distance < $1.distance }
      let share = nodes.indices.filter { nodes[$0].node.voucher == node.voucher }
      if share.count > KnownNodes.byVoucherMax { nodes.remove(at: share.last!) }
      if nodes.count > KnownNodes.side { nodes.removeLast() }
      return nodes.contains { $0.node.node.key == node.node.key }
    }

    mutating func remove(_ key: PublicKey) { nodes.removeAll { $0.node.node.key == key } }
  }

  private func named(_ id: OverlayID, by voucher: OverlayID, _ random: inout Random) -> KnownNode {
    KnownNode(node: NamedNode(key: random.publicKey(), endpoint: .none), id: id, voucher: voucher)
  }

  private func open(_ known: KnownNodes, at now: Instant = .start) -> [PublicKey] {
    var keys: [PublicKey] = []
    known.forEachOpen(at: now) { keys.append($0.node.key) }
    return keys
  }

  @Test(arguments: [UInt64(1), 2, 3, 4]) func nearestOfBothSidesAreKept(seed: UInt64) {
    var random = Random(seed: seed)
    let me = random.overlayID()
    let vouchers = (0..<3 + Int(seed)).map { _ in random.overlayID() }
    var known = KnownNodes()
    var right = NaiveSide()
    var left = NaiveSide()
    for step in 0..<600 {
      if random.below(5) == 0, let key = open(known).randomKey(&random) {
        known.remove(key)
        right.remove(key)
        left.remove(key)
        #expect(!known.contains(key))
      } else {
        let id = random.overlayID()
        let node = named(id, by: vouchers[Int(random.below(UInt64(vouchers.count)))], &random)
        let forth = me.clockwise(to: id)
        let back = id.clockwise(to: me)
        let isTaken = forth < back ? right.insert(node, forth) : left.insert(node, back)
        #expect(known.insert(node, around: me) == isTaken, "step \(step)")
        #expect(known.contains(node.node.key) == isTaken)
      }
      // The nearest first, clockwise before counter-clockwise.
      #expect(open(known) == (right.nodes + left.nodes).map { $0.node.node.key }, "step \(step)")
    }
    #expect(open(known).count > KnownNodes.side)
  }

  @Test func oneVoucherFillsHalfOfASideAndNoMore() {
    var random = Random(seed: 5)
    let me = OverlayID.zero
    let liar = random.overlayID()
    let honest = (0..<2).map { _ in random.overlayID() }
    func place(_ n: UInt64) -> OverlayID { OverlayID(high: n << 40, middle: 0, low: 0) }
    var known = KnownNodes()
    for n in 100..<108 as Range<UInt64> {
      let isTaken = known.insert(named(place(n), by: honest[Int(n % 2)], &random), around: me)
      #expect(isTaken)
    }
    let before = open(known)
    // All of them nearer than what the honest say.
    for n in (1..<50 as Range<UInt64>).reversed() {
      _ = known.insert(named(place(n), by: liar, &random), around: me)
    }
    #expect(open(known).count == 8)
    #expect(Array(open(known).suffix(4)) == Array(before.prefix(4)))
    let isTaken = known.insert(named(place(60), by: liar, &random), around: me)
    #expect(!isTaken, "his nearest four are in already")
  }

  @Test func whoDidNotAnswerIsAskedAgainLaterAndForgottenInTheEnd() {
    var random = Random(seed: 6)
    var known = KnownNodes()
    var keys: [PublicKey] = []
    for high in [1 << 60, 1 << 61, 0 &- (1 << 60)] as [UInt64] {
      let node = named(OverlayID(high: high, middle: 0, low: 0), by: random.overlayID(), &random)
      let isTaken = known.insert(node, around: .zero)
      #expect(isTaken)
      keys.append(node.node.key)
    }
    let soon = Instant.start + .seconds(30)
    known.postpone(keys[0], until: soon)
    known.postpone(random.publicKey(), until: soon)
    #expect(open(known) == [keys[1], keys[2]])
    #expect(known.contains(keys[0]) && open(known, at: soon) == keys)
    for _ in 1..<KnownNodes.failuresMax {
      #expect(known.contains(keys[0]))
      known.postpone(keys[0], until: soon)
    }
    #expect(!known.contains(keys[0]) && open(known, at: soon) == [keys[1], keys[2]])
  }

  @Test func whoDidNotAnswerMakesRoomForWhoIsFartherAway() {
    var random = Random(seed: 9)
    let me = OverlayID.zero
    let vouchers = (0..<4).map { _ in random.overlayID() }
    func node(_ place: UInt64) -> KnownNode {
      named(OverlayID(high: place, middle: 0, low: 0), by: vouchers[Int(place) % 4], &random)
    }
    var known = KnownNodes()
    let near = (1...UInt64(KnownNodes.side)).map(node)
    for one in near {
      let isTaken = known.insert(one, around: me)
      #expect(isTaken)
    }
    let isTaken = known.insert(node(20), around: me)
    #expect(!isTaken, "the side is full of nearer ones")
    known.postpone(near[2].node.key, until: .start + .seconds(30))
    let farther = node(21)
    #expect(known.wants(farther.id, voucher: farther.voucher, around: me))
    let comesIn = known.insert(farther, around: me)
    #expect(comesIn)
    #expect(!known.contains(near[2].node.key))
    #expect(open(known) == near.map(\.node.key).filter { $0 != near[2].node.key } + [farther.node.key])
    let another = known.insert(node(22), around: me)
    #expect(!another, "all others may be there")
  }
}

extension [PublicKey] {
  fileprivate func randomKey(_ random: inout Random) -> PublicKey? {
    isEmpty ? nil : self[Int(random.below(UInt64(count)))]
  }
}
