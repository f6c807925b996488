// A way to a peer, and how we know that it works.
//
// A session says who the peer is; a path says how bytes get there. Slot 0 of a peer is the way over the ring,
// the others are endpoints. A path is used only after a nonce came back over it; afterwards it is asked again
// when it was silent, and left when several questions stay unanswered.

import Base

/// How bytes get to a peer.
public enum Way: Equatable, Sendable, BitwiseCopyable {
  case overlay
  case endpoint(Endpoint)
}

/// A question that waits for its answer.
struct Probe: BitwiseCopyable {
  var nonce: Nonce
  var sentAt: Instant
  /// When the first question of this series was sent.
  var firstAt: Instant = .start
  /// Questions without an answer so far; 0 when none is open.
  var tries: UInt8 = 0
  /// The next ping is due: the first of a series, or a repeated one.
  var dueAt: Instant
  /// Due at once, however quiet the path may be: the underlay changed.
  var isUrgent = false

  init(dueAt: Instant) {
    nonce = Nonce(high: 0, low: 0)
    sentAt = .start
    self.dueAt = dueAt
  }
}

/// A question that somebody outside asked, and waits for.
struct Measurement: BitwiseCopyable {
  let nonce: Nonce
  let ticket: UInt32
  let sentAt: Instant
}

/// One way to a peer and its state.
public struct Path: BitwiseCopyable {
  /// Endpoints a peer can have at the same time.
  static let endpointsMax = 4

  public let way: Way
  /// Whether a nonce came back over it.
  public internal(set) var isValid = false
  /// Whether the endpoint lies in a prefix of one of our own interfaces.
  public let isLAN: Bool
  public internal(set) var roundTrip = RoundTrip()
  /// The largest datagram that is known to get through, in bytes.
  public internal(set) var size: UInt16
  /// When a record last came over it.
  var heardAt: Instant
  /// When something was last sent over it.
  var usedAt: Instant = .start
  var probe: Probe
  /// The way over the ring after all others died: it has less time to prove itself.
  var isLastResort = false
  /// A padded ping that asks for more than `size`.
  var sizeProbe: Nonce?
  /// When the size was last proven.
  var sizeAt: Instant = .start
  /// How often the larger size was asked for in vain.
  var sizeTries: UInt8 = 0

  init(way: Way, isLAN: Bool, at now: Instant) {
    self.way = way
    self.isLAN = isLAN
    size = way == .overlay ? PathSize.overlay : PathSize.base
    heardAt = now
    probe = Probe(dueAt: now)
  }

  public var endpoint: Endpoint? {
    if case .endpoint(let endpoint) = way { endpoint } else { nil }
  }

  /// The word for it in all output.
  public var kind: PathKind { way == .overlay ? .overlay : (isLAN ? .lan : .direct) }
}
