// What makes a node the same node after a restart, and a newer one: its identity and its incarnation.
//
// Both are on the disk before they are used. An incarnation that was used twice would let a node's old self
// be taken for the new one, so the counter never goes back, even when the clock does.

import Base
import Platform
import Session

enum NodeState {
  private static let incarnationName = "incarnation"

  /// The identity of the state directory; made at the first start.
  static func identity(in directory: StateDirectory) throws(Failure) -> (identity: Identity, isNew: Bool) {
    if let bytes = try explaining({ try directory.readIdentity() }) {
      let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
      let identity = Hex.bytes(text).flatMap { Key(bytes: $0) }.map { Identity(seed: $0) }
      guard let identity, identity.publicKey.solvesPuzzle else {
        let path = "\(directory.path)/\(StateDirectory.identityName)"
        throw Failure(.failed, "\(path) is damaged: restore it, or move it away to become a new node")
      }
      return (identity, false)
    }
    var random = SecureRandom(seed: Entropy.bytes(Key.byteCount))
    let identity = Identity.generate(&random)
    let text = Array("\(Hex.string(identity.seed.bytes))\n".utf8)
    try explaining { try directory.writeFile(StateDirectory.identityName, text) }
    return (identity, true)
  }

  /// A number higher than at any earlier start of this identity, written down.
  static func nextIncarnation(in directory: StateDirectory, unixSeconds: UInt64) throws(Failure) -> UInt64 {
    try explaining {
      let bytes = try directory.read(incarnationName) ?? []
      let stored = UInt64(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }) ?? 0
      let next = max(stored &+ 1, unixSeconds)
      try directory.writeFile(incarnationName, Array("\(next)\n".utf8))
      return next
    }
  }
}
