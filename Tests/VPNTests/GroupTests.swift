// Goal: lists of receivers are added up right, plans and reports end, wait and give way as they should, and
// nobody can change what an origin has sent by a tree.
// Method: the parts by themselves, with moments made up.

import Base
import Overlay
import Session
import Testing

@testable import VPN

@Suite struct GroupTests {
  /// A member whose key solves the puzzle.
  private static let owner = {
    let seeds = (0...).lazy.map { number in
      Key(bytes: [UInt8(number & 255), UInt8(number >> 8)] + [UInt8](repeating: 7, count: 30))!
    }
    return seeds.map { Identity(seed: $0) }.first { $0.publicKey.solvesPuzzle }!
  }()

  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let group = IPAddress("239.1.2.3")!
  private let me = OverlayID(high: 5, middle: 0, low: 0)

  private func id(_ number: Int) -> OverlayID { OverlayID(high: UInt64(number) << 32, middle: 1, low: 2) }

  private func receivers(_ numbers: some Sequence<Int>) -> Receivers {
    var receivers = Receivers()
    for number in numbers { receivers.add(id(number)) }
    return receivers
  }

  @Test func receiversAreNamedWhileTheyAreFew() {
    var all = receivers([3, 1, 2, 3])
    #expect(all.count == 3 && all.areFew && all == receivers([1, 2, 3]))
    all.add(receivers([2, 9]))
    #expect(all == receivers([1, 2, 3, 9]))
    #expect(receivers(1...16).areFew && receivers(1...16).named.count == 16)
    var many = receivers(1...17)
    #expect(many.count == 17 && !many.areFew && many.named.isEmpty)
    all.add(many)
    #expect(all.count == 21 && all.named.isEmpty)
    many.add(receivers([40, 41]))
    #expect(many.count == 19)
    for _ in 0..<12 { many.add(many) }
    #expect(many.count == .max, "and not fewer for there being more")
  }

  /// A context with some packets, of which one is handed out by `packet`.
  private func context() -> Context { Context(packets: 64, effects: 16, seed: 1) }

  @Test func packetsWaitForThePlanAndAreTooManyAtSeventeen() {
    var context = context()
    var plans = GroupPlans()
    context.now = .start + .seconds(1)
    for i in 0..<20 {
      guard let packet = context.pool.take(length: 10) else { return }
      let (outcome, _) = plans.send(packet, to: group, me, &context)
      #expect(outcome == .wait(asks: i == 0))
    }
    let waiting = 64 - context.pool.available
    #expect(waiting == 16)
    let due = context.now + GroupPlans.patience
    let early = plans.expire(at: context.now + GroupPlans.retry)
    #expect(early.ask == [0] && early.giveUp == [])
    let late = plans.expire(at: due)
    #expect(late.ask == [] && late.giveUp == [0])
    let way = plans.way(0, me)
    #expect(way == .everybody)
    context.now = due
    plans.releasePackets(&context)
    let left = context.pool.available
    #expect(left == 64)
  }

  @Test func plansSayWhichWay() {
    var context = context()
    var plans = GroupPlans()
    guard let packet = context.pool.take(length: 10) else { return }
    let (_, slot) = plans.send(packet, to: group, me, &context)
    let nonce = plans.plans[slot].nonce
    let stranger = plans.learn(group, nonce: nonce &+ 1, receivers([1]), from: id(9), at: context.now)
    #expect(stranger == nil, "who does not know the nonce was not asked")
    var own = Receivers()
    own.add(me)
    var two = receivers([1])
    two.add(me)
    var others = BoundedArray<16, OverlayID>()
    others.append(id(1))
    let ways: [(Receivers, GroupWay)] = [
      (Receivers(), .nobody), (own, .nobody), (two, .each(others)), (receivers(1...17), .tree),
      (receivers(1...256), .tree), (receivers(1...257), .everybody),
    ]
    for (receivers, way) in ways {
      let learnt = plans.learn(group, nonce: nonce, receivers, from: id(9), at: context.now)
      let chosen = plans.way(slot, me)
      #expect(learnt == slot && chosen == way)
    }
    plans.releasePackets(&context)
    let start = context.now
    let refreshes = [0, 19, 20, 20, 21].map { plans.takeRefresh(slot, at: start + .seconds($0)) }
    #expect(refreshes == [false, false, true, false, true])
    plans.onDown(id(9), at: start + .seconds(30))
    let afterLoss = [31, 35].map { plans.takeRefresh(slot, at: start + .seconds($0)) }
    #expect(afterLoss == [true, true])
  }

