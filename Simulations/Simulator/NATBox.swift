// A box that translates addresses, by the terms of RFC 4787 ("Network Address Translation (NAT) Behavioral
// Requirements for Unicast UDP").
//
// Outbound datagrams get the box's address and a port of it. Which destinations share that port is the
// *mapping* (§4.1), which sources may use it inwards the *filtering* (§5), and both end some time after the
// last datagram (§4.3). Three tables say it all: mappings by (inside endpoint, scope of the destination),
// permits by (port, scope of the source), and the ports in use. A permit never outlives its mapping:
// whatever renews one renews the other.

import Base

/// How a box behaves.
public struct NATBehaviour: Sendable, Equatable {
  /// What of the remote side makes a difference.
  public enum Scope: UInt8, Sendable {
    case endpointIndependent
    case addressDependent
    case addressAndPortDependent
  }

  /// Which port a new mapping gets.
  public enum Ports: UInt8, Sendable {
    /// That of the inside, while it is free; else the next free one.
    case preserving
    /// That of the inside, unless another inside has it with the same destination: one port serves many
    /// destinations, as with Linux ("overloading", §4.2.1). For a mapping of each destination.
    case overloading
    /// One after the other, `step` apart.
    case sequential
    case random
  }

  public var mapping: Scope
  public var filtering: Scope
  public var ports: Ports
  /// Between sequential ports.
  public var step: UInt16 = 1
  /// A mapping ends so long after the last datagram. RFC 4787 asks for two minutes; 30 s are seen.
  public var timeout: Interval
  /// Whether inbound datagrams keep a mapping alive too.
  public var inboundRefreshes: Bool
  /// Whether two nodes behind the box reach each other by their outside endpoints (§6).
  public var hairpins: Bool
  /// Mappings at a time; further ones are refused.
  public var mappingsMax = 16_384

  public init(
    mapping: Scope, filtering: Scope, ports: Ports = .preserving, timeout: Interval = .minutes(2),
    inboundRefreshes: Bool = true, hairpins: Bool = false
  ) {
    self.mapping = mapping
    self.filtering = filtering
    self.ports = ports
    self.timeout = timeout
    self.inboundRefreshes = inboundRefreshes
    self.hairpins = hairpins
  }

  /// Everybody may use a mapping.
  public static let fullCone = NATBehaviour(mapping: .endpointIndependent, filtering: .endpointIndependent)
  /// One port for all destinations; inwards only from endpoints that were sent to.
  public static let portRestricted = NATBehaviour(
    mapping: .endpointIndependent, filtering: .addressAndPortDependent)
  /// Linux's masquerade: all destinations see the port of the inside, but those that another inside has
  /// visited from the same port.
  public static let masquerade = NATBehaviour(
    mapping: .addressAndPortDependent, filtering: .addressAndPortDependent, ports: .overloading)
  /// A random port for each destination: nobody can say which one the next destination will see.
  public static let hard = NATBehaviour(
    mapping: .addressAndPortDependent, filtering: .addressAndPortDependent, ports: .random)
  /// Another port for each destination, one after the other.
  public static let counting = NATBehaviour(
    mapping: .addressAndPortDependent, filtering: .addressAndPortDependent, ports: .sequential)
  /// A carrier's box: many customers, no preserved ports, hairpins.
  public static let carrier = NATBehaviour(
    mapping: .endpointIndependent, filtering: .endpointIndependent, ports: .random, timeout: .minutes(5),
    hairpins: true)
}

/// The tables of one box.
struct NATBox {
  let behaviour: NATBehaviour
  /// Its address on the side away from its network.
  private(set) var outside: UInt32
  private var mappings: ExpiringTable
  private var permits: ExpiringTable
  private var ports: ExpiringTable
  private var nextPort: UInt16
  private var random: Random
  /// Ports below are left to others; so are tables of fewer than some ten thousand mappings kept quick.
  private static let portMin: UInt16 = 1_024
  /// How many taken ports are passed over before a datagram is refused.
  private static let triesMax = 256

  init(_ behaviour: NATBehaviour, outside: UInt32, random: Random) {
    self.behaviour = behaviour
    self.outside = outside
    self.random = random
    let limit = min(behaviour.mappingsMax, Int(UInt16.max - Self.portMin))
    mappings = ExpiringTable(entriesMax: limit)
    // A mapping may be used with many remotes.
    permits = ExpiringTable(entriesMax: limit * 8)
    ports = ExpiringTable(entriesMax: limit)
    nextPort = Self.portMin
    nextPort = drawPort()
  }

