// Packets of the device in trains: one look at the route for all packets of a train, and one at the addresses
// for all records that continue each other.

import Base
import DHT
import Overlay
import Session

/// A train on its way out: what is left of it, and how it goes.
public struct OutgoingTrain: ~Copyable {
  let peer: Int
  let way: TrainWay
  let content: UInt8
  let offload: UInt16
  let trafficClass: UInt8
  var cutter: Cutter
  /// The packet that found no room.
  var waiting: Frame?
  var bytes = 0
}

/// What became of a datagram with a data record.
public enum TrainDelivery: Sendable, BitwiseCopyable {
  /// It is settled, or will be handed out with others.
  case taken
  /// This, behind its virtio header, is to be written to the device before the next call.
  case write(Frame)
  /// It is not for this way, and nothing was done: hand it over in a slot.
  case plain
  /// It was opened, and is not for this way: hand its packet over in a slot.
  case opened(Opened, packet: Frame, counter: UInt64, Origin)
}

extension Tunnel {
  /// Begins to send what the device has handed over.
  /// - Parameters:
  ///   - packetAt: where the packet begins in the buffer.
  /// - Returns: nil when its packets must go one by one.
  public mutating func begin(
    _ train: Train, in buffer: Frame, packetAt: Int, _ network: inout Network, _ context: inout Context
  ) -> OutgoingTrain? {
    guard isOwn(train.source), let slot = routes[train.destination].map(Int.init),
      let content = network.links.memberSlot(slot), let way = network.links.trainWay(to: slot),
      way.takesHints || train.offload == 0
    else { return nil }
    // Only TCP may be cut smaller than its kernel wants it.
    let train = train.limited(to: way.packetBytesMax - train.header.headerBytes)
    guard train.packetBytes(of: 0) <= way.packetBytesMax else { return nil }
    if network.links.peers[slot].sentBytes == 0 { verifyShown(slot, &network, &context) }
    return OutgoingTrain(
      peer: slot, way: way, content: content, offload: train.offload,
      trafficClass: way.keepsMarks ? Congestion.outer(of: train.trafficClass) : 0,
      cutter: Cutter(train, buffer: buffer, packetAt: packetAt))
  }

  /// Seals packets of a train into a run of datagrams.
  /// - Returns: whether that was all; else the run is full, and must leave before the next call.
  public mutating func seal(
    _ train: inout OutgoingTrain, into run: inout DatagramRun, _ network: inout Network,
    _ context: inout Context
  ) -> Bool {
    while let text = train.waiting ?? train.cutter.next() {
      let bytes = text.count + train.way.datagramOverhead
      guard let room = run.room(bytes, to: train.way.endpoint, trafficClass: train.trafficClass) else {
        train.waiting = text
        return false
      }
      train.waiting = nil
      guard
        network.links.seal(text, content: train.content, offload: train.offload, train.way, into: room)
      else { break }
      run.add(bytes, to: train.way.endpoint, trafficClass: train.trafficClass)
      train.bytes += text.count - 4
      counters.sent &+= 1
    }
    network.links.noteSent(train.bytes, to: train.peer, train.way, context.now)
    return true
  }

  /// Takes a datagram with a record of a data space.
  /// - Parameter trafficClass: of the header that it came in.
  public mutating func receive(
    _ datagram: Frame, from endpoint: Endpoint, trafficClass: UInt8, into coalescer: inout Coalescer,
    _ network: inout Network, _ context: inout Context
  ) -> TrainDelivery {
    guard let (record, origin) = network.links.dataRecord(in: datagram, from: endpoint),
      let text = coalescer.room(record.count - Links.recordOverhead)
    else { return .plain }
    switch network.links.open(record, into: text, from: origin, &context) {
    case .data(let slot, let opened):
      return accept(text, opened, trafficClass, from: slot, &coalescer, &network, &context)
        ?? .opened(
          opened, packet: text.dropping(4), counter: record.little(4, as: UInt64.self), origin)
    case .other(let opened):
      return .opened(
        opened, packet: text.dropping(4), counter: record.little(4, as: UInt64.self), origin)
    case .notOpened:
      coalescer.abandon()
      return .plain
    case .dropped:
      coalescer.abandon()
      return .taken
    }
  }

  /// Takes an opened packet of a peer: what continues the last one needs no further look.
  /// - Returns: nil when it is one that needs another.
  private mutating func accept(
    _ text: Frame, _ opened: Opened, _ trafficClass: UInt8, from slot: Int, _ coalescer: inout Coalescer,
    _ network: inout Network, _ context: inout Context
  ) -> TrainDelivery? {
    let packet = text.dropping(4)
    // What is for all has another first byte than an IP packet, and is told apart elsewhere.
    guard packet.count >= 20, Self.isIP(packet) else { return nil }
    guard trafficClass & 3 == 0 || Congestion.pass(outer: trafficClass, to: packet) else {
      counters.congested &+= 1
      coalescer.abandon()
      return .taken
    }
    guard isMember(slot, opened.content, network) else { return nil }
    var finished: Frame?
    switch coalescer.offer(
      text.count, hint: opened.offload,
      key: UInt64(opened.session.slot) << 40 | UInt64(opened.session.serial) << 8 | UInt64(opened.content))
    {
    case .merged: break
    case .refused:
      counters.malformed &+= 1
      return .taken
    case .fresh(let header):
      guard routes[header.source] == UInt32(slot), isOwn(header.destination) else {
        return nil
      }
      if network.links.peers[slot].receivedBytes == 0 { verifyShown(slot, &network, &context) }
      finished = coalescer.begin()
    }
    network.links.noteReceived(packet.count, from: slot, context.now)
    counters.received &+= 1
    if let finished { return .write(finished) }
    return .taken
  }

  private static func isIP(_ packet: Frame) -> Bool { packet[0] >> 4 == 4 || packet[0] >> 4 == 6 }

  /// Sums a packet whose record says that its checksum is partial.
  /// - Returns: false when that may not be said of it.
  func complete(_ packet: Frame, _ offload: UInt16) -> Bool {
    offload == 0 || (OffloadHint.isSound(offload) && Partial.complete(packet))
  }
}
