// How long answers take: the estimator of RFC 6298, with bounds fit for liveness probes, and the shortest of
// the last samples.
//
// How long to wait for an answer follows from what usually happens, so what came late counts. How far away
// somebody is follows from what was never delayed: a segment that TCP sends again takes 200 ms and more, and
// one of fifty makes the smoothed time of a short way twice too long for minutes.

/// Round-trip time: smoothed, its variation, and the shortest of late.
public struct RoundTrip: Sendable, BitwiseCopyable, Equatable {
  /// Shortest and longest wait for an answer. The floor covers a busy machine; the ceiling keeps failover in
  /// seconds.
  public static let timeoutMin = Interval.milliseconds(100)
  public static let timeoutMax = Interval.seconds(3)
  /// The wait before there is a sample (RFC 6298 §2.1 says 1 s).
  public static let timeoutInitial = Interval.seconds(1)

  public private(set) var smoothed: Interval = .zero
  public private(set) var variation: Interval = .zero
  public private(set) var samples: UInt32 = 0
  /// The shortest of the last run of samples, and of the one before it.
  private var least: Interval = .zero
  private var leastBefore: Interval = .zero
  private static let run: UInt32 = 4

  public init() {}

  /// The shortest of the last five to eight samples, of all while there are fewer.
  public var shortest: Interval { min(least, leastBefore) }

  public mutating func add(_ sample: Interval) {
    if samples % Self.run == 0 {
      leastBefore = samples == 0 ? sample : least
      least = sample
    } else {
      least = min(least, sample)
    }
    if samples == 0 {
      smoothed = sample
      variation = sample / 2
    } else {
      let difference = sample > smoothed ? sample.ns - smoothed.ns : smoothed.ns - sample.ns
      variation = Interval(ns: (3 * variation.ns + difference) / 4)
      smoothed = Interval(ns: (7 * smoothed.ns + sample.ns) / 8)
    }
    samples &+= 1
  }

  /// How long to wait for an answer before trying again.
  public var timeout: Interval {
    guard samples > 0 else { return Self.timeoutInitial }
    return min(max(smoothed + variation * 4, Self.timeoutMin), Self.timeoutMax)
  }
}
