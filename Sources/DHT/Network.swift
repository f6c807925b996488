// Everything below the virtual network: links, ring and directory as one machine. A seed is this and no more.
//
// The parts tell each other what changed by event queues that `pump` empties after every input, until nothing
// is left; what the layer above must know goes into one queue upwards.

import Base
import Overlay
import Session

/// What the layer above must know.
public enum NetworkEvent: BitwiseCopyable, Sendable {
  case linkUp(peer: Int)
  case linkDown(PublicKey)
  case unreachable(PublicKey)
  /// The peer's proofs of membership are known.
  case proved(peer: Int)
  case ringChanged
  /// The answer to `find`, and the hops that the question took.
  case found(nonce: UInt64, PublicKey, hops: UInt8)
  case directory(DirectoryEvent)
  /// A peer has answered `measure`.
  case measured(ticket: UInt32)
  /// The machine slept: what peers say of this node is old.
  case woke
  /// A datagram over the ring came no farther than this node.
  case unreached(OverlayID, by: OverlayID)
}

/// What a datagram brought for the layer above. The packet's slot belongs to whoever takes it.
public enum Delivery: BitwiseCopyable, Sendable {
  case none
  case claim(peer: Int, PacketRef)
  /// A message of a member (`MemberMessageType`), from the slot of its community on.
  case member(peer: Int, PacketRef)
  case data(peer: Int, content: UInt8, offload: UInt16, counter: UInt64, PacketRef)
}

/// A place on the ring with its share of the directory.
public struct Network: ~Copyable {
  public var links: Links
  public var ring: Ring
  /// When a datagram was last taken, or the timers were looked at.
  private var lastAt: Instant = .start
  public var directory: Directory
  /// What all nodes are asked, here and by others.
  public var tasks: MapReduce
  public var events = Outbox<NetworkEvent>(capacity: 512)

  public init(
    links: consuming Links, ring: consuming Ring, directory: consuming Directory, incarnation: UInt64
  ) {
    self.links = links
    self.ring = ring
    self.directory = directory
    tasks = MapReduce(incarnation: incarnation)
  }

  // (Of more than three, `min` makes an array.)
  public var deadline: Instant {
    min(min(links.deadline, ring.deadline), min(directory.deadline, tasks.deadline))
  }

  /// Whether this node has its place and answers for its part of the directory.
  public var isReady: Bool { ring.isSettled && directory.isReady }

  public mutating func expire(_ context: inout Context) {
    // Nothing was done for long, though something was due: the machine slept.
    if Ring.hasSlept(since: lastAt, due: deadline, at: context.now) {
      ring.wakeUp(&links, &context)
      events.append(.woke)
    }
    lastAt = context.now
    links.expire(&context)
    pump(&context)
    if ring.deadline <= context.now { ring.expire(&links, &context) }
    directory.expire(&links, ring, &context)
    tasks.expire(&links, &context)
    pump(&context)
  }

  /// Takes a datagram and its slot.
  public mutating func receive(_ ref: PacketRef, from endpoint: Endpoint, _ context: inout Context)
    -> Delivery
  {
    lastAt = context.now
    return receive(links.receive(ref, from: .endpoint(endpoint), &context), ref, &context)
  }

  /// Takes a record that was opened elsewhere.
  /// - Parameters:
  ///   - body: its packet, in a slot that goes with it.
  ///   - counter: that of the record.
  public mutating func receive(
    opened: Opened, _ body: PacketRef, counter: UInt64, from origin: Origin, _ context: inout Context
  ) -> Delivery {
    lastAt = context.now
    return receive(
      links.receive(opened: opened, body, counter: counter, from: origin, &context), body, &context)
  }

