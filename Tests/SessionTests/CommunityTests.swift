// Goal: a community is its name and its secret; nothing that leaves a member tells them, and members agree on
// all keys.

import Base
import Testing

@testable import Session

struct CommunityTests {
  private let secret = [UInt8](repeating: 0x81, count: 32)

  @Test func anOpenCommunityIsItsName() {
    let park = Community.open("park")
    #expect(park.isOpen)
    #expect(Community.open("park").directoryKey == park.directoryKey)
    #expect(Community.open("Park").directoryKey != park.directoryKey)
    #expect(Community(name: "park", directoryKey: park.directoryKey).isOpen)
    #expect(!Community.shared(name: "park", secret: secret).isOpen)
  }

  @Test func aSharedCommunityIsItsNameAndItsSecret() {
    let home = Community.shared(name: "home", secret: secret)
    #expect(Community.shared(name: "home", secret: secret).directoryKey == home.directoryKey)
    #expect(Community.shared(name: "work", secret: secret).directoryKey != home.directoryKey)
    #expect(
      Community.shared(name: "home", secret: [UInt8](repeating: 0x82, count: 32)).directoryKey
        != home.directoryKey)
    let text = SecretText.text(of: secret)
    #expect(
      Community.shared(name: "home", secret: Array((text + "\n").utf8)).directoryKey == home.directoryKey)
  }

  @Test func aPassphraseIsStretched() {
    let phrase = Community.shared(name: "home", secret: Array("correct horse battery staple".utf8))
    #expect(
      phrase.directoryKey
        == Community.shared(name: "home", secret: Array("correct horse battery staple".utf8)).directoryKey)
    // 32 letters are no random bytes: used directly they would be guessed without the cost.
    let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 32)
    let direct = Hash.key("shared", key: Key(bytes: letters)!, parts: [Array("home".utf8)])
    #expect(Community.shared(name: "home", secret: letters).directoryKey != direct)
  }

  @Test func keysOfOneCommunityDiffer() {
    let home = Community.shared(name: "home", secret: secret)
    let keys = [home.directoryKey, home.knockKey, home.sealKey]
    #expect(Set(keys).count == 3)
    let records = [
      home.recordKey(kind: 1, name: [1]), home.recordKey(kind: 1, name: [2]),
      home.recordKey(kind: 2, name: [1]),
      Community.open("home").recordKey(kind: 1, name: [1]), home.ownerKey(of: Fixed.identities[0]),
      home.ownerKey(of: Fixed.identities[1]), Community.open("home").ownerKey(of: Fixed.identities[0]),
    ]
    #expect(Set(records.map(\.publicKey)).count == records.count)
    let signature = records[0].sign([1, 2, 3])
    #expect(home.recordKey(kind: 1, name: [1]).publicKey.verifies(signature, of: [1, 2, 3]))
  }

  @Test func addressesFollowFromTheCommunityAndTheID() throws {
    let home = Community.shared(name: "home", secret: secret)
    let prefix = home.ulaPrefix
    #expect(prefix.length == 48 && prefix.address.high >> 56 == 0xFD && prefix.network == prefix)
    #expect(Community.open("home").ulaPrefix != prefix)
    let id = OverlayID(high: 0x0011_2233_4455_6677, middle: 0x8899_AABB_CCDD_EEFF, low: 0x0123_4567)
    let address = home.ula(of: id)
    #expect(prefix.contains(address))
    #expect(address.high & 0xFFFF == 0x0011)
    #expect(address.low == 0x2233_4455_6677_8899)
  }

  @Test func weakSecretsAreSeen() {
    func bits(_ text: String) -> Int { Community.secretStrength(Array(text.utf8)) }
    let advised = Community.secretStrengthAdvised
    #expect(bits("") == 0)
    #expect(bits("password") < 30)
    #expect(bits("aaaaaaaaaaaaaaaaaaaaaaaa") < advised)
    #expect(bits("1234567890123456") < advised)
    #expect(bits("correct horse battery staple") >= advised)
    #expect(bits("T7#q!9zR_2w@Lx5%") >= advised)
    #expect(Community.secretStrength(secret) == 256)
    #expect(bits(SecretText.text(of: secret)) == 256)
  }
}

struct SecretTextTests {
  @Test func whatIsPrintedIsRead() {
    var random = SecureRandom(seed: [UInt8](repeating: 3, count: 32))
    for _ in 0..<100 {
      let secret = random.key().bytes
      let text = SecretText.text(of: secret)
      #expect(text.hasPrefix("p2pvpn-") && text.utf8.count == 6 + 7 * 9)
      #expect(SecretText.parse(text) == secret)
      #expect(SecretText.parse("  " + text.uppercased() + "\n") == secret)
      #expect(SecretText.parse(String(text.filter { $0 != "-" })) == secret)
    }
    #expect(SecretText.make(&random) != SecretText.make(&random))
  }

  @Test func miscopiedTextIsNoSecret() {
    let text = Array(SecretText.text(of: (0..<32).map { UInt8($0) }).utf8)
    for position in text.indices where text[position] != UInt8(ascii: "-") {
      var changed = text
      changed[position] = changed[position] == UInt8(ascii: "a") ? UInt8(ascii: "b") : UInt8(ascii: "a")
      #expect(SecretText.parse(String(decoding: changed, as: UTF8.self)) == nil)
      var shorter = text
      shorter.remove(at: position)
      #expect(SecretText.parse(String(decoding: shorter, as: UTF8.self)) == nil)
    }
    #expect(SecretText.parse("") == nil)
    #expect(SecretText.parse("p2pvpn") == nil)
    #expect(SecretText.parse("a passphrase") == nil)
  }
}

struct SealedBodyTests {
  private var random = SecureRandom(seed: [UInt8](repeating: 4, count: 32))
  private let key = Key(bytes: [UInt8](repeating: 6, count: 32))!

  private func open(_ sealed: [UInt8], _ key: Key, _ associated: [UInt8]) -> [UInt8]? {
    sealed.reading { SealedBody.open($0, key: key, associated: associated) }
  }

  @Test mutating func whatIsSealedOpens() {
    for length in [0, 1, 15, 16, 17, 500] {
      let plain = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
      let sealed = SealedBody.seal(plain, key: key, associated: [1], &random)
      #expect(sealed.count == length + SealedBody.overhead)
      #expect(open(sealed, key, [1]) == plain)
      #expect(SealedBody.seal(plain, key: key, associated: [1], &random) != sealed)
    }
  }

  @Test mutating func anythingElseDoesNot() {
    let sealed = SealedBody.seal([1, 2, 3], key: key, associated: [1], &random)
    #expect(open(sealed, Key(bytes: [UInt8](repeating: 7, count: 32))!, [1]) == nil)
    #expect(open(sealed, key, [2]) == nil)
    #expect(open(sealed, key, []) == nil)
    for position in sealed.indices {
      var changed = sealed
      changed[position] ^= 1
      #expect(open(changed, key, [1]) == nil)
      #expect(open(Array(sealed.prefix(position)), key, [1]) == nil)
    }
  }
}
