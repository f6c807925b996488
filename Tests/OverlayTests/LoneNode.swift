// A node whose peers are put there by hand, without wires and without a ring: for questions about one table
// and one decision. What it sends to such peers goes nowhere, for there are no keys to seal it with.

import Base
import Session

@testable import Overlay

/// Links with peers made by hand.
final class LoneNode {
  var links: Links
  var context: Context

  convenience init(_ number: UInt64 = 1) { self.init(identity: .stub(number: number)) }

  init(identity: Identity, packets: Int = 256) {
    let seed = [UInt8](repeating: 1, count: 32)
    let sessions = SessionTable(
      identity: identity, network: "test", incarnation: 1, capabilities: .aes256gcm, capacity: 16, seed: seed)
    links = Links(
      identity: identity, sessions: sessions, relay: RelayLimit(bytesPerSecond: 1 << 30, at: .start),
      seed: seed, at: .start)
    context = Context(packets: packets, effects: 1_024, seed: identity.id.high)
  }

  var id: OverlayID { links.id }
  var available: Int { context.pool.available }

  func id(_ slot: Int) -> OverlayID { links.peers[slot].id }

  /// A peer that is up by a proven direct path.
  /// - Parameter id: where it stands; nil is the place of its key.
  @discardableResult
  func raise(_ key: PublicKey, at id: OverlayID? = nil) -> Int {
    let peer = Peer(key: key, id: id ?? key.id)
    let slot = links.peers.insert(peer)!
    links.byID.set(peer.id, UInt32(slot))
    links.raise(slot)
    links.peers[slot].paths[1] = Path(
      way: .endpoint(Endpoint(IPAddress(v4: 0x0A00_1000 + UInt32(slot)), port: 7_741)), isLAN: true,
      at: .start)
    links.peers[slot].paths[1]!.isValid = true
    links.peers[slot].best = 1
    links.routesAreStale = true
    return slot
  }

  func raise(_ count: Int, _ random: inout Random) {
    for _ in 0..<count { raise(random.publicKey(), at: random.overlayID()) }
  }
}

extension Random {
  mutating func overlayID() -> OverlayID {
    OverlayID(high: next(), middle: next(), low: UInt32(truncatingIfNeeded: next()))
  }

  /// Bytes that name nobody.
  mutating func publicKey() -> PublicKey {
    var bytes: [UInt8] = []
    for _ in 0..<4 {
      let word = next()
      bytes += (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
    }
    return PublicKey(bytes: bytes)!
  }
}

extension Underlay {
  /// The word of a peer that is nobody else at any other address.
  mutating func observe(_ seen: Endpoint, by observer: Endpoint) -> Bool {
    let address = observer.address
    let id = OverlayID(high: address.high, middle: address.low, low: 0)
    return observe(seen, by: observer, of: id)
  }
}
