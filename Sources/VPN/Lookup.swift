// Questions of people: who has this address, where is this node?

import Base
import DHT
import Overlay
import Session

/// A question that waits for its answer.
struct Lookup: BitwiseCopyable {
  let ticket: UInt32
  let nonce: UInt64
  let giveUpAt: Instant
  /// What was asked for.
  let address: IPAddress?
  let id: OverlayID?
  /// What is known so far.
  var key: PublicKey?
  var remaining: UInt32 = 0
}

extension Tunnel {
  static let lookupPatience = Interval.seconds(8)

  /// Finds out who has an address, or which node begins with an ID. The answer is a `lookedUp` event with the
  /// ticket.
  public mutating func lookUp(
    address: IPAddress?, id: OverlayID?, ticket: UInt32, _ network: inout Network, _ context: inout Context
  ) {
    let lookup = Lookup(
      ticket: ticket, nonce: context.random.next(), giveUpAt: context.now + Self.lookupPatience,
      address: address,
      id: id)
    guard let slot = lookups.insert(lookup) else {
      return context.notify(.lookedUp(ticket: ticket, .nothing))
    }
    if let address, address.isV4 {
      let tag = DirectoryTag.make(DirectoryTag.lookupClaim, slot, in: lookups)
      network.get(claimKey(address), tag: tag, &context)
    } else if let address {
      network.find(Self.start(of: address), nonce: lookup.nonce, &context)
    } else if let id {
      network.find(id, nonce: lookup.nonce, &context)
    }
  }

  mutating func onLookupAnswer(
    _ tag: UInt32, _ body: LeaseBody?, _ remaining: UInt32, _ network: inout Network, _ context: inout Context
  ) {
    guard let slot = DirectoryTag.slot(tag, in: lookups) else { return }
    if DirectoryTag.kind(tag) == DirectoryTag.lookupEndpoints {
      let list = body.flatMap { Self.decode(EndpointList.self, $0.content) }
      return finish(slot, endpoints: list?.endpoints ?? BoundedArray(), &context)
    }
    guard let body else { return end(slot, .nothing, &context) }
    lookups[slot].key = body.identity
    lookups[slot].remaining = remaining
    askEndpoints(slot, body.identity, &network, &context)
  }

  private mutating func askEndpoints(
    _ slot: Int, _ key: PublicKey, _ network: inout Network, _ context: inout Context
  ) {
    let scratch = Scratch(capacity: OverlayID.byteCount)
    key.id.write(to: scratch.frame)
    let record = community.recordKey(
      kind: LeaseKind.endpoints.rawValue, name: scratch.frame.bytes, suite: suite)
    let tag = DirectoryTag.make(DirectoryTag.lookupEndpoints, slot, in: lookups)
    network.get(record.publicKey.id, tag: tag, &context)
  }

  mutating func onLookupFound(_ nonce: UInt64, _ key: PublicKey, _ context: inout Context) {
    for slot in 0..<lookups.highWater where lookups.isUsed(slot) && lookups[slot].nonce == nonce {
      lookups[slot].key = key
      let isMeant =
        lookups[slot].address.map { $0 == community.ula(of: key.id) } ?? (lookups[slot].id == key.id)
      end(slot, isMeant ? answer(slot, endpoint: .none) : .nothing, &context)
    }
  }

  private mutating func finish(_ slot: Int, endpoints: BoundedArray<8, Endpoint>, _ context: inout Context) {
    end(slot, answer(slot, endpoint: endpoints.isEmpty ? .none : endpoints[0]), &context)
  }

  private func answer(_ slot: Int, endpoint: Endpoint) -> LookupAnswer {
    guard let key = lookups[slot].key else { return .nothing }
    return .found(
      id: key.id, address: lookups[slot].address ?? community.ula(of: key.id), endpoint: endpoint,
      expires: .seconds(UInt64(lookups[slot].remaining)))
  }

  private mutating func end(_ slot: Int, _ answer: LookupAnswer, _ context: inout Context) {
    context.notify(.lookedUp(ticket: lookups[slot].ticket, answer))
    lookups.remove(slot)
  }

  mutating func expireLookups(_ context: inout Context) {
    for slot in 0..<lookups.highWater where lookups.isUsed(slot) && lookups[slot].giveUpAt <= context.now {
      end(slot, answer(slot, endpoint: .none), &context)
    }
  }
}
