// Where this node stands on the underlay, and which endpoints may be probed at all.
//
// Endpoints come from peers, and a peer must not be able to make us send to whatever it likes, or to build a
// path that runs through a virtual network of our own.

import Base

/// Why an endpoint that a peer has named is not asked.
public enum Refusal: UInt8, Sendable, BitwiseCopyable {
  /// A port below 1,024 other than 443.
  case port
  /// No address of a single machine out there: loopback, multicast, broadcast and the like.
  case address
  /// Inside a virtual network of our own.
  case virtual
  /// Our own endpoint.
  case own
  /// A private address, of a network that is not ours.
  case elsewhere
  /// This machine has no address of the family.
  case family
  /// So many others of this peer were tried in a short time.
  case budget
}

/// What is known of our own place on the underlay.
public struct Underlay: Sendable {
  /// Addresses of the machine's interfaces with their prefixes, without our own virtual devices.
  public var interfaces: [IPPrefix] = [] { didSet { reflect() } }
  /// The machine had addresses, and has none at the moment.
  public var isOffline = false
  /// Prefixes of our own virtual networks.
  public var virtualNetworks: [IPPrefix] = []
  /// The port our socket is bound to.
  public var port: UInt16 = 0 { didSet { reflect() } }
  /// Whether our socket stays on its port whatever the box in front of us makes of it.
  public var keepsPort = true
  /// Whether it has moved to another port in this place (`Rebinding`).
  public var hasRebound = false
  /// Where the operator says that this node can be reached; port 0 is that of the socket.
  public var advertised = BoundedArray<4, Endpoint>()
  /// Where peers see us.
  public internal(set) var reflection = Reflection() { didSet { reflect() } }
  // What follows from the words of peers: it is asked for with each message, and changes rarely.
  /// How the box in front of us maps.
  public private(set) var mapping = Mapping.unknown
  /// How others see us where that differs from how we see ourselves.
  private var reflexive = BoundedArray<4, Endpoint>()
  /// Our endpoint as others see it over IPv4; nil as long as nobody has said so.
  private(set) var reflexiveV4: Endpoint?

  public init() {}

  /// Whether `address` lies in a prefix of one of our interfaces.
  public func isOnLink(_ address: IPAddress) -> Bool { interfaces.contains { $0.contains(address) } }

  /// Whether the endpoint that a peer named may be probed (`PROTOCOL.md`, "Paths").
  public func mayProbe(_ endpoint: Endpoint) -> Bool { refusal(of: endpoint) == nil }

  /// Why the endpoint may not be probed; nil when it may.
  func refusal(of endpoint: Endpoint) -> Refusal? {
    let address = endpoint.address
    if endpoint.port < 1_024 && endpoint.port != 443 { return .port }
    if address.isUnspecified || address.isLoopback || address.isMulticast || address.isLinkLocal {
      return .address
    }
    if address.isV4 && (address.v4 == .max || interfaces.contains { isBroadcast(address, of: $0) }) {
      return .address
    }
    if isVirtual(address) { return .virtual }
    if isOwn(address) && endpoint.port == port { return .own }
    if address.isPrivate && !isOnLink(address) && !reflection.agrees(on: address) { return .elsewhere }
    return lacksFamily(of: address) ? .family : nil
  }

  /// Whether there is no way out for the address's family; as long as nothing is known of interfaces there
  /// may be one.
  private func lacksFamily(of address: IPAddress) -> Bool {
    var isFound = interfaces.isEmpty
    for interface in interfaces where interface.address.isV4 == address.isV4 && isTold(interface.address) {
      isFound = true
    }
    return !isFound
  }

  private func isBroadcast(_ address: IPAddress, of interface: IPPrefix) -> Bool {
    interface.address.isV4 && interface.length < 31 && interface.broadcast == address
  }

  func isVirtual(_ address: IPAddress) -> Bool { virtualNetworks.contains { $0.contains(address) } }

  func isOwn(_ address: IPAddress) -> Bool { interfaces.contains { $0.address == address } }

  /// Remembers our endpoint as a peer saw it.
  /// - Returns: whether that is news for those who try to reach us.
  mutating func observe(_ seen: Endpoint, by observer: Endpoint, of peer: OverlayID) -> Bool {
    let address = seen.address
    guard seen.port != 0, !address.isUnspecified, !address.isLoopback, !address.isMulticast,
      !isVirtual(address), address.isV4 == observer.address.isV4
    else { return false }
    // Who is in our own network says nothing of the boxes in front of it.
    if isOwn(address), address.isPrivate, seen.port == port { return false }
    // Most pongs end here.
    if reflection.knows(seen, by: observer) { return false }
    let (before, mapped) = (reflexive, mapping)
    guard reflection.note(seen, by: observer, of: peer) else { return false }
    let after = reflexive
    if mapping != mapped { return true }
    if after.isEmpty || (!before.isEmpty && before[0] == after[0]) { return false }
    // Where each peer sees another port, only an address is news.
    return !mapping.isHard || !before.contains { $0.address == after[0].address }
  }

  /// Draws the conclusions.
  private mutating func reflect() {
    mapping = reflection.mapping(of: port) { isOwn($0) }
    reflexive.removeAll()
    for isV4 in [false, true] {
      let seen = reflection.reflexive(isV4: isV4)
      for i in 0..<seen.count where !isOwn(seen[i].address) || seen[i].port != port {
        reflexive.append(seen[i])
      }
      reflexiveV4 = isV4 && !seen.isEmpty ? seen[0] : nil
    }
  }

  /// Where we tell others to reach us, if we may name one endpoint only.
  var principal: Endpoint {
    if !advertised.isEmpty { return candidates[0] }
    if let seen = reflexiveV4 { return seen }
    let list = candidates
    return list.isEmpty ? .none : list[0]
  }

  /// What we tell peers: first what the operator says, then by turns IPv6 addresses, how we are seen, and
  /// IPv4 addresses of our interfaces, so that none of these crowds out the others.
  public var candidates: BoundedArray<8, Endpoint> {
    var list = BoundedArray<8, Endpoint>()
    func add(_ endpoint: Endpoint) {
      if !list.contains(where: { $0 == endpoint }) { list.append(endpoint) }
    }
    for i in 0..<advertised.count {
      add(Endpoint(advertised[i].address, port: advertised[i].port == 0 ? port : advertised[i].port))
    }
    let seen = reflexive
    let v6 = interfaces.filter { isTold($0.address) && !$0.address.isV4 }
    let v4 = interfaces.filter { isTold($0.address) && $0.address.isV4 }
    for i in 0..<max(v6.count, seen.count, v4.count) where !list.isFull {
      if i < v6.count { add(Endpoint(v6[i].address, port: port)) }
      if i < seen.count { add(seen[i]) }
      if i < v4.count { add(Endpoint(v4[i].address, port: port)) }
    }
    return list
  }

  func isTold(_ address: IPAddress) -> Bool {
    !address.isLoopback && !address.isLinkLocal && !isVirtual(address)
  }
}
