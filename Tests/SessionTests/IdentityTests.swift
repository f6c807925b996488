// Goal: an identity is its key, and only keys that cost something stand on the ring.

import Base
import Testing

@testable import Session

struct IdentityTests {
  @Test func generatedIdentitiesSolveThePuzzle() {
    var random = SecureRandom(seed: [UInt8](repeating: 1, count: 32))
    let identity = Identity.generate(&random)
    #expect(identity.publicKey.solvesPuzzle)
    let digest = Hash.blake2b(Array("puzzle".utf8), identity.publicKey.bytes, length: 32)
    #expect(digest[0] == 0 && digest[1] < 16)
    #expect(Identity(seed: identity.seed).publicKey == identity.publicKey)
  }

  @Test func theIDIsTheHashOfTheKey() {
    let identity = Fixed.identities[0]
    #expect(identity.id == Hash.blake2b160(identity.publicKey.bytes))
    #expect(identity.publicKey.id == identity.id)
  }

  @Test func theSignBitMakesAnotherIDWithTheSameExchangeKey() throws {
    let key = Fixed.identities[0].publicKey
    var bytes = key.bytes
    bytes[31] ^= 0x80
    let twin = try #require(PublicKey(bytes: bytes))
    #expect(twin.x25519 == key.x25519 && key.x25519 == Fixed.identities[0].exchange.publicKey)
    #expect(twin.id != key.id && twin != key)
  }

  @Test func pointsOfSmallOrderAreNoKeys() {
    #expect(!PublicKey.zero.isValidPoint)
    #expect(!PublicKey(bytes: [1] + [UInt8](repeating: 0, count: 31))!.isValidPoint)
    #expect(!PublicKey(bytes: [UInt8](repeating: 0xFF, count: 32))!.isValidPoint)
    for identity in Fixed.identities { #expect(identity.publicKey.isValidPoint) }
  }

  @Test func textIsHexadecimal() {
    let key = Fixed.identities[0].publicKey
    #expect(PublicKey(key.description) == key)
    #expect(key.description.utf8.count == 64)
    #expect(PublicKey(String(key.description.dropLast())) == nil)
    #expect(PublicKey(key.description + "0") == nil)
    #expect(PublicKey("") == nil)
  }

  @Test func orderIsThatOfTheText() {
    let keys = Fixed.identities.map(\.publicKey)
    for (a, b) in zip(keys, keys.dropFirst()) { #expect(a.description < b.description) }
  }

  @Test func signaturesAreBoundToKeyAndMessage() {
    let identity = Fixed.identities[0]
    let signature = identity.signing.sign([1, 2, 3])
    #expect(identity.publicKey.verifies(signature, of: [1, 2, 3]))
    #expect(!identity.publicKey.verifies(signature, of: [1, 2]))
    #expect(!Fixed.identities[1].publicKey.verifies(signature, of: [1, 2, 3]))
    #expect(!identity.publicKey.verifies(.zero, of: [1, 2, 3]))
    #expect(identity.publicKey.verifies(identity.signing.sign([UInt8]()), of: [UInt8]()))
  }
}

struct SecureRandomTests {
  @Test func oneSeedGivesOneStream() {
    var a = SecureRandom(seed: [UInt8](repeating: 1, count: 32))
    var b = SecureRandom(seed: [UInt8](repeating: 1, count: 32))
    var c = SecureRandom(seed: [UInt8](repeating: 2, count: 32))
    var seen = Set<UInt64>()
    for _ in 0..<1_000 {
      let value = a.next()
      #expect(value == b.next() && value != c.next())
      seen.insert(value)
    }
    #expect(seen.count == 1_000)
    #expect(a.key() == b.key() && a.key() != a.key())
  }

  @Test func framesOfAnySizeAreFilled() {
    var random = SecureRandom(seed: [UInt8](repeating: 1, count: 32))
    for length in [0, 1, 31, 64, 65, 4_000] {
      let room = Scratch(capacity: length + 8)
      random.fill(room.frame.prefix(length))
      #expect(room.frame.dropping(length).isZero)
      #expect(length < 31 || Set(room.frame.prefix(length).bytes).count > 16)
    }
  }
}
