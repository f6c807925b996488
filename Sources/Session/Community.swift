// The keys of a virtual network.
//
// Everything that the directory stores for a community is blinded and sealed with its directory key: a holder
// can order and check the records, but neither read them nor tell which community they belong to. Members
// find out inside a session that they share a community, by tokens under the knock key (`Knock.swift`). An
// open community's directory key follows from its name alone, so everybody is a member; a shared-secret
// community *is* its name and its secret.

import Base
import CSodium

/// A virtual network, as a member knows it.
public struct Community: Sendable {
  public let name: String
  /// Blinds and seals the community's records in the directory.
  public let directoryKey: Key
  /// Proves membership inside sessions.
  public let knockKey: Key
  /// Encrypts the bodies of records.
  public let sealKey: Key

  /// The community that a directory key defines, for example one from the cache.
  public init(name: String, directoryKey: Key) {
    self.name = name
    self.directoryKey = directoryKey
    knockKey = Hash.key("knock", key: directoryKey)
    sealKey = Hash.key("seal", key: directoryKey)
  }

  /// The community that everybody who knows its name may enter.
  public static func open(_ name: String) -> Community {
    Community(name: name, directoryKey: openKey(name))
  }

  /// The community of those who know `secret`.
  ///
  /// 32 random bytes, or the text that `SecretText` prints for them, are used directly. Anything else is
  /// taken for a passphrase and stretched by Argon2id, which takes about a second and 256 MiB: keep the
  /// directory key.
  public static func shared(name: String, secret: [UInt8]) -> Community {
    let strong = randomBytes(of: secret) ?? stretched(secret, name: name)
    return Community(name: name, directoryKey: Hash.key("shared", key: strong, parts: [Array(name.utf8)]))
  }

  /// Whether everybody may enter.
  public var isOpen: Bool { directoryKey == Self.openKey(name) }

  /// The key pair of one record, which every member and nobody else can derive. The record's place in the
  /// directory is BLAKE2b-160 of its public half.
  public func recordKey(kind: UInt8, name: [UInt8], suite: Suite = .real) -> SigningKey {
    let seed: Key = suite.labelled("record", key: directoryKey) {
      $0.partLength(1)
      $0.byte(kind)
      $0.part(name)
    }
    return SigningKey(seed: seed, suite: suite)
  }

  /// The key under which `identity` owns records here: holders see one owner, but not who it is.
  public func ownerKey(of identity: Identity) -> SigningKey {
    let seed: Key = identity.suite.labelled("owner", key: identity.seed) { $0.part(directoryKey) }
    return SigningKey(seed: seed, suite: identity.suite)
  }

  /// The signature of what a member says to all others: it holds in this community only.
  public func sign(_ said: Frame, by identity: Identity) -> Signature {
    identity.signing.sign(digest(of: said, as: "said to all", identity.suite).bytes)
  }

  /// Whether the owner of the key has said this to the members.
  public func verifies(_ signature: Signature, of said: Frame, by key: PublicKey, _ suite: Suite) -> Bool {
    suite.verifies(signature, of: digest(of: said, as: "said to all", suite).bytes, by: key)
  }

  /// The signature of what a member asks all others: no broadcast can be made of it.
  public func sign(question: Frame, by identity: Identity) -> Signature {
    identity.signing.sign(digest(of: question, as: "asked of members", identity.suite).bytes)
  }

  /// Whether the owner of the key has asked this of the members.
  public func verifies(
    _ signature: Signature, ofQuestion question: Frame, by key: PublicKey, _ suite: Suite
  ) -> Bool {
    suite.verifies(signature, of: digest(of: question, as: "asked of members", suite).bytes, by: key)
  }

  private func digest(of said: Frame, as label: String, _ suite: Suite) -> Key {
    suite.labelled(label, key: directoryKey, capacity: said.count + 32) {
      $0.partLength(said.count)
      $0.bytes(said)
    }
  }

  /// The community's own /48 of unique local addresses (RFC 4193): fd and 40 bits that follow from the
  /// directory key.
  public var ulaPrefix: IPPrefix {
    let bits: Key = Hash.key("ula", key: directoryKey)
    let global = bits.reading { $0.big(0, as: UInt64.self) } >> 24
    return IPPrefix(IPAddress(high: 0xFD << 56 | global << 16, low: 0), length: 48)
  }

  /// The address of a member: the first 80 bits of its overlay ID behind the prefix.
  public func ula(of id: OverlayID) -> IPAddress {
    IPAddress(high: ulaPrefix.address.high | id.high >> 48, low: id.high << 16 | id.middle >> 48)
  }

  private static func openKey(_ name: String) -> Key { Hash.key("open", parts: [Array(name.utf8)]) }

  /// The 32 bytes of a secret that was made by chance and not by a person. 32 printable characters are a
  /// passphrase: random bytes look like that once in 10^14 times.
  private static func randomBytes(of secret: [UInt8]) -> Key? {
    if secret.count == Key.byteCount, secret.contains(where: { !(32...126).contains($0) }) {
      return Key(bytes: secret)
    }
    return SecretText.parse(String(decoding: secret, as: UTF8.self)).flatMap { Key(bytes: $0) }
  }

  private static func stretched(_ secret: [UInt8], name: String) -> Key {
    Sodium.start()
    let salt = Hash.blake2b(Array("salt".utf8), Array(name.utf8), length: Int(crypto_pwhash_SALTBYTES))
    var key = Key.zero
    let status = key.filling { k in
      secret.reading { s in
        crypto_pwhash(
          k.pointer, UInt64(Key.byteCount), s.base.assumingMemoryBound(to: CChar.self), UInt64(s.count), salt,
          stretchPasses, stretchBytes, Int32(crypto_pwhash_ALG_ARGON2ID13))
      }
    }
    precondition(status == 0, "stretching a passphrase needs 256 MiB of memory")
    return key
  }

  private static let stretchPasses: UInt64 = 3
  private static let stretchBytes = 256 << 20
}
