// The way of a datagram from one node to another.

import Base
import Node

/// What became of datagrams.
public struct WorldCounters: Sendable {
  /// Datagrams handed to cores.
  public var received: UInt64 = 0
  public var receivedBytes: UInt64 = 0
  /// Packets handed to virtual devices.
  public var delivered: UInt64 = 0
  public var duplicated: UInt64 = 0
  /// By `Drop.rawValue`.
  fileprivate var dropped = [UInt64](repeating: 0, count: Drop.allCases.count)

  public subscript(_ reason: Drop) -> UInt64 { dropped[Int(reason.rawValue)] }
}

/// Why a datagram did not arrive.
public enum Drop: UInt8, Sendable, CaseIterable {
  /// Nobody has the address.
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

  /// Sends a datagram on its way.
  func transmit(_ bytes: Frame, from node: Int, to endpoint: Endpoint) {
    let record = records + node
    record.pointee.sentDatagrams &+= 1
    record.pointee.sentBytes &+= UInt64(bytes.count + 28)
    sum.fold(endpoint.address.low, endpoint.address.high &+ UInt64(endpoint.port))
    self.record(.transmit, of: node, bytes)
    guard let destination = SimEndpoint(endpoint) else { return drop(.unroutable) }
    if record.pointee.flags.contains(.blocked) { return drop(.blocked) }
    let target = internet.lookUp(destination.address)
    guard let other = target.node, destination.port == Internet.port else { return drop(.unroutable) }
    if let passes, !passes(node, other) { return drop(.cut) }
    let flight = Flight(
      source: SimEndpoint(record.pointee.address, port: Internet.port), destination: destination,
      sender: UInt32(truncatingIfNeeded: node), length: UInt16(truncatingIfNeeded: bytes.count), flags: 0)
    var delay = geography.base(record.pointee.place, records[other].place)
    let share = geography.model.jitterShare
    if share > 0 { delay += wireRandom.below(delay / share + 1) }
    if !loss.isPerfect {
      if loss.uniform > 0, wireRandom.happens(loss.uniform) { return drop(.lost) }
      if loss.reordered > 0, wireRandom.happens(loss.reordered) {
        delay += wireRandom.below(loss.reorderDelay.ns + 1)
      }
      if loss.duplicated > 0, wireRandom.happens(loss.duplicated) {
        counters.duplicated &+= 1
        launch(flight, bytes, to: target, after: delay + wireRandom.below(delay / 4 + 1))
      }
    }
    launch(flight, bytes, to: target, after: delay)
  }

  private func launch(_ flight: Flight, _ bytes: Frame, to target: Attachment, after delay: UInt64) {
    guard let handle = arena.take(length: bytes.count) else { return drop(.full) }
    arena.header(handle).pointee = flight
    arena.payload(handle).copyMemory(from: bytes.base, byteCount: bytes.count)
    queue.push(Happening.arrival(target, handle).word, at: now.ns &+ delay)
  }

  /// A datagram has come to the end of its way.
  func onArrival(_ target: Attachment, _ handle: UInt32) {
    events &+= 1
    guard let node = target.node, records[node].flags.contains(.alive) else {
      arena.release(handle)
      return drop(.dead)
    }
    if records[node].flags.contains(.blocked) {
      arena.release(handle)
      return drop(.blocked)
    }
    handOver(handle, to: hosts[node])
  }

  /// Hands a datagram to a core.
  func handOver(_ handle: UInt32, to host: Host) {
    let flight = arena.header(handle).pointee
    let length = Int(flight.length)
    guard let ref = host.desk.storage.pointee.pool.take(length: length) else {
      arena.release(handle)
      return drop(.full)
    }
    host.desk.storage.pointee.pool.frame(ref).base.copyMemory(from: arena.payload(handle), byteCount: length)
    arena.release(handle)
    counters.received &+= 1
    counters.receivedBytes &+= UInt64(length + 28)
    begin(host)
    host.core.receive(ref, from: flight.source.endpoint, &host.context)
    end(host)
  }
}
