// Goal: a record opens once, unchanged, in any order, under keys that are not too old. Method: two connected
// tables; records are changed, repeated, swapped and delayed; limits are reached by setting the counters of a
// generation.

import Base
import Testing

@testable import Session

struct RecordTests {
  private func connected(_ a: Capabilities = .aes256gcm) throws -> Pair {
    let pair = Pair(Side(Fixed.identities[0], capabilities: a, seed: 1), Side(Fixed.identities[1], seed: 2))
    try pair.connect()
    return pair
  }

  @Test(arguments: [Capabilities.aes256gcm, []])
  func everyLengthComesThrough(capabilities: Capabilities) throws {
    let pair = try connected(capabilities)
    for length in Array(0...66) + [1_199, 1_400, 1_452] {
      let packet = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
      let record = try #require(pair.a.seal(packet, to: pair.b, space: 1, content: 9))
      #expect(record.count == length + SessionTable.overhead)
      guard case .opened(let received) = pair.b.open(record) else {
        Issue.record("length \(length)")
        continue
      }
      #expect(received.packet == packet && received.content == 9 && received.space == 1)
    }
  }

  @Test func theHeaderIsAsTheProtocolSays() throws {
    let pair = try connected()
    let id = try #require(pair.a.session(pair.b))
    let index = try #require(pair.a.sealing(pair.b)).pointee.remoteIndex
    let first = try #require(pair.a.seal([7], for: id, space: 5))
    let second = try #require(pair.a.seal([7], for: id, space: 5))
    #expect(first[0] == 4 && index & 15 == 0)
    #expect(Array(first[1..<4]) == [16, 8, 0].map { UInt8(truncatingIfNeeded: index >> $0) })
    #expect(Array(first[4..<12]) == [0, 0, 0, 0, 0, 0, 0, 5])
    #expect(Array(second[4..<12]) == [1, 0, 0, 0, 0, 0, 0, 5])
  }

  @Test(arguments: [Capabilities.aes256gcm, []])
  func everyChangedByteIsNoticed(capabilities: Capabilities) throws {
    let pair = try connected(capabilities)
    let record = try #require(pair.a.seal([1, 2, 3, 4, 5], to: pair.b, space: 1))
    for position in record.indices {
      for bit in 0..<8 {
        var changed = record
        changed[position] ^= 1 << UInt8(bit)
        if case .opened = pair.b.open(changed) { Issue.record("byte \(position), bit \(bit)") }
      }
    }
    guard case .opened = pair.b.open(record) else {
      Issue.record("forged records must not keep the true one out")
      return
    }
  }

  @Test func truncatedRecordsAreDropped() throws {
    let pair = try connected()
    let record = try #require(pair.a.seal([1, 2, 3, 4, 5], to: pair.b, space: 1))
    for count in record.indices {
      if case .opened = pair.b.open(Array(record.prefix(count))) { Issue.record("\(count) bytes") }
    }
    #expect(pair.b.open(record + [0]) == .dropped(.forged))
  }

  @Test func spareBitsMustBeZero() throws {
    let pair = try connected()
    let generation = try #require(pair.a.sealing(pair.b))
    // A record whose spare byte is 1, sealed as the table would.
    let room = Scratch(capacity: 33)
    room.frame.setBig(0, 4 << 24 | generation.pointee.remoteIndex)
    let counter: UInt64 = 1 << 56 | 77
    room.frame.setLittle(4, counter)
    room.frame[15] = 1
    generation.pointee.cipher.seal(
      room.frame.base + 12, length: 5, tag: room.frame.base + 17, associated: room.frame.base,
      associatedLength: 12,
      counter: counter, state: generation.sealingKey)
    #expect(pair.b.open(room.frame.bytes) == .dropped(.malformed))
    #expect(pair.b.open(room.frame.bytes) == .dropped(.replayed))
  }

