// The local API's questions, answered by the loop: at once from a snapshot, or when the core's event comes.

import Base
import Logging
import Node
import Platform
import Session

/// Who waits for an event of the core, and what for.
struct Waiter {
  let target: String
  let caller: Caller
  /// Of a list: the part that is wanted.
  var page = Page()
  /// Of a look at the way over the ring: where it leads, and who on it has answered so far.
  var destination: OverlayID?
  var hops: [(id: OverlayID, after: Interval)] = []
}

extension Daemon {
  func ask(_ question: Question, _ caller: Caller) {
    switch question {
    case .status: caller.resume(.success(status))
    case .peers(let page): callRoll(page, caller)
    case .ping(let target, let patience): ping(target, patience, caller)
    case .lookup(let target): lookUp(target, caller)
    case .route(let target): traceRoute(target, caller)
    case .paths(let target): caller.resume(paths(target))
    case .path(let peer, let toOverlay): caller.resume(pin(peer, toOverlay))
    case .leave:
      log.notice("told to leave", metadata: ["reason": "the local API"])
      ending = ending ?? .left
      wait(Waiter(target: "leave", caller: caller))
    case .log(let level):
      if let level, level != verbosity.level {
        verbosity.level = level
        log.notice("another log level", metadata: ["level": "\(level)"])
      }
      caller.resume(.success(["schema": 1, "level": .string(verbosity.level.rawValue)]))
    case .survey(let wish): survey(wish, caller)
    case .crawlPart(let part, let crawl): show(part, ofCrawl: crawl, caller)
    case .listen(let listener): listen(listener, caller)
    }
  }

  @discardableResult
  func wait(_ waiter: Waiter) -> UInt32 {
    lastTicket = lastTicket &+ 1
    if lastTicket == 0 { lastTicket = 1 }
    waiters[lastTicket] = waiter
    return lastTicket
  }

  func answer(_ ticket: UInt32, _ answer: (Waiter) -> Answer) {
    guard let waiter = waiters.removeValue(forKey: ticket) else { return }
    waiter.caller.resume(answer(waiter))
  }

  /// The node has left: who told it to is told so, and nobody else will have an answer any more.
  func answerEverybody() {
    for message in mailbox.take() {
      if case .question(_, let caller) = message { wait(Waiter(target: "", caller: caller)) }
    }
    for (_, waiter) in waiters {
      let hasWished = waiter.target == "leave"
      waiter.caller.resume(
        hasWished ? .success(["schema": 1, "left": true]) : .failure(.leaving))
    }
    waiters.removeAll()
  }

  // Status and peers.

  private var status: JSON {
    let facts = Report.Facts(
      uptime: context.now - startedAt, interface: device?.tun.name, port: sockets.main.local.port,
      encryption: BulkAEAD.chosen.name, deviceOffload: device?.tun.offload.names ?? [],
      runs: (sockets.main.segments, sockets.main.isAggregating), refused: data.refused,
      dropped: core.dataPath.dropped,
      warnings: concerns.texts)
    return Report.status(core.snapshot(at: context.now), facts)
  }

  /// All members are asked who is there, if that is not known. Who turns the page has asked already.
  private func callRoll(_ page: Page, _ caller: Caller) {
    guard page.after == nil else { return caller.resume(.success(peers(page))) }
    core.callRoll(wait(Waiter(target: "peers", caller: caller, page: page)), &context)
    drain()
  }

  func answerPeers(_ ticket: UInt32) {
    answer(ticket) { .success(peers($0.page)) }
  }

  private func peers(_ page: Page) -> JSON {
    Report.peers(core.snapshot(at: context.now), core.members(at: context.now), page)
  }

  // Peers by what people call them.

  /// Whom a text names: an address, a full ID, or a peer that `peers` shows by the beginning of its ID.
  func target(_ text: String) -> Result<PingTarget, Failure> {
    if let address = IPAddress(text) { return .success(.address(address)) }
    let digits = text.lowercased()
    if let id = OverlayID(digits: digits) { return .success(.id(id)) }
    let linked = core.snapshot(at: context.now).peers.map(\.id)
    let others = core.members(at: context.now).members.map(\.id)
    let found = (linked + others).filter { $0.description.hasPrefix(digits) }
    guard let first = found.first else {
      return .failure(Failure(.notFound, "no peer has an ID that begins with \(text): see `p2pvpn peers`"))
    }
    guard found.count == 1 else {
      return .failure(
        Failure(.failed, "\(found.count) peers have IDs that begin with \(text): give more digits"))
    }
    return .success(.id(first))
  }

