// Where a node stands: in the open or behind boxes, and at which place.

import Base

/// How and where a node is connected.
public struct Site: Sendable {
  public var access: Access
  /// Nil draws one from the latency model.
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
