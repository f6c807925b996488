// Two nodes that reach each other only through relays: where tests of circuits play.

import Base
import Session
import Testing

@testable import Overlay

/// A side that is its own end.
func flank(_ id: OverlayID) -> CircuitFlank { CircuitFlank(adjacent: id, end: id) }

/// Two nodes that never get a datagram straight to each other, and relays linked with both.
struct CircuitScene {
  let wires: Wires
  let a: Side
  let b: Side
  let relays: [Side]

  /// - Parameter relays: the first is the quickest.
  init(relays count: Int = 1) throws {
    let wires = Wires(count: 2 + count)
    let (a, b) = (wires.sides[0], wires.sides[1])
    (self.wires, self.a, self.b) = (wires, a, b)
    relays = Array(wires.sides[2...])
    let ends = [a.endpoint, b.endpoint]
    wires.passes = { !(ends.contains($0.from) && ends.contains($0.to)) }
    for relay in relays {
      try wires.link(a, relay)
      try wires.link(b, relay)
    }
    let via = relays[0].id
    wires.act(a) { a.links.connect(b.key, role: .near, via: via, firstHand: true, &a.context) }
    let took = wires.run(upTo: .seconds(3)) { a.isUp(b) && b.isUp(a) }
    try #require(took != nil)
    // Kept for the ring, and for traffic: only then large datagrams are asked for.
    a.links.peers[a.slot(b)].roles.insert(.onDemand)
    b.links.peers[b.slot(a)].roles.formUnion([.near, .onDemand])
  }

  /// Lets the circuit come up.
  func join() throws {
    let took = wires.run(upTo: .seconds(5)) { isJoined }
    try #require(took != nil)
    wires.run(for: .seconds(1))
  }

  var isJoined: Bool { kind(a, b) == .proxy && kind(b, a) == .proxy }

  func kind(_ one: Side, _ other: Side) -> PathKind? { one.peer(other)?.bestPath?.kind }

  func relay(of one: Side, _ other: Side) -> OverlayID? { one.peer(other)?.bestPath?.relay }

  /// Sends `count` packets each way and lets them arrive.
  func exchange(_ count: Int, bytes: Int = 100, every gap: Interval = .milliseconds(10)) {
    for n in 0..<count {
      wires.send([UInt8](repeating: UInt8(n % 256), count: bytes), from: a, to: b)
      wires.send([UInt8](repeating: UInt8(n % 256), count: bytes), from: b, to: a)
      wires.run(for: gap)
    }
    wires.run(for: .milliseconds(100))
  }

  /// Circuit datagrams sent from one endpoint to another after `begin`.
  func circuitDatagrams(_ from: Side, _ to: Side, since begin: Instant) -> [[UInt8]] {
    wires.sent.filter {
      $0.from == from.endpoint && $0.to == to.endpoint && $0.at > begin && $0.bytes[0] == 5
    }.map(\.bytes)
  }
}

extension CircuitScene {
  /// Whether both ends have two proven circuits.
  var hasSpares: Bool {
    [(a, b), (b, a)].allSatisfy { one, other in
      Peer.circuitSlots.allSatisfy { one.peer(other)?.path($0)?.isValid == true }
    }
  }

  /// Two relays, traffic, and the spare that comes of it.
  static func withSpare() throws -> CircuitScene {
    let scene = try CircuitScene(relays: 2)
    try scene.join()
    var rounds = 0
    while !scene.hasSpares, rounds < 100 {
      scene.exchange(1)
      rounds += 1
    }
    try #require(scene.hasSpares)
    return scene
  }

  /// From now on nothing that the node sends or shall receive arrives.
  func cut(_ dead: Side) {
    let ends = [a.endpoint, b.endpoint]
    wires.passes = { datagram in
      datagram.from != dead.endpoint && datagram.to != dead.endpoint
        && !(ends.contains(datagram.from) && ends.contains(datagram.to))
    }
  }

  /// The relay that carries what `a` sends, and the other one.
  func relaysInUse() throws -> (used: Side, spare: Side) {
    let used = try #require(relays.first { $0.id == relay(of: a, b) })
    return (used, try #require(relays.first { $0.id != used.id }))
  }

  /// Says that a circuit of `one` through the relay takes so long.
  func pretend(_ one: Side, _ other: Side, through relay: Side, _ roundTrip: Interval) {
    let slot = one.slot(other)
    for place in Peer.circuitSlots where one.links.peers[slot].paths[place]?.relay == relay.id {
      for _ in 0..<60 { one.links.peers[slot].paths[place]!.roundTrip.add(roundTrip) }
    }
  }
}
