// Goal: every member gets an address of the members' pool, the same at each start, and says clearly when it
// cannot.
// Method: the claim's machine, step by step; the plan over many names and IDs.

import Base
import Session
import Testing

@testable import VPN

@Suite struct AddressPlanTests {
  private func id(_ random: inout Random) -> OverlayID {
    OverlayID(high: random.next(), middle: random.next(), low: UInt32(truncatingIfNeeded: random.next()))
  }

  @Test func standardPoolFollowsFromTheNameAndLiesInTheCarriersSpace() {
    let space = IPPrefix("100.80.0.0/12")!
    var pools: Set<IPPrefix> = []
    for n in 0..<200 {
      let plan = AddressPlan.standard(for: .open("community \(n)"))
      #expect(plan == AddressPlan.standard(for: .open("community \(n)")))
      #expect(
        plan.pool.length == 16 && space.contains(plan.pool.address) && space.contains(plan.pool.broadcast))
      #expect(plan.pool == plan.pool.network)
      pools.insert(plan.pool)
    }
    #expect(pools.count == 16)
  }

  @Test(arguments: [UInt8(8), 16, 24, 28, 29]) func addressesLeaveTheEndsOfThePoolFree(length: UInt8) {
    let plan = AddressPlan(pool: IPPrefix(IPAddress("10.20.48.80")!, length: length))
    var random = Random(seed: UInt64(length))
    var seen: Set<IPAddress> = []
    for _ in 0..<2_000 {
      let id = id(&random)
      let attempt = UInt32(random.below(100))
      let address = plan.address(for: id, attempt: attempt)
      #expect(address == plan.address(for: id, attempt: attempt))
      #expect(plan.admits(address))
      let offset = address.v4 - plan.pool.address.v4
      #expect(offset >= 2 && UInt64(offset) < plan.pool.size - 1)
      seen.insert(address)
    }
    #expect(seen.count >= min(2_000, Int(plan.pool.size) - 3) * 9 / 10)
  }

  @Test func poolsHaveRoomAndABound() {
    for (text, isPlan) in [
      ("10.0.0.0/8", true), ("10.0.0.0/29", true), ("10.0.0.0/30", false), ("10.0.0.0/7", false),
      ("10.0.0.0/0", false), ("10.0.0.0/32", false),
    ] {
      let prefix = IPPrefix(text)!
      let bytes = Packets.frame(
        (0..<10).map { _ in 0 } + [255, 255] + Packets.bytes(prefix.address) + [prefix.length])
      #expect(((try? AddressPlan(decoding: bytes)) != nil) == isPlan, "\(text)")
    }
    let six = Packets.frame(Packets.bytes(IPAddress("fd00::")!) + [16])
    #expect((try? AddressPlan(decoding: six)) == nil)
  }

  @Test func onlyAddressesOfMachinesAreAdmitted() {
    let plan = AddressPlan(pool: IPPrefix("10.1.2.0/24")!)
    for (text, isAdmitted) in [
      ("10.1.2.1", true), ("10.1.2.254", true), ("10.1.2.0", false), ("10.1.2.255", false),
      ("10.1.3.1", false),
      ("fd00::1", false),
    ] { #expect(plan.admits(IPAddress(text)!) == isAdmitted, "\(text)") }
  }
}

/// The claim's machine, in a box: the macros of Testing cannot call what changes a value.
private final class Claimant {
  private var claim: AddressClaim

  init(_ claim: AddressClaim) { self.claim = claim }

  var address: IPPrefix? { claim.address }
  var plan: AddressPlan? { claim.plan }
  var failure: ClaimFailure? { claim.failure }
  var nextAt: Instant { claim.nextAt }

  func start() -> ClaimRequest? { claim.start() }
  func onPlan(_ plan: AddressPlan?, at now: Instant) -> ClaimRequest? { claim.onPlan(plan, at: now) }
  func onPlanWritten(at now: Instant) -> ClaimRequest? { claim.onPlanWritten(at: now) }
  func onGranted(at now: Instant) -> Bool { claim.onGranted(at: now) }
  func onDenied(at now: Instant) -> ClaimRequest? { claim.onDenied(at: now) }
  func onFailed(at now: Instant) { claim.onFailed(at: now) }
  func expire(at now: Instant) -> ClaimRequest? { claim.expire(at: now) }
}

@Suite struct AddressClaimTests {
  private let home = Community.shared(name: "home", secret: [UInt8](1...32))
  private let plan = AddressPlan(pool: IPPrefix("10.1.0.0/16")!)
  private let id = OverlayID(high: 1, middle: 2, low: 3)

  private func make(_ requested: String? = nil, pool: String? = nil, remembered: String? = nil) -> Claimant {
    Claimant(
      AddressClaim(
        id: id, community: home, requested: requested.flatMap { IPPrefix($0) },
        pool: pool.flatMap { IPPrefix($0) }, remembered: remembered.flatMap { IPAddress($0) }))
  }

  /// A claim whose address is granted at the start.
  private func held() -> Claimant {
    let claim = make()
    _ = claim.start()
    _ = claim.onPlan(plan, at: .start)
    _ = claim.onGranted(at: .start)
    return claim
  }

  @Test func firstMemberStoresThePlanAndClaims() {
    let claim = make()
    #expect(claim.start() == .readPlan)
    #expect(claim.start() == nil, "it has begun")
    let standard = AddressPlan.standard(for: home)
    #expect(claim.onPlan(nil, at: .start) == .writePlan(standard))
    #expect(claim.onPlanWritten(at: .start) == .claim(standard.address(for: id, attempt: 0)))
    #expect(claim.address == nil, "not before it is granted")
    #expect(claim.onGranted(at: .start))
    #expect(claim.address == IPPrefix(standard.address(for: id, attempt: 0), length: 16))
  }

