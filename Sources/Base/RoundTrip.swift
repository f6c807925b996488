// How long answers take: the estimator of RFC 6298, with bounds fit for liveness probes.

/// Smoothed round-trip time and its variation.
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

  public init() {}

  public mutating func add(_ sample: Interval) {
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
