// What a node believes about the ring: what crawlers collect and checkers compare with the truth.

import Base
import DHT
import Overlay
import Session

/// One node's place on the ring as it sees it.
public struct RingView: Sendable, BitwiseCopyable {
  public let id: OverlayID
  /// Both neighbours name this node as theirs: it may speak for the keys between its predecessor and itself.
  public let isSettled: Bool
  /// It is settled and has the leases of its range.
  public let isReady: Bool
  /// Linked neighbours counter-clockwise, nearest first.
  public let left: BoundedArray<4, OverlayID>
  /// Linked neighbours clockwise, nearest first.
  public let right: BoundedArray<4, OverlayID>
  /// How many entries of each follow each other without a gap, by their own words. The others are spare.
  public let contiguousLeft: Int
  public let contiguousRight: Int
  /// Peers with a session.
  public let links: Int

  /// Whether this node takes itself for the owner of `key`.
  public func owns(_ key: OverlayID) -> Bool {
    isSettled && (left.isEmpty || key.isIn(after: left[0], through: id))
  }
}

extension NodeCore {
  /// Its place on the ring of all nodes.
  public var ringView: RingView {
    view(.main, isSettled: network.ring.isSettled, isReady: network.isReady, links: network.links.upCount)
  }

  /// Its place on the ring of the members of its community; nil on a seed.
  public var subringView: RingView? {
    guard let isSettled = reading({ $0.isSubringSettled }) else { return nil }
    return view(.members, isSettled: isSettled, isReady: isSettled, links: network.links.members.count)
  }

  private func view(_ ring: RingKind, isSettled: Bool, isReady: Bool, links: Int) -> RingView {
    let table = ring == .main ? network.links.main : network.links.members
    var left = BoundedArray<4, OverlayID>()
    var right = BoundedArray<4, OverlayID>()
    let near = table.neighbourhood
    for i in 0..<near.left.count { left.append(network.links.peers[Int(near.left[i])].id) }
    for i in 0..<near.right.count { right.append(network.links.peers[Int(near.right[i])].id) }
    let lengths = table.contiguous(network.links.peers)
    return RingView(
      id: id, isSettled: isSettled, isReady: isReady, left: left, right: right,
      contiguousLeft: lengths.left, contiguousRight: lengths.right, links: links)
  }

  /// Asks by a routed message which node `target` leads to: the owner of a key, the node nearest to it, or
  /// the very node. The answer is an event `located` with the nonce; there is none when nobody answers.
  public mutating func locate(
    _ target: OverlayID, mode: RoutingMode, nonce: UInt64, _ context: inout Context
  ) {
    if mode != .nearest, target == id || (mode == .owner && network.links.ownsByPlace(target)) {
      context.notify(.located(nonce: nonce, id, hops: 0))
    } else {
      network.find(target, mode: mode, nonce: nonce, &context)
    }
    settle(&context)
  }

  func onLocated(_ event: NetworkEvent, _ context: inout Context) {
    guard case .found(let nonce, let key, let hops) = event else { return }
    context.notify(.located(nonce: nonce, key.id, hops: hops))
  }
}
