// Packets on the tree of a group: up to the root, and from there down to whoever has receivers.
//
// A frame is believed for its signature. Up it goes only to members nearer to the group's place, down only to
// those farther from it, and each member passes it on once each way: it cannot circle, and a member that has
// just changed its parent gets it from both and delivers it once.

import Base
import DHT
import Overlay
import Session

extension Tunnel {
  /// Sends a packet of the device by its group's tree. The slot stays the caller's.
  mutating func raise(_ packet: PacketRef, _ network: inout Network, _ context: inout Context) {
    let sequence = multicast.nextSequence()
    guard Int(packet.length) <= Multicast.payloadMax,
      multicast.raised.hear(network.links.id, sequence, at: context.now) == .new
    else {
      multicast.counters.limited &+= 1
      return
    }
    guard let ref = context.pool.take(length: Int(packet.length) + TreeFrame.overhead) else {
      multicast.counters.noRoom &+= 1
      return
    }
    let frame = context.pool.frame(ref)
    TreeFrame.write(
      context.pool.frame(packet), sequence: sequence, by: network.links.identity, in: community, to: frame)
    TreeFrame.address(frame, steps: 0, isDown: false)
    multicast.counters.toTree &+= 1
    counters.sent &+= 1
    if let tree = TreeFrame(frame) { passUp(tree, frame, &network, &context) }
    context.pool.release(ref)
  }

  /// Takes a frame of a tree from a member. The slot stays the caller's.
  mutating func receiveFromTree(
    _ packet: PacketRef, from slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    let frame = context.pool.frame(packet)
    guard let tree = TreeFrame(frame), tree.steps < Multicast.stepsMax else {
      multicast.counters.malformed &+= 1
      return
    }
    let place = community.place(of: tree.packet.destination)
    let own = network.links.id.distance(to: place)
    let other = network.links.peers[slot].id.distance(to: place)
    guard tree.isDown ? other < own : own < other else {
      multicast.counters.astray &+= 1
      return
    }
    guard tree.saying.isAuthentic(in: community, under: suite) else {
      multicast.counters.forged &+= 1
      return
    }
    // A stream is traffic for the links of its tree: they find better ways, and a parent that dies is missed
    // soon.
    network.links.noteReceived(frame.count, from: slot, context.now)
    if tree.isDown { return passDown(tree, frame, &network, &context) }
    switch multicast.raised.hear(tree.saying.origin.id, tree.saying.sequence, at: context.now) {
    case .old: multicast.counters.repeated &+= 1
    case .tooMuch: multicast.counters.limited &+= 1
    case .new: passUp(tree, frame, &network, &context)
    }
  }

  private mutating func passUp(
    _ tree: TreeFrame, _ frame: Frame, _ network: inout Network, _ context: inout Context
  ) {
    guard let parent = network.links.memberTowards(community.place(of: tree.packet.destination)) else {
      return passDown(tree, frame, &network, &context)
    }
    multicast.counters.raised &+= 1
    pass(frame, to: parent, steps: tree.steps + 1, isDown: false, &network, &context)
  }

  /// Delivers a frame, and passes it on to those that have reported receivers.
  private mutating func passDown(
    _ tree: TreeFrame, _ frame: Frame, _ network: inout Network, _ context: inout Context
  ) {
    let origin = tree.saying.origin.id
    switch multicast.lowered.hear(origin, tree.saying.sequence, at: context.now) {
    case .old:
      multicast.counters.repeated &+= 1
      return
    case .tooMuch:
      multicast.counters.limited &+= 1
      return
    case .new: break
    }
    let group = tree.packet.destination
    var next = multicast.tree.nextChild(of: group, after: nil)
    while let child = next {
      next = multicast.tree.nextChild(of: group, after: child)
      let id = multicast.tree.id(ofChild: child)
      guard !multicast.tree.isForNobody(child: child, but: origin), let slot = network.links.peer(id),
        network.links.members.contains(slot)
      else { continue }
      multicast.counters.lowered &+= 1
      pass(frame, to: slot, steps: tree.steps + 1, isDown: true, &network, &context)
    }
    if origin != network.links.id { deliver(tree, &network, &context) }
  }

  private mutating func pass(
    _ frame: Frame, to slot: Int, steps: UInt8, isDown: Bool, _ network: inout Network,
    _ context: inout Context
  ) {
    guard let content = network.links.memberSlot(slot), let copy = context.pool.take(copying: frame) else {
      multicast.counters.noRoom &+= 1
      return
    }
    TreeFrame.address(context.pool.frame(copy), steps: steps, isDown: isDown)
    network.links.sendData(copy, content: content, to: slot, &context)
  }

  private mutating func deliver(_ tree: TreeFrame, _ network: inout Network, _ context: inout Context) {
    // A member may pass on what it does not receive.
    guard isReceived(tree.packet, tree.saying.payload) else { return }
    guard isSpeaker(tree.saying.origin, from: tree.packet.source, &network, &context) else {
      counters.spoofed &+= 1
      return
    }
    guard let copy = context.pool.take(copying: tree.saying.payload) else {
      multicast.counters.noRoom &+= 1
      return
    }
    counters.received &+= 1
    context.emit(.deliver(copy), owning: copy)
  }
}
