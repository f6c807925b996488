// What `keygen` prints: 32 random bytes as text that people can copy, and that says when it was copied
// wrongly.
//
// "p2pvpn", then seven groups of eight characters of base32 (RFC 4648, lower case): the 32 bytes and 3 bytes
// of BLAKE2b over them.

import Base

/// The text form of a community's secret.
public enum SecretText {
  private static let prefix = "p2pvpn"
  private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
  private static let secretBytes = 32
  private static let checkBytes = 3
  private static let groupLength = 8

  /// The text of a fresh secret.
  public static func make(_ random: inout SecureRandom) -> String { text(of: random.key().bytes) }

  /// The text of 32 bytes.
  static func text(of secret: [UInt8]) -> String {
    precondition(secret.count == secretBytes)
    var characters: [UInt8] = []
    var pending: UInt32 = 0
    var bits = 0
    for byte in secret + check(secret) {
      pending = pending << 8 | UInt32(byte)
      bits += 8
      while bits >= 5 {
        bits -= 5
        if characters.count % (groupLength + 1) == groupLength { characters.append(UInt8(ascii: "-")) }
        characters.append(alphabet[Int(pending >> UInt32(bits) & 31)])
      }
      pending &= 0xFF
    }
    return prefix + "-" + String(decoding: characters, as: UTF8.self)
  }

  /// The 32 bytes that `text` spells; nil when it is something else, or was copied wrongly. Upper case, white
  /// space around it and missing hyphens do not matter.
  public static func parse(_ text: String) -> [UInt8]? {
    let body = text.lowercased().utf8.filter { $0 > UInt8(ascii: " ") && $0 != UInt8(ascii: "-") }
    guard body.starts(with: prefix.utf8) else { return nil }
    var bytes: [UInt8] = []
    var pending: UInt32 = 0
    var bits = 0
    for character in body.dropFirst(prefix.utf8.count) {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      pending = pending << 5 | UInt32(value)
      bits += 5
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
      }
      pending &= 0xFF
    }
    guard bytes.count == secretBytes + checkBytes, bits == 0 else { return nil }
    let secret = Array(bytes.prefix(secretBytes))
    return check(secret) == Array(bytes.suffix(checkBytes)) ? secret : nil
  }

  private static func check(_ secret: [UInt8]) -> [UInt8] {
    Hash.blake2b(Array("check".utf8), secret, length: checkBytes)
  }
}
