// What the core wants done, and how it is done.

import Base
import Logging
import Node
import Platform

extension Daemon {
  /// Carries out the core's effects in order, also those that come up meanwhile.
  func drain() {
    var i = 0
    while i < context.effects.count {
      carryOut(context.effects[i])
      i += 1
    }
    context.effects.removeAll()
  }

  private func carryOut(_ effect: Effect) {
    switch effect {
    case .transmit(let packet, let endpoint):
      sockets.enqueue(packet, to: endpoint, at: context.now, pool: &context.pool)
    case .deliver(let packet):
      device?.tun.write(plain: context.pool.frame(packet))
      context.pool.release(packet)
    case .store(let table, let ticket, let packet):
      journal.write(table, ticket: ticket, context.pool.frame(packet), at: context.now)
      context.pool.release(packet)
    case .load(let table, let ticket, let packet):
      let value = journal.read(table, context.pool.frame(packet))
      context.pool.release(packet)
      core.loaded(ticket, value, &context)
    case .configure(let prefix):
      configure(prefix)
    case .open(let number):
      open(number)
    case .connect(let endpoint):
      connect(endpoint)
    case .rebind:
      rebind()
    case .close(let number):
      sockets.close(number, pool: &context.pool)
    case .notify(let event):
      observe(event)
    }
  }

  private func open(_ number: SocketNumber) {
    do {
      try sockets.open(number)
    } catch {
      log.debug("cannot open another socket", metadata: ["reason": "\(error)"])
      core.closed(number, &context)
    }
  }

  private func rebind() {
    do {
      try sockets.rebind(token: Source.socket, pool: &context.pool)
      log.info(
        "left the UDP port, which may be in use by another member behind the same NAT: took a free one",
        metadata: ["port": "\(sockets.main.local.port)"])
      if concerns.has(.port) {
        warn(.port, Concerns.portInUse(Arguments.defaultPort, now: sockets.main.local.port))
      }
      core.setUnderlay(underlay, port: sockets.main.local.port, &context)
    } catch {
      log.debug("cannot open another socket", metadata: ["reason": "\(error)"])
    }
  }

  private func connect(_ endpoint: Endpoint) {
    do {
      try sockets.streams.connect(to: endpoint, at: context.now)
    } catch {
      log.debug("cannot connect", metadata: ["endpoint": "\(endpoint)", "reason": "\(error)"])
      core.closed(endpoint.socket, &context)
    }
  }

  private func configure(_ prefix: IPPrefix) {
    core.setVirtualNetworks([prefix.network] + core.virtualNetworks.filter { !$0.address.isV4 })
    do {
      try device?.configure(prefix)
    } catch {
      log.error(
        "cannot give the interface its address",
        metadata: ["address": "\(prefix)", "reason": "\(error)", "advice": "\(error.advice)"])
      ending = ending ?? .failed(Failure(error))
    }
  }

  // Events: for the log, for who waits, and for the warnings of `status`.

  private func observe(_ event: Event) {
    switch event {
    case .pingAnswered(let ticket, let time, let path): answerPing(ticket, time, path)
    case .pingFailed(let ticket, let reason): failPing(ticket, reason)
    case .lookedUp(let ticket, let answer): answerLookup(ticket, answer)
    case .rollCalled(let ticket): answerPeers(ticket)
    case .routeHop(let ticket, let id, let time): noteHop(ticket, id, time)
    case .routeTraced(let ticket, let answer): answerRoute(ticket, answer)
    case .foreignRing(let id): announce(.foreignRing, .id(id))
    case .located(_, let id, let hops):
      log.debug("located", metadata: ["id": "\(id.short)", "hops": "\(hops)"])
    case .bootstrapReached(let peer, let endpoint):
      bootstraps.onReached(endpoint)
      updateNames()
      announce(.bootstrapReached, .id(peer), .endpoint(endpoint))
    case .joined(let neighbours): announce(.joined, .count(neighbours))
    case .linkUp(let peer): announce(.linkUp, .id(peer))
    case .linkLost(let peer): announce(.linkLost, .id(peer))
    case .pathChanged(let peer, let path, let endpoint):
      announce(.pathChanged, .id(peer), .text("\(path)"), .endpoint(endpoint))
    case .memberFound(let peer): announce(.memberFound, .id(peer))
    case .identityInUseTwice:
      log.error("another node uses this identity: give each node a state directory of its own")
      warn(.identity, "another node uses this identity: give each node a state directory of its own")
    case .relayUsedUp(let isUsedUp): observeRelay(isUsedUp)
    case .taskAnswered(let ticket): answerTask(ticket)
    case .crawled(let ticket): answerCrawl(ticket)
    case .left: log.debug("said good-bye")
    case .addressGranted, .addressTaken, .addressLost, .poolDiffers, .aloneInCommunity, .noLongerAlone:
      observeMembership(event)
    }
  }

