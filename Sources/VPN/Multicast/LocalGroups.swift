// The multicast groups that programs of this machine have joined on the device.
//
// Soft state: the kernel is asked every 125 s, and a group that it has not reported for 260 s, twice that and
// the time for an answer, is none (RFC 3376, section 8.4).

import Base

/// What the kernel has reported.
struct LocalGroups: ~Copyable {
  static let limit = 256
  static let queryInterval = Interval.seconds(125)
  static let patience = Interval.seconds(260)

  private var until = FlatMap<IPAddress, Instant>(limit: limit)
  /// When the next query is due.
  private(set) var queryAt: Instant = .never
  private var expireAt: Instant = .never

  var deadline: Instant { min(queryAt, expireAt) }
  var count: Int { until.count }

  func contains(_ group: IPAddress) -> Bool { until[group] != nil }

  /// The device is asked from now on.
  mutating func start(at now: Instant) { queryAt = now }

  /// Whether the device shall be asked now.
  mutating func takeQuery(at now: Instant) -> Bool {
    guard queryAt <= now else { return false }
    queryAt = now + Self.queryInterval
    return true
  }

  /// The kernel has reported a group, or that nobody receives it any more.
  /// - Returns: whether that is news; nil when there are too many.
  mutating func note(_ group: IPAddress, isReceived: Bool, at now: Instant) -> Bool? {
    guard isReceived else { return until.remove(group) != nil }
    let isNews = until[group] == nil
    guard until.set(group, now + Self.patience) else { return nil }
    expireAt = min(expireAt, now + Self.patience)
    return isNews
  }

  /// Forgets what was not reported for long.
  /// - Returns: what was forgotten.
  mutating func expire(at now: Instant) -> [IPAddress] {
    guard expireAt <= now else { return [] }
    expireAt = .never
    var gone: [IPAddress] = []
    until.visit { group, end in
      if end <= now { gone.append(group) } else { expireAt = min(expireAt, end) }
    }
    for group in gone { until.remove(group) }
    return gone
  }
}
