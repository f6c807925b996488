// The virtual interface with the addresses that the node puts on it.

import Base
import Platform
import VPN

/// A TUN device that is up, and the IPv4 address it has.
final class Device {
  let tun: TUNDevice
  private let netlink: Netlink
  private(set) var address: IPPrefix?

  /// Makes the interface and switches it on.
  init(name: String?, offload: TUNOffload, netlink: Netlink) throws(CallError) {
    self.netlink = netlink
    tun = try TUNDevice(name: name, offload: offload)
    // What programs say to a link-local group then comes from the member's own address; one of the kernel's
    // making would be nobody's. Without IPv6 there is none.
    try? netlink.stopAddressGeneration(tun.index)
    // A superpacket of this size makes one run, records and all; see `DatagramRun`.
    try? netlink.setGSOLimits(tun.index, bytes: 60_000, segments: DatagramRun.countMax)
    try netlink.setUp(tun.index, mtu: Tunnel.mtu)
  }

  /// Adds an address that stays; fails where the machine has no IPv6.
  func add(_ prefix: IPPrefix) throws(CallError) { try netlink.addAddress(tun.index, prefix) }

  /// Makes `prefix` the interface's only IPv4 address.
  func configure(_ prefix: IPPrefix) throws(CallError) {
    guard prefix != address else { return }
    // First away with the old one: in one subnet, the newer address would be a secondary that goes with it.
    if let old = address {
      address = nil
      try netlink.removeAddress(tun.index, old)
    }
    try netlink.addAddress(tun.index, prefix)
    address = prefix
  }
}
