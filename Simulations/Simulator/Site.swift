// Where a node stands: in the open or behind boxes, and at which place.

import Base

/// How and where a node is connected.
public struct Site: Sendable {
  public var access: Access
  /// Nil draws one from the latency model; behind a box, that of the box.
  public var place: Place?

  public init(_ access: Access = .open, place: Place? = nil) {
    self.access = access
    self.place = place
  }
}

/// What stands between a node and the internet.
public enum Access: Sendable, Equatable {
  /// Nothing: it has a public address.
  case open
  /// The network behind a box that was added before.
  case behind(box: Int)
  /// A firewall that lets no UDP through.
  case blocked
}

/// Which shares of the nodes stand behind what; weights, in any unit.
public struct SiteMix: Sendable, Equatable {
  public var open: UInt64
  public var fullCone: UInt64
  public var portRestricted: UInt64
  /// Address-and-port-dependent mapping with random ports.
  public var hard: UInt64
  /// No UDP at all.
  public var blocked: UInt64
  /// Of a thousand nodes behind a box, so many share the one of the node before them of their kind.
  public var sharedPerMille: UInt64 = 200
  /// Of a thousand boxes, so many stand behind a carrier's.
  public var carrierPerMille: UInt64 = 50
  /// Customers of one carrier's box.
  public static let customersMax = 64

  public init(open: UInt64, fullCone: UInt64, portRestricted: UInt64, hard: UInt64, blocked: UInt64) {
    self.open = open
    self.fullCone = fullCone
    self.portRestricted = portRestricted
    self.hard = hard
    self.blocked = blocked
  }

  /// Mostly homes.
  public static let home = SiteMix(open: 10, fullCone: 25, portRestricted: 45, hard: 17, blocked: 3)
  /// Many telephones.
  public static let mobile = SiteMix(open: 5, fullCone: 15, portRestricted: 35, hard: 40, blocked: 5)
  /// Many firewalls.
  public static let enterprise = SiteMix(open: 10, fullCone: 10, portRestricted: 30, hard: 35, blocked: 15)

  /// The kinds in order, with the behaviour of their boxes.
  enum Kind: Int {
    case open, fullCone, portRestricted, hard, blocked

    var behaviour: NATBehaviour? {
      switch self {
      case .open, .blocked: nil
      case .fullCone: .fullCone
      case .portRestricted: .portRestricted
      case .hard: .hard
      }
    }
  }

  func draw(_ random: inout Random) -> Kind {
    let weights = [open, fullCone, portRestricted, hard, blocked]
    var left = random.below(max(weights.reduce(0, +), 1))
    for (kind, weight) in weights.enumerated() {
      if left < weight { return Kind(rawValue: kind) ?? .open }
      left -= weight
    }
    return .open
  }
}
