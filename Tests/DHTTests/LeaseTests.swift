// Goal: nobody but the owner of a record can make, change or move it, and every holder judges alike.
// Method: one tampered byte a field, and tables of what may replace what.

import Base
import Session
import Testing

@testable import DHT

/// Leases for tests, in memory that is never given back: a lease points into it.
enum Made {
  static let identities = [
    "0fad6070f5c5a137de77bf4c063936c0978c1d7d342074a2cdd5f758731b79fb",
    "91386728544a22d60272a6d1ec494f1763e531279615590d6231b568e09fcdd8",
  ].map { Identity(seed: Key(bytes: Hex.bytes($0)!)!) }
  static let home = Community.shared(name: "home", secret: [UInt8](1...32))

  static func key(_ number: UInt8) -> SigningKey {
    SigningKey(seed: Key(bytes: [UInt8](repeating: number, count: 32))!)
  }

  static func kept(_ bytes: [UInt8]) -> Frame {
    let frame = Frame(base: .allocate(byteCount: max(bytes.count, 1), alignment: 16), count: bytes.count)
    frame.write(bytes)
    return frame
  }

  static func bytes(
    record: UInt8 = 1, owner: UInt8 = 2, epoch: UInt64 = 5, sequence: UInt32 = 7, timeToLive: UInt32 = 60,
    body: [UInt8] = [1, 2, 3]
  ) -> [UInt8] {
    Lease.make(
      recordKey: key(record), owner: key(owner), epoch: epoch, sequence: sequence, timeToLive: timeToLive,
      body: body)
  }

  static func lease(
    record: UInt8 = 1, owner: UInt8 = 2, epoch: UInt64 = 5, sequence: UInt32 = 7, timeToLive: UInt32 = 60
  ) -> Lease {
    read(bytes(record: record, owner: owner, epoch: epoch, sequence: sequence, timeToLive: timeToLive))!
  }

  static func read(_ bytes: [UInt8]) -> Lease? { try? Lease(decoding: kept(bytes)) }
}

@Suite struct LeaseTests {
  @Test func signedLeaseSaysWhatItWasMadeOf() throws {
    let lease = try #require(Made.read(Made.bytes()))
    #expect(lease.isAuthentic(under: .real))
    #expect(lease.recordKey == Made.key(1).publicKey && lease.owner == Made.key(2).publicKey)
    #expect(lease.epoch == 5 && lease.sequence == 7 && lease.timeToLive == 60)
    #expect(lease.body.bytes == [1, 2, 3] && lease.key == Made.key(1).publicKey.id)
  }

  @Test(arguments: [
    ("record key", 0), ("record key", 31), ("owner", 32), ("owner", 63), ("epoch", 64), ("epoch", 71),
    ("sequence", 72), ("sequence", 75), ("time to live", 79), ("body", 82), ("body", 84),
    ("signature of the record key", 85), ("signature of the record key", 148),
    ("signature of the owner", 149), ("signature of the owner", 212),
  ])
  func tamperedFieldIsNoticed(field: String, offset: Int) {
    for bit in 0..<8 {
      var bytes = Made.bytes()
      bytes[offset] ^= 1 << UInt8(bit)
      if let lease = Made.read(bytes) { #expect(!lease.isAuthentic(under: .real), "\(field), bit \(bit)") }
    }
  }

  @Test func otherLengthsAreNoLease() {
    var bytes = Made.bytes()
    for length in [0, 2, 4, 513, 65_535] {
      bytes[80] = UInt8(length >> 8)
      bytes[81] = UInt8(length & 255)
      #expect(Made.read(bytes) == nil, "\(length)")
    }
  }

  @Test func lifeIsBounded() {
    var bytes = Made.bytes()
    for (seconds, isLease) in [(0, false), (1, true), (3_600, true), (3_601, false), (1 << 31, false)] {
      for i in 0..<4 { bytes[76 + i] = UInt8(truncatingIfNeeded: seconds >> (24 - 8 * i)) }
      #expect((Made.read(bytes) != nil) == isLease, "\(seconds) s")
    }
  }

  @Test func signatureOfAnotherKeyIsNoticed() {
    // Valid signatures over other leases, put behind this one.
    let (one, other) = (Made.bytes(), Made.bytes(owner: 3))
    let mixed = Array(one[..<149] + other[149...])
    #expect(Made.read(mixed)?.isAuthentic(under: .real) == false)
    let moved = Made.bytes(record: 9)
    #expect(Made.read(Array(moved[..<85] + one[85...]))?.isAuthentic(under: .real) == false)
  }

  @Test func bodyOpensForTheCommunityOnly() throws {
    var random = SecureRandom(seed: [UInt8](repeating: 3, count: 32))
    let bytes = LeaseBody.makeLease(
      .claim, name: [1, 2, 3], content: [9, 9], community: Made.home, identity: Made.identities[0], epoch: 1,
      sequence: 1, timeToLive: 60, &random)
    let lease = try #require(Made.read(bytes))
    #expect(lease.isAuthentic(under: .real))
    #expect(lease.key == Made.home.recordKey(kind: LeaseKind.claim.rawValue, name: [1, 2, 3]).publicKey.id)
    let body = LeaseBody.open(lease, community: Made.home, under: .real)
    #expect(body == LeaseBody(identity: Made.identities[0].publicKey, content: [9, 9]))
    for other in [
      Community.shared(name: "home", secret: [UInt8](2...33)), Community.open("home"),
      Community.open("other"),
    ] {
      #expect(LeaseBody.open(lease, community: other, under: .real) == nil)
    }
    // Holders learn neither the owner's identity nor the content.
    let identity = Made.identities[0].publicKey.bytes
    #expect(!bytes.indices.contains { bytes[$0...].starts(with: identity) })
  }

  @Test func bodyOfAnotherOwnerOrPlaceDoesNotOpen() throws {
    var random = SecureRandom(seed: [UInt8](repeating: 4, count: 32))
    func made(_ name: [UInt8], _ identity: Identity) throws -> Lease {
      try #require(
        Made.read(
          LeaseBody.makeLease(
            .claim, name: name, content: [1], community: Made.home, identity: identity, epoch: 1, sequence: 1,
            timeToLive: 60, &random)))
    }
    let original = try made([1], Made.identities[0])
    // A member takes the sealed body of another one's lease into its own, or to another name.
    for (record, owner) in [
      (Made.home.recordKey(kind: 1, name: [1]), Made.home.ownerKey(of: Made.identities[1])),
      (Made.home.recordKey(kind: 1, name: [2]), Made.home.ownerKey(of: Made.identities[0])),
    ] {
      let stolen = try #require(
        Made.read(
          Lease.make(
            recordKey: record, owner: owner, epoch: 9, sequence: 9, timeToLive: 60, body: original.body.bytes)
        ))
      #expect(
        stolen.isAuthentic(under: .real) && LeaseBody.open(stolen, community: Made.home, under: .real) == nil)
    }
    #expect(LeaseBody.open(original, community: Made.home, under: .real) != nil)
  }
}

