// Sending records: control messages, data of communities, and datagrams over the ring.
//
// A message is written behind the headroom of a fresh slot; each layer around it (record, routed header,
// record of the hop) is put before it in place. A packet larger than its path travels as two part-records.

import Base
import Session

/// How the content byte of a record is made up.
public enum Content {
  public static let control: UInt8 = 0
  public static let routed: UInt8 = 1
  /// A routed message behind a number of 4 bytes, under which the receiver confirms it.
  public static let numbered: UInt8 = 2
  /// Community slots are `communities ..< communities + 8`.
  public static let communities: UInt8 = 8
  public static let classMask: UInt8 = 0x3F
  public static let firstPart: UInt8 = 0x40
  public static let secondPart: UInt8 = 0x80
}

extension Links {
  /// The first byte of a datagram that carries nothing and is never answered.
  static let openerKind: UInt8 = 6

  /// Sends a control message on the peer's best path, or on the given one.
  public mutating func send(
    _ type: LinkMessageType, to slot: Int, path index: Int? = nil, _ context: inout Context,
    _ write: (inout WireWriter) -> Void
  ) {
    guard let index = index ?? peers[slot].best, let way = peers[slot].paths[index]?.way else {
      counters.noWay &+= 1
      return
    }
    send(type, to: slot, way, via: nil, &context, write)
  }

  /// Sends a control message back the way another came.
  mutating func reply(
    _ type: LinkMessageType, to slot: Int, _ origin: Origin, _ context: inout Context,
    _ write: (inout WireWriter) -> Void
  ) {
    var via: OverlayID?
    if case .routed(_, let named) = origin { via = named }
    send(type, to: slot, origin.way, via: via, &context, write)
  }

  /// Sends a control message in this way, whether a path of the peer takes it or not.
  mutating func send(
    _ type: LinkMessageType, to slot: Int, _ way: Way, via: OverlayID?, _ context: inout Context,
    _ write: (inout WireWriter) -> Void
  ) {
    let body = compose(&context) { writer in
      writer.byte(type.rawValue)
      write(&writer)
    }
    guard let body else { return }
    switch way {
    case .endpoint(let endpoint): sealAndTransmit(body, Content.control, to: slot, endpoint, &context)
    case .overlay: sealAndRoute(body, space: 0, Content.control, to: slot, via: via, &context)
    case .circuit(let relay, let label):
      guard let datagram = seal(body, space: 0, Content.control, to: slot, &context) else { return }
      transmit(datagram, through: relay, label: label, &context)
    }
  }

  /// A slot with what `write` writes; nil when no slot is left.
  mutating func compose(_ context: inout Context, _ write: (inout WireWriter) -> Void) -> PacketRef? {
    guard var ref = context.pool.take(length: 0) else {
      counters.noSlot &+= 1
      return nil
    }
    var writer = WireWriter(context.pool.room(ref).prefix(PacketPool.payloadMax))
    write(&writer)
    precondition(!writer.overflowed, "a control message fits a slot")
    ref.length = UInt16(writer.count)
    return ref
  }

  /// Puts a record around the body in place.
  /// - Returns: the datagram; nil, and the slot is released, when there are no keys to seal with.
  mutating func seal(
    _ body: PacketRef, space: UInt8, _ content: UInt8, to slot: Int, _ context: inout Context
  ) -> PacketRef? {
    let before = UInt16(SessionTable.headerBytes + SessionTable.contentBytes)
    let datagram = PacketRef(
      slot: body.slot, offset: body.offset - before, length: body.length + UInt16(SessionTable.overhead))
    guard let session = peers[slot].session,
      case .sealed = sessions.seal(
        session, space: space, content: content, offload: 0, datagram: context.pool.frame(datagram))
    else {
      counters.noWay &+= 1
      context.pool.release(body)
      return nil
    }
    return datagram
  }

  private mutating func sealAndTransmit(
    _ body: PacketRef, _ content: UInt8, to slot: Int, _ endpoint: Endpoint, _ context: inout Context
  ) {
    guard let datagram = seal(body, space: 0, content, to: slot, &context) else { return }
    context.emit(.transmit(datagram, to: endpoint), owning: datagram)
  }

  private mutating func sealAndRoute(
    _ body: PacketRef, space: UInt8, _ content: UInt8, to slot: Int, via: OverlayID? = nil,
    _ context: inout Context
  ) {
    guard let datagram = seal(body, space: space, content, to: slot, &context) else { return }
    routeDatagram(datagram, to: peers[slot].id, via: via, &context)
  }

  // MARK: - Data

