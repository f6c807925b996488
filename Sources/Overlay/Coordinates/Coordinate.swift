// Where a node is, measured in time: a point from which the round trip to any other point can be told without
// having been there.
//
// Four dimensions, a height and an adjustment, after Vivaldi (Dabek and others, SIGCOMM 2004) and what Ledlie
// and others (NSDI 2007) and Serf learned from running it. The distance of two points stands for the core of
// the Internet; a height is the way from a node to the core, which every path pays at both ends; an
// adjustment is what a node's last measurements say is missing.
//
// A coordinate is kept as it travels, in whole steps of 2^-13 s (122 µs) up to 4 s either way, so that no
// bytes of a remote spell anything but a finite place, and equal coordinates are equal bytes. Signed fields
// are two's complement, all fields in network byte order:
//
//   offset  size  field
//        0     8  point, four signed steps
//        8     2  height, unsigned steps
//       10     2  adjustment, signed steps
//       12     1  error: the relative error that its owner expects, in 1/160, at most 240 (1.5)
import Base

/// A published network coordinate.
public struct Coordinate: BitwiseCopyable, Equatable, Sendable {
  public static let byteCount = 13
  /// What a node knows of itself before its first measurement.
  public static let unknown = Coordinate(
    point: .zero, height: 0, adjustment: 0, errorSteps: Coordinate.errorStepsMax)

  /// One step, in seconds.
  static let step = 0x1p-13
  /// 1.5: an error beyond it says no more than that nothing is known.
  static let errorStepsMax: UInt8 = 240

  private let point: SIMD4<Int16>
  private let height: UInt16
  private let adjustment: Int16
  private let errorSteps: UInt8

  private init(point: SIMD4<Int16>, height: UInt16, adjustment: Int16, errorSteps: UInt8) {
    self.point = point
    self.height = height
    self.adjustment = adjustment
    self.errorSteps = errorSteps
  }

  /// The nearest coordinate to a place whose numbers are finite; what is too far away is moved to the border.
  init(_ place: Place) {
    func signed(_ seconds: Double) -> Int16 {
      Int16(min(max((seconds / Self.step).rounded(), -32_768), 32_767))
    }
    point = SIMD4(
      signed(place.point[0]), signed(place.point[1]), signed(place.point[2]), signed(place.point[3]))
    height = UInt16(min(max((place.height / Self.step).rounded(), 0), 65_535))
    adjustment = signed(place.adjustment)
    errorSteps = UInt8(min(max((place.error * 160).rounded(), 0), Double(Self.errorStepsMax)))
  }

  /// The relative error that the owner expects of its predictions, 0 to 1.5.
  public var error: Double { Double(errorSteps) / 160 }

  /// What a packet is expected to need to `other` and back.
  public func predictedRoundTrip(to other: Coordinate) -> Interval {
    let seconds = Place(self).predicted(to: Place(other))
    return Interval(ns: UInt64(seconds * 1e9))
  }

  var place: Place { Place(self) }

  /// A coordinate in seconds, for reckoning.
  struct Place: BitwiseCopyable, Equatable, Sendable {
    /// The least height: two nodes at one point are still this far from each other, and the height has a
    /// direction to grow in.
    static let heightMin = 10e-6

    var point: SIMD4<Double> = .zero
    var height = Self.heightMin
    var adjustment = 0.0
    var error = 1.5

    init() {}

    init(_ coordinate: Coordinate) {
      point = SIMD4<Double>(coordinate.point) * Coordinate.step
      height = max(Double(coordinate.height) * Coordinate.step, Self.heightMin)
      adjustment = Double(coordinate.adjustment) * Coordinate.step
      error = coordinate.error
    }

    /// The distance along the straight line and both heights.
    func distance(to other: Place) -> Double {
      Self.length(point - other.point) + height + other.height
    }

    /// The distance with both adjustments, unless these would make it negative.
    func predicted(to other: Place) -> Double {
      let distance = distance(to: other)
      let adjusted = distance + adjustment + other.adjustment
      return adjusted > 0 ? adjusted : distance
    }

    /// The summands in a fixed order: another one may round otherwise.
    static func length(_ v: SIMD4<Double>) -> Double {
      (v[0] * v[0] + v[1] * v[1] + v[2] * v[2] + v[3] * v[3]).squareRoot()
    }
  }
}

extension Coordinate: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    var point = SIMD4<Int16>.zero
    for i in 0..<4 { point[i] = try reader.integer() }
    let height = try reader.integer(UInt16.self)
    let adjustment = try reader.integer(Int16.self)
    let errorSteps = try reader.byte()
    try reader.require(errorSteps <= Self.errorStepsMax)
    self.init(point: point, height: height, adjustment: adjustment, errorSteps: errorSteps)
  }

  public func encode(to writer: inout WireWriter) {
    for i in 0..<4 { writer.integer(point[i]) }
    writer.integer(height)
    writer.integer(adjustment)
    writer.byte(errorSteps)
  }
}
