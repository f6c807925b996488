// Goal: each node knows about how large the ring is, from its own neighbours and from what its links tell.
// Method: one node of each of many random rings, whose peers tell what they see themselves.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct SizeEstimateTests {
  /// What the node at `place` of a sorted ring sees of its size.
  private func ownGuess(_ ring: [OverlayID], _ place: Int) -> UInt32 {
    let side = Neighbourhood.side
    let first = ring[(place + ring.count - side) % ring.count]
    let last = ring[(place + side) % ring.count]
    return UInt32(Double(2 * side) / (Double(first.clockwise(to: last).high) / 0x1p64))
  }

  /// The estimate of one node of a random ring: linked with its neighbours and a few others far away.
  private func estimate(of size: Int, seed: UInt64) -> (own: Int, told: Int) {
    var random = Random(seed: seed)
    let node = LoneNode(seed)
    let ring = ([node.id] + (1..<size).map { _ in random.overlayID() }).sorted()
    let place = ring.firstIndex(of: node.id)!
    var linked = [place]
    func link(_ other: Int) {
      if linked.contains(other) { return }
      linked.append(other)
      let slot = node.raise(random.publicKey(), at: ring[other])
      node.links.main[slot].size = ownGuess(ring, other)
    }
    for step in 1...Neighbourhood.side {
      link((place + step) % size)
      link((place + size - step) % size)
    }
    // Its own far links, and those that others keep with it.
    for _ in 0..<2 * Shortcuts.count(size: size) { link(Int(random.below(UInt64(size)))) }
    let machine = Ring(isFounder: true, at: .start)
    return (machine.ownSizeEstimate(node.links), machine.sizeEstimate(node.links))
  }

  @Test func medianOfGuessesIsNearTheTruth() {
    var random = Random(seed: 1)
    var errors: [Double] = []
    var ratios: [Double] = []
    for seed in 0..<200 as Range<UInt64> {
      let size = 20 + Int(random.below(400))
      let told = estimate(of: size, seed: seed).told
      ratios.append(Double(told) / Double(size))
      errors.append(abs(ratios.last! - 1))
    }
    ratios.sort()
    errors.sort()
    #expect((0.8...1.25).contains(ratios[100]), "the median of all is \(ratios[100]) times the truth")
    #expect(errors[100] < 0.25)
    #expect((0.5...2).contains(ratios[10]) && (0.5...2).contains(ratios[190]))
  }

  @Test func smallRingIsCounted() {
    for seed in 0..<20 as Range<UInt64> { #expect(estimate(of: 9, seed: 1_000 + seed).own >= 9) }
    var random = Random(seed: 2)
    for count in 0...8 {
      let node = LoneNode()
      node.raise(count, &random)
      let ring = Ring(isFounder: true, at: .start)
      #expect(ring.ownSizeEstimate(node.links) >= count + 1)
    }
    let lone = LoneNode()
    let ring = Ring(isFounder: true, at: .start)
    #expect(ring.sizeEstimate(lone.links) == 1)
  }

  @Test func oneLiarChangesLittle() {
    var random = Random(seed: 3)
    let node = LoneNode()
    node.raise(16, &random)
    for slot in 0..<16 { node.links.main[slot].size = 1_000 }
    let ring = Ring(isFounder: true, at: .start)
    node.links.main[3].size = .max
    #expect(ring.sizeEstimate(node.links) == 1_000)
    node.links.main[4].size = 1
    #expect(ring.sizeEstimate(node.links) == 1_000)
    // Those who say nothing do not count.
    for slot in 0..<12 { node.links.main[slot].size = 0 }
    #expect(ring.sizeEstimate(node.links) == 1_000)
  }
}
