// Goal: the link that is chosen for a hop is the one that a naive search over all links chooses, and what
// links say of their own links ranks, but never leads away.
// Method: tables made by chance, also with neighbours in the same 32 bits, compared with the model.

import Base
import Session
import Testing

@testable import Overlay

/// What a route table shall do, said plainly.
private struct NaiveTable {
  struct Link {
    let slot: Int
    let id: OverlayID
    let kind: RouteKind
  }

  var links: [Link] = []
  /// What the tenant of a slot is linked with.
  var ahead: [Int: [UInt32]] = [:]

  private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 { min(a &- b, b &- a) }

  private func usable(_ excluded: [Int], _ directOnly: Bool) -> [Link] {
    links.filter { !excluded.contains($0.slot) && ($0.kind == .direct || !directOnly) }
  }

  func next(
    _ target: OverlayID, aim: UInt64?, from me: OverlayID, _ excluded: [Int], ignoring source: OverlayID?,
    _ directOnly: Bool
  ) -> Int? {
    let aim = aim ?? target.high
    let nearer = usable(excluded, directOnly).filter {
      Self.distance($0.id.high, target.high) < Self.distance(me.high, target.high)
    }
    func rank(_ link: Link) -> (UInt64, UInt64) {
      let own = Self.distance(link.id.high, aim)
      let theirs = (ahead[link.slot] ?? []).filter { $0 != source?.leading }.map { prefix -> UInt64 in
        let forth = prefix &- UInt32(aim >> 32)
        return UInt64(min(forth, 0 &- forth))
      }
      return (min(own >> 32, theirs.min() ?? .max), own)
    }
    return nearer.min { rank($0) < rank($1) }?.slot
  }

  func nearest(_ target: OverlayID, _ excluded: [Int], _ directOnly: Bool) -> Int? {
    usable(excluded, directOnly).min {
      Self.distance($0.id.high, target.high) < Self.distance($1.id.high, target.high)
    }?.slot
  }
}

@Suite struct RouteTableTests {
  private func list(_ prefixes: [UInt32]) -> BoundedArray<28, UInt32> {
    var list = BoundedArray<28, UInt32>()
    for prefix in prefixes { list.append(prefix) }
    return list
  }

  private func excluded(_ slots: [Int]) -> Excluded {
    var list = Excluded()
    for slot in slots { list.append(Int32(slot)) }
    return list
  }

  /// Some IDs lie close together, also in the same 32 bits, or the model would never see a tie.
  private func place(_ random: inout Random, near centre: OverlayID) -> OverlayID {
    var id = random.overlayID()
    switch random.below(4) {
    case 0: id.high = centre.high &+ (random.next() >> 40) &- (1 << 23)
    case 1: id.high = centre.high &+ (random.next() >> 20) &- (1 << 43)
    default: break
    }
    return id
  }

