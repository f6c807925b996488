// A ring that stands before anything happened on it: as after the power failed everywhere.
//
// Nodes are made that are switched off, and whose stores name the peers that nodes of a settled ring have:
// the nearest to the right, and some far ones by the harmonic law. To start them (`restart`) is all that is
// left to do, and whatever follows is the daemon's own doing: it reads its store, asks those peers for
// handshakes where they were, finds its neighbours, and looks for far links as ever. None looks for its
// place through a crowd.
//
// Nodes ought to start in the order of the ring: then the neighbours of each come up with it, however slowly
// the whole is started, and only questions to far nodes have to be asked again. If all started at once, the
// datagrams of everybody's handshakes, and later of everybody's first news, would be on their way at the same
// time, and take more memory than need be.
//
// Only nodes in the open are laid out: a store knows an address, and behind a box it would be another one.

import Base
import Node
import Session
import VPN

extension World {
  /// Neighbours to the right in each store: links are mutual, so every node has as many to the left.
  private static let neighbours = 4

  /// Adds nodes that are switched off, and remember a ring that they were the whole of. *Precondition:* the
  /// world has no nodes yet.
  /// - Parameter rings: so many rings of which none remembers any other: the nodes of each stand between
  ///   those of the others. Where their number is no multiple of it, that is one ring which winds so often.
  /// - Returns: the nodes in the order of the ring.
  public func layOut(_ roles: [NodeRole], rings: Int = 1) -> [Int] {
    precondition(hosts.isEmpty, "a ring is laid out before there is one")
    for role in roles {
      let host = make(role, isFounder: false, site: Site())
      kill(host.number)
    }
    let order = hosts.sorted { $0.configuration.identity.id < $1.configuration.identity.id }.map(\.number)
    var random = Random(seed: options.seed).split(5)
    let far = Int((Mathematics.log2(Double(max(order.count, 2))) / 2).rounded(.up))
    for (rank, node) in order.enumerated() {
      for step in 1...Self.neighbours { remember(order[(rank + step * rings) % order.count], by: node) }
      for _ in 0..<far {
        let share = random.harmonic(low: 2 / Double(max(order.count, 2))) / 2
        let step = Int(share * Double(order.count)) / rings * rings
        remember(order[(rank + (random.next() & 1 == 0 ? step : order.count - step)) % order.count], by: node)
      }
    }
    return order
  }

  /// Writes a peer to a node's store, as the daemon writes down whom it reached (`Network.remember`).
  private func remember(_ peer: Int, by node: Int) {
    guard peer != node, let length = endpoint(of: peer).encode(into: scratch.frame) else { return }
    let key = hosts[peer].configuration.identity.publicKey.bytes
    hosts[node].disk.plan(
      Disk.Write(table: .peers, ticket: 0, key: key, value: scratch.frame.prefix(length).bytes))
    _ = hosts[node].disk.commit()
  }
}
