// Which groups the programs of this machine receive: its kernel says so to whoever is the querier of the
// device's link, and that is this node.

import Base
import Overlay
import Session

extension Tunnel {
  /// The device is asked from now on.
  mutating func startGroups(at now: Instant) {
    if takesMulticasts { multicast.local.start(at: now) }
  }

  /// Reads what the kernel reports. The slot stays the caller's.
  /// - Returns: whether the packet is such a report.
  mutating func snoop(_ packet: PacketRef, _ header: IPPacket, _ context: inout Context) -> Bool {
    guard takesMulticasts else { return false }
    let now = context.now
    let outcome = ListenerReport.read(context.pool.frame(packet), header) { group, isReceived in
      note(group, isReceived: isReceived, at: now)
    }
    switch outcome {
    case .other: return false
    case .malformed: multicast.counters.badReports &+= 1
    case .read: multicast.counters.reports &+= 1
    }
    return true
  }

  private mutating func note(_ group: IPAddress, isReceived: Bool, at now: Instant) {
    // What goes to everybody needs no report.
    guard GroupScope(group) == .receivers else { return }
    guard let isNews = multicast.local.note(group, isReceived: isReceived, at: now) else {
      multicast.counters.noRoom &+= 1
      return
    }
    // There may have been no room for it before.
    if isNews || (isReceived && multicast.tree.find(group) == nil) {
      multicast.tree.set(group, isReceived: isReceived, community, at: now)
    }
  }

  /// Asks the kernel when that is due, and forgets what it does not report any more.
  mutating func expireLocalGroups(_ context: inout Context) {
    for group in multicast.local.expire(at: context.now) {
      multicast.tree.set(group, isReceived: false, community, at: context.now)
    }
    guard multicast.local.takeQuery(at: context.now) else { return }
    if let query = context.pool.take(length: ListenerQuery.bytesV4) {
      ListenerQuery.writeV4(to: context.pool.frame(query))
      context.emit(.deliver(query), owning: query)
    }
    if let query = context.pool.take(length: ListenerQuery.bytesV6) {
      ListenerQuery.writeV6(to: context.pool.frame(query))
      context.emit(.deliver(query), owning: query)
    }
  }

  /// Whether a packet that a member has sent is for programs of this machine because of its group.
  func isReceived(_ header: IPPacket, _ frame: Frame) -> Bool {
    takesMulticasts && multicast.local.contains(header.destination) && !header.isLinkLocalControl(frame)
  }
}
