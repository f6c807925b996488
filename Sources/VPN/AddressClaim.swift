// How a member gets its IPv4 address: it claims one in the directory, where the first to claim has it.
//
// First the members agree on the pool: the first of them stores it, later ones take it from there. Then the
// node claims the address that follows from its ID; if somebody has it, the next. A claim is a lease: it is
// renewed three times in its life, and it still belongs to its owner after a restart. The machine only says
// which lease to store or to read; `Tunnel` does it.

import Base
import Session

/// What the claim wants from the directory.
enum ClaimRequest: Equatable {
  case readPlan
  /// Store the pool if nobody has.
  case writePlan(AddressPlan)
  /// Store the claim of this address.
  case claim(IPAddress)
}

/// Why a node has no address, and will not get one by waiting.
public enum ClaimFailure: Equatable, Sendable {
  /// The address the user asked for belongs to another member.
  case taken(IPAddress)
  /// The members' pool is another than the user asked for.
  case poolDiffers(IPPrefix)
  /// The address the user asked for is not in the members' pool.
  case outside(IPAddress, IPPrefix)
}

/// The way to an address, step by step.
struct AddressClaim {
  /// Life of a claim: how long a dead member keeps its address.
  static let timeToLive: UInt32 = 120
  /// Life of the plan; every member stores it again, so it ends with the community.
  static let planTimeToLive: UInt32 = 3_600
  static let renewal = Interval.seconds(UInt64(timeToLive) / 3)
  /// A claim made while the ring changed is checked again soon.
  static let probation = Interval.seconds(2)
  static let retry = Interval.seconds(1)
  /// Addresses tried in a row before a pause: a pool this full hands out nothing.
  static let attemptsMax: UInt32 = 64

  private enum State: Equatable {
    case idle
    case readingPlan
    case writingPlan
    case claiming(IPAddress)
    case held(IPAddress)
    case renewing(IPAddress)
    case failed
  }

  private let id: OverlayID
  private let requested: IPAddress?
  private let requestedPool: IPPrefix?
  private let standard: AddressPlan
  /// The address of the last run, tried first.
  private let remembered: IPAddress?
  private var state: State = .idle
  private var attempt: UInt32 = 0
  private(set) var plan: AddressPlan?
  private(set) var nextAt: Instant = .never
  private(set) var failure: ClaimFailure?

  /// - Parameters:
  ///   - requested: the address that the user insists on, with the prefix of its pool.
  ///   - pool: the pool that the user insists on.
  init(id: OverlayID, community: Community, requested: IPPrefix?, pool: IPPrefix?, remembered: IPAddress?) {
    self.id = id
    self.requested = requested?.address
    self.remembered = remembered
    requestedPool = pool?.network
    standard = (pool ?? requested).map { AddressPlan(pool: $0) } ?? AddressPlan.standard(for: community)
  }

  /// The granted address with the pool's prefix length.
  var address: IPPrefix? {
    guard let plan else { return nil }
    switch state {
    case .held(let address), .renewing(let address): return IPPrefix(address, length: plan.pool.length)
    default: return nil
    }
  }

  /// The ring is ready: begin.
  mutating func start() -> ClaimRequest? {
    guard state == .idle else { return nil }
    state = .readingPlan
    return .readPlan
  }

  /// The directory has a plan (of another member, or our own), or has none.
  mutating func onPlan(_ found: AddressPlan?, at now: Instant) -> ClaimRequest? {
    guard let found else {
      state = .writingPlan
      return .writePlan(standard)
    }
    return adopt(found, at: now)
  }

  /// Our plan was stored.
  mutating func onPlanWritten(at now: Instant) -> ClaimRequest? { adopt(standard, at: now) }

  private mutating func adopt(_ found: AddressPlan, at now: Instant) -> ClaimRequest? {
    plan = found
    if let requestedPool, requestedPool != found.pool { return fail(.poolDiffers(found.pool)) }
    if let requested, !found.admits(requested) { return fail(.outside(requested, found.pool)) }
    return claimNext()
  }

  private mutating func fail(_ reason: ClaimFailure) -> ClaimRequest? {
    state = .failed
    failure = reason
    return nil
  }

  private mutating func claimNext() -> ClaimRequest? {
    guard let plan else { return nil }
    var address = requested ?? plan.address(for: id, attempt: attempt)
    if attempt == 0, requested == nil, let remembered, plan.admits(remembered) { address = remembered }
    attempt += 1
    state = .claiming(address)
    return .claim(address)
  }

  /// The claim was stored.
  /// - Returns: whether the address is new.
  mutating func onGranted(at now: Instant) -> Bool {
    switch state {
    case .claiming(let address):
      state = .held(address)
      nextAt = now + Self.probation
      return true
    case .renewing(let address):
      state = .held(address)
      nextAt = now + Self.renewal
      return false
    default:
      return false
    }
  }

  /// Somebody else has the address.
  mutating func onDenied(at now: Instant) -> ClaimRequest? {
    switch state {
    case .claiming(let address), .renewing(let address):
      if requested != nil { return fail(.taken(address)) }
      if attempt.isMultiple(of: Self.attemptsMax) {
        state = .idle
        nextAt = now + Self.retry
        return nil
      }
      return claimNext()
    default:
      return nil
    }
  }

  /// The directory did not answer: the same step again, soon.
  mutating func onFailed(at now: Instant) {
    nextAt = now + Self.retry
    if case .renewing(let address) = state {
      state = .held(address)
    } else if state != .failed {
      // The same address again: nobody has refused it.
      if case .claiming = state { attempt -= 1 }
      state = .idle
    }
  }

  /// What is due.
  mutating func expire(at now: Instant) -> ClaimRequest? {
    guard nextAt <= now else { return nil }
    nextAt = .never
    switch state {
    case .held(let address):
      state = .renewing(address)
      return .claim(address)
    case .idle:
      return start()
    default:
      return nil
    }
  }
}
