// What the node tells people: by the log, and by the event stream to all who listen.

import Base
import Logging
import Platform

extension Daemon {
  /// Says that something has happened.
  /// - Parameter facts: in the order of the table.
  func announce(_ announcement: Announcement, _ facts: Fact...) {
    let terms = announcement.terms
    if let level = terms.level, log.logLevel <= level {
      log.log(level: level, "\(terms.message)", metadata: announcement.metadata(facts))
    }
    publish(announcement, facts)
  }

  /// Tells the listeners only.
  private func publish(_ announcement: Announcement, _ facts: [Fact]) {
    guard !listeners.isEmpty else { return }
    listeners.hear(announcement.terms.topic) { announcement.event(facts, at: Timestamp.now()) }
  }

  /// Something is not as it should be from now on; or there is more to say about it.
  func warn(_ concern: Concern, _ text: String) {
    guard concerns.set(concern, text) else { return }
    publish(.warningSet, [.text(concern.rawValue), .text(text)])
  }

  /// That trouble has passed, if it was there.
  func settle(_ concern: Concern) {
    guard concerns.clear(concern) else { return }
    publish(.warningCleared, [.text(concern.rawValue)])
  }

  /// The troubles that nobody reports: they are looked for once a turn.
  func reviewConcerns() {
    if core.udpPassage.isStopped != concerns.has(.udp) {
      if concerns.has(.udp) {
        settle(.udp)
      } else {
        warn(.udp, "UDP does not get out of this network: TCP is used instead")
      }
    }
    if let trouble = journal.trouble {
      if !concerns.has(.store) { warn(.store, "the store fails: \(trouble)") }
    } else if concerns.has(.store) {
      settle(.store)
    }
  }

  /// The first event of a stream: where the node stands. What comes behind it is what has changed since.
  func listen(_ listener: Listener, _ caller: Caller) {
    listeners.add(listener)
    let node = core.snapshot(at: context.now)
    var members = Announcement.head("stream", "begins", at: Timestamp.now())
    members += [
      JSON.Member(key: "topics", value: .array(listener.topics.map { .string($0.rawValue) })),
      JSON.Member(key: "id", value: JSON(node.id)), JSON.Member(key: "ready", value: .bool(node.isReady)),
      JSON.Member(key: "address", value: JSON(node.community?.address?.address)),
      JSON.Member(key: "size_estimate", value: .integer(Int64(node.sizeEstimate))),
      JSON.Member(key: "peers", value: Report.counts(node.peers)),
      JSON.Member(key: "warnings", value: .array(concerns.texts.map { .string($0) })),
    ]
    caller.resume(.success(.object(members)))
  }
}
