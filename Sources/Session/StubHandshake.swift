// What stands in for Noise under the stub suite.
//
// The messages have the fields of Noise's (`NoiseHandshake.swift`) at the same offsets with the same sizes,
// in clear: ephemeral key, static key with 16 bytes behind it, payload with 16 bytes behind it. The 16 bytes
// are a checksum over all that both sides know by then: overlay name and pre-shared key, the responder's
// static key in IK, and every message so far. So a changed byte, another overlay and a message for somebody
// else are noticed as they are in Noise. The keys of the session follow from the same state.

import Base

/// One side of a stub handshake. A plain value: messages are read on a copy.
struct StubHandshake: BitwiseCopyable {
  let pattern: NoiseHandshake.Pattern
  let isInitiator: Bool
  private let own: Key
  private let ephemeral: Key
  private var state: StubDigest
  private var message = 0
  private(set) var remoteStatic: Key?
  private(set) var payloadHash = Digest.zero

  var hash: Digest { state.value() }
  var isFinished: Bool { message == (pattern == .ik ? 2 : 3) }

  /// - Parameter prologue: the state after what both sides know before the first message.
  init(
    _ pattern: NoiseHandshake.Pattern, isInitiator: Bool, prologue: StubDigest, own: Key, ephemeral: Key,
    remoteStatic: Key? = nil
  ) {
    precondition((remoteStatic != nil) == (pattern == .ik && isInitiator))
    self.pattern = pattern
    self.isInitiator = isInitiator
    self.own = own
    self.ephemeral = ephemeral
    self.remoteStatic = remoteStatic
    state = prologue
    state.absorb(UInt64(pattern.rawValue))
    if pattern == .ik { mix(remoteStatic ?? own) }
  }

  /// See `NoiseHandshake.write`.
  mutating func write(into room: Frame, payload: (Digest) -> [UInt8]) -> Int? {
    var writer = WireWriter(room)
    if hasEphemeral {
      ephemeral.encode(to: &writer)
      mix(ephemeral)
    }
    if hasStatic {
      own.encode(to: &writer)
      mix(own)
      tag.encode(to: &writer)
    }
    message += 1
    payloadHash = hash
    let bytes = payload(payloadHash)
    guard let field = writer.reserve(bytes.count) else { return nil }
    field.write(bytes)
    state.absorb(field)
    tag.encode(to: &writer)
    return writer.overflowed ? nil : writer.count
  }

  /// See `NoiseHandshake.read`.
  mutating func read(_ frame: Frame) -> Frame? {
    var reader = WireReader(frame)
    if hasEphemeral {
      guard let key = try? Key(from: &reader) else { return nil }
      mix(key)
    }
    if hasStatic {
      guard let key = try? Key(from: &reader) else { return nil }
      mix(key)
      guard let sent = try? Token(from: &reader), sent == tag else { return nil }
      remoteStatic = key
    }
    message += 1
    payloadHash = hash
    guard reader.remaining >= Token.byteCount,
      let text = try? reader.take(reader.remaining - Token.byteCount)
    else { return nil }
    state.absorb(text)
    guard let sent = try? Token(from: &reader), sent == tag else { return nil }
    return text
  }

  /// See `NoiseHandshake.split`.
  func split() -> (send: Key, receive: Key) {
    precondition(isFinished)
    var (forth, back) = (state, state)
    forth.absorb(1)
    back.absorb(2)
    return isInitiator ? (forth.value(), back.value()) : (back.value(), forth.value())
  }

  /// The message that comes next begins with an ephemeral key: all but the third.
  private var hasEphemeral: Bool { message < 2 }

  /// The message that comes next has a static key: the first of IK, the second and third of XX.
  private var hasStatic: Bool { (pattern == .ik) == (message == 0) }

  private var tag: Token { state.value() }

  private mutating func mix(_ key: Key) { key.reading { state.absorb($0) } }
}
