// The envelope of handshake messages, and the check that everybody can make before any cryptography that
// costs.
//
//  offset  size  field
//       0     1  kind            1 init, 2 response
//       1     3  receiver        the index that the receiver chose; zero in an init
//       4     1  pattern         0 IK, 1 XX, 2 the third message of XX (kind 1, with a receiver)
//       5     3  sender          the index that the sender chose
//       8   248  Noise message
//     256    16  mac1            of everything before it
//     272    16  mac2            zero
//
// All are equally long, so nobody who names a false source address gets more bytes sent there than he sends.
// A wrong mac1 is met with silence: who does not know the overlay's name (and its pre-shared key, if it has
// one, and the responder's key in IK) cannot find out that there is a node.

import Base

/// The clear parts of a handshake datagram.
struct HandshakeHeader: Equatable, BitwiseCopyable {
  enum Pattern: UInt8 {
    case ik = 0
    case xx = 1
    case xxFinal = 2
  }

  static let initKind: UInt8 = 1
  static let responseKind: UInt8 = 2

  static let byteCount = 8
  static let datagramBytes = 288
  static let macBytes = 16
  static let messageBytes = datagramBytes - byteCount - 2 * macBytes

  var kind: UInt8
  var receiver: UInt32
  var pattern: Pattern
  var sender: UInt32

  init(kind: UInt8, receiver: UInt32, pattern: Pattern, sender: UInt32) {
    self.kind = kind
    self.receiver = receiver
    self.pattern = pattern
    self.sender = sender
  }

  /// The header of `datagram`; nil when it is not one of a handshake.
  init?(_ datagram: Frame) {
    guard datagram.count == Self.datagramBytes, let pattern = Pattern(rawValue: datagram[4]) else {
      return nil
    }
    kind = datagram[0]
    receiver = datagram.big(0, as: UInt32.self) & 0xFF_FFFF
    sender = datagram.big(4, as: UInt32.self) & 0xFF_FFFF
    self.pattern = pattern
    guard sender != 0, datagram.dropping(Self.datagramBytes - Self.macBytes).isZero else { return nil }
    switch (kind, pattern) {
    case (Self.initKind, .ik), (Self.initKind, .xx): guard receiver == 0 else { return nil }
    case (Self.initKind, .xxFinal), (Self.responseKind, .ik), (Self.responseKind, .xx):
      guard receiver != 0 else { return nil }
    default: return nil
    }
  }

  func write(to datagram: Frame) {
    datagram.setBig(0, UInt32(kind) << 24 | receiver)
    datagram.setBig(4, UInt32(pattern.rawValue) << 24 | sender)
  }

  /// Where the Noise message stands.
  static func message(_ datagram: Frame) -> Frame { datagram.slice(byteCount, messageBytes) }

  static func mac1(_ datagram: Frame) -> Frame { datagram.slice(datagramBytes - 2 * macBytes, macBytes) }

  static func authenticated(_ datagram: Frame) -> Frame { datagram.prefix(datagramBytes - 2 * macBytes) }
}

/// The names that every member of an overlay knows.
struct OverlayName: Sendable {
  let suite: Suite
  let name: [UInt8]
  let psk: Key
  /// Under the stub suite: what version, name and pre-shared key come to.
  private let stubState: StubDigest

  init(name: [UInt8], psk: Key, suite: Suite) {
    self.suite = suite
    self.name = name
    self.psk = psk
    var digest = StubDigest(.handshake)
    name.reading { digest.absorb($0) }
    psk.reading { digest.absorb($0) }
    stubState = digest
  }

  /// What both sides mix in before the first message. The initiator's ID is zero: the responder does not know
  /// it yet.
  func prologue(responder: OverlayID) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 2 * OverlayID.byteCount)
    bytes.withUnsafeMutableBytes {
      responder.write(to: Frame(base: $0.baseAddress!, count: $0.count).dropping(OverlayID.byteCount))
    }
    return Array("p2pvpn/1".utf8) + name + bytes
  }

  /// The same for a stub handshake.
  func stubPrologue(responder: OverlayID) -> StubDigest {
    var digest = stubState
    digest.absorb(responder.high, responder.middle)
    digest.absorb(UInt64(responder.low))
    return digest
  }

  /// The key of mac1.
  /// - Parameter responder: its X25519 key; nil in XX.
  func macKey(responder: Key?) -> Key {
    suite.labelled("mac1", key: nil, capacity: 128 + name.count) { input in
      input.part(name)
      input.part(psk)
      if let responder { input.part(responder) }
    }
  }

  func mac1(_ key: Key, of datagram: Frame) -> Token {
    suite.digest(HandshakeHeader.authenticated(datagram), key: key)
  }
}
