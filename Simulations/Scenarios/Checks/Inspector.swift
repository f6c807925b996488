// Looks at the whole ring at one moment and says which invariants hold.
//
// The lists of IDs are turned into ranks of living nodes once (`Listing`), and every check then walks flat
// arrays of integers: linear time after the sorting, and no allocation once the arrays have their size.
// Sources: Zave, "How to make Chord correct" (2015) and "Reasoning about identifier spaces" (2017) for S1 to
// S6; Liben-Nowell, Balakrishnan and Karger (PODC 2002) for the loopy ring that S4 finds.

import Base
import Node

/// Checks rings; keeps its tables from one look to the next.
public final class Inspector {
  /// Neighbours that have all died within this time excuse the one who has lost them.
  public var repairWindow = Interval.seconds(10)
  /// How many nodes that are not perfect are named.
  public var imperfectMax = 64
  /// How many nodes the invariant about principals wants beyond the one: the length of a neighbour list.
  public static let principalsBeyondOne = 8
  static let examplesMax = 12

  var listing = Listing()
  var inspection = Inspection()
  private var cycles = CycleWalk()
  private var coverage = Coverage()
  private var skipping = Skipping()

  public init() {}

  /// Checks the ring.
  /// - Parameters:
  ///   - witnesses: all living nodes, sorted by ID, no ID twice.
  ///   - fate: what became of an ID that none of them has.
  public func inspect(
    _ witnesses: [Witness], at now: Instant, fate: (OverlayID) -> Fate
  ) -> Inspection {
    inspection = Inspection()
    inspection.nodes = witnesses.count
    listing.rebuild(witnesses)
    checkLists(witnesses, at: now, fate: fate)
    checkNeighbours(witnesses)
    listing.forEachComponent { members, _ in
      inspection.components += 1
      walkCycles(members, witnesses)
      checkPrincipals(members, witnesses)
      measureCoverage(members, witnesses)
    }
    inspection.consistency = Consistency(
      left: listing.left, right: listing.right, size: listing.componentSize)
    return inspection
  }

  private func note(_ example: @autoclosure () -> String) {
    if inspection.examples.count < Self.examplesMax { inspection.examples.append(example()) }
  }

  // MARK: - Lists: S1, S2, S9

  private func checkLists(_ witnesses: [Witness], at now: Instant, fate: (OverlayID) -> Fate) {
    for rank in witnesses.indices {
      let witness = witnesses[rank]
      let belief = witness.belief
      if witness.hasJoined { inspection.joined += 1 }
      if belief.isSettled { inspection.settled += 1 }
      if belief.isGapless { inspection.gapless += 1 }
      if !Self.isOrdered(belief) {
        inspection.disordered += 1
        note("S1: the lists of node \(witness.number) are out of order")
      }
      let left = judgeSide(belief.left, .left, rank, witnesses, at: now, fate)
      let right = judgeSide(belief.right, .right, rank, witnesses, at: now, fate)
      let company = listing.joinedInComponent(of: rank) - (witness.hasJoined ? 1 : 0)
      guard witness.hasJoined, company > 0 else { continue }
      if left == .bereaved || right == .bereaved { inspection.bereaved += 1 }
      if left == .empty || right == .empty {
        inspection.lonely += 1
        note("S2: node \(witness.number) has no living neighbour on its \(left == .empty ? "left" : "right")")
      }
    }
  }

  /// A list has rising distances, none of them zero, and hence names nobody twice.
  static func isOrdered(_ belief: Belief) -> Bool {
    var last = OverlayID.zero
    for i in 0..<belief.right.count {
      let distance = belief.id.clockwise(to: belief.right[i])
      if distance <= last { return false }
      last = distance
    }
    last = .zero
    for i in 0..<belief.left.count {
      let distance = belief.left[i].clockwise(to: belief.id)
      if distance <= last { return false }
      last = distance
    }
    return true
  }

  private enum Side { case left, right }

  private enum SideState {
    case hasLiving
    /// All have died lately.
    case bereaved
    case empty
  }

  private func judgeSide(
    _ list: BoundedArray<4, OverlayID>, _ side: Side, _ rank: Int, _ witnesses: [Witness], at now: Instant,
    _ fate: (OverlayID) -> Fate
  ) -> SideState {
    var state = SideState.empty
    var haveJustDied = true
    for i in 0..<list.count {
      let entry = side == .left ? listing.left[4 * rank + i] : listing.right[4 * rank + i]
      if entry >= 0 {
        state = .hasLiving
      } else if entry == Listing.foreign {
        haveJustDied = false
      } else if entry == Listing.unknown {
        switch fate(list[i]) {
        case .died(let at): if now - at > repairWindow { haveJustDied = false }
        case .ghost:
          haveJustDied = false
          inspection.ghosts += 1
          note("S9: node \(witnesses[rank].number) lists \(list[i].short), which never was")
        }
      }
    }
    if state == .empty, !list.isEmpty, haveJustDied { return .bereaved }
    return state
  }

  // MARK: - The truth beside the lists

  private func checkNeighbours(_ witnesses: [Witness]) {
    for rank in witnesses.indices {
      let (matching, wanted) = listing.matchingNeighbours(rank)
      let nearest = listing.hasNearest(rank)
      if nearest { inspection.nearPerfect += 1 }
      if matching == wanted {
        inspection.perfect += 1
      } else if inspection.imperfect.count < imperfectMax {
        inspection.imperfect.append(witnesses[rank].number)
      }
    }
  }

  // MARK: - One component: S3 to S7

  private func walkCycles(_ members: Range<Int>, _ witnesses: [Witness]) {
    let found = cycles.walk(members, listing, witnesses)
    guard found.joined > 0 else { return }
    inspection.joinedComponents += 1
    inspection.cycles += found.cycles
    inspection.windingMax = max(inspection.windingMax, found.windingMax)
    inspection.strayed += found.strayed
    if found.cycles != 1 {
      inspection.brokenComponents += 1
      note("S3: \(found.cycles) cycles among \(found.joined) joined nodes")
    }
    if found.windingMax > 1 { note("S4: a cycle winds \(found.windingMax) times round") }
    if found.strayed > 0 { note("S5: \(found.strayed) nodes do not lead to the cycle") }
  }

  private func checkPrincipals(_ members: Range<Int>, _ witnesses: [Witness]) {
    let found = skipping.principals(members, listing, witnesses)
    let wanted = min(Self.principalsBeyondOne + 1, found.joined)
    let missing = max(0, wanted - found.principals)
    if missing > 0 { note("S6: \(found.principals) principals; \(wanted) are needed") }
    inspection.principalsMissing = max(inspection.principalsMissing, missing)
  }

  private func measureCoverage(_ members: Range<Int>, _ witnesses: [Witness]) {
    guard let found = coverage.measure(members, listing, witnesses) else { return }
    if found.overlap > 0 { note("S7: \(found.overlap) of the keys have two settled owners") }
    inspection.overlap = max(inspection.overlap, found.overlap)
    inspection.unowned = max(inspection.unowned, found.unowned)
  }
}
