// Goal: a node keeps as many far links as the size of the ring asks for, and carries no more of others' than
// its share.
// Method: the counts against whole numbers; guests at a lone node, and on a wire.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct ShortcutTests {
  /// The least k with base^k ≥ size.
  private func logarithm(_ size: Int, base: Int) -> Int {
    var k = 0
    var power = 1
    while power < size {
      power *= base
      k += 1
    }
    return k
  }

  @Test func countsAreThoseOfWholeNumbers() {
    let powers = (0...30).map { 1 << $0 }
    let sizes = Array(0...300) + powers + powers.map { $0 + 1 } + powers.map { max($0 - 1, 0) } + [1_000_000]
    for size in sizes {
      // Everybody of nine is a neighbour of everybody else.
      #expect(Shortcuts.count(size: size) == (size <= 9 ? 0 : logarithm(size, base: 4)), "\(size) nodes")
      #expect(
        Shortcuts.candidates(size: size) == max(logarithm(size, base: 2), size < 2 ? 1 : 0), "\(size) nodes")
    }
    #expect(Shortcuts.count(size: 1_000_000) == 10 && Shortcuts.candidates(size: 1_000_000) == 20)
  }

  @Test(arguments: [(UInt32(0), 8), (16, 8), (1_000, 10), (1_000_000, 20)])
  func guestsBeyondTheLimitAreRefused(size: UInt32, limit: Int) {
    var random = Random(seed: 1)
    let node = LoneNode()
    node.raise(30, &random)
    node.links.bearings.size = size
    node.context.now = .start + .seconds(100)
    for slot in 0..<25 { node.links.receiveGuest(slot, &node.context) }
    let guests = (0..<30).filter { node.links.peers[$0].isGuest }
    #expect(guests == Array(0..<limit))
    #expect(node.links.guestCount(at: node.context.now) == limit)
    // A neighbour is welcome all the same: its link is there anyway.
    node.links.peers[29].roles = .near
    node.links.receiveGuest(29, &node.context)
    #expect(node.links.peers[29].isGuest)
    // Who has not asked for a minute is no guest any more, and there is room again.
    node.context.now = node.context.now + .seconds(50)
    node.links.receiveGuest(0, &node.context)
    node.context.now = node.context.now + .seconds(15)
    #expect(node.links.guestCount(at: node.context.now) == 1)
    node.links.receiveGuest(28, &node.context)
    #expect(node.links.peers[28].isGuest && node.available == 256)
  }

  @Test(arguments: [7, 8]) func refusedGuestLooksElsewhere(guests: Int) {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    wires.run(for: .seconds(1))
    var random = Random(seed: 2)
    for _ in 0..<guests {
      let slot = b.find(random.publicKey(), at: wires.now)!
      b.links.peers[slot].isUp = true
      b.links.peers[slot].isGuest = true
      b.links.peers[slot].wantedAt = wires.now
    }
    wires.connect(a, b, role: .shortcut)
    wires.run(for: .seconds(1))
    #expect(a.isUp(b) && b.isUp(a))
    let isTaken = guests < 8
    #expect(b.peer(a)!.isGuest == isTaken)
    #expect(a.peer(b)!.roles.contains(.shortcut) == isTaken)
    #expect(a.links.shortcutCount(on: .main) == (isTaken ? 1 : 0))
  }

  @Test func slowestFarLinkIsGivenUpFirst() {
    var random = Random(seed: 3)
    let node = LoneNode()
    node.raise(6, &random)
    for (slot, ms) in [(1, 20), (2, 90), (4, 50)] as [(Int, UInt64)] {
      node.links.peers[slot].roles = [.shortcut, .onDemand]
      node.links.peers[slot].paths[1]!.roundTrip.add(.milliseconds(ms))
    }
    // Slow, but no far link.
    node.links.peers[3].paths[1]!.roundTrip.add(.milliseconds(500))
    for slowest in [2, 4, 1] {
      node.links.releaseSlowestShortcut(on: .main)
      #expect(node.links.peers[slowest].roles == .onDemand)
    }
    #expect(node.links.shortcutCount(on: .main) == 0)
    node.links.releaseSlowestShortcut(on: .main)
  }

  @Test func neighboursAndThoseBeingAskedAreNoFarLinks() {
    var random = Random(seed: 4)
    let node = LoneNode()
    let key = random.publicKey()
    func mayBecomeShortcut() -> Bool { node.links.mayBecomeShortcut(key, on: .main) }
    #expect(mayBecomeShortcut())
    let slot = node.raise(key)
    #expect(mayBecomeShortcut(), "a link that is there anyway")
    for role in [Roles.near, .shortcut] {
      node.links.peers[slot].roles = role
      #expect(!mayBecomeShortcut())
    }
    node.links.peers[slot].roles = []
    node.links.peers[slot].attempt = Attempt(nextAt: .start)
    #expect(!mayBecomeShortcut())
  }
}
