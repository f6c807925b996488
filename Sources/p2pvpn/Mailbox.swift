// What other threads have for the loop: questions of the local API, and the ends of slow calls.
//
// The loop alone touches the node. Everybody else leaves a message here and wakes the loop up; who asks a
// question waits for the answer. At most 64 questions wait at a time.

import Base
import Logging
import Platform
import Synchronization

/// What can be asked about a node, or of it.
enum Question: Sendable {
  case status
  case peers(Page)
  case ping(target: String, patience: Interval)
  case lookup(target: String)
  case route(target: String)
  case paths(peer: String)
  case path(peer: String, toOverlay: Bool)
  /// A task or a crawl.
  case survey(RingWish)
  /// Nodes or a picture of a crawl that was made of late.
  case crawlPart(CrawlPart, crawl: UInt32)
  case log(level: Logger.Level?)
  case leave
  /// From now on all events that it wants are for the listener; the answer says where the node stands.
  case listen(Listener)
}

/// A message to the loop.
enum Message: Sendable {
  case question(Question, Caller)
  case resolved(bootstrap: Int, Result<[Endpoint], ResolveError>)
  case checkpointed(StoreError?)
  case unlisten(Listener)
}

final class Mailbox: Sendable {
  static let questionsMax = 64

  private struct Contents {
    var messages: [Message] = []
    /// Questions that have no answer yet, here or with the loop.
    var questions = 0
    var isClosed = false
  }

  let wakeup: Wakeup
  private let contents = Mutex(Contents())

  init() throws(CallError) { wakeup = try Wakeup() }

  /// Leaves a message and wakes the loop up.
  func post(_ message: Message) {
    contents.withLock { $0.messages.append(message) }
    wakeup.signal()
  }

  /// Asks the loop and waits for its answer. Never called by the loop itself.
  /// - Parameter wait: returns when the caller's answer is there.
  func ask(_ question: Question, _ caller: Caller, wait: () -> Answer) -> Answer {
    let refusal: Failure? = contents.withLock {
      if $0.isClosed { return Failure(.notRunning, "the node is leaving") }
      if $0.questions >= Self.questionsMax {
        return Failure(.failed, "too many questions at a time: try again")
      }
      $0.questions += 1
      return nil
    }
    if let refusal { return .failure(refusal) }
    post(.question(question, caller))
    let answer = wait()
    contents.withLock { $0.questions -= 1 }
    return answer
  }

  /// All messages, in the order in which they came. Called by the loop.
  func take() -> [Message] {
    wakeup.clear()
    return contents.withLock { contents in
      let messages = contents.messages
      contents.messages.removeAll(keepingCapacity: true)
      return messages
    }
  }

  /// From now on questions are refused.
  func close() { contents.withLock { $0.isClosed = true } }
}