  @Test func whomTheLostRootNamedCountsForAWhile() {
    var context = context()
    var plans = GroupPlans()
    guard let packet = context.pool.take(length: 10) else { return }
    let (_, slot) = plans.send(packet, to: group, me, &context)
    plans.releasePackets(&context)
    let nonce = plans.plans[slot].nonce
    let start = context.now
    func learn(_ numbers: some Sequence<Int>, from root: Int, at seconds: UInt64) -> Receivers? {
      let moment = start + .seconds(seconds)
      _ = plans.learn(group, nonce: nonce, receivers(numbers), from: id(root), at: moment)
      return plans.plans[slot].receivers
    }
    let seen = [
      learn([1, 2], from: 8, at: 0), learn([1], from: 8, at: 1), learn([3], from: 9, at: 2),
      learn([3, 4], from: 9, at: 31), learn([3, 4], from: 9, at: 33),
    ]
    #expect(seen == [[1, 2], [1], [1, 3], [1, 3, 4], [3, 4]].map { receivers($0) })
  }

  @Test func fullTableOfPlansLetsGoOfTheIdlest() {
    var context = context()
    var plans = GroupPlans()
    for i in 0..<(GroupPlans.limit + 5) {
      guard let packet = context.pool.take(length: 10) else { return }
      let other = IPAddress(v4: 0xEF01_0000 + UInt32(i))
      let (_, slot) = plans.send(packet, to: other, me, &context)
      let packets = plans.takePackets(slot)
      for i in 0..<packets.count { context.pool.release(packets[i]) }
      context.now = context.now + .milliseconds(1)
    }
    let count = plans.plans.count
    #expect(count == GroupPlans.limit)
  }

  @Test func reportsAreAddedUpAndOnlyTakenFromFartherOff() {
    let place = home.place(of: group)
    var tree = GroupTree(place)
    let (a, b) = (id(1), id(2))
    func report(_ numbers: some Sequence<Int>) -> GroupReport {
      GroupReport(group: group, receivers: receivers(numbers))
    }
    tree.set(group, isReceived: true, home, at: .start)
    var taken = tree.receive(report([1, 3]), from: a, home, at: .start)
    #expect(taken)
    taken = tree.receive(report([2, 3]), from: b, home, at: .start)
    var all = tree.receivers(0)
    #expect(taken && all.count == 4, "who is behind two counts once")
    taken = tree.receive(report(1...20), from: a, home, at: .start)
    all = tree.receivers(0)
    #expect(taken && all.count == 23)
    taken = tree.receive(report([]), from: b, home, at: .start)
    all = tree.receivers(0)
    #expect(taken && all.count == 21)
    tree.onDown(a, at: .start)
    all = tree.receivers(0)
    #expect(all.count == 1)
    var far = GroupTree(OverlayID(high: place.high ^ 1 << 63, middle: 0, low: 0))
    taken = far.receive(report([1]), from: a, home, at: .start)
    #expect(!taken, "from one that stands nearer")
  }

  @Test func tablesOfReportsHaveBounds() {
    var tree = GroupTree(home.place(of: group))
    for i in 0..<(GroupTree.groupsMax + 10) {
      tree.set(IPAddress(v4: 0xEF01_0000 + UInt32(i)), isReceived: true, home, at: .start)
    }
    let refused = tree.refused
    #expect(refused == 10)
  }

  private func frame() -> (bytes: [UInt8], owner: Identity) {
    let owner = Self.owner
    let packet = Packets.frame(Packets.v4([1, 2, 3, 4], to: group))
    let scratch = Scratch(capacity: packet.count + TreeFrame.overhead)
    TreeFrame.write(packet, sequence: 77, by: owner, in: home, to: scratch.frame)
    TreeFrame.address(scratch.frame, steps: 3, isDown: true)
    return (scratch.frame.bytes, owner)
  }

  private func isGood(_ bytes: [UInt8]) -> Bool {
    guard let tree = TreeFrame(Packets.frame(bytes)) else { return false }
    return tree.saying.isAuthentic(in: home, under: .real)
  }

  @Test func framesAreReadAsTheyWereWritten() throws {
    let (bytes, owner) = frame()
    let tree = try #require(TreeFrame(Packets.frame(bytes)))
    let saying = tree.saying
    #expect(tree.steps == 3 && tree.isDown && saying.origin == owner.publicKey && saying.sequence == 77)
    #expect(tree.packet.destination == group && saying.payload.bytes == Packets.v4([1, 2, 3, 4], to: group))
    #expect(isGood(bytes))
    #expect(IPPacket(Packets.frame(bytes)) == nil, "no IP packet")
  }

  @Test func cutAndChangedFramesAreRefused() {
    let bytes = frame().bytes
    for count in bytes.indices { #expect(!isGood(Array(bytes[..<count])), "\(count) bytes") }
    #expect(!isGood(bytes + [0]))
    for bit in 0..<(8 * bytes.count) where !(8..<17).contains(bit) {
      var turned = bytes
      turned[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!isGood(turned), "bit \(bit % 8) of byte \(bit / 8)")
    }
    let other = Community.shared(name: "work", secret: [UInt8](33...64))
    let tree = TreeFrame(Packets.frame(bytes))!
    #expect(!tree.saying.isAuthentic(in: other, under: .real))
  }
}
