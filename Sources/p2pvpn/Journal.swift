// The store as the loop uses it: one batch a turn, committed once, and a checkpoint a minute when something
// changed.

import Base
import Logging
import Platform

/// Writes of the core that wait for the end of the turn.
final class Journal {
  /// How far back a machine that dies may throw the store.
  static let checkpointInterval = Interval.minutes(1)
  /// A disk that is full says so again and again; the log does so once a minute.
  private static let complaintInterval = Interval.minutes(1)

  let store: Store
  private(set) var checkpointAt: Instant = .never
  private let log: Logger
  private let scratch = Scratch(capacity: max(Store.valueBytesMax, PacketPool.slotBytes))
  /// Tickets of the open batch, and of the one just committed.
  private var tickets: [UInt32] = []
  private var committed: [UInt32] = []
  private var complainedAt: Instant?
  /// Why the last write or commit failed; nil since one has succeeded.
  private(set) var trouble: StoreError?

  init(_ store: Store, _ log: Logger) {
    self.store = store
    self.log = log
    tickets.reserveCapacity(256)
    committed.reserveCapacity(256)
  }

  /// Whether writes wait for a commit.
  var isOpen: Bool { store.isInBatch }

  /// Takes a pair (one byte key length, key, value) into the turn's batch; an empty value deletes the key.
  func write(_ table: StoreTable, ticket: UInt32, _ pair: Frame, at now: Instant) {
    let keyBytes = Int(pair[0])
    let key = pair.slice(1, keyBytes)
    let value = pair.dropping(1 + keyBytes)
    do {
      if !store.isInBatch { try store.begin() }
      if value.isEmpty {
        _ = try store.delete(table, key: key)
      } else {
        try store.put(table, key: key, value: value)
      }
      if ticket != 0 { tickets.append(ticket) }
    } catch {
      complain(error, at: now)
    }
  }

  /// The value of a key, also when it was written in this turn. Valid until the next call.
  func read(_ table: StoreTable, _ key: Frame) -> Frame? {
    store.get(table, key: key, into: scratch.frame).map { scratch.frame.prefix($0) }
  }

  /// Commits the batch.
  /// - Returns: the tickets of what is stored now; none when the commit failed.
  func commit(at now: Instant) -> [UInt32] {
    swap(&tickets, &committed)
    tickets.removeAll(keepingCapacity: true)
    do {
      try store.commit()
      trouble = nil
      if checkpointAt == .never { checkpointAt = now + Self.checkpointInterval }
      return committed
    } catch {
      complain(error, at: now)
      return []
    }
  }

  /// Begins a checkpoint when one is due.
  func checkpoint(at now: Instant, _ mailbox: Mailbox) {
    guard checkpointAt <= now else { return }
    checkpointAt = .never
    store.checkpoint { mailbox.post(.checkpointed($0)) }
  }

  func complain(_ error: StoreError, at now: Instant) {
    trouble = error
    if let complainedAt, now - complainedAt < Self.complaintInterval { return }
    complainedAt = now
    log.error("the store fails", metadata: ["reason": "\(error)", "advice": "\(error.advice)"])
  }

  func close() { store.close() }
}
