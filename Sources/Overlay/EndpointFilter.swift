// Which endpoints may be probed at all.
//
// Endpoints come from peers, and a peer must not be able to make us send to whatever it likes, or to build a
// path that runs through a virtual network of our own.

import Base

/// What is known of our own place on the underlay.
public struct Underlay: Sendable {
  /// Addresses of the machine's interfaces with their prefixes, without our own virtual devices.
  public var interfaces: [IPPrefix] = []
  /// Prefixes of our own virtual networks.
  public var virtualNetworks: [IPPrefix] = []
  /// The port our socket is bound to.
  public var port: UInt16 = 0
  /// Our endpoints as peers saw them, the newest first.
  public internal(set) var observed = BoundedArray<4, Endpoint>()

  public init() {}

  /// Whether `address` lies in a prefix of one of our interfaces.
  public func isOnLink(_ address: IPAddress) -> Bool { interfaces.contains { $0.contains(address) } }

  /// Whether the endpoint that a peer named may be probed (`PROTOCOL.md`, "Paths").
  public func mayProbe(_ endpoint: Endpoint) -> Bool {
    let address = endpoint.address
    if endpoint.port < 1_024 && endpoint.port != 443 { return false }
    if address.isUnspecified || address.isLoopback || address.isMulticast || address.isLinkLocal {
      return false
    }
    if address.isV4 && (address.v4 == .max || interfaces.contains { isBroadcast(address, of: $0) }) {
      return false
    }
    if virtualNetworks.contains(where: { $0.contains(address) }) { return false }
    if interfaces.contains(where: { $0.address == address }) && endpoint.port == port { return false }
    return !address.isPrivate || isOnLink(address) || isBehindOurNAT(address)
  }

  private func isBroadcast(_ address: IPAddress, of interface: IPPrefix) -> Bool {
    interface.address.isV4 && interface.length < 31 && interface.broadcast == address
  }

  private func isBehindOurNAT(_ address: IPAddress) -> Bool { observed.contains { $0.address == address } }

  /// Remembers an endpoint as a peer saw us.
  /// - Returns: whether it is new.
  mutating func observe(_ endpoint: Endpoint) -> Bool {
    let address = endpoint.address
    guard endpoint.port != 0, !address.isUnspecified, !address.isLoopback, !address.isMulticast else {
      return false
    }
    if interfaces.contains(where: { $0.address == address }) && endpoint.port == port { return false }
    if virtualNetworks.contains(where: { $0.contains(address) }) { return false }
    if observed.contains(where: { $0 == endpoint }) { return false }
    // Behind a symmetric NAT every peer sees another port: only a new address is news.
    let isNews = !observed.contains { $0.address == address }
    observed.insert(endpoint, at: 0)
    return isNews
  }

  /// What we tell peers: our interfaces' addresses first, then how we were seen.
  public var candidates: BoundedArray<8, Endpoint> {
    var list = BoundedArray<8, Endpoint>()
    for interface in interfaces where list.count < 5 {
      let address = interface.address
      if address.isLoopback || address.isLinkLocal
        || virtualNetworks.contains(where: { $0.contains(address) })
      {
        continue
      }
      list.append(Endpoint(address, port: port))
    }
    for i in 0..<observed.count { list.append(observed[i]) }
    return list
  }
}