  @Test func duplicatesAreDroppedAndOrderDoesNotMatter() throws {
    let pair = try connected()
    let records = try (0..<100).map { try #require(pair.a.seal([UInt8($0)], to: pair.b, space: 1)) }
    var order = Array(records.indices)
    var random = Random(seed: 3)
    for i in stride(from: order.count - 1, to: 0, by: -1) {
      order.swapAt(i, Int(random.below(UInt64(i + 1))))
    }
    for number in order {
      guard case .opened(let received) = pair.b.open(records[number]) else {
        Issue.record("record \(number)")
        continue
      }
      #expect(received.packet == [UInt8(number)])
      #expect(pair.b.open(records[number]) == .dropped(.replayed))
    }
  }

  @Test func spacesHaveWindowsOfTheirOwn() throws {
    let pair = try connected()
    for space: UInt8 in [1, 2, 9, 128] {
      let record = try #require(pair.a.seal([space], to: pair.b, space: space))
      guard case .opened = pair.b.open(record) else {
        Issue.record("space \(space)")
        continue
      }
      #expect(pair.b.open(record) == .dropped(.replayed))
    }
  }

  @Test func aPeerCannotUseAllSpaces() throws {
    let pair = try connected()
    var opened = 0
    for space in UInt8(1)...128 {
      let record = try #require(pair.a.seal([1], to: pair.b, space: space))
      switch pair.b.open(record) {
      case .opened: opened += 1
      case let other: #expect(other == .dropped(.tooManySpaces))
      }
    }
    #expect(opened == KeyLimits.spaces - 1)
  }

  @Test func unknownSpacesAreMalformed() throws {
    let pair = try connected()
    var record = try #require(pair.a.seal([1], to: pair.b, space: 128))
    record[11] = 129
    #expect(pair.b.open(record) == .dropped(.malformed))
  }

  @Test func numbersGoOnWhenTheKeysChange() throws {
    let pair = try connected()
    #expect(pair.carriesBothWays())
    let before = try #require(pair.a.seal([1], to: pair.b, space: 1))
    try pair.connect()
    let after = try #require(pair.a.seal([1], to: pair.b, space: 1))
    #expect(before[4] == 1 && after[4] == 2)
    #expect(Array(before[1..<4]) != Array(after[1..<4]))
  }

  @Test func rekeyingLosesNothing() throws {
    let pair = try connected()
    let id = try #require(pair.a.session(pair.b))
    for round in 0..<5 {
      let initiator = round % 2 == 0 ? pair.a : pair.b
      let responder = round % 2 == 0 ? pair.b : pair.a
      let late = try #require(initiator.seal([1], to: responder, space: 1))
      let message = try #require(initiator.initiate(to: responder.key))
      #expect(pair.carriesBothWays())
      let answer = responder.handshake(message)
      #expect(pair.carriesBothWays())
      let early = try #require(responder.seal([2], to: initiator, space: 1))
      guard case .established(_, _, _, let restarted) = initiator.handshake(answer.reply).result else {
        Issue.record("round \(round)")
        return
      }
      #expect(!restarted)
      // The responder goes on with the old keys until it hears the new ones.
      guard case .opened = initiator.open(early) else {
        Issue.record("round \(round): a record under the old keys is lost")
        return
      }
      #expect(pair.carries(from: responder))
      #expect(pair.carriesBothWays())
      guard case .opened = responder.open(late) else {
        Issue.record("round \(round): a late record is lost")
        return
      }
      #expect(pair.a.session(pair.b) == id)
    }
  }

  @Test func dataKeysAreRenewedAfterTwoMinutesAndRefusedAfterThree() throws {
    let pair = try connected()
    let id = try #require(pair.a.session(pair.b))
    pair.advance(.minutes(10))
    #expect(!pair.a.needsRekey(id))
    #expect(pair.carriesBothWays())
    pair.advance(.seconds(119))
    #expect(!pair.a.needsRekey(id))
    #expect(pair.carriesBothWays())
    pair.advance(.seconds(1))
    #expect(pair.a.needsRekey(id))
    let other = try #require(pair.b.session(pair.a))
    #expect(!pair.b.needsRekey(other), "the responder is more patient")
    let record = try #require(pair.a.seal([1], to: pair.b, space: 1))
    pair.b.now = pair.b.now + .seconds(60)
    #expect(pair.b.needsRekey(other))
    #expect(pair.b.open(record) == .dropped(.expired))
    pair.advance(.seconds(60))
    #expect(!pair.a.isEstablished(id))
    #expect(pair.a.contains(id))
    #expect(pair.a.seal([1], for: id, space: 1) == nil)
  }

  @Test func controlKeysLastAnHour() throws {
    let pair = try connected()
    let id = try #require(pair.a.session(pair.b))
    pair.advance(.minutes(59))
    #expect(!pair.a.needsRekey(id))
    #expect(pair.carries(from: pair.a, space: 0))
    pair.advance(.minutes(1))
    #expect(pair.a.needsRekey(id))
    #expect(pair.carries(from: pair.a, space: 0))
    pair.advance(.minutes(30))
    #expect(!pair.carries(from: pair.a, space: 0))
  }

  @Test func tooManyRecordsUseUpTheKeys() throws {
    let pair = try connected()
    let id = try #require(pair.a.session(pair.b))
    let generation = try #require(pair.a.sealing(pair.b))
    generation.pointee.sealed = 1 << 28 - 1
    #expect(!pair.a.needsRekey(id))
    #expect(pair.carries(from: pair.a))
    #expect(pair.a.needsRekey(id))
    generation.pointee.sealed = 1 << 29 - 1
    #expect(pair.carries(from: pair.a))
    #expect(!pair.carries(from: pair.a))
    #expect(!pair.a.isEstablished(id))
    generation.pointee.sealed = 0
    #expect(!pair.a.needsRekey(id))
    generation.pointee.bytes = 1 << 38
    #expect(pair.a.needsRekey(id))
  }

  @Test func replacedKeysGoWhenThePeerIsSilentUnderThem() throws {
    let pair = try connected()
    let old = try #require(pair.a.seal([1], to: pair.b, space: 1))
    let older = try #require(pair.a.seal([1], to: pair.b, space: 1))
    try pair.connect()
    pair.advance(.seconds(20))
    pair.b.expire()
    guard case .opened = pair.b.open(old) else {
      Issue.record("gone too early")
      return
    }
    pair.advance(.seconds(30))
    pair.b.expire()
    #expect(pair.b.open(older) == .unknownIndex)
    #expect(pair.carriesBothWays())
  }

  @Test func aSessionIsSmall() throws {
    let pair = try connected()
    let id = try #require(pair.b.session(pair.a))
    #expect(pair.carries(from: pair.a, space: 0))
    #expect(pair.b.footprint(id) < 3 << 10)
    #expect(pair.carriesBothWays())
    #expect(pair.b.footprint(id) < 4 << 10)
    try pair.connect()
    #expect(pair.carriesBothWays())
    #expect(pair.b.footprint(id) < 8 << 10)
  }

  @Test func aRecordForNobodyIsUnknown() {
    let a = Side(Fixed.identities[0])
    #expect(a.open([4, 1, 2, 0x30] + [UInt8](repeating: 0, count: 40)) == .unknownIndex)
    #expect(a.open([4]) == .dropped(.malformed))
    #expect(a.open([5] + [UInt8](repeating: 0, count: 40)) == .dropped(.malformed))
  }

  @Test func manyRecordsKeepTheirCounts() throws {
    let pair = try connected()
    let id = try #require(pair.a.session(pair.b))
    let room = Scratch(capacity: 1_432)
    let before = pair.b.table.counters.opened
    for _ in 0..<20_000 {
      let sealed = pair.a.table.seal(id, space: 1, content: 9, offload: 0, datagram: room.frame)
      guard sealed == .sealed, case .opened = pair.b.table.open(room.frame, at: pair.b.now) else {
        Issue.record("lost")
        return
      }
    }
    #expect(pair.b.table.counters.opened - before == 20_000)
  }
}