  private mutating func receive(
    _ first: Arrival, _ ref: PacketRef, _ context: inout Context
  ) -> Delivery {
    var ref = ref
    var arrival = first
    // A datagram may carry a routed one, and that a record that carries another: never deeper.
    for depth in 0..<3 {
      switch arrival {
      case .none:
        context.pool.release(ref)
        return .none
      case .passed:
        return .none
      case .message(let peer, let type, let body):
        if type == .claim { return .claim(peer: peer, body) }
        if type == .member { return .member(peer: peer, body) }
        receive(type, context.pool.frame(body), from: peer, &context)
        context.pool.release(ref)
        return .none
      case .data(let peer, let content, let offload, let counter, let packet):
        return .data(peer: peer, content: content, offload: offload, counter: counter, packet)
      case .routed(let message, let hop, let number):
        guard let (header, payload) = links.forward(message, from: hop, number: number, &context) else {
          return .none
        }
        if header.payload == .datagram {
          ref = payload
          if depth < 2 {
            arrival = links.receive(ref, from: .routed(header.source, via: header.sourceVia), &context)
          }
          continue
        }
        receive(header, context.pool.frame(payload), from: hop, &context)
        context.pool.release(ref)
        return .none
      }
    }
    context.pool.release(ref)
    return .none
  }

  private mutating func receive(
    _ type: LinkMessageType, _ body: Frame, from peer: Int, _ context: inout Context
  ) {
    if type == .task {
      receiveTask(body, from: peer, of: nil, &context)
    } else if type == .stabilise, let message = try? Stabilise(decoding: body) {
      ring.receive(message, from: peer, &links, &context)
    } else if type == .unify, let message = try? Unify(decoding: body) {
      ring.receive(message, from: peer, &links, &context)
    } else if type == .leave, let message = try? Leave(decoding: body) {
      ring.receive(message, from: peer, &links, &context)
    } else {
      links.countMalformed()
    }
  }

  private mutating func receive(
    _ header: RoutedHeader, _ payload: Frame, from hop: Int?, _ context: inout Context
  ) {
    if header.payload == .directory {
      let isFirstHand = hop.map { links.peers.isUsed($0) && links.peers[$0].id == header.source } ?? false
      directory.receive(payload, from: header, isFirstHand: isFirstHand, &links, ring, &context)
    } else if header.payload == .ring, let message = try? RingMessage(decoding: payload) {
      if case .undeliverable(let destination, let kind, let ticket) = message {
        if kind == .datagram { events.append(.unreached(destination, by: header.source)) }
        return onUndeliverable(destination, kind, ticket: ticket, &context)
      }
      ring.receive(message, header: header, isReady: isReady, &links, &context)
    } else {
      links.countMalformed()
    }
  }

  private mutating func onUndeliverable(
    _ destination: OverlayID, _ payload: RoutedPayload, ticket: UInt64, _ context: inout Context
  ) {
    switch payload {
    case .ring:
      ring.onUndeliverable(nonce: ticket, &context)
      links.hear(Looked(nonce: ticket, id: destination, ring: .main, testimony: nil))
    case .directory: directory.onUndeliverable(ticket: ticket, &context)
    case .datagram: links.onUnreached(destination, &context)
    case .group, .roll: break
    }
  }

  /// Lets the parts react to each other until nothing is left to tell.
  public mutating func pump(_ context: inout Context) {
    while links.events.count + links.arrivals.count + ring.events.count + directory.events.count > 0 {
      pumpLinks(&context)
      pumpArrivals(&context)
      pumpRing(&context)
      for i in 0..<directory.events.count { events.append(.directory(directory.events[i])) }
      directory.events.removeAll()
    }
  }