  private func observeMembership(_ event: Event) {
    let name = configuration.tunnel?.community.name ?? ""
    switch event {
    case .addressGranted(let prefix): announce(.addressGranted, .text("\(prefix)"))
    case .addressLost(let address): announce(.addressLost, .text("\(address)"))
    case .addressTaken(let address):
      announce(.addressTaken, .text("\(address)"))
      guard configuration.tunnel?.address != nil else { break }
      fail("address \(address) is in use by another member: choose another with --address, or --address auto")
    case .poolDiffers(let pool):
      announce(.poolDiffers, .text("\(pool)"))
      let option = configuration.tunnel?.pool == nil ? "--address" : "--pool"
      fail(
        "the pool of community \(name) is \(pool), which \(option) contradicts: leave it out, or let it fit"
      )
    case .aloneInCommunity:
      let isOpen = configuration.tunnel?.community.isOpen ?? false
      if isOpen {
        log.warning("nobody else with this name was found", metadata: ["community": "\(name)"])
      } else {
        log.warning("nobody else with this name and secret was found", metadata: ["community": "\(name)"])
      }
      let what = isOpen ? "this name" : "this name and secret"
      warn(
        .alone, "nobody else with \(what) was found (community \(name)): is it spelled as the others do?")
    case .noLongerAlone:
      log.notice("found others of the community", metadata: ["community": "\(name)"])
      settle(.alone)
    default: break
    }
  }

  private func observeRelay(_ isUsedUp: Bool) {
    guard isUsedUp else {
      log.notice("a new month: forwarding for others again")
      return settle(.relay)
    }
    let message = "all data of --relay-monthly is used: forwarding nothing for others until the next month"
    log.warning("\(message)")
    warn(.relay, message)
  }

  private func fail(_ message: String) { ending = ending ?? .failed(Failure(.failed, message)) }

  // Messages of other threads.

  func readMailbox() {
    for message in mailbox.take() {
      switch message {
      case .question(let question, let caller):
        ask(question, caller)
      case .resolved(let index, let result):
        onResolved(index, result)
      case .checkpointed(let error):
        if let error { journal.complain(error, at: context.now) }
      case .unlisten(let listener): listeners.remove(listener)
      }
    }
  }

  private func onResolved(_ index: Int, _ result: Result<[Endpoint], ResolveError>) {
    let (bootstrap, endpoints, isFirstFailure) = bootstraps.onResolved(index, result)
    for endpoint in endpoints { core.addBootstrap(endpoint, key: bootstrap.key, &context) }
    drain()
    if isFirstFailure, case .failure(let error) = result {
      log.warning(
        "cannot resolve a bootstrap: trying again every half minute",
        metadata: ["host": "\(bootstrap.host)", "reason": "\(error.reason)", "advice": "\(error.advice)"])
    }
    updateNames()
  }

  private func updateNames() {
    let names = bootstraps.unresolved
    if names.isEmpty {
      settle(.names)
    } else {
      warn(.names, "cannot resolve \(names.joined(separator: ", ")): trying again every half minute")
    }
  }
}
