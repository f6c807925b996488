// Somebody on a thread of the local API who waits for an answer of the loop.
//
// A call that takes long says meanwhile how far it is (`progress`), and looks from time to time whether there
// is still somebody who waits (`isGone`). Both cost next to nothing and never wait.

import Platform
import Synchronization

/// An answer to a question: a JSON value, or why there is none.
typealias Answer = Result<JSON, Failure>

/// A place for one answer and for what is said before it, and the wait for them.
final class Caller: Sendable {
  /// Whether it wants to hear how far its call is.
  var wantsProgress: Bool { said != nil }
  /// Whether the client has closed its connection: nobody will read the answer, which is to be given all the
  /// same, the sooner the better.
  var isGone: Bool { hasGone.load(ordering: .relaxed) }

  private let answer = Mutex<(@Sendable () -> Answer)?>(nil)
  private let said: EventQueue?
  private let hasGone = Atomic(false)
  private let wakeup: Wakeup

  init(waking wakeup: Wakeup, wantsProgress: Bool = false) {
    self.wakeup = wakeup
    said = wantsProgress ? EventQueue(waking: wakeup) : nil
  }

  // For the loop.

  /// Tells the caller, if it wants to hear it, how far its call is: facts as they stand in the call's
  /// declaration. A caller that reads slowly misses some, and is told how many.
  func progress(_ facts: @autoclosure () -> JSON) {
    said?.append(ServerSentEvents.event(RemoteCall.progress(facts())))
  }

  /// Hands over the answer. *Precondition:* called once.
  func resume(_ answer: Answer) { resume { answer } }

  /// Hands over an answer that takes time to write: the thread that waits does it. *Precondition:* called
  /// once.
  func resume(_ answer: @escaping @Sendable () -> Answer) {
    self.answer.withLock { $0 = answer }
    wakeup.signal()
  }

  // For the thread that waits.

  /// The client has gone.
  func leave() { hasGone.store(true, ordering: .relaxed) }

  /// The answer, if it has come. Asked for once.
  func takeAnswer() -> Answer? { answer.withLock { $0 }?() }

  /// What has been said since it was asked for last, as it goes to the client.
  func takeProgress() -> [UInt8] {
    guard let said else { return [] }
    let (bytes, lost, _) = said.take()
    return lost == 0
      ? bytes
      : bytes + ServerSentEvents.event(RemoteCall.progress(["lost": .integer(Int64(lost))]))
  }
}
