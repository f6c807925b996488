// The way of a routed message to a node, for people: who handed it on.
//
// First the node itself is asked, and its answer says how many hops the question took. Then a datagram that
// means nothing is sent for each of them, with that many steps to go: the node at which they run out tells
// the source (PROTOCOL.md, "Routed messages"), as routers do for traceroute. Ways change, so the nodes need
// not all be of one way.

import Base
import DHT
import Overlay
import Session

/// A look at the way to a node.
struct RouteTrace: BitwiseCopyable {
  let ticket: UInt32
  let nonce: UInt64
  let target: OverlayID
  let beganAt: Instant
  var giveUpAt: Instant
  /// What the target answered; nil before.
  var found: (hops: UInt8, after: Interval)?
  /// Nodes on the way that have answered, of those that are asked.
  var heard = 0

  /// At the same time.
  static let limit = 8
  static let patience = Interval.seconds(5)
  /// A node on the way limits its notices, and may have none left.
  static let stepPatience = Interval.milliseconds(1_500)
  /// More hops than this are not asked.
  static let stepsMax: UInt8 = 16

  /// How many nodes stand between here and the target.
  var between: Int { Int(min(found.map { max($0.hops, 1) - 1 } ?? 0, Self.stepsMax)) }
}

extension NodeCore {
  /// Finds out by which nodes a message goes to another one. The answers are `routeHop` and `routeTraced`
  /// events with the ticket.
  public mutating func traceRoute(to target: OverlayID, ticket: UInt32, _ context: inout Context) {
    let trace = RouteTrace(
      ticket: ticket, nonce: context.random.next(), target: target, beganAt: context.now,
      giveUpAt: context.now + RouteTrace.patience)
    guard traces.insert(trace) != nil else {
      return context.notify(.routeTraced(ticket: ticket, .notReached))
    }
    network.find(target, mode: .exact, nonce: trace.nonce, &context)
    settle(&context)
  }

  mutating func onTraceEvent(_ event: NetworkEvent, _ context: inout Context) {
    switch event {
    case .found(let nonce, let key, let hops):
      for slot in 0..<traces.highWater where traces.isUsed(slot) && traces[slot].nonce == nonce {
        onTraceFound(slot, key.id, hops, &context)
      }
    case .unreached(let destination, let node):
      for slot in 0..<traces.highWater where traces.isUsed(slot) && traces[slot].target == destination {
        guard traces[slot].found != nil else { continue }
        traces[slot].heard += 1
        context.notify(
          .routeHop(ticket: traces[slot].ticket, node, context.now - traces[slot].giveUpAt.stepBegin))
        if traces[slot].heard >= traces[slot].between { endTrace(slot, &context) }
      }
    default:
      break
    }
  }

  private mutating func onTraceFound(_ slot: Int, _ id: OverlayID, _ hops: UInt8, _ context: inout Context) {
    guard traces[slot].found == nil, traces[slot].target == id else { return }
    traces[slot].found = (hops, context.now - traces[slot].beganAt)
    traces[slot].giveUpAt = context.now + RouteTrace.stepPatience
    let between = traces[slot].between
    if between == 0 { return endTrace(slot, &context) }
    for step in 0..<between { network.links.probeWay(to: id, steps: UInt8(step), &context) }
  }

  private mutating func endTrace(_ slot: Int, _ context: inout Context) {
    let answer = traces[slot].found.map { RouteAnswer.reached(hops: $0.hops, $0.after) } ?? .notReached
    context.notify(.routeTraced(ticket: traces[slot].ticket, answer))
    traces.remove(slot)
  }

  mutating func expireTraces(_ context: inout Context) {
    for slot in 0..<traces.highWater where traces.isUsed(slot) && traces[slot].giveUpAt <= context.now {
      endTrace(slot, &context)
    }
  }
}

extension Instant {
  /// When the steps were sent whose answers are waited for until this moment.
  fileprivate var stepBegin: Instant { Instant(ns: ns - RouteTrace.stepPatience.ns) }
}
