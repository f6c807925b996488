// The way of a datagram from one node to another.
//
// From its own network outwards through the boxes in front of it, each of which puts its own address in the
// place of the source; over the internet, which takes time and loses; inwards through the boxes in front of
// the other one, each of which lets it in or not. The outward half is worked out when the datagram is sent,
// the inward half when it arrives: two nodes that open their boxes towards each other at the same time are
// what it is about.

import Base
import Node

/// What became of datagrams.
public struct WorldCounters: Sendable {
  /// Datagrams handed to cores.
  public var received: UInt64 = 0
  public var receivedBytes: UInt64 = 0
  /// Connections that nodes have begun.
  public internal(set) var streams: UInt64 = 0
  /// Packets handed to virtual devices.
  public var delivered: UInt64 = 0
  public var duplicated: UInt64 = 0
  /// By `Drop.rawValue`.
  fileprivate var dropped = [UInt64](repeating: 0, count: Drop.allCases.count)

  public subscript(_ reason: Drop) -> UInt64 { dropped[Int(reason.rawValue)] }
}

/// Why a datagram did not arrive.
public enum Drop: UInt8, Sendable, CaseIterable {
  /// Nobody has the address, or nobody listens on the port.
  case unroutable
  /// The node there is dead.
  case dead
  /// Lost at random.
  case lost
  /// A partition, or a pair that never gets through to each other.
  case cut
  /// A site without UDP.
  case blocked
  /// The arena of datagrams in flight, or a packet pool, is full.
  case full
  /// The socket buffer of a stopped process is full.
  case socketFull
  /// A box has no mapping, does not let this one in, or has no port left.
  case filtered
}

extension World {
  func drop(_ reason: Drop) { counters.dropped[Int(reason.rawValue)] &+= 1 }

  // MARK: - Outwards

  /// Sends a datagram on its way.
  func transmit(_ bytes: Frame, from node: Int, to endpoint: Endpoint) {
    let record = records + node
    record.pointee.sentDatagrams &+= 1
    record.pointee.sentBytes &+= UInt64(bytes.count + 28)
    let ports = UInt64(endpoint.port) | UInt64(endpoint.socket.value) &<< 16
    sum.fold(endpoint.address.low, endpoint.address.high &+ ports)
    self.record(.transmit, of: node, bytes)
    if endpoint.socket.isStream { return transmitFrame(bytes, from: node, to: endpoint) }
    guard let destination = SimEndpoint(endpoint) else { return drop(.unroutable) }
    if record.pointee.flags.contains(.blocked) { return drop(.blocked) }
    var port = OpenSockets.port(endpoint.socket)
    if endpoint.socket != .main, hosts[node].sockets.number(at: port) == nil { return drop(.unroutable) }
    if endpoint.socket == .main, record.pointee.flags.contains(.rebound) { port = hosts[node].sockets.main }
    var flight = Flight(
      source: SimEndpoint(record.pointee.address, port: port), destination: destination,
      sender: UInt32(truncatingIfNeeded: node), length: UInt16(truncatingIfNeeded: bytes.count), flags: 0)
    if record.pointee.box >= 0 {
      switch passOutwards(&flight, Int(record.pointee.box)) {
      case .open: break
      case .inside(let target): return launch(flight, bytes, to: target, after: Internet.localDelay)
      case .stopped(let reason): return drop(reason)
      }
    }
    let target = internet.open.lookUp(destination.address)
    if target == .none { return drop(.unroutable) }
    if let passes, let other = target.node, !passes(node, other) { return drop(.cut) }
    cross(flight, bytes, to: target, from: record)
  }

  /// Where a datagram comes out of the boxes in front of its sender.
  private enum Way {
    case open
    /// It stays in one of the networks on the way.
    case inside(Attachment)
    case stopped(Drop)
  }

  private func passOutwards(_ flight: inout Flight, _ first: Int) -> Way {
    var next: Int? = first
    while let box = next {
      let local = internet.boxes[box].inside.lookUp(flight.destination.address)
      if local != .none { return .inside(local) }
      let source = internet.boxes[box].nat.outbound(from: flight.source, to: flight.destination, at: now)
      guard let source else { return .stopped(.filtered) }
      flight.source = source
      if flight.destination.address == source.address {
        // A hairpin: the box is a box on the way in as well.
        return internet.boxes[box].nat.behaviour.hairpins ? .inside(.box(box)) : .stopped(.filtered)
      }
      next = internet.boxes[box].outer
    }
    return .open
  }

  /// Over the internet: takes time, loses, doubles.
  @inline(__always)
  private func cross(
    _ flight: Flight, _ bytes: Frame, to target: Attachment, from record: UnsafeMutablePointer<NodeRecord>
  ) {
    let place =
      if let box = target.box { internet.boxes[box].place } else { records[Int(target.code)].place }
    var delay = geography.base(record.pointee.place, place)
    if geography.jitterShare > 0 { delay &+= wireRandom.below(delay / geography.jitterShare + 1) }
    if !loss.isPerfect {
      if loss.uniform > 0, wireRandom.happens(loss.uniform) { return drop(.lost) }
      if let access = loss.access {
        var isBad = record.pointee.flags.contains(.uplinkIsBad)
        let isLost = access.loses(&isBad, &wireRandom)
        record.pointee.flags.set(.uplinkIsBad, isBad)
        if isLost { return drop(.lost) }
      }
      if loss.reordered > 0, wireRandom.happens(loss.reordered) {
        delay &+= wireRandom.below(loss.reorderDelay.ns + 1)
      }
      if loss.duplicated > 0, wireRandom.happens(loss.duplicated) {
        counters.duplicated &+= 1
        launch(flight, bytes, to: target, after: delay &+ wireRandom.below(delay / 4 + 1))
      }
    }
    if record.pointee.flags.contains(.weather) {
      let weather = hosts[Int(flight.sender)].weather
      if weather.loses(at: now, &wireRandom) { return drop(.lost) }
      delay &+= weather.delay(at: now)
    }
    launch(flight, bytes, to: target, after: delay)
  }

