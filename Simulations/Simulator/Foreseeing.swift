// Memory is fetched before it is wanted.
//
// Of many nodes, none is in the processor's caches when its turn comes, and each event follows a chain of
// pointers from one line of memory to the next. But what comes next is known: the open slot of the queue is
// sorted. So each of the following events takes one step on its chain whenever an event happens, and nobody
// waits for memory. Only time depends on it, never what happens.

import Base
import Node
import Overlay
import Session

extension World {
  /// Fewer nodes than this stay in the caches by themselves.
  static let foreseenFrom = 500

  /// Fetches ahead for the events that come next, the farthest first.
  @inline(__always) func foresee() {
    if let event = queue.upcoming(9) { foreseeRecord(event) }
    if let event = queue.upcoming(7) { foreseeHost(event) }
    if let event = queue.upcoming(5) { foreseeCore(event) }
    if let event = queue.upcoming(3) { foreseeWork(event, .first) }
    if let event = queue.upcoming(2) { foreseeWork(event, .second) }
    if let event = queue.upcoming(1) { foreseeWork(event, .third) }
  }

  private func foreseeRecord(_ event: QueuedEvent) {
    let happening = Happening(event.word)
    if let node = happening.node { prefetch(records + node) }
    guard case .arrival(_, let handle) = happening else { return }
    let block = UnsafeRawPointer(arena.header(handle))
    prefetch(block)
    prefetch(block + 64)
    prefetch(block + 128)
  }

  private func foreseeHost(_ event: QueuedEvent) {
    guard let host = livingHost(event) else { return }
    prefetch(host.toOpaque())
  }

  private func foreseeCore(_ event: QueuedEvent) {
    guard let host = livingHost(event) else { return }
    host._withUnsafeGuaranteedRef { host in
      prefetch(host.pulse)
      var line = UnsafeRawPointer(host.storage)
      let end = line + MemoryLayout<NodeCore>.size
      while line < end {
        prefetch(line)
        line += 64
      }
    }
  }

  private func foreseeWork(_ event: QueuedEvent, _ step: Foresight) {
    guard let host = livingHost(event) else { return }
    host._withUnsafeGuaranteedRef { host in
      switch Happening(event.word) {
      case .arrival(_, let handle):
        let payload = Frame(base: arena.payload(handle), count: 4)
        if payload[0] == 4 { host.storage.pointee.foresee(record: payload.big(0, as: UInt32.self), step) }
      case .wake: host.storage.pointee.foresee(Instant(ns: event.at), step)
      default: break
      }
    }
  }

  /// The host to which it will happen, without counting a reference.
  private func livingHost(_ event: QueuedEvent) -> Unmanaged<Host>? {
    guard let node = Happening(event.word).node, records[node].flags.contains(.alive) else { return nil }
    return hosts.withUnsafeBufferPointer { list in
      UnsafeRawPointer(list.baseAddress! + node).load(as: Unmanaged<Host>.self)
    }
  }
}

extension Happening {
  /// The node to which it happens, when that is known.
  @inline(__always) fileprivate var node: Int? {
    switch self {
    case .wake(let node, _): node
    case .arrival(let attachment, _): attachment.node
    case .commit, .action, .frame, .stream: nil
    }
  }
}
