// How hard a secret is to guess, roughly, so that `join` can warn of a weak one.
//
// Nothing tells a random passphrase from a bad one for certain. The estimate errs on the low side: a letter
// behind a letter counts like a letter of a word (2.5 bits), a character that repeats or continues the one
// before it counts one bit, any other counts by the size of its class.

extension Community {
  /// Callers warn below this many bits.
  public static let secretStrengthAdvised = 60

  /// Estimated bits that somebody who guesses must search; 256 for what `SecretText` or 32 random bytes say.
  public static func secretStrength(_ secret: [UInt8]) -> Int {
    if secret.count == Key.byteCount, secret.contains(where: { !(32...126).contains($0) }) { return 256 }
    if SecretText.parse(String(decoding: secret, as: UTF8.self)) != nil { return 256 }
    var tenths = 0
    var previous: UInt8?
    for character in secret {
      tenths += bitsInTenths(of: character, behind: previous)
      previous = character
    }
    return tenths / 10
  }

  private static func bitsInTenths(of character: UInt8, behind previous: UInt8?) -> Int {
    if let previous, character &- previous <= 1 || previous &- character <= 1 { return 10 }
    switch character {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
      return previous.map(isLetter) == true ? 25 : 47
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return 33
    case UInt8(ascii: " "): return 10
    default: return 50
    }
  }

  private static func isLetter(_ character: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(character | 0x20)
  }
}
