// A handshake under way, of whichever suite the identity has: Noise, or its stub.
//
// Both speak in the same messages; who uses this type sees no difference.

import Base

/// One side of a handshake. A plain value: messages are read on a copy.
enum Handshake: BitwiseCopyable {
  case noise(NoiseHandshake)
  case stub(StubHandshake)

  /// - Parameters:
  ///   - responder: the overlay ID that both sides know before the first message; zero in XX.
  ///   - remoteStatic: the responder's key, given to an initiator of IK only.
  init(
    _ pattern: NoiseHandshake.Pattern, isInitiator: Bool, overlay: OverlayName, responder: OverlayID,
    own: KeyPair, ephemeral: KeyPair, remoteStatic: Key? = nil
  ) {
    switch overlay.suite {
    case .real:
      self = .noise(
        NoiseHandshake(
          pattern, isInitiator: isInitiator, prologue: overlay.prologue(responder: responder),
          psk: overlay.psk, own: own, ephemeral: ephemeral, remoteStatic: remoteStatic))
    case .stub:
      self = .stub(
        StubHandshake(
          pattern, isInitiator: isInitiator, prologue: overlay.stubPrologue(responder: responder),
          own: own.publicKey, ephemeral: ephemeral.publicKey, remoteStatic: remoteStatic))
    }
  }

  var pattern: NoiseHandshake.Pattern {
    switch self {
    case .noise(let noise): noise.pattern
    case .stub(let stub): stub.pattern
    }
  }

  /// The other side's static key, as soon as it is known.
  var remoteStatic: Key? {
    switch self {
    case .noise(let noise): noise.remoteStatic
    case .stub(let stub): stub.remoteStatic
    }
  }

  /// The handshake hash as it stood before the payload of the last message.
  var payloadHash: Digest {
    switch self {
    case .noise(let noise): noise.payloadHash
    case .stub(let stub): stub.payloadHash
    }
  }

  /// The handshake hash after the messages so far.
  var hash: Digest {
    switch self {
    case .noise(let noise): noise.hash
    case .stub(let stub): stub.hash
    }
  }

  /// Writes this side's next message to the beginning of `room`.
  /// - Parameter payload: gets the handshake hash before the payload, answers the payload.
  /// - Returns: the length in bytes; nil when a Diffie–Hellman result is all zeros.
  mutating func write(into room: Frame, payload: (Digest) -> [UInt8]) -> Int? {
    switch self {
    case .noise(var noise):
      defer { self = .noise(noise) }
      return noise.write(into: room, payload: payload)
    case .stub(var stub):
      defer { self = .stub(stub) }
      return stub.write(into: room, payload: payload)
    }
  }

  /// Reads the other side's next message and decrypts it in place.
  /// - Returns: the payload in place; nil when it is not that message (then this value is of no further use).
  mutating func read(_ frame: Frame) -> Frame? {
    switch self {
    case .noise(var noise):
      defer { self = .noise(noise) }
      return noise.read(frame)
    case .stub(var stub):
      defer { self = .stub(stub) }
      return stub.read(frame)
    }
  }

  /// The transport keys: what this side sends with, and what it receives with.
  func split() -> (send: Key, receive: Key) {
    switch self {
    case .noise(let noise): noise.split()
    case .stub(let stub): stub.split()
    }
  }
}