  /// A datagram goes out.
  /// - Returns: its source as the other side sees it; nil when there is no room for a mapping.
  mutating func outbound(from inside: SimEndpoint, to remote: SimEndpoint, at now: Instant) -> SimEndpoint? {
    let scope = Self.scope(behaviour.mapping, remote)
    let use = portScope(remote)
    let expires = (now + behaviour.timeout).ns
    let port: UInt16
    if let i = mappings.find(inside.word, scope, at: now.ns) {
      port = UInt16(truncatingIfNeeded: mappings[i].value)
      mappings[i].expires = expires
      if let j = ports.find(UInt64(port), use, at: now.ns) { ports[j].expires = expires }
    } else {
      guard let free = freePort(preferring: inside.port, for: use, at: now.ns) else { return nil }
      port = free
      let mapping = ExpiringTable.Entry(
        key: inside.word, scope: scope, value: UInt64(port), extra: 0, expires: expires)
      let taken = ExpiringTable.Entry(key: UInt64(port), scope: use, value: 0, extra: 0, expires: expires)
      guard ports.set(taken, at: now.ns), mappings.set(mapping, at: now.ns) else { return nil }
    }
    let source = Self.scope(behaviour.filtering, remote)
    if let i = permits.find(UInt64(port), source, at: now.ns) {
      permits[i].expires = expires
    } else {
      let permit = ExpiringTable.Entry(
        key: UInt64(port), scope: source, value: inside.word, extra: scope, expires: expires)
      guard permits.set(permit, at: now.ns) else { return nil }
    }
    return SimEndpoint(outside, port: port)
  }

  /// A datagram comes to a port of the box.
  /// - Returns: where it goes; nil when it is not let in.
  mutating func inbound(to port: UInt16, from remote: SimEndpoint, at now: Instant) -> SimEndpoint? {
    let source = Self.scope(behaviour.filtering, remote)
    guard let i = permits.find(UInt64(port), source, at: now.ns) else { return nil }
    let permit = permits[i]
    if behaviour.inboundRefreshes {
      let expires = (now + behaviour.timeout).ns
      permits[i].expires = expires
      if let j = mappings.find(permit.value, permit.extra, at: now.ns) { mappings[j].expires = expires }
      if let j = ports.find(UInt64(port), portScope(remote), at: now.ns) { ports[j].expires = expires }
    }
    return SimEndpoint(UInt32(truncatingIfNeeded: permit.value >> 16), port: UInt16(permit.value & 0xFFFF))
  }

  /// The box starts anew: all mappings are forgotten.
  mutating func reboot() {
    mappings.removeAll()
    permits.removeAll()
    ports.removeAll()
    nextPort = drawPort()
  }

  /// The box gets another outside address, and forgets what it had on the old one.
  mutating func move(to address: UInt32) {
    outside = address
    reboot()
  }

  /// For which of its remotes a port is taken, as a word.
  private func portScope(_ remote: SimEndpoint) -> UInt64 {
    behaviour.ports == .overloading ? remote.word : 0
  }

  private mutating func freePort(preferring wanted: UInt16, for use: UInt64, at now: UInt64) -> UInt16? {
    let keeps = behaviour.ports == .preserving || behaviour.ports == .overloading
    if keeps, isFree(wanted, use, now) { return wanted }
    for _ in 0..<Self.triesMax {
      let port: UInt16
      if behaviour.ports == .random || behaviour.ports == .overloading {
        port = drawPort()
      } else {
        port = nextPort
        nextPort = nextPort > .max - behaviour.step ? Self.portMin : nextPort + behaviour.step
      }
      if isFree(port, use, now) { return port }
    }
    return nil
  }

  private func isFree(_ port: UInt16, _ use: UInt64, _ now: UInt64) -> Bool {
    ports.find(UInt64(port), use, at: now) == nil
  }

  private mutating func drawPort() -> UInt16 {
    Self.portMin + UInt16(random.below(UInt64(UInt16.max - Self.portMin) + 1))
  }

  /// What of `remote` makes a difference, as a word.
  private static func scope(_ scope: NATBehaviour.Scope, _ remote: SimEndpoint) -> UInt64 {
    switch scope {
    case .endpointIndependent: 0
    case .addressDependent: UInt64(remote.address) &<< 16
    case .addressAndPortDependent: remote.word
    }
  }
}