  private mutating func pumpLinks(_ context: inout Context) {
    var i = 0
    while i < links.events.count {
      switch links.events[i] {
      case .up(let peer):
        if links.peers.isUsed(peer) {
          ring.onUp(peer, &links, &context)
          remember(peer, &context)
          events.append(.linkUp(peer: peer))
        }
      case .down(let key):
        ring.onDown(key, &links, &context)
        tasks.onDown(key.id, context.now)
        events.append(.linkDown(key))
      case .proved(let peer):
        events.append(.proved(peer: peer))
      case .outside(let peer):
        if links.peers.isUsed(peer) { ring.lookOutside(peer, &links, &context) }
      case .direct(let peer):
        if links.peers.isUsed(peer) { remember(peer, &context) }
      case .measured(let ticket):
        events.append(.measured(ticket: ticket))
      case .undeliverable(let destination, let payload, let ticket):
        onUndeliverable(destination, payload, ticket: ticket, &context)
      case .unreachable(let key):
        // Others are there and this one is not: the next start need not look for it.
        if links.upCount > 0 { forgetPeer(key, &context) }
        ring.onUnreachable(key, &links, &context)
        events.append(.unreachable(key))
      }
      i += 1
    }
    links.events.removeAll()
  }

  private mutating func pumpArrivals(_ context: inout Context) {
    var i = 0
    while i < links.arrivals.count {
      let arrival = links.arrivals[i]
      receive(arrival.header, context.pool.frame(arrival.payload), from: arrival.from, &context)
      context.pool.release(arrival.payload)
      i += 1
    }
    links.arrivals.removeAll()
  }

  private mutating func pumpRing(_ context: inout Context) {
    var i = 0
    while i < ring.events.count {
      switch ring.events[i] {
      case .changed:
        directory.onRingChanged(&links, ring, &context)
        events.append(.ringChanged)
      case .found(let nonce, let key, let hops):
        events.append(.found(nonce: nonce, key, hops: hops))
      }
      i += 1
    }
    ring.events.removeAll()
  }

  // MARK: - Questions of the layer above

  /// Takes a message about a task from a linked peer.
  /// - Parameter community: of the members among whom it came; nil on the ring of all nodes.
  public mutating func receiveTask(
    _ body: Frame, from peer: Int, of community: Community?, _ context: inout Context
  ) {
    tasks.receive(
      body, from: peer, of: community, unixSeconds: directory.unixSeconds(at: context.now), &links, &context)
  }

  public mutating func get(_ key: OverlayID, tag: UInt32, _ context: inout Context) {
    directory.get(key, tag: tag, &links, ring, &context)
  }

  public mutating func put(_ lease: [UInt8], tag: UInt32, _ context: inout Context) {
    directory.put(lease, tag: tag, &links, ring, &context)
  }

  public mutating func find(
    _ target: OverlayID, mode: RoutingMode = .nearest, nonce: UInt64, _ context: inout Context
  ) {
    ring.find(target, mode: mode, nonce: nonce, &links, &context)
  }

  // MARK: - Peers of the last run

  /// Writes down where a directly reached peer is, so that the next start needs no bootstrap.
  private func remember(_ peer: Int, _ context: inout Context) {
    guard let endpoint = links.peers[peer].bestPath?.endpoint?.listening, endpoint != .none,
      let packet = context.pool.take(length: 0)
    else { return }
    var writer = WireWriter(context.pool.room(packet))
    writer.byte(32)
    links.peers[peer].key.encode(to: &writer)
    endpoint.encode(to: &writer)
    let whole = PacketRef(slot: packet.slot, offset: packet.offset, length: UInt16(writer.count))
    context.emit(.store(.peers, ticket: 0, whole), owning: whole)
  }

  private func forgetPeer(_ key: PublicKey, _ context: inout Context) {
    guard let packet = context.pool.take(length: 33) else { return }
    var writer = WireWriter(context.pool.frame(packet))
    writer.byte(32)
    key.encode(to: &writer)
    context.emit(.store(.peers, ticket: 0, packet), owning: packet)
  }

  /// A peer of an earlier run: tried at once.
  public mutating func recall(key: Frame, value: Frame, _ context: inout Context) {
    guard let peer = try? PublicKey(decoding: key), let endpoint = try? Endpoint(decoding: value) else {
      return
    }
    links.recall(peer, at: endpoint, &context)
  }
}
