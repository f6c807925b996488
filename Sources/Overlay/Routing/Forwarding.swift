// What a node does with routed messages of others, and within which limits.

import Base
import Session

extension Links {
  /// Datagrams of at least this size are data; smaller ones are handshakes, hellos and pings, which always
  /// pass.
  private static let dataBytes = 600
  /// Messages of ring and directory below this size count by number too; the largest lease has less.
  private static let messageBytes = 800

  /// Takes a routed message that came from `hop` and takes its slot, unless it is for this node.
  /// - Parameter number: under which the hop wants to know what becomes of it; 0 when it does not.
  /// - Returns: the header and the payload when the message is for this node; the slot stays the caller's
  ///   then.
  public mutating func forward(
    _ message: PacketRef, from hop: Int, number: UInt32 = 0, _ context: inout Context
  ) -> (header: RoutedHeader, payload: PacketRef)? {
    let frame = context.pool.frame(message)
    var reader = WireReader(frame)
    guard var header = try? RoutedHeader(from: &reader), header.source != id, header.hops <= Self.hopsMax
    else {
      counters.malformed &+= 1
      context.pool.release(message)
      return nil
    }
    let length = UInt16(reader.offset)
    let payload = PacketRef(
      slot: message.slot, offset: message.offset + length, length: message.length - length)
    let cameFinal = header.isFinal
    switch decide(&header, from: hop) {
    case .deliver:
      confirm(number, isTaken: true, to: hop, &context)
      return (header, payload)
    case .undeliverable:
      counters.undeliverable &+= 1
      turnDown(header, payload, number, from: hop, &context)
    case .forward where header.hops == 0:
      counters.hopsExceeded &+= 1
      turnDown(header, payload, number, from: hop, &context)
    case .forward(let next):
      guard mayPass(header, payload, from: hop, &context) else {
        counters.relayLimited &+= 1
        confirm(number, isTaken: false, to: hop, &context)
        context.pool.release(payload)
        return nil
      }
      header.hops -= 1
      counters.forwarded &+= 1
      confirm(number, isTaken: true, to: hop, &context)
      hand(header, payload, to: next, from: hop, cameFinal: cameFinal, &context)
    }
    return nil
  }

  /// The hop before tries another way, or, when it cannot know, the source hears of it.
  private mutating func turnDown(
    _ header: RoutedHeader, _ payload: PacketRef, _ number: UInt32, from hop: Int, _ context: inout Context
  ) {
    if number != 0 {
      confirm(number, isTaken: false, to: hop, &context)
    } else {
      refuse(header, context.pool.frame(payload), &context)
    }
    context.pool.release(payload)
  }

  /// Whether the limits on what others have us forward allow this message.
  private mutating func mayPass(
    _ header: RoutedHeader, _ payload: PacketRef, from hop: Int, _ context: inout Context
  ) -> Bool {
    let isInit = header.payload == .datagram && payload.length > 0 && context.pool.frame(payload)[0] == 1
    if isInit { return peers[hop].inits.take(at: context.now) }
    let limit = header.payload == .datagram ? Self.dataBytes : Self.messageBytes
    if Int(payload.length) >= limit { return relay.allows(Int(payload.length), at: context.now) }
    return peers[hop].messages.take(at: context.now)
  }

  /// Tells the source that nobody is there; never about an answer or another notice.
  mutating func refuse(_ header: RoutedHeader, _ payload: Frame, _ context: inout Context) {
    guard header.wantsNotice, notices.take(at: context.now) else { return }
    // The ticket or nonce of a question stands behind its type.
    let ticket = header.payload != .datagram && payload.count >= 9 ? payload.big(1, as: UInt64.self) : 0
    let notice = RingMessage.undeliverable(
      destination: header.destination, payload: header.payload, ticket: ticket)
    guard header.source != id, header.hops <= Self.hopsMax
    else {
      events.append(.undeliverable(header.destination, header.payload, ticket: ticket))
      return
    }
    routeMessage(.ring, mode: .exact, to: header.source, via: header.sourceVia, &context) {
      notice.encode(to: &$0)
    }
  }
}