  @Test(arguments: [UInt64(1), 2, 3, 4]) func choosesAsTheNaiveSearchDoes(seed: UInt64) {
    var random = Random(seed: seed)
    for round in 0..<60 {
      let centre = random.overlayID()
      var table = RouteTable()
      var model = NaiveTable()
      // What the tenants before said is forgotten with them.
      for slot in 0..<40 {
        table.learn(slot, list([random.overlayID().leading]))
        table.forget(slot)
      }
      table.removeAll()
      for slot in 0..<Int(random.below(25)) where random.below(5) > 0 {
        let link = NaiveTable.Link(
          slot: slot, id: place(&random, near: centre), kind: random.below(4) == 0 ? .indirect : .direct)
        table.append(slot, link.id, link.kind)
        model.links.append(link)
        if random.below(2) == 0 {
          let count = Int(random.below(29))
          let ahead = (0..<count).map { _ in place(&random, near: centre).leading }
          table.learn(slot, list(ahead))
          model.ahead[slot] = ahead
        }
      }
      #expect(table.count == model.links.count)
      for _ in 0..<10 {
        let target = place(&random, near: centre)
        let me = place(&random, near: centre)
        let source = random.below(2) == 0 ? nil : Optional(place(&random, near: centre))
        let aim = random.below(2) == 0 ? nil : Optional(target.high &+ (random.next() >> 12))
        let out = (0..<Int(random.below(5))).map { _ in Int(random.below(25)) }
        let directOnly = random.below(2) == 0
        let next = table.next(
          toward: target, aim: aim, from: me, excluding: excluded(out), ignoring: source,
          directOnly: directOnly)
        #expect(
          next == model.next(target, aim: aim, from: me, out, ignoring: source, directOnly), "round \(round)")
        let nearest = table.nearest(to: target, excluding: excluded(out), directOnly: directOnly)
        #expect(nearest == model.nearest(target, out, directOnly), "round \(round)")
      }
    }
  }

  private func id(_ share: Double) -> OverlayID {
    OverlayID(high: UInt64(share * 0x1p64), middle: 0, low: 0)
  }

  private func next(
    _ table: RouteTable, toward target: Double, from me: Double, without slots: [Int] = [],
    ignoring source: OverlayID? = nil, directOnly: Bool = false
  ) -> Int? {
    table.next(
      toward: id(target), from: id(me), excluding: excluded(slots), ignoring: source, directOnly: directOnly)
  }

  @Test func linkThatLeadsNearestInTwoHopsComesFirst() {
    var table = RouteTable()
    table.append(0, id(0.30), .direct)
    table.append(1, id(0.20), .direct)
    #expect(next(table, toward: 0.4, from: 0.1) == 0)
    table.learn(1, list([id(0.39).leading]))
    #expect(next(table, toward: 0.4, from: 0.1) == 1, "one hop behind it is nearer than the nearest link")
    #expect(next(table, toward: 0.4, from: 0.1, without: [1]) == 0)
    // A later list replaces the one before, all of it.
    table.learn(1, list([id(0.9).leading]))
    #expect(next(table, toward: 0.4, from: 0.1) == 0)
  }

  @Test func quickerLinkWinsWhenItLeadsAboutAsNear() {
    var table = RouteTable()
    table.append(0, id(0.39), .direct, roundTrip: RouteTable.halving * 2)
    table.append(1, id(0.37), .direct, roundTrip: .milliseconds(20))
    // Three times as far, and so much less than two halvings.
    #expect(next(table, toward: 0.4, from: 0.1) == 1)
    #expect(next(table, toward: 0.4, from: 0.1, without: [1]) == 0)
    table.append(2, id(0.3999), .direct, roundTrip: RouteTable.halving * 2)
    #expect(next(table, toward: 0.4, from: 0.1) == 2, "it leads a hundred times as near")
    // However quick, it leads away.
    table.append(3, id(0.05), .direct, roundTrip: .zero)
    #expect(next(table, toward: 0.4, from: 0.1) == 2)
  }

  @Test func withinTheGapBetweenNodesDistanceCountsLittle() {
    var table = RouteTable()
    table.append(0, id(0.39999), .direct, roundTrip: .milliseconds(100))
    table.append(1, id(0.3999), .direct, roundTrip: .milliseconds(20))
    #expect(next(table, toward: 0.4, from: 0.1) == 0)
    table.gap = (1 << 32) / 100
    #expect(next(table, toward: 0.4, from: 0.1) == 1)
  }

  @Test func halvingsAreLogarithms() {
    #expect(RouteTable.halvings(0) == 0 && RouteTable.halvings(1) == 0)
    for exponent in 0..<33 { #expect(RouteTable.halvings(1 << exponent) == UInt64(16 * exponent)) }
    var random = Random(seed: 5)
    for _ in 0..<1_000 {
      let x = random.next() >> (31 + random.below(33))
      let real = x > 0 ? 16 * Mathematics.log2(Double(x)) : 0
      #expect(abs(Double(RouteTable.halvings(x)) - real) <= 2.4, "\(x)")
      #expect(RouteTable.halvings(x) <= RouteTable.halvings(x + 1))
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func nodeIsNearerThanThoseWhoTellOfIt(seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<200 {
      let node = random.overlayID()
      var table = RouteTable()
      // The teller comes first in the table, and stands farther off on either side.
      let away = (random.next() >> 4) + (1 << 42)
      let teller = random.below(2) == 0 ? node.high &+ away : node.high &- away
      table.append(0, OverlayID(high: teller, middle: 0, low: 0), .direct)
      table.learn(0, list([node.leading]))
      table.append(1, node, .direct)
      let near = (random.next() >> 30) &- (1 << 33)
      let target = OverlayID(high: node.high &+ near, middle: 0, low: 0)
      let me = OverlayID(high: target.high &+ (1 << 63), middle: 0, low: 0)
      let next = table.next(
        toward: target, from: me, excluding: Excluded(), ignoring: nil, directOnly: false)
      #expect(next == 1)
    }
  }

  @Test func promisesNeverLeadAway() {
    var table = RouteTable()
    // Farther than we are, and it claims to be linked with the target itself.
    table.append(0, id(0.9), .direct)
    table.learn(0, list([id(0.4).leading]))
    #expect(next(table, toward: 0.4, from: 0.3) == nil)
    table.append(1, id(0.31), .direct)
    #expect(next(table, toward: 0.4, from: 0.3) == 1)
    #expect(table.nearest(to: id(0.4), excluding: Excluded(), directOnly: false) == 1)
  }

  @Test func sourceOfAMessageIsNoDestination() {
    var table = RouteTable()
    table.append(0, id(0.30), .direct)
    table.append(1, id(0.35), .direct)
    // Both know the place next to the target; one of them only because the asker stands there.
    table.learn(0, list([id(0.401).leading, id(0.30).leading]))
    #expect(next(table, toward: 0.4, from: 0.1) == 0)
    #expect(next(table, toward: 0.4, from: 0.1, ignoring: id(0.401)) == 1)
  }

  @Test func relayedLinksCarryNoDatagrams() {
    var table = RouteTable()
    table.append(0, id(0.39), .indirect)
    table.append(1, id(0.20), .direct)
    #expect(next(table, toward: 0.4, from: 0.1) == 0)
    #expect(next(table, toward: 0.4, from: 0.1, directOnly: true) == 1)
    #expect(table.nearest(to: id(0.4), excluding: Excluded(), directOnly: true) == 1)
    #expect(table.nearest(to: id(0.4), excluding: excluded([0, 1]), directOnly: false) == nil)
  }

  @Test func whatAPeerSaidIsForgottenWithIt() {
    let node = LoneNode()
    var random = Random(seed: 9)
    let slot = node.raise(random.publicKey())
    let other = node.raise(random.publicKey())
    let target = node.id(slot)
    // A place that neither is next to.
    let far = OverlayID(high: target.high &+ (1 << 62), middle: 0, low: 0)
    node.links.routes.learn(slot, list([far.leading]))
    node.links.forget(slot, &node.context)
    let again = node.raise(random.publicKey())
    #expect(again == slot, "the lowest free slot has a new tenant")
    let nearest = [slot, other].min { node.id($0).distance(to: far) < node.id($1).distance(to: far) }
    #expect(node.links.nextHop(toward: far, excluding: .zero, directOnly: false) == nearest)
  }
}
