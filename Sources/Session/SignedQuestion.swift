// Signatures of what a node asks of all nodes of the ring. They hold for nothing else: the label keeps them
// apart from leases, proofs and what members say to each other.

import Base

extension Identity {
  /// The signature of a question to nodes that need share no community with this one.
  public func sign(question: Frame) -> Signature {
    signing.sign(Self.digest(ofQuestion: question, suite).bytes)
  }

  fileprivate static func digest(ofQuestion question: Frame, _ suite: Suite) -> Key {
    suite.labelled("asked of all", key: nil, capacity: question.count + 32) {
      $0.partLength(question.count)
      $0.bytes(question)
    }
  }
}

extension Suite {
  /// Whether the owner of the key has asked this.
  public func verifies(_ signature: Signature, ofQuestion question: Frame, by key: PublicKey) -> Bool {
    verifies(signature, of: Identity.digest(ofQuestion: question, self).bytes, by: key)
  }
}
