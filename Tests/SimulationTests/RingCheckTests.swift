// The checks of the ring, against rings whose faults are known.
import Base
import Node
import Testing

@testable import Scenarios

@Suite struct RingCheckTests {
  private let minute = Instant.start + .minutes(1)

  @Test(arguments: [1, 2, 3, 4, 5, 9, 10, 100, 1_000]) func wholeRingHasNoFault(_ count: Int) {
    let found = HandmadeRing(count).inspect()
    #expect(found.isWhole && found.isPerfect)
    #expect(found.perfect == count && found.nearPerfect == count && found.settled == count)
    #expect(found.cycles == 1 && found.windingMax == 1)
    #expect(found.disordered + found.lonely + found.strayed + found.principalsMissing + found.ghosts == 0)
    #expect(found.unowned < 1e-12 && found.overlap == 0)
    #expect(found.consistency == Consistency())
    #expect(found.examples == [])
  }

  @Test func nothingIsWhole() {
    let found = HandmadeRing(0).inspect()
    #expect(found.isWhole && found.nodes == 0 && found.consistency.final == 1)
  }

  // S1

  @Test func listsOutOfOrderAreFound() {
    var ring = HandmadeRing(20)
    ring.setRight(3, [5, 4, 6, 7])
    ring.setLeft(9, [8, 8, 7, 6])
    ring.setRight(12, [12, 13, 14, 15])
    #expect(ring.inspect().disordered == 3)
  }

  // S2

  @Test func nodeWithoutLivingNeighbourIsLonely() {
    var ring = HandmadeRing(20)
    ring.setRight(3, [])
    let dead = OverlayID(high: ring.id(7).high + 5, middle: 0, low: 0)
    ring.setRight(7, ids: [dead])
    let found = ring.inspect(at: minute) { _ in .died(.start + .seconds(20)) }
    #expect(found.lonely == 2 && found.bereaved == 0 && found.ghosts == 0)
    #expect(found.cycles == 0 && found.strayed == 20, "all ways end at one of the two")
    let early = ring.inspect(at: minute) { _ in .died(.start + .seconds(55)) }
    #expect(early.lonely == 1 && early.bereaved == 1, "the neighbours of node 7 have just died")
  }

  @Test func deadNeighboursAreSkippedByTheCycle() {
    var ring = HandmadeRing(20)
    let dead = OverlayID(high: ring.id(7).high + 5, middle: 0, low: 0)
    ring.setRight(7, ids: [dead, ring.id(8), ring.id(9), ring.id(10)])
    let found = ring.inspect(at: minute) { _ in .died(.start) }
    #expect(found.cycles == 1 && found.strayed == 0 && found.lonely == 0)
    #expect(found.perfect == 19 && found.imperfect == [7])
  }

  // S3, S4, S5

  @Test func twoRingsOfOneComponentAreFound() {
    var ring = HandmadeRing(20)
    ring.connect(Array(0..<10))
    ring.connect(Array(10..<20))
    let found = ring.inspect()
    #expect(found.cycles == 2 && found.brokenComponents == 1 && found.windingMax == 1)
    #expect(found.consistency == Consistency(), "the formulae are blind for it")
    #expect(!found.isPerfect && !found.isWhole)
    #expect(found.overlap > 0.4, "both rings own everything")
  }

  @Test func twoInterleavedRingsAreFound() {
    var ring = HandmadeRing(20)
    ring.connect((0..<10).map { 2 * $0 })
    ring.connect((0..<10).map { 2 * $0 + 1 })
    let found = ring.inspect()
    #expect(found.cycles == 2 && found.brokenComponents == 1 && found.perfect == 0)
    #expect(found.principalsMissing == 9, "everybody is skipped by the other ring")
    #expect(found.consistency == Consistency())
  }

  @Test func ringsOfTwoComponentsAreRight() {
    let found = HandmadeRing(20) { $0 % 2 }.inspect()
    #expect(found.cycles == 2 && found.joinedComponents == 2 && found.brokenComponents == 0)
    #expect(found.isWhole && found.overlap == 0)
  }

  @Test func foreignNeighboursDoNotCount() {
    var ring = HandmadeRing(20) { $0 < 10 ? 0 : 1 }
    ring.connect(Array(0..<20))
    let found = ring.inspect()
    #expect(found.lonely == 4, "0, 9, 10 and 19 list nobody they can reach on one side: \(found.examples)")
    #expect(found.consistency.method2 < 1)
    #expect(!found.isPerfect)
  }

  /// A ring that goes twice round before it closes: every node thinks that all is well.
  @Test func loopyRingIsFound() {
    var ring = HandmadeRing(21)
    ring.connect((0..<21).map { 2 * $0 % 21 })
    let found = ring.inspect()
    #expect(found.cycles == 1 && found.brokenComponents == 0)
    #expect(found.windingMax == 2)
    #expect(found.consistency == Consistency(), "the formulae are blind for it")
    #expect(!found.isWhole && found.perfect == 0)
  }

  @Test func appendageIsNoCycleAndMustReachIt() {
    var ring = HandmadeRing(20)
    ring.connect(Array(0..<19))
    ring.setRight(19, [0, 1, 2, 3])
    ring.setLeft(19, [18, 17, 16, 15])
    let found = ring.inspect()
    #expect(found.cycles == 1 && found.strayed == 0)
    #expect(found.perfect == 12, "the four on each side do not know node 19, and it knows them")
    ring.setRight(19, [])
    ring.witnesses[19].hasJoined = false
    #expect(ring.inspect().strayed == 0, "who has not joined owes nothing")
    ring.witnesses[19].hasJoined = true
    #expect(ring.inspect().strayed == 1)
  }

