// Goal: two nodes come to share keys whatever the network does, and nobody else's datagrams change anything.
// Method: handshakes between two tables on a virtual clock; datagrams are dropped, repeated, swapped and
// changed.

import Base
import Testing

@testable import Session

struct HandshakeTests {
  @Test func knownKeyTakesOneRoundTrip() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: pair.b.key))
    let answer = pair.b.handshake(message)
    #expect(answer.result == .reply(length: 288, from: pair.a.key))
    #expect(pair.b.session(pair.a) == nil)
    let end = pair.a.handshake(answer.reply)
    let id = try #require(pair.a.session(pair.b))
    #expect(end.result == .established(id, reply: 0, attempt: nil, restarted: false))
    #expect(pair.a.isEstablished(id))
    #expect(pair.a.peer(id) == pair.b.key)
    let record = try #require(pair.a.seal([9], for: id, content: 0x41, offload: 3))
    let expected = Received(
      session: SessionID(slot: 0, serial: 1), content: 0x41, offload: 3, packet: [9], space: 0,
      confirmed: true,
      restarted: false)
    #expect(pair.b.open(record) == .opened(expected))
    #expect(pair.carriesBothWays())
  }

  @Test func unknownKeyTakesOneRoundTripMore() throws {
    let pair = Pair()
    let (message, attempt) = try #require(pair.a.initiateUnknown())
    let answer = pair.b.handshake(message)
    #expect(answer.result == .reply(length: 288, from: nil))
    let end = pair.a.handshake(answer.reply)
    let id = try #require(pair.a.session(pair.b))
    #expect(end.result == .established(id, reply: 288, attempt: attempt, restarted: false))
    #expect(pair.b.handshake(end.reply).result == .awaitingProof)
    #expect(pair.b.session(pair.a) == nil)
    #expect(pair.carriesBothWays())
  }

  @Test func severalUnknownKeysAtOnceAreToldApart() throws {
    let pair = Pair()
    let c = Side(Fixed.identities[2], seed: 3)
    let toB = try #require(pair.a.initiateUnknown())
    let toC = try #require(pair.a.initiateUnknown())
    #expect(toB.attempt != toC.attempt)
    let fromC = pair.a.handshake(c.handshake(toC.datagram).reply)
    let fromB = pair.a.handshake(pair.b.handshake(toB.datagram).reply)
    guard case .established(let idC, _, let attemptC, _) = fromC.result,
      case .established(let idB, _, let attemptB, _) = fromB.result
    else {
      Issue.record("not established")
      return
    }
    #expect(attemptC == toC.attempt && attemptB == toB.attempt)
    #expect(pair.a.peer(idC) == c.key && pair.a.peer(idB) == pair.b.key)
  }

  @Test func noAnswerIsLongerThanTheQuestion() throws {
    let pair = Pair()
    let ik = try #require(pair.a.initiate(to: pair.b.key))
    #expect(pair.b.handshake(ik).reply.count == ik.count)
    let xx = try #require(pair.a.initiateUnknown()).datagram
    #expect(pair.b.handshake(xx).reply.count == xx.count)
  }

  @Test func wrongMACIsSilence() throws {
    let pair = Pair(Side(Fixed.identities[0], network: "other"))
    let message = try #require(pair.a.initiate(to: pair.b.key))
    #expect(pair.b.handshake(message).result == .dropped(.wrongMAC))
    let unknown = try #require(pair.a.initiateUnknown()).datagram
    #expect(pair.b.handshake(unknown).result == .dropped(.wrongMAC))
    #expect(pair.b.table.counters[.wrongMAC] == 2)
  }

  @Test func anotherPreSharedKeyIsSilence() throws {
    let psk = try #require(Key(bytes: [UInt8](repeating: 9, count: 32)))
    let message = try #require(
      Side(Fixed.identities[0], psk: psk).initiate(to: Fixed.identities[1].publicKey))
    #expect(Side(Fixed.identities[1]).handshake(message).result == .dropped(.wrongMAC))
    let same = Pair(
      Side(Fixed.identities[0], seed: 1, psk: psk), Side(Fixed.identities[1], seed: 2, psk: psk))
    try same.connect()
    #expect(same.carriesBothWays())
  }

  @Test func anInitForSomebodyElseIsSilence() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: Fixed.identities[2].publicKey))
    #expect(pair.b.handshake(message).result == .dropped(.wrongMAC))
  }

  @Test func everyChangedByteOfAHandshakeIsNoticed() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: pair.b.key))
    for position in message.indices {
      var changed = message
      changed[position] ^= 0x10
      guard case .dropped = pair.b.handshake(changed).result else {
        Issue.record("init, byte \(position)")
        continue
      }
    }
    let answer = pair.b.handshake(message).reply
    for position in answer.indices {
      var changed = answer
      changed[position] ^= 0x10
      guard case .dropped = pair.a.handshake(changed).result else {
        Issue.record("response, byte \(position)")
        continue
      }
    }
    guard case .established = pair.a.handshake(answer).result else {
      Issue.record("forged responses must not spoil the true one")
      return
    }
  }

  @Test func truncatedHandshakesAreMalformed() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: pair.b.key))
    for count in message.indices {
      #expect(pair.b.handshake(Array(message.prefix(count))).result == .dropped(.malformed))
    }
    #expect(pair.b.handshake(message + [0]).result == .dropped(.malformed))
  }

  @Test func keysThatCannotBePeersAreNotAsked() throws {
    let a = Side(Fixed.identities[0])
    #expect(a.initiate(to: a.key) == nil)
    #expect(a.initiate(to: .zero) == nil)
    let unsolved = SigningKey(seed: .zero).publicKey
    #expect(!unsolved.solvesPuzzle)
    #expect(a.initiate(to: unsolved) == nil)
  }

  @Test func anIdentityThatDoesNotSolveThePuzzleIsRejected() throws {
    let stranger = Side(Identity(seed: .zero))
    #expect(!stranger.key.solvesPuzzle)
    let b = Side(Fixed.identities[1], seed: 2)
    let message = try #require(stranger.initiate(to: b.key))
    #expect(b.handshake(message).result == .dropped(.noPuzzle))
    let unknown = try #require(stranger.initiateUnknown()).datagram
    let final = stranger.handshake(b.handshake(unknown).reply)
    #expect(b.handshake(final.reply).result == .dropped(.noPuzzle))
    let toStranger = try #require(b.initiateUnknown()).datagram
    #expect(b.handshake(stranger.handshake(toStranger).reply).result == .dropped(.noPuzzle))
  }

  @Test func aNodeDoesNotAnswerItself() throws {
    let a = Side(Fixed.identities[0])
    let message = try #require(a.initiateUnknown()).datagram
    let answer = a.handshake(message)
    #expect(a.handshake(answer.reply).result == .dropped(.own))
  }

  @Test func lostMessagesAreMadeGoodByAnotherInit() throws {
    let pair = Pair()
    _ = try #require(pair.a.initiate(to: pair.b.key))
    let second = try #require(pair.a.initiate(to: pair.b.key))
    _ = pair.b.handshake(second)
    let third = try #require(pair.a.initiate(to: pair.b.key))
    let answer = pair.b.handshake(third)
    guard case .established = pair.a.handshake(answer.reply).result else {
      Issue.record("not established")
      return
    }
    #expect(pair.carriesBothWays())
  }

  @Test func aLateAnswerToAReplacedInitIsDropped() throws {
    let pair = Pair()
    let first = try #require(pair.a.initiate(to: pair.b.key))
    let answer = pair.b.handshake(first).reply
    _ = try #require(pair.a.initiate(to: pair.b.key))
    #expect(pair.a.handshake(answer).result == .dropped(.unknownIndex))
  }

  @Test func aResponseWorksOnce() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: pair.b.key))
    let answer = pair.b.handshake(message).reply
    _ = pair.a.handshake(answer)
    #expect(pair.a.handshake(answer).result == .dropped(.unknownIndex))
  }

  @Test func aReplayedInitChangesNothing() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: pair.b.key))
    _ = pair.a.handshake(pair.b.handshake(message).reply)
    #expect(pair.b.handshake(message).result == .dropped(.stale))
    #expect(pair.carriesBothWays())
    #expect(pair.b.handshake(message).result == .dropped(.stale))
    pair.advance(.seconds(60))
    pair.b.expire()
    #expect(pair.b.handshake(message).result == .dropped(.stale))
    #expect(pair.carriesBothWays())
  }

  @Test func anUnprovenInitDoesNotTouchTheSession() throws {
    let pair = Pair()
    try pair.connect()
    let id = try #require(pair.b.session(pair.a))
    let restarted = Side(Fixed.identities[0], incarnation: 200, seed: 7)
    let message = try #require(restarted.initiate(to: pair.b.key))
    guard case .reply = pair.b.handshake(message).result else {
      Issue.record("not answered")
      return
    }
    #expect(pair.b.incarnation(of: id) == 100)
    #expect(pair.carriesBothWays())
    pair.advance(.seconds(6))
    pair.b.expire()
    #expect(pair.carriesBothWays())
  }

  @Test func aRestartSupersedes() throws {
    let pair = Pair()
    try pair.connect()
    let id = try #require(pair.b.session(pair.a))
    let old = try #require(pair.a.seal([5], to: pair.b))
    let again = Pair(Side(Fixed.identities[0], incarnation: 101, seed: 7), pair.b)
    let message = try #require(again.a.initiate(to: again.b.key))
    _ = again.a.handshake(again.b.handshake(message).reply)
    let record = try #require(again.a.seal([1], to: again.b))
    guard case .opened(let received) = again.b.open(record) else {
      Issue.record("not opened")
      return
    }
    #expect(received.confirmed && received.restarted && received.session == id)
    #expect(again.b.incarnation(of: id) == 101)
    #expect(again.b.open(old) == .unknownIndex)
    #expect(again.carriesBothWays())
  }

  @Test func theInitiatorSeesThatTheResponderRestarted() throws {
    let pair = Pair()
    try pair.connect()
    let again = Pair(pair.a, Side(Fixed.identities[1], incarnation: 300, seed: 8))
    let message = try #require(again.a.initiate(to: again.b.key))
    let end = again.a.handshake(again.b.handshake(message).reply)
    let id = try #require(again.a.session(again.b))
    #expect(end.result == .established(id, reply: 0, attempt: nil, restarted: true))
    #expect(again.a.incarnation(of: id) == 300)
    #expect(again.carriesBothWays())
  }

  @Test func aRestoredBackupIsToldWhatIsRemembered() throws {
    let pair = Pair()
    try pair.connect()
    let restored = Pair(Side(Fixed.identities[0], incarnation: 90, seed: 9), pair.b)
    let message = try #require(restored.a.initiate(to: restored.b.key))
    _ = restored.a.handshake(restored.b.handshake(message).reply)
    #expect(restored.carriesBothWays())
    #expect(restored.a.table.outrankedBy == 100)
    let id = try #require(restored.b.session(restored.a))
    #expect(restored.b.incarnation(of: id) == 90)
    restored.a.table.raiseIncarnation(to: 101)
    #expect(restored.a.table.outrankedBy == nil)
    try restored.connect()
    #expect(restored.b.incarnation(of: id) == 101)
  }

  @Test func aRestoredBackupHearsItInXXByTheHello() throws {
    let pair = Pair()
    try pair.connect()
    let restored = Pair(Side(Fixed.identities[0], incarnation: 90, seed: 9), pair.b)
    let message = try #require(restored.a.initiateUnknown()).datagram
    let final = restored.a.handshake(restored.b.handshake(message).reply)
    #expect(restored.b.handshake(final.reply).result == .awaitingProof)
    try restored.greet(from: restored.a)
    #expect(restored.a.table.outrankedBy == nil)
    try restored.greet(from: restored.b)
    #expect(restored.a.table.outrankedBy == 100)
  }

  @Test func anInitOfALowerIncarnationDoesNotDisplaceANewerHalfOpenOne() throws {
    let b = Side(Fixed.identities[1], seed: 2)
    let old = try #require(Side(Fixed.identities[0], incarnation: 90, seed: 3).initiate(to: b.key))
    let new = Pair(Side(Fixed.identities[0], incarnation: 100, seed: 4), b)
    let message = try #require(new.a.initiate(to: b.key))
    let answer = b.handshake(message)
    #expect(b.handshake(old).result == .dropped(.stale))
    _ = new.a.handshake(answer.reply)
    #expect(new.carriesBothWays())
  }

  @Test func ofTwoInitsTheSmallerKeysStands() throws {
    let pair = Pair()
    #expect(pair.a.key < pair.b.key)
    let fromA = try #require(pair.a.initiate(to: pair.b.key))
    let fromB = try #require(pair.b.initiate(to: pair.a.key))
    #expect(pair.a.handshake(fromB).result == .dropped(.simultaneous))
    let answer = pair.b.handshake(fromA)
    guard case .reply = answer.result, case .established = pair.a.handshake(answer.reply).result else {
      Issue.record("the smaller key's init must be answered")
      return
    }
    #expect(pair.carriesBothWays())
  }

  @Test func theSmallerKeyAnswersWhenItsOwnInitsDoNotArrive() throws {
    let pair = Pair()
    for _ in 0..<3 {
      _ = try #require(pair.a.initiate(to: pair.b.key))
      pair.advance(.milliseconds(400))
    }
    let fromB = try #require(pair.b.initiate(to: pair.a.key))
    let answer = pair.a.handshake(fromB)
    guard case .reply = answer.result, case .established = pair.b.handshake(answer.reply).result else {
      Issue.record("not established")
      return
    }
    #expect(pair.carries(from: pair.b))
    #expect(pair.carries(from: pair.a))
  }

  @Test func crossedUnknownHandshakesBothCarry() throws {
    let pair = Pair()
    let fromA = try #require(pair.a.initiateUnknown()).datagram
    let fromB = try #require(pair.b.initiateUnknown()).datagram
    let answerOfB = pair.b.handshake(fromA)
    let answerOfA = pair.a.handshake(fromB)
    let endOfA = pair.a.handshake(answerOfB.reply)
    let endOfB = pair.b.handshake(answerOfA.reply)
    #expect(pair.b.handshake(endOfA.reply).result == .awaitingProof)
    #expect(pair.a.handshake(endOfB.reply).result == .awaitingProof)
    #expect(pair.a.table.count == 1 && pair.b.table.count == 1)
    for _ in 0..<3 {
      #expect(pair.carriesBothWays())
    }
    try pair.connect(from: pair.b)
    #expect(pair.carriesBothWays())
  }

  @Test func whileCrossedHandshakesSettleNothingIsLost() throws {
    let pair = Pair()
    let fromA = try #require(pair.a.initiateUnknown()).datagram
    let fromB = try #require(pair.b.initiateUnknown()).datagram
    let endOfA = pair.a.handshake(pair.b.handshake(fromA).reply)
    let endOfB = pair.b.handshake(pair.a.handshake(fromB).reply)
    _ = pair.b.handshake(endOfA.reply)
    _ = pair.a.handshake(endOfB.reply)
    // Both seal before either has opened anything; then each answers under what it has.
    let idA = try #require(pair.a.session(pair.b))
    let idB = try #require(pair.b.session(pair.a))
    for _ in 0..<4 {
      let recordA = try #require(pair.a.seal([1], for: idA))
      let recordB = try #require(pair.b.seal([2], for: idB))
      guard case .opened = pair.b.open(recordA), case .opened = pair.a.open(recordB) else {
        Issue.record("lost")
        return
      }
    }
  }

  @Test func halfOpenHandshakesAreForgotten() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiate(to: pair.b.key))
    _ = pair.a.handshake(pair.b.handshake(message).reply)
    pair.advance(.seconds(5))
    pair.b.expire()
    let record = try #require(pair.a.seal([1], to: pair.b))
    #expect(pair.b.open(record) == .unknownIndex)
  }

  @Test func aFloodOfStrangersIsBounded() throws {
    let b = Side(Fixed.identities[1], seed: 2)
    let a = Side(Fixed.identities[0], seed: 1)
    for _ in 0..<1_100 {
      let message = try #require(a.initiateUnknown()).datagram
      #expect(b.handshake(message).result == .reply(length: 288, from: nil))
      a.table.removeAll()
    }
    #expect(b.table.strangers.count == 1_024)
    #expect(b.table.counters.evicted == 76)
    let pair = Pair(a, b)
    try pair.connect()
    #expect(pair.carriesBothWays())
  }

  @Test func aFullTableRefusesAndGoesOn() throws {
    let b = Side(Fixed.identities[1], capacity: 1, seed: 2)
    let first = Pair(Side(Fixed.identities[0], seed: 1), b)
    try first.connect()
    let second = Pair(Side(Fixed.identities[2], seed: 3), b)
    let message = try #require(second.a.initiate(to: b.key))
    _ = second.a.handshake(b.handshake(message).reply)
    let record = try #require(second.a.seal([1], to: b))
    #expect(b.open(record) == .dropped(.full))
    let asked = try #require(b.initiate(to: second.a.key))
    #expect(b.handshake(second.a.handshake(asked).reply).result == .dropped(.full))
    #expect(first.carriesBothWays())
    let id = try #require(b.session(first.a))
    b.table.remove(id)
    let again = try #require(second.a.seal([1], to: b))
    guard case .opened = b.open(again) else {
      Issue.record("there is room now")
      return
    }
  }

  @Test func aHandleOfARemovedSessionFindsNothing() throws {
    let pair = Pair()
    try pair.connect()
    let id = try #require(pair.a.session(pair.b))
    pair.a.table.remove(id)
    #expect(pair.a.session(pair.b) == nil)
    #expect(pair.a.seal([1], for: id) == nil)
    try pair.connect()
    let next = try #require(pair.a.session(pair.b))
    #expect(next.slot == id.slot && next != id)
    #expect(pair.a.seal([1], for: id) == nil)
    #expect(!pair.a.contains(id) && pair.a.contains(next))
  }

  @Test func theCipherIsTheOneThatBothHave() throws {
    for (a, b) in [
      (Capabilities.aes256gcm, Capabilities()), ([], .aes256gcm), ([], []), (.aes256gcm, .aes256gcm),
    ] {
      let pair = Pair(
        Side(Fixed.identities[0], capabilities: a, seed: 1),
        Side(Fixed.identities[1], capabilities: b, seed: 2))
      try pair.connect()
      #expect(pair.carriesBothWays())
      let sealing = pair.a.table.session(with: pair.b.key)?.pointee.sealing?.pointee
      let both = Sodium.hasAES && a.contains(.aes256gcm) && b.contains(.aes256gcm)
      #expect(sealing?.cipher == (both ? .aes256gcm : .chacha20poly1305))
      let id = try #require(pair.a.session(pair.b))
      #expect(pair.a.capabilities(of: id) == pair.b.table.capabilities)
    }
  }

  @Test func manySessionsGrowTheTables() throws {
    var random = SecureRandom(seed: [UInt8](repeating: 5, count: 32))
    let hub = Side(Fixed.identities[0], capacity: 200, seed: 1)
    let peers = (0..<60).map { _ in Identity(seed: random.key()) }
    // Identities without a puzzle reach the table only from inside.
    for (number, identity) in peers.enumerated() {
      let generation = Generation(
        peer: identity.publicKey, incarnation: 1, sequence: 1, capabilities: [],
        localIndex: UInt32(number + 1) << 4,
        remoteIndex: 1, cipher: .chacha20poly1305, isInitiator: true, hash: .zero, createdAt: hub.now
      ).allocate(split: (.zero, .zero))
      hub.table.indices.insert(UInt32(number + 1) << 4, generation)
      let established = hub.table.establish(generation, at: hub.now)
      #expect(established != nil)
    }
    #expect(hub.table.count == 60)
    for (number, identity) in peers.enumerated() {
      let handle = hub.table.find(identity.publicKey)
      let id = try #require(handle)
      #expect(hub.peer(id) == identity.publicKey)
      let found = hub.table.indices.find(UInt32(number + 1) << 4)
      #expect(found?.pointee.peer == identity.publicKey)
      if number % 2 == 0 { hub.table.remove(id) }
    }
    for (number, identity) in peers.enumerated() {
      let session = hub.table.find(identity.publicKey)
      let generation = hub.table.indices.find(UInt32(number + 1) << 4)
      #expect((session != nil) == (number % 2 == 1))
      #expect((generation != nil) == (number % 2 == 1))
    }
  }
}