  /// The linked peer that is meant.
  func linked(_ target: PingTarget) -> PeerSnapshot? {
    core.snapshot(at: context.now).peers.first { peer in
      switch target {
      case .id(let id): peer.id == id
      case .address(let address): peer.address == address || peer.address6 == address
      }
    }
  }

  private func isSelf(_ target: PingTarget) -> Bool {
    switch target {
    case .id(let id): return id == core.id
    case .address(let address):
      let community = core.snapshot(at: context.now).community
      return address == community?.address?.address || address == community?.address6
    }
  }

  private func ping(_ text: String, _ patience: Interval, _ caller: Caller) {
    switch target(text) {
    case .failure(let failure): caller.resume(.failure(failure))
    case .success(let target) where isSelf(target):
      caller.resume(.failure(Failure(.failed, "\(text) is this node itself")))
    case .success(let target):
      let ticket = wait(Waiter(target: text, caller: caller))
      core.ping(target, ticket: ticket, patience: patience, &context)
      drain()
    }
  }

  func answerPing(_ ticket: UInt32, _ time: Interval, _ path: PathKind) {
    answer(ticket) { waiter in
      .success([
        "schema": 1, "target": .string(waiter.target), "rtt_ms": .number(time.milliseconds),
        "path": JSON("\(path)"),
      ])
    }
  }

  func failPing(_ ticket: UInt32, _ reason: PingFailure) {
    answer(ticket) { waiter in
      switch reason {
      case .notFound: .failure(Failure(.notFound, "nobody has \(waiter.target)"))
      case .timedOut: .failure(Failure(.timedOut, "no answer from \(waiter.target)"))
      }
    }
  }

  private func lookUp(_ text: String, _ caller: Caller) {
    switch target(text) {
    case .failure(let failure): caller.resume(.failure(failure))
    case .success(let target):
      if configuration.tunnel == nil, case .address = target {
        let message = "a seed is a member of no community and cannot look up \(text): ask a member"
        return caller.resume(.failure(Failure(.failed, message)))
      }
      if isSelf(target), let found = foundSelf(text, target) { return caller.resume(.success(found)) }
      let ticket = wait(Waiter(target: text, caller: caller))
      switch target {
      case .address(let address): core.lookUp(address: address, id: nil, ticket: ticket, &context)
      case .id(let id): core.lookUp(address: nil, id: id, ticket: ticket, &context)
      }
      drain()
    }
  }

  /// This node knows itself without asking; its IPv4 address is a claim, and the directory knows until when.
  private func foundSelf(_ text: String, _ target: PingTarget) -> JSON? {
    if case .address(let address) = target, address.isV4 { return nil }
    return [
      "schema": 1, "target": .string(text), "id": JSON(core.id),
      "address": JSON(core.snapshot(at: context.now).community?.address6), "endpoint": nil, "expires_s": nil,
    ]
  }

  func answerLookup(_ ticket: UInt32, _ found: LookupAnswer) {
    answer(ticket) { waiter in
      guard case .found(let id, let address, let endpoint, let expires) = found else {
        return .failure(Failure(.notFound, "nobody has \(waiter.target)"))
      }
      return .success([
        "schema": 1, "target": .string(waiter.target), "id": JSON(id), "address": JSON(address),
        "endpoint": JSON(endpoint == .none ? nil : endpoint),
        "expires_s": expires == .zero ? nil : JSON(expires.ns / 1_000_000_000),
      ])
    }
  }

  private func pin(_ text: String, _ toOverlay: Bool) -> Answer {
    switch target(text) {
    case .failure(let failure): return .failure(failure)
    case .success(let target):
      guard let peer = linked(target), core.pin(peer.id, toOverlay: toOverlay, &context) else {
        return .failure(
          Failure(.notFound, "no link to \(text) is up: send it something first, `p2pvpn ping \(text)`"))
      }
      drain()
      return .success(["schema": 1, "peer": JSON(peer.id), "mode": toOverlay ? "overlay" : "auto"])
    }
  }
}