  @Test func joiningNodeBetweenTwoDoesNotBreakTheCycle() {
    var ring = HandmadeRing(20)
    ring.witnesses[5].hasJoined = false
    ring.witnesses[5].belief.isSettled = false
    ring.setRight(5, [4])
    ring.setLeft(5, [])
    let found = ring.inspect()
    #expect(found.cycles == 1 && found.strayed == 0 && found.windingMax == 1)
  }

  // S6

  @Test func skippedNodesAreNoPrincipals() {
    var ring = HandmadeRing(12)
    #expect(ring.inspect().principalsMissing == 0)
    ring.setRight(0, [5, 6, 7, 8])
    #expect(ring.inspect().principalsMissing == 1, "1, 2, 3 and 4 are skipped: 8 principals of 9")
    ring.setLeft(0, [11, 5, 4, 3])
    #expect(ring.inspect().principalsMissing == 2, "6 to 10 are skipped on the other side: 7 principals")
  }

  @Test func spareLinksSkipNobodyAndMakeNoWholeRing() {
    var ring = HandmadeRing(12)
    // The third and fourth of node 0 have died; far links stand in for them.
    ring.setRight(0, [1, 2, 7, 9])
    #expect(ring.inspect().principalsMissing == 2, "3 to 6, and 8: 7 principals of 9")
    ring.witnesses[0].belief.contiguousRight = 2
    #expect(ring.inspect().principalsMissing == 0)
    // What it does take for contiguous counts, whoever else is right.
    ring.witnesses[0].belief.contiguousRight = 3
    #expect(ring.inspect().principalsMissing == 1, "3 to 6: 8 principals")
    // A list that is right and that nobody confirms belongs to no whole ring.
    ring.setRight(0, [1, 2, 3, 4])
    let found = ring.inspect()
    #expect(found.isPerfect && found.gapless == 11 && !found.isWhole)
    ring.witnesses[0].belief.contiguousRight = 4
    #expect(ring.inspect().isWhole)
  }

  // S7

  @Test func overlapIsMeasured() {
    var ring = HandmadeRing(20)
    ring.setLeft(10, [8, 7, 6, 5])
    let found = ring.inspect()
    #expect(abs(found.overlap - 1.0 / 21) < 1e-9, "nodes 9 and 10 both claim the range of 9")
    ring.witnesses[10].belief.isSettled = false
    let unsettled = ring.inspect()
    #expect(unsettled.overlap == 0 && abs(unsettled.unowned - 1.0 / 21) < 1e-9)
  }

  @Test func overlapAroundZeroIsMeasured() {
    var ring = HandmadeRing(20)
    ring.setLeft(0, [18, 17, 16, 15])
    #expect(abs(ring.inspect().overlap - 1.0 / 21) < 1e-9)
  }

  @Test func everybodyAloneOverlapsEverywhere() {
    var ring = HandmadeRing(5)
    for i in 0..<5 {
      ring.setLeft(i, [])
      ring.setRight(i, [])
    }
    let found = ring.inspect()
    #expect(abs(found.overlap - 1) < 1e-9 && found.lonely == 5 && found.cycles == 0)
  }

  // S9

  @Test func ghostsAreFound() {
    var ring = HandmadeRing(20)
    let ghost = OverlayID(high: ring.id(3).high + 1, middle: 0, low: 0)
    ring.setRight(3, ids: [ghost, ring.id(4), ring.id(5), ring.id(6)])
    #expect(ring.inspect().ghosts == 1)
    #expect(ring.inspect { _ in .died(.start) }.ghosts == 0)
  }

  // The formulae

  /// Node 50 of 100 is skipped by both sides: the first formula is blind for it.
  @Test func skippedNodeCostsOneHundredth() {
    var ring = HandmadeRing(100)
    let others = (0..<100).filter { $0 != 50 }
    ring.connect(others)
    let found = ring.inspect().consistency
    #expect(abs(found.method1 - 1.0) < 1e-9)
    #expect(abs(found.method2 - 0.99) < 1e-9)
    #expect(abs(found.final - 0.99) < 1e-9)
  }

  @Test func pairIsConsistentWhenMutual() {
    var ring = HandmadeRing(2)
    #expect(ring.inspect().consistency.final == 1)
    ring.setRight(0, [])
    #expect(ring.inspect().consistency.final == 0.5)
  }

  /// The fast tables agree with the definitions, on rings with many random faults.
  @Test(arguments: 0..<20) func tablesAgreeWithTheDefinition(_ seed: UInt64) {
    var random = Random(seed: seed)
    var ring = HandmadeRing(60) { $0 % 2 }
    for _ in 0..<30 {
      let i = Int(random.below(60))
      let list = random.sample(4, below: 60).filter { $0 != i }
      if random.happens(0.5) { ring.setRight(i, list) } else { ring.setLeft(i, list) }
    }
    let found = ring.inspect()
    var perfect = 0
    for (i, witness) in ring.witnesses.enumerated() {
      let mates = ring.witnesses.filter { $0.component == witness.component && $0.number != i }
      let me = witness.belief.id
      let forth = mates.map(\.belief.id).sorted { me.clockwise(to: $0) < me.clockwise(to: $1) }
      let right = (0..<witness.belief.right.count).map { witness.belief.right[$0] }
      let left = (0..<witness.belief.left.count).map { witness.belief.left[$0] }
      if right == Array(forth.prefix(4)), left == Array(forth.reversed().prefix(4)) { perfect += 1 }
    }
    #expect(found.perfect == perfect)
  }
}
