// Packets of the device for multicast groups, and what members say to each other about groups.

import Base
import DHT
import Overlay
import Session

extension Tunnel {
  /// Sends a packet of the device to the receivers of its group. Takes the slot.
  mutating func send(
    _ packet: PacketRef, toGroup group: IPAddress, _ network: inout Network, _ context: inout Context
  ) {
    let (outcome, plan) = multicast.plans.send(packet, to: group, network.links.id, &context)
    switch outcome {
    case .refused:
      multicast.counters.noRoom &+= 1
      context.pool.release(packet)
    case .wait(let asks):
      if asks { askRoot(plan, &network, &context) }
    case .go(let way):
      carry(packet, way, &network, &context)
      if multicast.plans.takeRefresh(plan, at: context.now) { askRoot(plan, &network, &context) }
    }
    pumpGroups(&network, &context)
  }

  /// Sends a packet by a way. Takes the slot.
  private mutating func carry(
    _ packet: PacketRef, _ way: GroupWay, _ network: inout Network, _ context: inout Context
  ) {
    switch way {
    case .nobody:
      multicast.counters.toNobody &+= 1
      context.pool.release(packet)
    case .everybody:
      if broadcasting.say(.packet, packet, &network.links, &context) {
        multicast.counters.toAll &+= 1
        counters.sent &+= 1
      }
      context.pool.release(packet)
    case .tree:
      raise(packet, &network, &context)
      context.pool.release(packet)
    case .each(let receivers):
      for i in 0..<receivers.count {
        let isLast = i + 1 == receivers.count
        guard let copy = isLast ? packet : context.pool.take(copying: context.pool.frame(packet)) else {
          multicast.counters.noRoom &+= 1
          continue
        }
        multicast.counters.toReceivers &+= 1
        send(copy, toReceiver: receivers[i], &network, &context)
      }
    }
  }

  private mutating func send(
    _ packet: PacketRef, toReceiver id: OverlayID, _ network: inout Network, _ context: inout Context
  ) {
    if let slot = network.links.peer(id), let content = network.links.memberSlot(slot) {
      counters.sent &+= 1
      network.links.sendData(packet, content: content, to: slot, &context)
    } else {
      resolve(community.ula(of: id), packet, &network, &context)
    }
  }

  /// Asks the root of a plan's group who receives it.
  private mutating func askRoot(_ plan: Int, _ network: inout Network, _ context: inout Context) {
    let (group, nonce) = (multicast.plans.plans[plan].group, multicast.plans.plans[plan].nonce)
    let place = community.place(of: group)
    if network.links.memberTowards(place) == nil {
      multicast.tree.ask(group, nonce: nonce, from: network.links.id, via: nil, community, at: context.now)
    } else {
      let message = GroupMessage.ask(group, nonce: nonce)
      network.links.routeAmongMembers(.group, mode: .nearest, to: place, &context) { message.encode(to: &$0) }
    }
  }

  /// Sends what has waited for a plan.
  private mutating func sendWaiting(_ plan: Int, _ network: inout Network, _ context: inout Context) {
    let packets = multicast.plans.takePackets(plan)
    for i in 0..<packets.count {
      carry(packets[i], multicast.plans.way(plan, network.links.id), &network, &context)
    }
  }

  // MARK: - What members say

  /// A member has reported who receives a group at and behind it.
  mutating func receive(_ report: GroupReport, from slot: Int, _ links: borrowing Links, _ now: Instant) {
    guard multicast.tree.receive(report, from: links.peers[slot].id, community, at: now) else {
      multicast.counters.astray &+= 1
      return
    }
  }

  /// A routed message about groups has come.
  mutating func receive(
    _ message: GroupMessage, from source: OverlayID, via: OverlayID?, _ network: inout Network,
    _ context: inout Context
  ) {
    switch message {
    case .ask(let group, let nonce):
      guard multicast.asks.take(at: context.now) else {
        multicast.counters.limited &+= 1
        return
      }
      multicast.tree.ask(group, nonce: nonce, from: source, via: via, community, at: context.now)
    case .plan(let group, let nonce, let receivers):
      let plan = multicast.plans.learn(group, nonce: nonce, receivers, from: source, at: context.now)
      if let plan { sendWaiting(plan, &network, &context) }
    case .askAgain(let group, let nonce):
      if let plan = multicast.plans.onRootMoved(group, nonce: nonce, at: context.now) {
        askRoot(plan, &network, &context)
      }
    }
  }

  /// Says what the trees have to say.
  mutating func pumpGroups(_ network: inout Network, _ context: inout Context) {
    var i = 0
    while i < multicast.tree.sayings.count {
      switch multicast.tree.sayings[i] {
      case .report(let report, let parent):
        if let slot = network.links.peer(parent), network.links.members.contains(slot) {
          network.links.sendToMember(.report, slot, &context) { report.encode(to: &$0) }
        }
      case .message(let message, let target, let via):
        if target == network.links.id {
          receive(message, from: target, via: nil, &network, &context)
        } else {
          network.links.routeAmongMembers(.group, mode: .exact, to: target, via: via, &context) {
            message.encode(to: &$0)
          }
        }
      }
      i += 1
    }
    multicast.tree.sayings.removeAll()
  }

  /// Does what is due for groups.
  mutating func expireGroups(_ network: inout Network, _ context: inout Context) {
    expireLocalGroups(&context)
    let (ask, giveUp) = multicast.plans.expire(at: context.now)
    for plan in ask { askRoot(plan, &network, &context) }
    for plan in giveUp { sendWaiting(plan, &network, &context) }
    multicast.tree.expire(network.links, &context)
    pumpGroups(&network, &context)
  }
}
