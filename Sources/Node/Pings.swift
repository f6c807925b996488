// Pings of people: one question to a peer inside its session, over whatever path data takes at this moment.

import Base
import DHT
import Overlay
import Session
import VPN

/// Whom to ask.
public enum PingTarget: BitwiseCopyable, Sendable, Equatable {
  case address(IPAddress)
  case id(OverlayID)
}

/// A ping on its way.
struct Ping: BitwiseCopyable {
  let ticket: UInt32
  let target: PingTarget
  let nonce: UInt64
  let giveUpAt: Instant
  var isSent = false
}

extension NodeCore {
  /// Asks a peer, making a link first when there is none. The answer is an event with the ticket:
  /// `pingAnswered` or `pingFailed`.
  public mutating func ping(
    _ target: PingTarget, ticket: UInt32, patience: Interval, _ context: inout Context
  ) {
    let ping = Ping(
      ticket: ticket, target: target, nonce: context.random.next(), giveUpAt: context.now + patience)
    guard pings.insert(ping) != nil else { return context.notify(.pingFailed(ticket: ticket, .timedOut)) }
    switch target {
    case .address(let address):
      if peer(target) == nil { tunnel?.value.seek(address, &network, &context) }
    case .id(let id):
      if let slot = network.links.peer(id), !network.links.peers[slot].isUp {
        network.links.connect(network.links.peers[slot].key, role: .onDemand, firstHand: true, &context)
      } else if peer(target) == nil {
        network.find(id, nonce: ping.nonce, &context)
      }
    }
    settle(&context)
  }

  /// The linked peer that the target names.
  private func peer(_ target: PingTarget) -> Int? {
    let slot: Int?
    switch target {
    case .address(let address): slot = reading { $0.peer(with: address) } ?? nil
    case .id(let id): slot = network.links.peer(id)
    }
    guard let slot, network.links.peers.isUsed(slot), network.links.peers[slot].bestPath != nil else {
      return nil
    }
    return slot
  }

  /// Sends the pings whose links have come up.
  mutating func progressPings(_ context: inout Context) {
    for slot in 0..<pings.highWater where pings.isUsed(slot) && !pings[slot].isSent {
      guard let peer = peer(pings[slot].target) else { continue }
      pings[slot].isSent = true
      network.links.measure(peer, ticket: pings[slot].ticket, &context)
    }
  }

  mutating func onPingEvent(_ event: NetworkEvent, _ context: inout Context) {
    switch event {
    case .measured(let ticket):
      for slot in 0..<pings.highWater where pings.isUsed(slot) && pings[slot].ticket == ticket {
        pings.remove(slot)
      }
    case .found(let nonce, let key, _):
      for slot in 0..<pings.highWater where pings.isUsed(slot) && pings[slot].nonce == nonce {
        guard pings[slot].target == .id(key.id) else {
          fail(slot, .notFound, &context)
          continue
        }
        network.links.connect(key, role: .onDemand, firstHand: true, &context)
      }
    default:
      break
    }
  }

  private mutating func fail(_ slot: Int, _ reason: PingFailure, _ context: inout Context) {
    context.notify(.pingFailed(ticket: pings[slot].ticket, reason))
    pings.remove(slot)
  }

  /// Pings to addresses that turned out to be nobody's.
  mutating func failAbsentPings(_ context: inout Context) {
    for slot in 0..<pings.highWater where pings.isUsed(slot) && !pings[slot].isSent {
      guard case .address(let address) = pings[slot].target,
        reading({ $0.isKnownAbsent(address, at: context.now) }) == true
      else { continue }
      fail(slot, .notFound, &context)
    }
  }

  mutating func expirePings(_ context: inout Context) {
    for slot in 0..<pings.highWater where pings.isUsed(slot) && pings[slot].giveUpAt <= context.now {
      var reason = PingFailure.timedOut
      if case .address(let address) = pings[slot].target, !pings[slot].isSent,
        reading({ $0.isKnownAbsent(address, at: context.now) }) == true
      {
        reason = .notFound
      }
      fail(slot, reason, &context)
    }
  }
}
