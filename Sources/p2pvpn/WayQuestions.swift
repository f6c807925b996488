// The local API's questions about ways: over the ring to a node, and all that are known to a peer.

import Base
import Node
import Overlay

extension Daemon {
  func traceRoute(_ text: String, _ caller: Caller) {
    switch target(text) {
    case .failure(let failure): caller.resume(.failure(failure))
    case .success(.address):
      caller.resume(.failure(Failure(.failed, "route wants an ID: see `p2pvpn lookup \(text)`")))
    case .success(.id(let id)):
      let ticket = wait(Waiter(target: text, caller: caller, destination: id))
      core.traceRoute(to: id, ticket: ticket, &context)
      drain()
    }
  }

  func noteHop(_ ticket: UInt32, _ id: OverlayID, _ after: Interval) {
    waiters[ticket]?.hops.append((id, after))
  }

  func answerRoute(_ ticket: UInt32, _ route: RouteAnswer) {
    answer(ticket) { waiter in
      guard case .reached(let hops, let time) = route, let destination = waiter.destination else {
        return .failure(Failure(.timedOut, "no answer from \(waiter.target) over the ring"))
      }
      // Each step leads nearer to the destination.
      let nodes = waiter.hops.sorted {
        $1.id.distance(to: destination) < $0.id.distance(to: destination)
      }
      return .success([
        "schema": 1, "target": .string(waiter.target), "hops": .integer(Int64(hops)),
        "rtt_ms": .number(time.milliseconds),
        "nodes": .array(nodes.map { ["id": JSON($0.id), "rtt_ms": .number($0.after.milliseconds)] }),
      ])
    }
  }

  func paths(_ text: String) -> Answer {
    switch target(text) {
    case .failure(let failure): return .failure(failure)
    case .success(let target):
      guard let peer = linked(target) else {
        return .failure(
          Failure(.notFound, "no link to \(text) is up: send it something first, `p2pvpn ping \(text)`"))
      }
      return .success(
        Report.paths(
          peer, core.paths(of: peer.id, at: context.now), core.trials(of: peer.id), core.reach.mapping))
    }
  }
}