  @Test func laterMembersTakeThePlanOfTheOthers() {
    let claim = make()
    _ = claim.start()
    #expect(claim.onPlan(plan, at: .start) == .claim(plan.address(for: id, attempt: 0)))
    #expect(claim.plan == plan)
  }

  @Test func deniedAddressIsFollowedByTheNext() {
    let claim = make()
    _ = claim.start()
    _ = claim.onPlan(plan, at: .start)
    for attempt in 1..<AddressClaim.attemptsMax {
      #expect(claim.onDenied(at: .start) == .claim(plan.address(for: id, attempt: attempt)))
    }
    #expect(claim.onDenied(at: .start) == nil, "a pause")
    #expect(claim.expire(at: .start) == nil)
    #expect(claim.expire(at: .start + AddressClaim.retry) == .readPlan)
    #expect(
      claim.onPlan(plan, at: .start) == .claim(plan.address(for: id, attempt: AddressClaim.attemptsMax)))
  }

  @Test func addressOfTheLastRunIsTriedFirst() {
    let claim = make(remembered: "10.1.77.77")
    _ = claim.start()
    #expect(claim.onPlan(plan, at: .start) == .claim(IPAddress("10.1.77.77")!))
    #expect(claim.onDenied(at: .start) == .claim(plan.address(for: id, attempt: 1)))
    let moved = make(remembered: "10.2.77.77")
    _ = moved.start()
    #expect(moved.onPlan(plan, at: .start) == .claim(plan.address(for: id, attempt: 0)), "not in the pool")
  }

  @Test func addressThatTheUserInsistsOnIsTheOnlyOne() {
    let claim = make("10.1.5.5/16")
    _ = claim.start()
    #expect(claim.onPlan(plan, at: .start) == .claim(IPAddress("10.1.5.5")!))
    #expect(claim.onDenied(at: .start) == nil)
    #expect(claim.failure == .taken(IPAddress("10.1.5.5")!) && claim.address == nil)
    #expect(claim.expire(at: .start + .seconds(100)) == nil)
    let first = make("10.1.5.5/16")
    _ = first.start()
    #expect(first.onPlan(nil, at: .start) == .writePlan(plan), "its prefix is the pool")
  }

  @Test func addressOutsideThePoolAndAnotherPoolAreSaid() {
    let outside = make("10.2.5.5/16")
    _ = outside.start()
    #expect(outside.onPlan(plan, at: .start) == nil)
    #expect(outside.failure == .outside(IPAddress("10.2.5.5")!, plan.pool))
    let differs = make(pool: "10.1.0.0/24")
    _ = differs.start()
    #expect(differs.onPlan(plan, at: .start) == nil)
    #expect(differs.failure == .poolDiffers(plan.pool))
    let network = make("10.1.0.0/16")
    _ = network.start()
    #expect(network.onPlan(plan, at: .start) == nil && network.failure != nil, "the pool's own address")
  }

  @Test func claimIsCheckedSoonAndThenRenewedThreeTimesInItsLife() {
    let claim = held()
    let address = claim.address!.address
    #expect(claim.expire(at: .start + .milliseconds(1_999)) == nil)
    var now = Instant.start + AddressClaim.probation
    for _ in 0..<5 {
      #expect(claim.expire(at: now) == .claim(address))
      #expect(claim.address?.address == address, "held while it is renewed")
      #expect(!claim.onGranted(at: now), "not new")
      #expect(claim.nextAt == now + AddressClaim.renewal)
      now = claim.nextAt
    }
    #expect(AddressClaim.renewal.ns * 3 <= UInt64(AddressClaim.timeToLive) * 1_000_000_000)
  }

  @Test func addressThatIsLostIsReplaced() {
    let claim = held()
    _ = claim.expire(at: .start + AddressClaim.probation)
    #expect(claim.onDenied(at: .start) == .claim(plan.address(for: id, attempt: 1)))
    #expect(claim.address == nil)
    #expect(claim.onGranted(at: .start))
  }

  @Test func silenceOfTheDirectoryRepeatsTheStep() {
    let claim = make()
    _ = claim.start()
    claim.onFailed(at: .start)
    #expect(claim.expire(at: .start) == nil)
    #expect(claim.expire(at: .start + AddressClaim.retry) == .readPlan)
    let first = claim.onPlan(plan, at: .start)
    claim.onFailed(at: .start)
    #expect(claim.expire(at: .start + AddressClaim.retry) == .readPlan)
    #expect(claim.onPlan(plan, at: .start) == first, "the same address: nobody has denied it")
    _ = claim.onGranted(at: .start)
    let address = claim.address
    _ = claim.expire(at: .start + AddressClaim.probation)
    claim.onFailed(at: .start)
    #expect(claim.address == address, "a renewal without an answer takes nothing away")
    #expect(claim.expire(at: .start + AddressClaim.retry) == .claim(address!.address))
  }

  @Test func answersOutOfPlaceChangeNothing() {
    let claim = make()
    #expect(!claim.onGranted(at: .start) && claim.onDenied(at: .start) == nil && claim.address == nil)
    let other = held()
    let address = other.address
    #expect(!other.onGranted(at: .start) && other.onDenied(at: .start) == nil && other.address == address)
  }
}
