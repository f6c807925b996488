// Goal: links hear of each other when there is news, and the order in which links stand in a table is none.
// Method: lists made by chance and shuffled; a lone node that tells its peers.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct AcquaintancesTests {
  private func list(_ prefixes: [UInt32]) -> Acquaintances {
    var list = Acquaintances()
    for prefix in prefixes { list.prefixes.append(prefix) }
    return list
  }

  @Test(arguments: [UInt64(1), 2, 3]) func fingerprintKnowsNoOrder(seed: UInt64) {
    var random = Random(seed: seed)
    var seen: [UInt32] = []
    for _ in 0..<200 {
      var prefixes = (0..<1 + random.below(28)).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let fingerprint = list(prefixes).fingerprint
      #expect(fingerprint != 0)
      seen.append(fingerprint)
      for i in prefixes.indices.reversed() { prefixes.swapAt(i, Int(random.below(UInt64(i + 1)))) }
      #expect(list(prefixes).fingerprint == fingerprint)
      // One more, one less, another one: another list.
      let last = prefixes.removeLast()
      #expect(list(prefixes).fingerprint != fingerprint)
      prefixes.append(last ^ 1)
      #expect(list(prefixes).fingerprint != fingerprint)
    }
    seen.sort()
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0 != $1 })
  }

  @Test func onlyLastingLinksAreNamedAndTheNearestFirst() {
    var random = Random(seed: 4)
    let node = LoneNode()
    node.raise(40, &random)
    for slot in 0..<40 where slot % 4 == 0 { node.links.peers[slot].roles = .shortcut }
    for slot in 0..<40 where slot % 4 == 1 { node.links.peers[slot].isGuest = true }
    let near = node.links.neighbourhood.all
    let told = node.links.acquaintances.prefixes
    let prefixes = (0..<told.count).map { told[$0] }
    #expect(Array(prefixes.prefix(8)) == (0..<8).map { node.id(Int(near[$0])).leading })
    let far = (0..<40).filter { slot in slot % 4 < 2 && !node.links.neighbourhood.contains(slot) }
    #expect(Array(prefixes.dropFirst(8)) == far.map { node.id($0).leading })
  }

  @Test func listTravelsUntilItIsHeld() {
    var random = Random(seed: 5)
    let node = LoneNode()
    node.raise(12, &random)
    for slot in 0..<10 { node.links.peers[slot].roles = .shortcut }
    // Without keys each sending is counted as one that has no way.
    func told() -> UInt64 {
      let before = node.links.counters.noWay
      node.links.tellAcquaintances(&node.context)
      return node.links.counters.noWay - before
    }
    func hold(_ slots: Range<Int>) {
      for slot in slots { node.links.peers[slot].acquaintancesHeld = node.links.acquaintances.fingerprint }
    }
    #expect(told() == 10)
    hold(0..<7)
    #expect(told() == 3, "three lists, or the answers to them, were lost")
    hold(7..<10)
    #expect(told() == 0)
    node.links.peers[10].roles = .shortcut
    #expect(told() == 11)
    hold(0..<11)
    node.links.peers[11].isGuest = true
    hold(11..<12)
    #expect(told() == 11, "the new guest seems to have it already")
    hold(0..<11)
    #expect(told() == 0)
  }

  @Test func lostListIsSentAgainAndAHeldOneIsNot() throws {
    let wires = Wires(count: 2)
    let (a, b) = (wires.sides[0], wires.sides[1])
    try wires.link(a, b, role: .shortcut)
    func held() -> Bool { a.peer(b)!.acquaintancesHeld == a.links.acquaintances.fingerprint }
    func tell() -> Int {
      let before = wires.count(from: a, to: b)
      wires.act(a) { a.links.tellAcquaintances(&a.context) }
      let sent = wires.count(from: a, to: b) - before
      wires.run(for: .milliseconds(100))
      return sent
    }
    // The list is lost; then the answer to it; then nothing.
    wires.passes = { !($0.from == a.endpoint && $0.to == b.endpoint) }
    #expect(tell() == 1 && !held())
    wires.passes = { !($0.from == b.endpoint && $0.to == a.endpoint) }
    #expect(tell() == 1 && !held())
    wires.passes = { _ in true }
    #expect(tell() == 1 && held())
    #expect(tell() == 0)
  }
}
