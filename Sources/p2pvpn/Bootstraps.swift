// The nodes through which this one comes in, by name.
//
// An address is handed to the core at once. A name is resolved on a thread of its own, and again every half
// minute until its node was reached: it may not resolve yet when the machine has just started, or its address
// may change. Later the question is asked again when no link is left at all.

import Base
import Platform

struct Bootstraps {
  /// Between two look-ups of a name.
  static let interval = Interval.seconds(30)

  private struct Entry {
    let bootstrap: Bootstrap
    var endpoints: [Endpoint] = []
    var isReached = false
    var isUnderWay = false
    var hasFailed = false
  }

  private var entries: [Entry]
  /// When names are to be resolved again.
  private(set) var nextAt: Instant

  init(_ bootstraps: [Bootstrap]) {
    entries = bootstraps.map { Entry(bootstrap: $0) }
    nextAt = bootstraps.contains { $0.literal == nil } ? .start : .never
  }

  var isEmpty: Bool { entries.isEmpty }

  /// What needs no resolving.
  mutating func takeLiterals() -> [(Endpoint, Bootstrap)] {
    var found: [(Endpoint, Bootstrap)] = []
    for i in entries.indices {
      guard let endpoint = entries[i].bootstrap.literal else { continue }
      entries[i].endpoints = [endpoint]
      found.append((endpoint, entries[i].bootstrap))
    }
    return found
  }

  /// Begins to resolve the names that are due.
  /// - Parameter isAlone: whether no link is up; then those that were reached are asked for again, too.
  mutating func resolve(at now: Instant, isAlone: Bool, _ mailbox: Mailbox) {
    nextAt = now + Self.interval
    for i in entries.indices where entries[i].bootstrap.literal == nil && !entries[i].isUnderWay {
      if entries[i].isReached && !isAlone { continue }
      entries[i].isUnderWay = true
      HostName.resolve(entries[i].bootstrap.host, port: entries[i].bootstrap.port) { result in
        mailbox.post(.resolved(bootstrap: i, result))
      }
    }
  }

  /// The network has changed: names that did not resolve may do so now.
  mutating func hurry(at now: Instant) {
    if entries.contains(where: { $0.hasFailed && !$0.isReached }) { nextAt = now }
  }

  /// A look-up has ended.
  /// - Returns: the endpoints that are new, and whether this is the first failure of the name.
  mutating func onResolved(
    _ index: Int, _ result: Result<[Endpoint], ResolveError>
  ) -> (bootstrap: Bootstrap, new: [Endpoint], isFirstFailure: Bool) {
    entries[index].isUnderWay = false
    let bootstrap = entries[index].bootstrap
    switch result {
    case .success(let endpoints):
      let new = endpoints.filter { !entries[index].endpoints.contains($0) }
      entries[index].endpoints = endpoints
      entries[index].hasFailed = false
      return (bootstrap, new, false)
    case .failure:
      let isFirst = !entries[index].hasFailed
      entries[index].hasFailed = true
      return (bootstrap, [], isFirst)
    }
  }

  mutating func onReached(_ endpoint: Endpoint) {
    for i in entries.indices where entries[i].endpoints.contains(endpoint) { entries[i].isReached = true }
  }

  /// Names that do not resolve at present.
  var unresolved: [String] { entries.filter { $0.hasFailed && !$0.isReached }.map(\.bootstrap.host) }
}
