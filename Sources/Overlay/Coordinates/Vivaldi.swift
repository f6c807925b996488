// How a node finds its own coordinate: each measured round trip is a spring between two points, and the node
// moves a little to where the spring is at rest.
//
// Vivaldi (SIGCOMM 2004, §3.4) with what its users added: the shortest of a path's last samples instead of
// the last one (Ledlie and others, NSDI 2007: one late packet moves nobody), a gravity that keeps the whole
// cloud from drifting, an adjustment from the last twenty measurements, a published coordinate that
// stays until the real one has moved enough. Only +, −, ×, ÷ and √, so that a recorded run gives the same
// bits on every machine.
//
// Peers lie. A measurement beyond 10 s is not used; whatever a peer says, and however late it answers, one
// measurement changes no prediction of ours by more than `movementMax`, and our expected error by no more
// than a quarter of its range.
import Base

/// A node's own coordinate.
public struct Vivaldi: BitwiseCopyable, Sendable {
  /// A longer round trip says that something waited, not how far it is.
  public static let roundTripMax = Interval.seconds(10)
  /// How far one measurement may move the node, in seconds: point, height and adjustment together.
  static let movementMax = 0.1

  /// How fast the expected error and the place follow a measurement (c_e and c_c of the paper).
  private static let errorGain = 0.25
  private static let placeGain = 0.25
  /// A newcomer follows faster: fully for this many measurements, then less and less. With the paper's gain
  /// from the first on, predictions are 17 % wrong after sixty measurements instead of 13 %.
  private static let eagerMeasurements = 30.0
  /// The expected error of somebody who knows nothing.
  private static let errorMax = 1.5
  /// How far away, in seconds, gravity has the strength of one second. So far out it decides everything, and
  /// within the Internet it only holds the cloud as a whole.
  private static let gravityDistance = 150.0
  /// Measurements whose mean makes the adjustment.
  private static let adjustmentWindow = 20
  /// The most that one measurement counts in the adjustment, in seconds. It is shared by two ends and by the
  /// window: two such limits apart change the adjustment by 25 ms, a quarter of `movementMax`.
  private static let adjustmentSampleMax = 0.5
  /// What is left of `movementMax` for the place.
  private static let placeMovementMax = movementMax - 0.025
  /// Below it a length has no direction, and a round trip is taken to be so long.
  private static let lengthMin = 1e-6
  /// The published coordinate follows when predictions have changed by this much: a share of the usual round
  /// trip, or a time.
  private static let publishShare = 0.1
  private static let publishMovement = 0.005

  private var place = Coordinate.Place()
  private var adjustments = InlineArray<20, Double>(repeating: 0)
  private var nextAdjustment = 0
  /// The usual round trip in seconds: a moving mean over about ten measurements.
  private var usualRoundTrip = 0.0
  /// What others may be told; changes rarely.
  public private(set) var publishable = Coordinate.unknown
  /// Measurements used so far.
  public private(set) var measurements: UInt64 = 0

  public init() {}

  /// The coordinate as of now.
  public var coordinate: Coordinate { Coordinate(place) }

  /// Uses a round trip to a node with the coordinate `other`.
  ///
  /// Only of paths that lead there directly: a relay's detour is not a distance.
  public mutating func observe(_ roundTrip: Interval, of other: Coordinate, random: inout Random) {
    guard roundTrip <= Self.roundTripMax else { return }
    let seconds = max(roundTrip.seconds, Self.lengthMin)
    measurements &+= 1
    usualRoundTrip =
      measurements == 1 ? seconds : usualRoundTrip + (seconds - usualRoundTrip) / 10
    let other = other.place
    var moved = place
    let wrongness = min(abs(place.predicted(to: other) - seconds) / seconds, Self.errorMax)
    let weight = place.error / max(place.error + other.error, Self.lengthMin)
    let errorWeight = Self.errorGain * weight
    moved.error = min(place.error * (1 - errorWeight) + wrongness * errorWeight, Self.errorMax)
    let gain = max(Self.placeGain, min(Self.eagerMeasurements / Double(measurements), 1))
    let force = gain * weight * (seconds - place.predicted(to: other))
    moved.push(by: force, from: other, random: &random)
    let origin = Coordinate.Place()
    let pull = moved.distance(to: origin) / Self.gravityDistance
    moved.push(by: -(pull * pull), from: origin, random: &random)
    settle(moved)
    adjust(by: seconds - place.distance(to: other))
    publish()
  }

  /// Goes towards `moved`, as far as one measurement may.
  private mutating func settle(_ moved: Coordinate.Place) {
    let way = moved.point - place.point
    let rise = moved.height - place.height
    let movement = Coordinate.Place.length(way) + abs(rise)
    let share = movement > Self.placeMovementMax ? Self.placeMovementMax / movement : 1
    place.point += way * share
    place.height = max(place.height + rise * share, Coordinate.Place.heightMin)
    place.error = moved.error
    // The border of what can be said to others.
    let border = 32_767 * Coordinate.step
    place.point.clamp(lowerBound: SIMD4(repeating: -border), upperBound: SIMD4(repeating: border))
    place.height = min(place.height, border)
  }

  private mutating func adjust(by missing: Double) {
    adjustments[nextAdjustment] = min(max(missing, -Self.adjustmentSampleMax), Self.adjustmentSampleMax)
    nextAdjustment = (nextAdjustment + 1) % Self.adjustmentWindow
    var sum = 0.0
    for i in 0..<Self.adjustmentWindow { sum += adjustments[i] }
    place.adjustment = sum / Double(2 * Self.adjustmentWindow)
  }

  private mutating func publish() {
    let told = publishable.place
    let change =
      Coordinate.Place.length(place.point - told.point) + abs(place.height - told.height)
      + abs(place.adjustment - told.adjustment)
    let enough = min(Self.publishMovement, Self.publishShare * usualRoundTrip)
    guard change > enough || abs(place.error - told.error) > Self.publishShare else { return }
    publishable = coordinate
  }
}

extension Coordinate.Place {
  /// Moves away from `other` by `force` seconds, towards it when that is negative.
  fileprivate mutating func push(by force: Double, from other: Self, random: inout Random) {
    var direction = point - other.point
    let length = Self.length(direction)
    if length > 1e-6 {
      height = max(height + (height + other.height) * force / length, Self.heightMin)
    } else {
      // At one point: any direction is as good as any other.
      for i in 0..<4 { direction[i] = random.unit() - 0.5 }
    }
    let norm = Self.length(direction)
    guard norm > 1e-6 else { return }
    point += direction * (force / norm)
  }
}
