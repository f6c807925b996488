// Looks at other nodes' places: the questions of crawls and tasks, and where their answers go.

import Base
import Overlay

extension NodeCore {
  /// What this node sees of its own place; nil on the ring of the members of a node that is none.
  public func testimony(on ring: RingKind, at now: Instant) -> Testimony? {
    switch ring {
    case .main: network.ring.testify(isReady: network.isReady, network.links, at: now)
    case .members: reading { $0.testify(network.links, at: now) }
    }
  }

  /// Asks a node what it sees of its place. The answer goes to whoever waits for the nonce (`hearLooks`), and
  /// may never come; a node's own comes as well.
  mutating func look(at id: OverlayID, on ring: RingKind, nonce: UInt64, _ context: inout Context) {
    if id == self.id || (ring == .members && tunnel == nil) {
      let word = testimony(on: ring, at: context.now)
      return network.links.hear(Looked(nonce: nonce, id: id, ring: ring, testimony: word))
    }
    switch ring {
    case .main: network.ring.look(at: id, nonce: nonce, &network.links, &context)
    case .members: tunnel?.value.look(at: id, nonce: nonce, &network, &context)
    }
  }

  /// Hands out what became of questions, until what follows from that brings no more.
  @inline(never) mutating func hearLooks(_ context: inout Context) {
    while !network.links.looked.isEmpty {
      for looked in network.links.takeLooked() { hear(looked, &context) }
      network.pump(&context)
    }
  }

  /// What became of a question. Nonces are drawn by lot: each is of one asker at most.
  private mutating func hear(_ looked: Looked, _ context: inout Context) {
    if hearWitness(looked, &context) { return }
    _ = hearForCrawl(looked, &context)
  }
}
