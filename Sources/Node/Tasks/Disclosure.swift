// What a node tells others of itself when it is asked by a task.
//
// That it is there it always says: who counts the nodes of a ring learns no more than by walking it. Members
// of its community may ask it anything. Strangers may ask whether the ring is whole, and the rest only its
// operator.

import Overlay
import Session

/// Whom a node answers.
public struct Disclosure: Sendable {
  /// Whose questions are answered on the ring of all nodes, whatever they are; nil: there is nobody.
  public var operatorKey: PublicKey?
  /// Whether the node answers more than that it is there.
  public var tells = true

  public init(operatorKey: PublicKey? = nil, tells: Bool = true) {
    self.operatorKey = operatorKey
    self.tells = tells
  }

  /// Whether the node answers a question for this task.
  func allows(_ task: any RingTask.Type, asked question: TaskQuestion, by own: PublicKey) -> Bool {
    if task.isHarmless { return true }
    guard tells else { return false }
    return question.ring == .members || task.audience == .everybody || question.asker == operatorKey
      || question.asker == own
  }
}
