// Where a community's secret comes from, and how a stretched one is kept.
//
// A secret never stands on the command line, where every user of the machine could read it. A passphrase is
// stretched by Argon2id, which takes a second and 256 MiB; so the directory key that comes out is kept in the
// state directory, for the owner alone, under a name that says nothing without the node's identity.

import Base
import Glibc
import Platform
import Session

/// A secret and what it is called in messages.
struct CommunitySecret {
  static let environmentName = "P2PVPN_SECRET"
  static let credentialName = "p2pvpn-secret"
  private static let bytesMax = 4_096

  let bytes: [UInt8]
  /// The file or variable it comes from.
  let source: String
  /// Whether other users of the machine may read it there.
  let isExposed: Bool

  /// The secret that was given, by a file, the environment or systemd's credentials; nil when there is none.
  static func find(file: String?) throws(Failure) -> CommunitySecret? {
    if let file { return try read(file) }
    if let text = getenv(environmentName) {
      let value = Array(String(cString: text).utf8)
      return try CommunitySecret(checking: value, source: environmentName, isExposed: false)
    }
    if let folder = Locations.environment("CREDENTIALS_DIRECTORY") {
      let path = folder + "/" + credentialName
      if access(path, F_OK) == 0 { return try read(path) }
    }
    return nil
  }

  private init(checking value: [UInt8], source: String, isExposed: Bool) throws(Failure) {
    bytes = Self.trimmed(value)
    self.source = source
    self.isExposed = isExposed
    guard !bytes.isEmpty else {
      throw Failure(.failed, "the secret in \(source) is empty: make one with `p2pvpn keygen`")
    }
  }

  private static func read(_ path: String) throws(Failure) -> CommunitySecret {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      let error = CallError("read the secret file \(path)", code: errno, advice: advice(errno))
      throw Failure(error, status: .failed)
    }
    defer { close(file) }
    var status = stat()
    fstat(file, &status)
    var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
    var count = 0
    while count < bytes.count {
      let n = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress! + count, $0.count - count) }
      if n < 0, errno == EINTR { continue }
      guard n >= 0 else {
        throw Failure(CallError("read the secret file \(path)", code: errno), status: .failed)
      }
      if n == 0 { break }
      count += n
    }
    guard count <= bytesMax else {
      throw Failure(
        .failed, "the secret file \(path) is longer than \(bytesMax) bytes: is it the right file?")
    }
    let isFile = status.st_mode & S_IFMT == S_IFREG
    return try CommunitySecret(
      checking: Array(bytes[..<count]), source: path, isExposed: isFile && status.st_mode & 0o044 != 0)
  }

  private static func advice(_ code: Int32) -> String {
    switch code {
    case ENOENT, ENOTDIR: "check the path, or make a secret with `p2pvpn keygen`"
    case EACCES, EPERM: "run as a user who may read it"
    default: ""
    }
  }

  /// Text without the white space around it that editors leave; anything else as it is.
  private static func trimmed(_ value: [UInt8]) -> [UInt8] {
    func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
    let inner = value.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
    let isText =
      String(validating: inner, as: UTF8.self)?.unicodeScalars.allSatisfy { $0.value >= 32 } ?? false
    return isText ? Array(inner) : value
  }

  /// Estimated bits that somebody who guesses must search.
  var strength: Int { Community.secretStrength(bytes) }

  /// The community of this secret; the result of stretching is taken from and kept in `directory`.
  func community(_ name: String, in directory: StateDirectory, of identity: Identity) throws(Failure)
    -> Community
  {
    guard strength < 256 else { return .shared(name: name, secret: bytes) }
    let label: Key = Hash.key("community cache", key: identity.seed, parts: [Array(name.utf8), bytes])
    let file = "community-" + Hex.string(Array(label.bytes.prefix(16)))
    return try explaining {
      if let key = try directory.read(file).flatMap({ Key(bytes: $0) }) {
        return Community(name: name, directoryKey: key)
      }
      let community = Community.shared(name: name, secret: bytes)
      try directory.writeFile(file, community.directoryKey.bytes)
      return community
    }
  }
}
