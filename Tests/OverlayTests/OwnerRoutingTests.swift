// Goal: a message for the owner of a key comes to an end, also where nodes disagree about who their
// neighbours are: nobody hands it to and fro.
// Method: small rings, whole ones and ones in which many links are missing, so that nodes take wrong ones for
// their neighbours; every message is followed from node to node.

import Base
import Session
import Testing

@testable import Overlay

@Suite struct OwnerRoutingTests {
  /// Nodes, and who is linked with whom.
  private final class Village {
    var nodes: [LoneNode] = []
    var identities: [Identity] = []

    /// - Parameter linked: of a thousand pairs of nodes, so many are linked.
    init(_ count: Int, linkedPerMille: UInt64, _ random: inout Random) {
      identities = (0..<count).map { _ in Identity.stub(number: random.next()) }
      nodes = identities.map { LoneNode(identity: $0, packets: 1) }
      for i in 0..<count {
        for j in 0..<i where random.below(1_000) < linkedPerMille {
          nodes[i].raise(identities[j].publicKey)
          nodes[j].raise(identities[i].publicKey)
        }
      }
      for node in nodes {
        node.links.bearings.size = UInt32(count)
        for slot in 0..<node.links.peers.count { tell(node, slot) }
      }
    }

    /// The peer has told the node who stands next to it.
    private func tell(_ node: LoneNode, _ slot: Int) {
      let other = nodes[number(node.id(slot))]
      let near = other.links.neighbourhood
      guard let left = near.predecessor, let right = near.successor else { return }
      node.links.main[slot].namesUsSuccessor = other.id(right) == node.id
      node.links.main[slot].namesUsPredecessor = other.id(left) == node.id
      node.links.main[slot].namedRight = other.links.peers[right].id.high
      node.links.main[slot].namedLeft = other.links.peers[left].id.high
    }

    func number(_ id: OverlayID) -> Int { nodes.firstIndex { $0.id == id }! }

    func owner(_ key: OverlayID) -> OverlayID {
      let ids = nodes.map(\.id).sorted()
      return ids.first { $0 >= key } ?? ids[0]
    }

    /// A node that has the message, and what its header says there.
    struct Visit: Equatable {
      let node: Int
      let isFinal: Bool
      let detours: UInt8
    }

    /// The nodes that a message comes by, and what becomes of it in the end.
    func follow(_ key: OverlayID, from source: Int) -> (way: [Visit], end: RoutingDecision) {
      var header = RoutedHeader(
        mode: .owner, hops: Links.hopsMax, payload: .directory, destination: key, source: nodes[source].id)
      var way = [Visit(node: source, isFinal: false, detours: 0)]
      while true {
        let here = nodes[way.last!.node]
        let hop = way.count > 1 ? here.links.peer(nodes[way[way.count - 2].node].id) : nil
        let decision = here.links.decide(&header, from: hop)
        guard case .forward(let slot) = decision, header.hops > 0 else { return (way, decision) }
        header.hops -= 1
        way.append(Visit(node: number(here.id(slot)), isFinal: header.isFinal, detours: header.detours))
      }
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func wholeRingFindsTheOwner(seed: UInt64) {
    var random = Random(seed: seed)
    for count in 1...8 {
      let village = Village(count, linkedPerMille: 1_000, &random)
      for _ in 0..<20 {
        let key = random.below(4) == 0 ? village.nodes[0].id : random.overlayID()
        let (way, end) = village.follow(key, from: Int(random.below(UInt64(count))))
        #expect(end == .deliver && village.nodes[way.last!.node].id == village.owner(key))
        #expect(way.count <= 2 && way.last!.detours == 0, "\(count) nodes: \(way.map(\.node))")
      }
    }
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>) func nobodyHandsAMessageToAndFro(seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<60 {
      let count = 2 + Int(random.below(9))
      let village = Village(count, linkedPerMille: 200 + random.below(700), &random)
      for _ in 0..<10 {
        let key = random.below(4) == 0 ? village.nodes[0].id : random.overlayID()
        let (way, end) = village.follow(key, from: Int(random.below(UInt64(count))))
        let nodes = way.map(\.node)
        if case .forward = end { Issue.record("\(count) nodes: for ever, \(nodes)") }
        #expect(zip(nodes, nodes.dropFirst(2)).allSatisfy { $0 != $1 }, "never back to where it came from")
        // A node may see it twice: while it comes nearer to the key, and on the way back from behind it. Only
        // a step that leads away begins anew, and of these there are few.
        for (i, visit) in way.enumerated() { #expect(!way[..<i].contains(visit), "\(count) nodes: \(way)") }
        #expect(way.last!.detours <= Links.detoursMax)
      }
    }
  }
}
