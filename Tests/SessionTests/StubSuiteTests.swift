// Goal: under the stub suite the same machines agree, find errors and send as many bytes as under the real
// one; and the two suites never understand each other. Method: pairs of session tables of either suite,
// datagrams changed byte by byte, and handed to tables of the other suite.

import Base
import Testing

@testable import Session

struct StubSuiteTests {
  private static let identities = (0..<4).map { Identity.stub(number: $0) }.sorted {
    $0.publicKey < $1.publicKey
  }

  private func pair() -> Pair { Pair(Side(Self.identities[0], seed: 1), Side(Self.identities[1], seed: 2)) }

  private func connected() throws -> Pair {
    let pair = pair()
    try pair.connect()
    return pair
  }

  // MARK: - Identities

  @Test func onlyTheStubOfAnIdentityHasTheStubSuite() {
    var random = SecureRandom(seed: [UInt8](repeating: 1, count: 32))
    #expect(Identity.stub(number: 1).suite == .stub)
    #expect(Identity.generate(&random).suite == .real)
    #expect(Identity(seed: Identity.stub(number: 1).seed).suite == .real)
    #expect(Identity(seed: Identity.stub(number: 1).seed).publicKey != Identity.stub(number: 1).publicKey)
  }

  @Test func numbersAreSpreadOverTheRing() {
    var places = [Int](repeating: 0, count: 16)
    for number in 0..<1_600 as Range<UInt64> {
      let identity = Identity.stub(number: number)
      #expect(identity.id == identity.publicKey.id)
      places[Int(identity.id.high >> 60)] += 1
    }
    #expect(places.allSatisfy { (60...140).contains($0) }, "\(places)")
    #expect(Identity.stub(number: 7).publicKey == Identity.stub(number: 7).publicKey)
    #expect(
      Identity.stub(number: 1).id.description == Self.placeOfNumberOne, "the same in every process")
  }

  private static let placeOfNumberOne = "c3575fbfe6194c6d4fd49d71b771841be1d2e7bb"

  // MARK: - Handshakes

  @Test func aStubPairSharesKeys() throws {
    let pair = try connected()
    #expect(pair.carriesBothWays())
    let (a, b) = (try #require(pair.a.sealing(pair.b)), try #require(pair.b.sealing(pair.a)))
    #expect(a.pointee.cipher == .stub && b.pointee.cipher == .stub)
    #expect(a.pointee.hash == b.pointee.hash)
    try pair.connect(from: pair.b)
    #expect(pair.carriesBothWays())
  }

  @Test func aStubPairKnocks() throws {
    let (home, other) = (Community.open("home"), Community.open("other"))
    let pair = pair()
    pair.a.table.setCommunities([other, home])
    pair.b.table.setCommunities([home])
    try pair.connect()
    let id = try #require(pair.a.session(pair.b))
    #expect(pair.a.slots(id, community: 1) != nil && pair.a.slots(id, community: 0) == nil)
  }

  @Test func anUnknownBootstrapIsReached() throws {
    let pair = pair()
    let begun = try #require(pair.a.initiateUnknown())
    let answer = pair.b.handshake(begun.datagram)
    #expect(answer.result == .reply(length: SessionTable.handshakeBytes, from: nil))
    let end = pair.a.handshake(answer.reply)
    guard case .established = end.result else {
      Issue.record("\(end.result)")
      return
    }
    #expect(pair.b.handshake(end.reply).result == .awaitingProof)
    #expect(pair.carries(from: pair.a) && pair.carries(from: pair.b))
  }

  @Test func everyChangedByteOfAHandshakeIsNoticed() throws {
    let pair = pair()
    let begun = try #require(pair.a.initiateUnknown())
    let message = try #require(pair.a.initiate(to: pair.b.key))
    let answer = pair.b.handshake(message).reply
    let final = pair.a.handshake(pair.b.handshake(begun.datagram).reply).reply
    for (original, side) in [(message, pair.b), (begun.datagram, pair.b), (answer, pair.a), (final, pair.b)] {
      for position in original.indices {
        var changed = original
        changed[position] ^= 0x10
        guard case .dropped = side.handshake(changed).result else {
          Issue.record("byte \(position)")
          continue
        }
      }
    }
    // A right mac1 does not help: the checksums of the message itself are looked at too.
    for position in HandshakeHeader.byteCount..<(HandshakeHeader.byteCount + HandshakeHeader.messageBytes) {
      let changed = Scratch(capacity: message.count)
      changed.frame.write(message)
      changed.frame[position] ^= 1
      pair.b.table.overlay.mac1(pair.b.table.macKeyIK, of: changed.frame).write(
        to: HandshakeHeader.mac1(changed.frame))
      #expect(pair.b.handshake(changed.frame.bytes).result == .dropped(.forged), "byte \(position)")
    }
  }

  @Test func aHandshakeForSomebodyElseIsDropped() throws {
    let pair = pair()
    let other = Side(Self.identities[2], seed: 3)
    let message = try #require(pair.a.initiate(to: pair.b.key))
    #expect(other.handshake(message).result == .dropped(.wrongMAC))
    let foreign = Side(Self.identities[1], seed: 2, network: "other")
    #expect(foreign.handshake(message).result == .dropped(.wrongMAC))
    let keyed = Side(Self.identities[1], seed: 2, psk: Self.identities[0].seed)
    #expect(keyed.handshake(message).result == .dropped(.wrongMAC))
  }

  @Test func realAndStubDropEachOther() throws {
    let stub = Side(Self.identities[0], seed: 1)
    let real = Side(Fixed.identities[0], seed: 2)
    let (fromStub, fromReal) = (try #require(stub.initiateUnknown()), try #require(real.initiateUnknown()))
    #expect(real.handshake(fromStub.datagram).result == .dropped(.wrongMAC))
    #expect(stub.handshake(fromReal.datagram).result == .dropped(.wrongMAC))
    let known = try #require(stub.initiate(to: real.key))
    #expect(real.handshake(known).result == .dropped(.wrongMAC))
    // A stub key may solve no puzzle or be no point; one that does is dropped by mac1 all the same.
    if let known = real.initiate(to: stub.key) {
      #expect(stub.handshake(known).result == .dropped(.wrongMAC))
    }
    #expect(real.table.count == 0 && stub.table.count == 0)
  }

  // MARK: - Records

  @Test func everyChangedByteOfARecordIsNoticed() throws {
    let pair = try connected()
    let record = try #require(pair.a.seal([1, 2, 3, 4, 5], to: pair.b, space: 1))
    #expect(record.count == 5 + SessionTable.overhead)
    for position in record.indices {
      for bit in 0..<8 {
        var changed = record
        changed[position] ^= 1 << UInt8(bit)
        if case .opened = pair.b.open(changed) { Issue.record("byte \(position), bit \(bit)") }
      }
    }
    for length in record.indices {
      if case .opened = pair.b.open(Array(record[..<length])) { Issue.record("\(length) bytes") }
    }
    guard case .opened = pair.b.open(record) else {
      Issue.record("forged records must not keep the true one out")
      return
    }
    #expect(pair.b.open(record) == .dropped(.replayed))
  }

  @Test func everyLengthComesThrough() throws {
    let pair = try connected()
    for length in Array(0...66) + [1_199, 1_400, 1_452] {
      let packet = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
      let record = try #require(pair.a.seal(packet, to: pair.b, space: 1, content: 9))
      guard case .opened(let received) = pair.b.open(record) else {
        Issue.record("length \(length)")
        continue
      }
      #expect(received.packet == packet && received.content == 9)
      if length > 0 {
        #expect(pair.b.open(Array(record[..<(record.count - 1)])) == .dropped(.replayed))
      }
    }
  }

  @Test func keysOfAnotherSessionDoNotOpen() throws {
    let (pair, again) = (try connected(), try connected())
    try again.connect(from: again.b)
    let index = try #require(again.b.sealing(again.a)).pointee.localIndex
    var record = try #require(pair.a.seal([1, 2, 3], to: pair.b, space: 1))
    for i in 0..<3 { record[1 + i] = UInt8(truncatingIfNeeded: index >> UInt32(16 - 8 * i)) }
    #expect(again.b.open(record) == .dropped(.forged))
  }

  // MARK: - Signatures

  @Test func aVerifierGoesByItsOwnSuite() {
    let (stub, real) = (Self.identities[0], Fixed.identities[0])
    let message: [UInt8] = [1, 2, 3]
    let (stubbed, signed) = (stub.signing.sign(message), real.signing.sign(message))
    #expect(Suite.stub.verifies(stubbed, of: message, by: stub.publicKey))
    #expect(!Suite.stub.verifies(stubbed, of: [1, 2], by: stub.publicKey))
    #expect(!Suite.stub.verifies(stubbed, of: message, by: Self.identities[1].publicKey))
    #expect(!Suite.stub.verifies(.zero, of: message, by: stub.publicKey))
    #expect(!Suite.real.verifies(stubbed, of: message, by: stub.publicKey))
    #expect(Suite.real.verifies(signed, of: message, by: real.publicKey))
    #expect(!Suite.stub.verifies(signed, of: message, by: real.publicKey))
    #expect(
      !real.publicKey.verifies(
        Suite.stubSignature(of: Scratch(capacity: 3).frame, by: real.publicKey),
        of: [0, 0, 0]))
  }

  @Test func keysOfRecordsFollowFromCommunityAndSuite() {
    let home = Community.open("home")
    let (real, stub) = (
      home.recordKey(kind: 1, name: [1]).publicKey, home.recordKey(kind: 1, name: [1], suite: .stub).publicKey
    )
    #expect(real != stub)
    #expect(stub == home.recordKey(kind: 1, name: [1], suite: .stub).publicKey)
    #expect(stub != home.recordKey(kind: 1, name: [2], suite: .stub).publicKey)
    #expect(
      home.ownerKey(of: Self.identities[0]).publicKey != home.ownerKey(of: Self.identities[1]).publicKey)
  }

  @Test func aResetIsBelievedFromThePeerOnly() throws {
    let pair = try connected()
    let record = try #require(pair.a.seal([1], to: pair.b, space: 1))
    let restarted = Side(Self.identities[1], incarnation: 101, seed: 9)
    let reset = try #require(restarted.reset(answering: record))
    #expect(pair.a.receiveReset(reset) == pair.a.session(pair.b))
    let other = Side(Self.identities[2], seed: 3)
    #expect(pair.a.receiveReset(try #require(other.reset(answering: record))) == nil)
  }
}
