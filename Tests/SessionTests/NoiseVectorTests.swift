// Goal: the handshakes are Noise, byte for byte, and so are the keys that come out of them. Method: the
// vectors of Cacophony (github.com/centromere/cacophony), as snow carries them in
// tests/vectors/cacophony.txt: both sides are given the published static and ephemeral secrets, write the
// published payloads and must produce the published messages. The messages after the handshake are sealed
// with the split keys. (Each ciphertext depends on the hash of everything before it; the field
// `handshake_hash` of that file is not the hash of Noise §5.2 and is not used.)

import Base
import Testing

@testable import Session

struct NoiseVectorTests {
  struct Vector: Sendable, CustomTestStringConvertible {
    let pattern: NoiseHandshake.Pattern
    /// Ciphertexts, the payloads being `payloads`.
    let messages: [String]

    var testDescription: String { pattern.name }
  }

  static let prologue = "4a6f686e2047616c74"
  static let psk = "54686973206973206d7920417573747269616e20706572737065637469766521"
  static let initiatorStatic = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"
  static let initiatorEphemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
  static let responderStatic = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"
  static let responderEphemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
  static let responderPublic = "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"

  static let payloads = [
    "4c756477696720766f6e204d69736573", "4d757272617920526f746862617264", "462e20412e20486179656b",
    "4361726c204d656e676572", "4a65616e2d426170746973746520536179",
    "457567656e2042f6686d20766f6e2042617765726b",
  ]

  static let vectors = [
    Vector(
      pattern: .ik,
      messages: [
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
          + "b6fe0240b839afac809de1630eaf99d8f9b941394f0512c0554633bbb021d151"
          + "76135c0a20e7fdb9a9ed066f22f054b47625b1d5061cb27d6a17f053273db7c2"
          + "5216a5addc506ee321bc0618feb5849d",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
          + "8f627e69fc120006f746b9d420bf4056cf8481ab32d9e904ffaeeaa56a5290",
        "07fc0034398a5f1010322be193d62f94bebf2948a20b3e15d681fe",
        "2ea5400f5b8a16971c8b67bde75aeb7987d454b1c0beeb2566932d",
        "96eef918ef51639fc0e156da1823c4f71b33fac5af983f5da9384f7da20d86ed91",
        "f02766a56496e1fbf32e05274baebf6d693c8f3e4c6e0dc7ebdc5ac170f15dae433b92f469",
      ]),
    Vector(
      pattern: .xx,
      messages: [
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
          + "0aa831d1e3bbd16bd7ffda87e9f7b6eeca2510006499a573ac27af3392ed1b69",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
          + "81a78489d56c9e2ac962826f25684980b25244dbfd505b7d903a94d4f4fd8400"
          + "4a1c7fbe94d686bc4c1f67259364f6f2a41cb40bf5198b9b3975be2cdd49d3e0"
          + "65a554e12c477d82029fabc6555bc1",
        "291dfeff6eff386e29adb0bdbd5a1ae9e09de4449c8695d109adcb63e80e4895"
          + "55792a3e9150eff75d6d45571f824ed231173cb66e31e7da914241f86d0cbb67"
          + "8335ffe768a7445d2f5bc1",
        "6579dd60eb5e6a8b29dd60004289f5d3c2f69fcdbf683a869f59a8",
        "24715fd39c3c7606e81b26e69e47b54d043d9d87c512f9417bae51ab48ebb17722",
        "e49194a013d873712318643acbf0e3851086326bb168c500a766439ff543a7a1e2deb3215c",
      ]),
  ]

  @Test(arguments: vectors) func messagesAndKeysAreThePublishedOnes(vector: Vector) throws {
    var initiator = try side(vector.pattern, isInitiator: true)
    var responder = try side(vector.pattern, isInitiator: false)
    let room = Scratch(capacity: 512)
    var number = 0
    while !initiator.isFinished {
      let payload = try #require(Hex.bytes(Self.payloads[number]))
      let fromInitiator = number % 2 == 0
      let length = try #require(
        fromInitiator
          ? initiator.write(into: room.frame, payload: { _ in payload })
          : responder.write(into: room.frame, payload: { _ in payload }))
      let message = room.frame.prefix(length)
      #expect(Hex.string(message.bytes) == vector.messages[number])
      let read = fromInitiator ? responder.read(message) : initiator.read(message)
      #expect(read?.bytes == payload)
      number += 1
    }
    #expect(responder.isFinished)
    #expect(responder.hash == initiator.hash)
    #expect(initiator.payloadHash == responder.payloadHash)
    try checkTransport(vector, from: number, initiator.split(), responder.split())
  }

  /// The messages behind the handshake alternate, each direction counting its own.
  private func checkTransport(
    _ vector: Vector, from first: Int, _ initiator: (send: Key, receive: Key),
    _ responder: (send: Key, receive: Key)
  ) throws {
    #expect(initiator.send == responder.receive)
    #expect(initiator.receive == responder.send)
    var counters: [UInt64] = [0, 0]
    for number in first..<Self.payloads.count {
      let key = number % 2 == 0 ? initiator.send : responder.send
      let payload = try #require(Hex.bytes(Self.payloads[number]))
      let room = Scratch(capacity: payload.count + 16)
      room.frame.write(payload)
      key.reading {
        Cipher.chacha20poly1305.seal(
          room.frame.base, length: payload.count, tag: room.frame.dropping(payload.count).base,
          associated: room.frame.base, associatedLength: 0, counter: counters[number % 2], state: $0.base)
      }
      counters[number % 2] += 1
      #expect(Hex.string(room.frame.bytes) == vector.messages[number])
    }
  }

  @Test(arguments: vectors) func aChangedByteInAnyMessageIsNoticed(vector: Vector) throws {
    let first = try #require(Hex.bytes(vector.messages[0]))
    for position in first.indices {
      var responder = try side(vector.pattern, isInitiator: false)
      var changed = first
      changed[position] ^= 1
      let payload = changed.reading { responder.read($0)?.bytes }
      #expect(payload == nil, "byte \(position)")
    }
  }

  private func side(_ pattern: NoiseHandshake.Pattern, isInitiator: Bool) throws -> NoiseHandshake {
    NoiseHandshake(
      pattern, isInitiator: isInitiator, prologue: try #require(Hex.bytes(Self.prologue)),
      psk: try #require(Key(hex: Self.psk)),
      own: KeyPair(secret: try #require(Key(hex: isInitiator ? Self.initiatorStatic : Self.responderStatic))),
      ephemeral: KeyPair(
        secret: try #require(Key(hex: isInitiator ? Self.initiatorEphemeral : Self.responderEphemeral))),
      remoteStatic: pattern == .ik && isInitiator ? Key(hex: Self.responderPublic) : nil)
  }
}
