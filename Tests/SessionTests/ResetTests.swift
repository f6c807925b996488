// Goal: a node that lost a session costs its peer one round trip, and nobody else can end a session.
// Method: records to a restarted node; resets are forged, swapped and bounced.

import Base
import Testing

@testable import Session

struct ResetTests {
  /// A connected pair, and the same pair after `b` restarted.
  private func restarted(from initiator: Int = 0) throws -> (Pair, Pair) {
    let pair = Pair()
    try pair.connect(from: initiator == 0 ? pair.a : pair.b)
    return (pair, Pair(pair.a, Side(Fixed.identities[1], incarnation: 200, seed: 9)))
  }

  @Test(arguments: 0..<2) func aRestartedNodeSaysThatItKnowsNothing(initiator: Int) throws {
    let (_, pair) = try restarted(from: initiator)
    let record = try #require(pair.a.seal([1], to: pair.b, space: 1))
    #expect(pair.b.open(record) == .unknownIndex)
    let reset = try #require(pair.b.reset(answering: record))
    #expect(reset.count == 24 && reset.count < record.count)
    let id = try #require(pair.a.session(pair.b))
    #expect(pair.a.receiveReset(reset) == id)
    #expect(pair.a.isEstablished(id))
    try pair.connect()
    #expect(pair.carriesBothWays())
    #expect(pair.a.receiveReset(reset) == nil, "the keys that it spoke of are replaced")
  }

  @Test func withAnUnknownKeyTheHelloBringsTheProof() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiateUnknown()).datagram
    let end = pair.a.handshake(pair.b.handshake(message).reply)
    _ = pair.b.handshake(end.reply)
    try pair.greet(from: pair.a)
    try pair.greet(from: pair.b)
    let again = Pair(pair.a, Side(Fixed.identities[1], incarnation: 200, seed: 9))
    let record = try #require(again.a.seal([1], to: again.b))
    let reset = try #require(again.b.reset(answering: record))
    #expect(again.a.receiveReset(reset) == again.a.session(again.b))
  }

  @Test func nobodyElseCanReset() throws {
    let (_, pair) = try restarted()
    let record = try #require(pair.a.seal([1], to: pair.b, space: 1))
    let stranger = Side(Fixed.identities[2], seed: 5)
    let forged = try #require(stranger.reset(answering: record))
    #expect(pair.a.receiveReset(forged) == nil)
    let reset = try #require(pair.b.reset(answering: record))
    for position in reset.indices {
      for bit in 0..<8 {
        var changed = reset
        changed[position] ^= 1 << UInt8(bit)
        #expect(pair.a.receiveReset(changed) == nil)
      }
    }
    for count in reset.indices { #expect(pair.a.receiveReset(Array(reset.prefix(count))) == nil) }
    #expect(pair.a.receiveReset(reset) != nil)
  }

  @Test func onlyRecordsWithAnUnknownIndexAreAnswered() throws {
    let pair = Pair()
    try pair.connect()
    let known = try #require(pair.a.seal([1], to: pair.b))
    #expect(pair.b.reset(answering: known) == nil)
    let (_, again) = try restarted()
    let record = try #require(again.a.seal([1], to: again.b))
    let reset = try #require(again.b.reset(answering: record))
    #expect(again.a.reset(answering: reset) == nil)
    let message = try #require(again.a.initiate(to: again.b.key))
    #expect(again.b.reset(answering: message) == nil)
    #expect(again.b.reset(answering: Array(record.prefix(31))) == nil)
  }

  @Test func recordsThatOvertakeTheThirdMessageAreNotReset() throws {
    let pair = Pair()
    let message = try #require(pair.a.initiateUnknown()).datagram
    let end = pair.a.handshake(pair.b.handshake(message).reply)
    let record = try #require(pair.a.seal([1], to: pair.b))
    #expect(pair.b.open(record) == .unknownIndex)
    #expect(pair.b.reset(answering: record) == nil)
    #expect(pair.b.handshake(end.reply).result == .awaitingProof)
    guard case .opened = pair.b.open(record) else {
      Issue.record("not opened")
      return
    }
  }
}
