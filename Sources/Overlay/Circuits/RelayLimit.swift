// What a node does for others, as its owner has said: for whom, how quickly, and how much in a month.
//
// A month is one of the calendar, in UTC. What was passed on in it is kept in the store, so that a restart
// does not begin it anew; it is written once a minute at most, so a node that dies forgets a minute of it.

import Base

/// The owner's word.
public struct RelayTerms: Sendable, Equatable, BitwiseCopyable {
  /// Bytes a second of data, for each pair and for all together; 0 for none.
  public var bytesPerSecond: UInt64
  /// Whether members of communities of this node are served without a rate.
  public var favoursMembers: Bool
  /// Whether circuits are only for pairs of which one is a member of a community of this node.
  public var isForMembersOnly: Bool
  /// Bytes in a month; nil for any number.
  public var monthlyBytes: UInt64?

  public init(
    bytesPerSecond: UInt64 = RelayTerms.rateDefault, favoursMembers: Bool = false,
    isForMembersOnly: Bool = false, monthlyBytes: UInt64? = nil
  ) {
    self.bytesPerSecond = min(bytesPerSecond, 1 << 31)
    self.favoursMembers = favoursMembers
    self.isForMembersOnly = isForMembersOnly
    self.monthlyBytes = monthlyBytes
  }

  /// 2 Mbit/s: enough to be reached, too little to be used as somebody's uplink.
  public static let rateDefault: UInt64 = 250_000
}

/// A month of the calendar.
struct CalendarMonth: Equatable, BitwiseCopyable {
  /// Months since the beginning of 1970.
  let number: UInt32
  /// When the next one begins, in Unix seconds.
  let end: UInt64

  private static let secondsOfDay: UInt64 = 86_400

  init(unixSeconds: UInt64) {
    // Beyond the year 36,000 no clock is right.
    let days = min(unixSeconds, 1 << 40) / Self.secondsOfDay
    var day: UInt64 = 0
    var number: UInt32 = 0
    while day + Self.days(number) <= days {
      day += Self.days(number)
      number += 1
    }
    self.number = number
    end = (day + Self.days(number)) * Self.secondsOfDay
  }

  private static func days(_ number: UInt32) -> UInt64 {
    let year = 1970 + number / 12
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths: InlineArray<12, UInt64> = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return lengths[Int(number % 12)]
  }
}

/// How much data of others a node passes on, and how much it has.
public struct RelayLimit: Sendable, BitwiseCopyable {
  /// How long what was passed on may stay unwritten.
  static let saveInterval = Interval.minutes(1)

  public let terms: RelayTerms
  private var bucket: TokenBucket
  /// What small datagrams of all circuits have when data has used up the rate.
  private var spare: TokenBucket
  private static let spareRate: UInt64 = 128_000
  private let unixAtStart: UInt64
  private let startedAt: Instant
  private var month: CalendarMonth
  private var monthEndsAt: Instant
  /// Bytes passed on in this month; counted only where there is a limit to them.
  public private(set) var monthBytes: UInt64 = 0
  /// Bytes passed on since the start.
  public private(set) var passedBytes: UInt64 = 0
  /// When what was counted shall be written; `.never` while nothing is new.
  private(set) var saveAt: Instant = .never

  public init(_ terms: RelayTerms, unixSeconds: UInt64, at now: Instant) {
    self.terms = terms
    unixAtStart = unixSeconds
    startedAt = now
    month = CalendarMonth(unixSeconds: unixSeconds)
    monthEndsAt = now
    let rate = terms.bytesPerSecond
    // A quarter of a second may pass at once, and never less than 64 KB (a TCP burst).
    bucket = TokenBucket(rate: rate, burst: max(rate / 4, 65_536), at: now)
    spare = TokenBucket(rate: Self.spareRate, burst: Self.spareRate, at: now)
    beginMonth(month)
  }

  /// A rate and no other limit. 0 forwards no data at all.
  public init(bytesPerSecond: UInt64, at now: Instant) {
    self.init(RelayTerms(bytesPerSecond: bytesPerSecond), unixSeconds: 0, at: now)
  }

