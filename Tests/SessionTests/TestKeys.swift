// Hexadecimal literals and fixed identities for tests.

import Base

@testable import Session

extension FixedBytes {
  /// The value that hexadecimal digits spell.
  init?(hex: String) {
    guard let bytes = Hex.bytes(hex) else { return nil }
    self.init(bytes: bytes)
  }
}

extension WireCodable {
  /// The encoding, for tests.
  var encoded: [UInt8] {
    let room = Scratch(capacity: 2_048)
    return encode(into: room.frame).map { room.frame.prefix($0).bytes } ?? []
  }

  init?(decoded bytes: [UInt8]) {
    let room = Scratch(capacity: bytes.count)
    room.frame.write(bytes)
    guard let value = try? Self(decoding: room.frame) else { return nil }
    self = value
  }
}