  /// Sends a packet of a community on the peer's best path. Takes the packet's slot.
  /// - Parameters:
  ///   - content: the community slot on which the peer receives.
  ///   - isTraffic: whether it is a reason to look for a better way: not what is passed on to all members.
  public mutating func sendData(
    _ packet: PacketRef, content: UInt8, to slot: Int, isTraffic: Bool = true, _ context: inout Context
  ) {
    guard let index = peers[slot].best, let size = peers[slot].paths[index]?.size else {
      counters.noWay &+= 1
      return context.pool.release(packet)
    }
    if isTraffic { noteSent(Int(packet.length), slot, index, context.now) }
    let record = Int(packet.length) + SessionTable.overhead
    if record <= Int(size) { return sendRecord(packet, content: content, to: slot, path: index, &context) }
    // Two halves with neighbouring counters; the receiver puts them together.
    let head = (packet.length + 1) / 2
    let tail = PacketRef(slot: packet.slot, offset: packet.offset + head, length: packet.length - head)
    guard Int(head) + SessionTable.overhead <= Int(size),
      let second = context.pool.take(copying: context.pool.frame(tail))
    else {
      counters.noSlot &+= 1
      return context.pool.release(packet)
    }
    let first = PacketRef(slot: packet.slot, offset: packet.offset, length: head)
    sendRecord(first, content: content | Content.firstPart, to: slot, path: index, &context)
    sendRecord(second, content: content | Content.secondPart, to: slot, path: index, &context)
  }

  private mutating func sendRecord(
    _ body: PacketRef, content: UInt8, to slot: Int, path index: Int, _ context: inout Context
  ) {
    // Spaces: 0 is the control plane's, then one a path, so that a switch does not disturb the other path's
    // window.
    guard let datagram = seal(body, space: UInt8(1 + index), content, to: slot, &context) else { return }
    switch peers[slot].paths[index]?.way {
    case .endpoint(let endpoint):
      context.emit(.transmit(datagram, to: endpoint), owning: datagram)
    case .circuit(let relay, let label):
      transmit(datagram, through: relay, label: label, &context)
    default:
      routeDatagram(datagram, to: peers[slot].id, &context)
    }
  }

  mutating func noteSent(_ bytes: Int, _ slot: Int, _ index: Int, _ now: Instant) {
    if peers[slot].sentBytes == 0, index > 0 {
      peers[slot].paths[index]!.probe.isUrgent = true
      wake(slot, at: now)
    }
    peers[slot].sentBytes &+= UInt64(bytes)
    peers[slot].usedAt = now
    peers[slot].paths[index]!.usedAt = now
    // From quiet to busy: the path's silence counts from now.
    let silence = isCircuit(index) ? CircuitTiming.silence : Timing.silence
    if wakesAt(slot) > now + silence { wake(slot, at: now + silence) }
  }

  /// Data of a community came from the peer, which is a member. What others send is no traffic: a peer with
  /// traffic is worth many packets to us.
  public mutating func noteReceived(_ bytes: Int, from slot: Int, _ now: Instant) {
    peers[slot].receivedBytes &+= UInt64(bytes)
    peers[slot].usedAt = now
    // Who only listens hears nothing more when the peer is gone: it asks.
    if wakesAt(slot) > now + Timing.activeProbe { wake(slot, at: now + Timing.activeProbe) }
  }

  // MARK: - Over the ring

  /// Sends a whole datagram of a session over the ring. Takes the slot.
  mutating func routeDatagram(
    _ datagram: PacketRef, to destination: OverlayID, via: OverlayID? = nil, _ context: inout Context
  ) {
    var header = RoutedHeader(
      mode: .exact, hops: Self.hopsMax, payload: .datagram, destination: destination, source: id,
      destinationVia: via ?? peer(destination).flatMap { peers[$0].vias.isEmpty ? nil : peers[$0].vias[0] })
    if let slot = peer(destination), isProbablyDead(slot) { header.detours = Self.detoursMax }
    if !isWellConnected { header.sourceVia = ownVia(for: destination, context.now) }
    if header.destinationVia == destination { header.destinationVia = nil }
    header.wantsNotice = context.pool.frame(datagram)[0] == 1
    route(header, payload: datagram, &context)
  }

  /// Whether the peer is more probably dead than hard to find: a question to it takes the straight way,
  /// unless it is the last one.
  private func isProbablyDead(_ slot: Int) -> Bool {
    guard let path = peers[slot].bestPath else { return false }
    return path.isLastResort && path.probe.tries < Timing.indirectTries - 1
  }