  /// Nothing but the ring's own messages is forwarded.
  public var isOff: Bool { terms.bytesPerSecond == 0 }

  /// Whether all bytes of this month are used.
  public var isUsedUp: Bool { terms.monthlyBytes.map { monthBytes >= $0 } ?? false }

  var isWilling: Bool { !isOff && !isUsedUp }

  /// When the bytes of another month are there; `.never` where none are missing.
  var renewedAt: Instant { isUsedUp ? monthEndsAt : .never }

  /// Whether data of this size may pass, which then counts.
  /// - Parameters:
  ///   - isFavoured: whether it need not fit the rate.
  ///   - isSmall: whether there is a little more for it: pings, acknowledgements.
  mutating func allows(
    _ bytes: Int, isFavoured: Bool = false, isSmall: Bool = false, at now: Instant
  ) -> Bool {
    guard !isOff else { return false }
    if now >= monthEndsAt { turnMonth(at: now) }
    guard !isUsedUp else { return false }
    let fits = isFavoured || bucket.take(UInt64(bytes), at: now)
    guard fits || (isSmall && spare.take(UInt64(bytes), at: now)) else { return false }
    passedBytes &+= UInt64(bytes)
    if terms.monthlyBytes != nil {
      monthBytes += UInt64(bytes)
      saveAt = min(saveAt, now + Self.saveInterval)
    }
    return true
  }

  /// There was no room to write now.
  mutating func saveLater(at now: Instant) { saveAt = now + .seconds(1) }

  /// Looks whether another month has begun.
  mutating func turnMonth(at now: Instant) {
    guard now >= monthEndsAt else { return }
    month = CalendarMonth(unixSeconds: unixAtStart + (now - startedAt).ns / 1_000_000_000)
    monthBytes = 0
    beginMonth(month)
  }

  private mutating func beginMonth(_ month: CalendarMonth) {
    let seconds = month.end - min(unixAtStart, month.end)
    monthEndsAt = startedAt + .seconds(seconds)
  }

  // MARK: - The store

  static let storeKey = Array("relay".utf8)

  /// What is written: 4 month, 8 bytes passed on in it.
  mutating func write(to writer: inout WireWriter) {
    writer.integer(month.number)
    writer.integer(monthBytes)
    saveAt = .never
  }

  /// Takes over what was written before a restart, if it is of this month.
  mutating func recover(_ value: Frame) {
    var reader = WireReader(value)
    guard terms.monthlyBytes != nil, let number = try? reader.integer(UInt32.self), number == month.number,
      let bytes = try? reader.integer(UInt64.self)
    else { return }
    monthBytes = bytes
  }
}

extension Links {
  /// A pair of the store, from before a restart.
  public mutating func recoverRelay(key: Frame, value: Frame, _ context: inout Context) {
    guard key.bytes == RelayLimit.storeKey else { return }
    relay.recover(value)
    wakeCircuits(at: context.now)
  }

  /// Writes down what was passed on, when something was.
  public mutating func saveRelaying(_ context: inout Context) {
    guard relay.saveAt != .never else { return }
    guard let packet = context.pool.take(length: 0) else { return relay.saveLater(at: context.now) }
    var writer = WireWriter(context.pool.room(packet))
    writer.byte(UInt8(RelayLimit.storeKey.count))
    for byte in RelayLimit.storeKey { writer.byte(byte) }
    relay.write(to: &writer)
    let whole = PacketRef(slot: packet.slot, offset: packet.offset, length: UInt16(writer.count))
    context.emit(.store(.node, ticket: 0, whole), owning: whole)
  }

  /// Writes what is due, and says when the bytes of the month are used up, or there are others.
  mutating func accountForRelaying(_ context: inout Context) {
    relay.turnMonth(at: context.now)
    if relay.saveAt <= context.now { saveRelaying(&context) }
    if relay.isUsedUp != isRelayUsedUp {
      isRelayUsedUp = relay.isUsedUp
      context.notify(.relayUsedUp(isRelayUsedUp))
    }
    wakeCircuits(at: min(relay.saveAt, relay.renewedAt))
  }
}