@Suite struct LeaseIndexTests {
  private func verdict(_ stored: Lease?, _ offered: Lease, after: Interval = .zero) -> LeaseVerdict {
    var index = LeaseIndex()
    if let stored { _ = index.put(stored, remaining: stored.timeToLive, at: .start) }
    return index.judge(offered, at: .start + after)
  }

  @Test func firstComesFirstAndOwnersMayOnlyRenew() {
    let stored = Made.lease()
    #expect(verdict(nil, stored) == .accept)
    #expect(verdict(stored, stored) == .known)
    #expect(verdict(stored, Made.lease(sequence: 8)) == .accept)
    #expect(verdict(stored, Made.lease(epoch: 6, sequence: 1)) == .accept)
    #expect(verdict(stored, Made.lease(sequence: 6)) == .stale)
    #expect(verdict(stored, Made.lease(epoch: 4, sequence: 99)) == .stale)
    #expect(verdict(stored, Made.lease(owner: 3, epoch: 99, sequence: 99)) == .taken)
    #expect(verdict(stored, Made.lease(record: 9, owner: 3)) == .accept, "another key")
  }

  @Test func whatHasExpiredIsNotThere() {
    let stored = Made.lease()
    let other = Made.lease(owner: 3)
    #expect(verdict(stored, other, after: .milliseconds(59_999)) == .taken)
    #expect(verdict(stored, other, after: .seconds(60)) == .accept)
    #expect(verdict(stored, Made.lease(sequence: 1), after: .seconds(60)) == .accept)
  }

  private func entry(_ lease: Lease) -> LeaseEntry {
    LeaseEntry(owner: lease.owner, epoch: lease.epoch, sequence: lease.sequence, expires: .never)
  }

  @Test func preferenceIsATotalOrder() {
    let index = LeaseIndex()
    let all = [
      Made.lease(), Made.lease(sequence: 8), Made.lease(epoch: 6, sequence: 1), Made.lease(owner: 3),
      Made.lease(owner: 4), Made.lease(owner: 4, epoch: 9),
    ]
    for (i, a) in all.enumerated() {
      for (j, b) in all.enumerated() {
        let forth = index.prefers(a, over: entry(b))
        let back = index.prefers(b, over: entry(a))
        if i == j { #expect(!forth && !back) } else { #expect(forth != back) }
        if a.owner == b.owner, i != j { #expect(forth == ((a.epoch, a.sequence) > (b.epoch, b.sequence))) }
        for c in all {
          let further = index.prefers(b, over: entry(c))
          let whole = index.prefers(a, over: entry(c))
          if forth, further { #expect(whole) }
        }
      }
    }
  }

  @Test func remainingLifeIsThatOfTheLeaseAtMost() {
    var index = LeaseIndex()
    let lease = Made.lease(timeToLive: 60)
    _ = index.put(lease, remaining: 1_000, at: .start)
    #expect(index.remaining(lease.key, at: .start) == 60)
    #expect(index.remaining(lease.key, at: .start + .milliseconds(500)) == 59)
    #expect(index.remaining(lease.key, at: .start + .seconds(60)) == 0)
    #expect(index.remaining(.zero, at: .start) == 0)
  }
}