  /// Sends a message over the ring. Takes the slot of the payload.
  public mutating func route(_ header: RoutedHeader, payload: PacketRef, _ context: inout Context) {
    var header = header
    let decision = decide(&header, from: nil)
    if decision == .deliver, arrivals.append(RoutedArrival(header: header, payload: payload, from: nil)) {
      return
    }
    guard case .forward(let hop) = decision else {
      counters.undeliverable &+= 1
      refuse(header, context.pool.frame(payload), &context)
      return context.pool.release(payload)
    }
    hand(header, payload, to: hop, from: nil, &context)
  }

  /// A message to whichever node the header says, with the way back that others need.
  /// - Parameter wantsNotice: whether this node wants to hear when it cannot be delivered: for questions.
  public mutating func routeMessage(
    _ kind: RoutedPayload, mode: RoutingMode, to destination: OverlayID, via: OverlayID? = nil,
    wantsNotice: Bool = false, _ context: inout Context, _ write: (inout WireWriter) -> Void
  ) {
    guard let payload = compose(&context, write) else { return }
    var header = RoutedHeader(
      mode: mode, hops: Self.hopsMax, payload: kind, destination: destination, source: id, destinationVia: via
    )
    header.wantsNotice = wantsNotice
    if !isWellConnected { header.sourceVia = ownVia(for: destination, context.now) }
    route(header, payload: payload, &context)
  }

  /// Sends a datagram that means nothing over the ring, with so many steps to go beyond the first hop. The
  /// node at which they run out sends a notice; the destination drops it.
  public mutating func probeWay(to destination: OverlayID, steps: UInt8, _ context: inout Context) {
    guard let payload = compose(&context, { $0.byte(Self.openerKind) }) else { return }
    var header = RoutedHeader(
      mode: .exact, hops: steps, payload: .datagram, destination: destination, source: id)
    header.wantsNotice = true
    if !isWellConnected { header.sourceVia = ownVia(for: destination, context.now) }
    route(header, payload: payload, &context)
  }

  /// A message that asks who is nearest to a place, and goes out through the given peer whatever the ring
  /// says.
  mutating func routeMessage(
    through slot: Int, to destination: OverlayID, _ context: inout Context,
    _ write: (inout WireWriter) -> Void
  ) {
    guard let payload = compose(&context, write) else { return }
    var header = RoutedHeader(
      mode: .nearest, hops: Self.hopsMax, payload: .ring, destination: destination, source: id)
    header.sourceVia = peers[slot].id
    hand(header, payload, to: slot, from: nil, isBound: true, &context)
  }

  /// A node with a direct path to us, other than the destination itself. Worked out twice a second at most:
  /// it is asked for with each datagram.
  mutating func ownVia(for destination: OverlayID, _ now: Instant) -> OverlayID? {
    if ownVias.ids.isEmpty || now - ownVias.at > .milliseconds(500) { ownVias = (now, vias(for: nil)) }
    for i in 0..<ownVias.ids.count where ownVias.ids[i] != destination { return ownVias.ids[i] }
    return nil
  }

  /// Puts the header before a payload in place, and before that the number unless it is 0.
  func prepend(
    _ header: RoutedHeader, _ number: UInt32, to payload: PacketRef, _ context: inout Context
  ) -> PacketRef {
    let numberBytes: UInt16 = number == 0 ? 0 : 4
    let length = UInt16(header.byteCount) + numberBytes
    let message = PacketRef(
      slot: payload.slot, offset: payload.offset - length, length: payload.length + length)
    let frame = context.pool.frame(message).prefix(Int(length))
    if number != 0 { frame.setBig(0, number) }
    _ = header.encode(into: frame.dropping(Int(numberBytes)))
    return message
  }

  /// Hands a routed message to the next hop.
  /// - Parameter isNumbered: whether it begins with a number.
  mutating func send(
    routed message: PacketRef, to hop: Int, isNumbered: Bool, _ context: inout Context
  ) {
    let content = isNumbered ? Content.numbered : Content.routed
    guard let index = peers[hop].best, let way = peers[hop].paths[index]?.way else {
      counters.noWay &+= 1
      return context.pool.release(message)
    }
    switch way {
    case .endpoint(let endpoint):
      peers[hop].paths[index]!.usedAt = context.now
      sealAndTransmit(message, content, to: hop, endpoint, &context)
    case .overlay:
      sealAndRoute(message, space: 0, content, to: hop, &context)
    case .circuit(let relay, let label):
      peers[hop].paths[index]!.usedAt = context.now
      guard let datagram = seal(message, space: 0, content, to: hop, &context) else { return }
      transmit(datagram, through: relay, label: label, &context)
    }
  }
}
