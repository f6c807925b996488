// A way to a peer, and how we know that it works.
//
// A session says who the peer is; a path says how bytes get there. Slot 0 of a peer is the way over the ring,
// the last two circuits, the others are endpoints. A path is used only after a nonce came back over it;
// afterwards it is asked again when it was silent, and left when several questions stay unanswered.

import Base
import Session

/// How bytes get to a peer.
public enum Way: Equatable, Sendable, BitwiseCopyable {
  case overlay
  case endpoint(Endpoint)
  /// Through a relay, with the label under which that receives from us.
  case circuit(relay: OverlayID, label: UInt32)
}

/// A series of questions that waits for an answer to any of them.
///
/// The nonces of a series follow each other, so that a pong says which ping it answers: a late one still
/// counts, and its round trip is the right one.
struct Probe: BitwiseCopyable {
  /// More than any series has (`Timing.pingTries`, `Timing.candidateProbes`).
  private static let seriesMax = 6

  private var nonce: Nonce
  private var times: InlineArray<6, Instant>
  /// When the last question was sent.
  private(set) var sentAt: Instant
  /// Questions without an answer so far; 0 when none is open.
  var tries: UInt8 = 0
  /// The next ping is due: the first of a series, or a repeated one.
  var dueAt: Instant
  /// Due at once, however quiet the path may be: the underlay changed.
  var isUrgent = false

  init(dueAt: Instant) {
    nonce = Nonce(high: 0, low: 0)
    times = InlineArray(repeating: .start)
    sentAt = .start
    self.dueAt = dueAt
  }

  /// When the first question of the series was sent.
  var beganAt: Instant { times[0] }

  /// The nonce of the next question, which is sent now.
  mutating func ask(_ secure: inout SecureRandom, at now: Instant) -> Nonce {
    if tries == 0 { nonce = Nonce(high: secure.next(), low: secure.next()) }
    times[Int(tries) % Self.seriesMax] = now
    tries += 1
    sentAt = now
    isUrgent = false
    return Nonce(high: nonce.high, low: nonce.low &+ UInt64(tries))
  }

  /// When the question was sent that this nonce answers; nil when it answers none of the series.
  func sentAt(answeredBy answer: Nonce) -> Instant? {
    let number = answer.low &- nonce.low
    guard answer.high == nonce.high, number >= 1, number <= UInt64(tries) else { return nil }
    return times[Int(number - 1) % Self.seriesMax]
  }
}

/// A question that somebody outside asked, and waits for.
struct Measurement: BitwiseCopyable {
  let nonce: Nonce
  let ticket: UInt32
  let sentAt: Instant
}

/// One way to a peer and its state.
public struct Path: BitwiseCopyable, SparseElement {
  public static let nothing = EmptyPlace<Path>()

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
    size = PathSize.overlay
    heardAt = now
    probe = Probe(dueAt: now)
    if way != .overlay { size = PathSize.base - headerBytes }
  }

  /// What stands before a datagram on this way.
  private var headerBytes: UInt16 { relay == nil ? 0 : UInt16(CircuitHeader.byteCount) }

  /// The larger size that is asked for.
  var sizeMax: UInt16 { PathSize.ethernet - headerBytes }

  /// The node that passes on what takes this way.
  public var relay: OverlayID? {
    if case .circuit(let relay, _) = way { relay } else { nil }
  }

  public var endpoint: Endpoint? {
    if case .endpoint(let endpoint) = way { endpoint } else { nil }
  }

  /// What goes before what among endpoints, whatever the round trips: the own network, then datagrams, then a
  /// connection, which delays all for one that was lost.
  var rank: Int { isStream ? 0 : isLAN ? 2 : 1 }

  /// Whether it leads out of the own network, of which a routed part may have a private address too.
  var isOutside: Bool { !isLAN && endpoint?.address.isPrivate == false }

  /// Whether it is a TCP connection.
  var isStream: Bool { endpoint?.socket.isStream == true }

  var isV4: Bool { endpoint?.address.isV4 == true }

  /// The word for it in all output.
  public var kind: PathKind {
    switch way {
    case .overlay: .overlay
    case .circuit: .proxy
    case .endpoint(let endpoint): endpoint.socket.isStream ? .tcp : isLAN ? .lan : .direct
    }
  }
}
