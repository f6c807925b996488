// Goal: every message has one encoding, and no bytes make a decoder trap or accept what it should not.
// Method: round trip, every truncation, a trailing byte, every flipped bit.

import Base
import Testing

@testable import Session

struct CodecTests {
  private func token(_ byte: UInt8) -> Token { Token(bytes: [UInt8](repeating: byte, count: 16))! }

  private var tokens: TokenList {
    var list = TokenList()
    for i in 0..<TokenList.count { list[i] = token(UInt8(i + 1)) }
    return list
  }

  private var hello: Hello { Hello(resetToken: token(0xAA), remembered: 77, tokens: tokens) }

  /// - Parameter size: of the encoding.
  private func walk<Message: WireCodable & Equatable>(_ message: Message, size: Int) {
    let bytes = message.encoded
    #expect(bytes.count == size)
    #expect(Message(decoded: bytes) == message)
    #expect(Message(decoded: bytes + [1]) == nil)
    for count in bytes.indices {
      #expect(Message(decoded: Array(bytes.prefix(count))) == nil, "\(count) bytes")
    }
    for position in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[position] ^= 1 << UInt8(bit)
        if let other = Message(decoded: changed) {
          #expect(other != message)
          #expect(other.encoded == changed)
        }
      }
    }
    let small = Scratch(capacity: size)
    #expect(message.encode(into: small.frame.prefix(size - 1)) == nil)
  }

  @Test func fixedBytes() {
    walk(Key(bytes: (0..<32).map { UInt8($0) })!, size: 32)
    walk(PublicKey(bytes: (0..<32).map { UInt8($0) })!, size: 32)
    walk(Signature(bytes: (0..<64).map { UInt8($0) })!, size: 64)
    walk(token(3), size: 16)
  }

  @Test func knocking() {
    walk(tokens, size: 128)
    walk(hello, size: Hello.byteCount)
    walk(Capabilities(rawValue: 0x8000_0003), size: 4)
  }

  @Test func payloadsEndWithZeros() {
    let key = Fixed.identities[0].publicKey
    let initiator = InitiatorPayload(
      key: key, incarnation: 1, sequence: 2, previous: 0x123456, capabilities: [.aes256gcm, .seed])
    let responder = ResponderPayload(key: key, incarnation: 5, capabilities: .seed)
    let knocking = KnockingPayload(responder: responder, hello: hello)
    padding(initiator, size: 56, room: PayloadBytes.ik1)
    padding(initiator, size: 56, room: PayloadBytes.xx3)
    padding(responder, size: 44, room: PayloadBytes.xx2)
    padding(knocking, size: 196, room: PayloadBytes.ik2)
  }

  private func padding<Message: WireCodable & Equatable>(_ message: Message, size: Int, room: Int) {
    walk(message, padded: size)
    let padded = message.padded(to: room)
    #expect(padded.count == room && Message(decoded: padded) == message)
    for position in size..<room {
      var changed = padded
      changed[position] = 1
      #expect(Message(decoded: changed) == nil)
    }
  }

  /// As `walk`, for a message that allows zeros behind it.
  private func walk<Message: WireCodable & Equatable>(_ message: Message, padded size: Int) {
    let bytes = message.encoded
    #expect(bytes.count == size)
    #expect(Message(decoded: bytes) == message)
    for count in bytes.indices { #expect(Message(decoded: Array(bytes.prefix(count))) == nil) }
    for position in bytes.indices {
      var changed = bytes
      changed[position] ^= 0x20
      #expect(Message(decoded: changed) != message)
    }
  }

  @Test func handshakeHeaders() {
    let room = Scratch(capacity: HandshakeHeader.datagramBytes)
    let valid = [
      HandshakeHeader(kind: 1, receiver: 0, pattern: .ik, sender: 0x10),
      HandshakeHeader(kind: 1, receiver: 0, pattern: .xx, sender: 0xFF_FFF0),
      HandshakeHeader(kind: 1, receiver: 0x20, pattern: .xxFinal, sender: 0x10),
      HandshakeHeader(kind: 2, receiver: 0x20, pattern: .ik, sender: 0x10),
      HandshakeHeader(kind: 2, receiver: 0x20, pattern: .xx, sender: 0x10),
    ]
    for header in valid {
      header.write(to: room.frame)
      #expect(HandshakeHeader(room.frame) == header)
      #expect(HandshakeHeader(room.frame.dropping(1)) == nil)
    }
    let invalid = [
      HandshakeHeader(kind: 1, receiver: 0x20, pattern: .ik, sender: 0x10),
      HandshakeHeader(kind: 1, receiver: 0, pattern: .xxFinal, sender: 0x10),
      HandshakeHeader(kind: 2, receiver: 0, pattern: .ik, sender: 0x10),
      HandshakeHeader(kind: 2, receiver: 0x20, pattern: .xxFinal, sender: 0x10),
      HandshakeHeader(kind: 1, receiver: 0, pattern: .ik, sender: 0),
      HandshakeHeader(kind: 4, receiver: 0, pattern: .ik, sender: 0x10),
    ]
    for header in invalid {
      header.write(to: room.frame)
      #expect(HandshakeHeader(room.frame) == nil)
    }
    valid[0].write(to: room.frame)
    room.frame[HandshakeHeader.datagramBytes - 1] = 1
    #expect(HandshakeHeader(room.frame) == nil, "mac2 is zero")
  }
}