  private func launch(_ flight: Flight, _ bytes: Frame, to target: Attachment, after delay: UInt64) {
    guard let handle = arena.take(length: bytes.count) else { return drop(.full) }
    arena.header(handle).pointee = flight
    arena.payload(handle).copyMemory(from: bytes.base, byteCount: bytes.count)
    queue.push(Happening.arrival(target, handle).word, at: now.ns &+ delay)
  }

  // MARK: - Inwards

  /// A datagram has come to a node, or to the outermost box in front of it.
  func onArrival(_ target: Attachment, _ handle: UInt32) {
    events &+= 1
    if let node = target.node { return arrive(handle, at: node) }
    let flight = arena.header(handle)
    var next = target.box
    while let box = next {
      let inside = internet.boxes[box].nat.inbound(
        to: flight.pointee.destination.port, from: flight.pointee.source, at: now)
      guard let inside else { return lose(handle, .filtered) }
      flight.pointee.destination = inside
      let local = internet.boxes[box].inside.lookUp(inside.address)
      if let node = local.node { return arrive(handle, at: node) }
      next = local.box
    }
    lose(handle, .unroutable)
  }

  func lose(_ handle: UInt32, _ reason: Drop) {
    arena.release(handle)
    drop(reason)
  }

  /// A datagram has come to the access link of its node.
  private func arrive(_ handle: UInt32, at node: Int) {
    let record = records + node
    let flags = record.pointee.flags
    guard flags.contains(.alive) else { return lose(handle, .dead) }
    let flight = arena.header(handle).pointee
    if flight.destination.address != record.pointee.address { return lose(handle, .unroutable) }
    if flight.destination.port != Internet.port,
      hosts[node].sockets.number(at: flight.destination.port) == nil
    {
      return lose(handle, .unroutable)
    }
    if flags.contains(.blocked) { return lose(handle, .blocked) }
    if !cuts.isEmpty, cuts.separates(records + Int(flight.sender), record) { return lose(handle, .cut) }
    if loss.brokenPairs > 0, isBroken(Int(flight.sender), node) { return lose(handle, .cut) }
    if flight.flags == 0 {
      if let access = loss.access, !isLocal(flight, record) {
        var isBad = flags.contains(.downlinkIsBad)
        let isLost = access.loses(&isBad, &wireRandom)
        record.pointee.flags.set(.downlinkIsBad, isBad)
        if isLost { return lose(handle, .lost) }
      }
      if flags.contains(.weather), holdBack(handle, node) { return }
    }
    let host = hosts[node]
    if flags.contains(.paused) {
      guard host.waiting.datagrams.count < Host.Waiting.datagramsMax else { return lose(handle, .socketFull) }
      host.waiting.datagrams.append(handle)
      return
    }
    handOver(handle, to: host)
  }

  private func isLocal(_ flight: Flight, _ record: UnsafeMutablePointer<NodeRecord>) -> Bool {
    record.pointee.box >= 0 && records[Int(flight.sender)].box == record.pointee.box
  }

  /// Whether these two never get through to each other.
  func isBroken(_ a: Int, _ b: Int) -> Bool {
    let pair = UInt64(min(a, b)) &<< 32 | UInt64(max(a, b))
    return mixed(pair ^ mixed(options.seed)) % 1_000_000 < UInt64(loss.brokenPairs)
  }

  /// Lets the weather at the node's access link have its way with a datagram.
  /// - Returns: whether it is lost, or comes later.
  private func holdBack(_ handle: UInt32, _ node: Int) -> Bool {
    let weather = hosts[node].weather
    if weather.isOver(at: now) {
      records[node].flags.remove(.weather)
      return false
    }
    if weather.loses(at: now, &wireRandom) {
      lose(handle, .lost)
      return true
    }
    let delay = weather.delay(at: now)
    guard delay > 0 else { return false }
    // Once is enough: it does not wait again when it comes the second time.
    arena.header(handle).pointee.flags = 1
    queue.push(Happening.arrival(.node(node), handle).word, at: now.ns &+ delay)
    return true
  }

  /// Hands a datagram to a core.
  func handOver(_ handle: UInt32, to host: Host) {
    if arena.header(handle).pointee.flags & Flight.isFrame != 0 { return handOverFrame(handle, to: host) }
    let source = arena.header(handle).pointee.source
    let port = arena.header(handle).pointee.destination.port
    // The socket may have been closed while the process was stopped.
    guard let socket = host.sockets.number(at: port) else { return lose(handle, .unroutable) }
    deliver(handle, to: host, from: source.endpoint.through(socket), 28)
  }

  /// Calls a core with a datagram, before which stood `headerBytes` on the wire.
  func deliver(_ handle: UInt32, to host: Host, from endpoint: Endpoint, _ headerBytes: Int) {
    let length = Int(arena.header(handle).pointee.length)
    let context = host.desk.storage
    guard let ref = context.pointee.pool.take(length: length) else { return lose(handle, .full) }
    context.pointee.pool.frame(ref).base.copyMemory(from: arena.payload(handle), byteCount: length)
    arena.release(handle)
    counters.received &+= 1
    counters.receivedBytes &+= UInt64(length + headerBytes)
    host.pulse.pointee.receivedDatagrams &+= 1
    host.pulse.pointee.receivedBytes &+= UInt64(length + headerBytes)
    begin(host)
    host.core.receive(ref, from: endpoint, &host.context)
    end(host)
  }
}
