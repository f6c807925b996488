// Goal: the primitives are the ones that the standards describe, reached with the right arguments.
// Method: each test replays vectors published by the source that it names.

import Base
import CSodium
import Testing

@testable import Session

struct PublishedVectorTests {
  @Test func blake2bOfRFC7693() {
    let digest = Hash.blake2b(Array("abc".utf8), length: 64)
    #expect(
      Hex.string(digest)
        == "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
        + "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")
  }

  @Test func x25519OfRFC7748() throws {
    let scalar = try #require(Key(hex: "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"))
    let point = try #require(Key(hex: "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
    let shared = KeyPair(secret: scalar).shared(with: point)
    #expect(shared == Key(hex: "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"))
  }

  @Test func x25519WithAPointOfSmallOrderIsRefused() throws {
    let pair = KeyPair(secret: try #require(Key(hex: String(repeating: "a5", count: 32))))
    #expect(pair.shared(with: .zero) == nil)
    #expect(pair.shared(with: Key(bytes: [1] + [UInt8](repeating: 0, count: 31))!) == nil)
  }

  /// RFC 8032 §7.1, tests 1 and 2: seed, public key, message, signature.
  @Test(arguments: [
    (
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        + "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ),
    (
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
        + "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ),
  ])
  func ed25519OfRFC8032(seed: String, key: String, message: String, expected: String) throws {
    let signing = SigningKey(seed: try #require(Key(hex: seed)))
    #expect(signing.publicKey.description == key)
    let bytes = try #require(Hex.bytes(message))
    let signature = signing.sign(bytes)
    #expect(Hex.string(signature.bytes) == expected)
    #expect(signing.publicKey.verifies(signature, of: bytes))
    #expect(!signing.publicKey.verifies(signature, of: bytes + [0]))
  }

  @Test func chaCha20Poly1305OfRFC8439AppendixA5() throws {
    let text = Array(
      ("Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, "
        + "or obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as "
        + "reference material or to cite them other than as /\u{201C}work in progress./\u{201D}").utf8)
    let sealed = try seal(
      .chacha20poly1305, key: "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
      counter: 0x0807_0605_0403_0201, associated: "f33388860000000000004e91", text: text)
    #expect(
      Hex.string(sealed)
        == "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"
        + "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
        + "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
        + "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
        + "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
        + "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38")
  }

  /// McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13 and 14.
  @Test(
    .enabled(if: Sodium.hasAES),
    arguments: [
      ("", "530f8afbc74536b9a963b4f1c4cb738b"),
      (
        "00000000000000000000000000000000",
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
      ),
    ])
  func aes256GCMOfMcGrewAndViega(text: String, expected: String) throws {
    let ciphers: [Cipher] =
      BulkAEAD.best(.automatic) == .ipsecMB ? [.aes256gcm, .aes256gcmIPSecMB] : [.aes256gcm]
    for cipher in ciphers {
      let sealed = try seal(
        cipher, key: String(repeating: "0", count: 64), counter: 0, associated: "",
        text: try #require(Hex.bytes(text)))
      #expect(Hex.string(sealed) == expected)
    }
  }

  @Test func xChaCha20Poly1305OfTheDraft() throws {
    Sodium.start()
    let text = Array(
      ("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        + "sunscreen would be it.").utf8)
    let associated = try #require(Hex.bytes("50515253c0c1c2c3c4c5c6c7"))
    let key = (0..<32).map { UInt8(0x80 + $0) }
    let nonce = (0..<24).map { UInt8(0x40 + $0) }
    var sealed = [UInt8](repeating: 0, count: text.count + 16)
    let status = crypto_aead_xchacha20poly1305_ietf_encrypt(
      &sealed, nil, text, UInt64(text.count), associated, UInt64(associated.count), nil, nonce, key)
    #expect(status == 0)
    #expect(
      Hex.string(sealed)
        == "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        + "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        + "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49")
  }

  /// Expected values: Python's `hmac` module with `hashlib.blake2b`, key and message as below.
  @Test func hmacAndHKDFWithBLAKE2b() throws {
    let key = try #require(Digest(bytes: (0..<64).map { UInt8($0) }))
    #expect(Hex.string(Hash.hmac(key: key, Array("what do ya want for nothing?".utf8)).bytes) == hmacExpected)
    let (first, second, third) = Hash.expand(chain: key, [UInt8](repeating: 0x0B, count: 32))
    #expect(Hex.string(first.bytes) == hkdfExpected[0])
    #expect(Hex.string(second.bytes) == hkdfExpected[1])
    #expect(Hex.string(third.bytes) == hkdfExpected[2])
  }

  private func seal(
    _ cipher: Cipher, key: String, counter: UInt64, associated: String, text: [UInt8]
  ) throws -> [UInt8] {
    let state = UnsafeMutableRawPointer.allocate(
      byteCount: cipher.stateBytes, alignment: Cipher.stateAlignment)
    defer { state.deallocate() }
    cipher.expand(try #require(Key(hex: key)), into: state)
    let room = Scratch(capacity: text.count + 16)
    room.frame.write(text)
    let associated = try #require(Hex.bytes(associated))
    associated.reading { ad in
      cipher.seal(
        room.frame.base, length: text.count, tag: room.frame.dropping(text.count).base, associated: ad.base,
        associatedLength: ad.count, counter: counter, state: state)
    }
    let sealed = room.frame.bytes
    let opened = associated.reading { ad in
      cipher.open(
        room.frame.base, length: text.count, tag: room.frame.dropping(text.count).base, associated: ad.base,
        associatedLength: ad.count, counter: counter, state: state)
    }
    #expect(opened)
    #expect(room.frame.prefix(text.count).bytes == text)
    return sealed
  }
}

private let hmacExpected =
  "e33fddf8992f619b8fc74af98a787f16606b9a7f588bda065006ac8c7e6fd3f4"
  + "5ff64fd7ea59c43847f32dd569d7db654d7b77715e7bf2d0fe7afa0f0ec75bc4"

private let hkdfExpected = [
  "839b4fa9779b8c32020776a8c4aaa228b2e706ba929fbac13da91141146ec723"
    + "bb13890c9b3b1e6ffa86aafb8c3fbb79f1b67fb4cd65e5e303a16d0984bdf147",
  "ff2ce8289371433328e8e4f3d4a7c6106b4a90fba995df4d6c7e73b2b8be8df7"
    + "0c439c2800fc3b09aeae1b33bec3fb31e68f0e1567a1e4b11716b9952d381caf",
  "35e5d3586645800cbc842c29346b3884b37ccc67e06025849e11dfeb85d2ce7d"
    + "4bc0469760b0ddae303410c4e856286bc67f758dd1ec2f5e398aa72361e277bc",
]
