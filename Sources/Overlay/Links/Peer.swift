// Another node, and all we have with it: a session, the paths it may take, the reasons why we keep it.

import Base
import Session

/// Why a link is kept. A peer without a role and without traffic is let go.
public struct Roles: OptionSet, Sendable, BitwiseCopyable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// One of the nearest on the ring.
  public static let near = Roles(rawValue: 1)
  /// A node through which we came in.
  public static let bootstrap = Roles(rawValue: 2)
  /// A far link that keeps the ways on the ring short.
  public static let shortcut = Roles(rawValue: 8)
  /// Wanted by traffic.
  public static let onDemand = Roles(rawValue: 4)
  /// Offered as a relay for somebody else, and not met before.
  public static let proxy = Roles(rawValue: 16)
  /// One of the nearest on the ring of the members, and a far link there.
  public static let nearMember = Roles(rawValue: 32)
  public static let farMember = Roles(rawValue: 64)

  /// The roles of a link that serves a ring and not only traffic.
  static let lasting: Roles = [.near, .shortcut, .nearMember, .farMember]
  /// The node keeps the other as a far link.
  static let farLinks: Roles = [.shortcut, .farMember]
}

/// Handshakes that are sent until one is answered.
struct Attempt: BitwiseCopyable {
  var tries: UInt8 = 0
  /// After so many it is given up.
  var triesMax = UInt8(Timing.handshakeRetry.count)
  var nextAt: Instant
}

/// Whether the peer has our first record of this session (with the membership proof and the reset token).
enum HelloState: BitwiseCopyable {
  /// The peer speaks first under these keys: it is answered as often as it may ask, and no more (or two
  /// answers would answer each other for ever).
  case answering(left: UInt8)
  case sent(tries: UInt8, nextAt: Instant)
  case done
}

/// A node we know by its key.
public struct Peer: BitwiseCopyable {
  // What is asked of all peers in turn stands first, in one cache line; the next two have what every datagram
  // of the peer needs.
  public let id: OverlayID
  public internal(set) var roles: Roles = []
  /// Keys are shared and proved by a record.
  public internal(set) var isUp = false
  private var bestPlace: Int8 = -1
  /// The peer keeps this node as its far link.
  var isGuest = false
  /// Whether it was told our candidates in this session.
  var isIntroduced = false
  /// It seemed dead, and is back: it may stand on another ring.
  var isRevived = false
  /// Traffic is kept on the ring although a direct path may exist (asked for by the user, for diagnosis).
  public internal(set) var isPinnedToOverlay = false
  /// Slot 0 is the way over the ring, 1 … 4 are endpoints, 5 and 6 are circuits.
  var paths = SparseArray<7, Path>()

  var attempt: Attempt?
  public internal(set) var heardAt: Instant = .start
  /// When data was last sent to, or came from, the peer.
  public internal(set) var usedAt: Instant = .start
  /// When the peer last told us its neighbours, or that we are its far link: it counts us among its links,
  /// though it need not be one of ours.
  var wantedAt: Instant = .start
  /// When a question was sent that nothing was heard after yet.
  var askedAt: Instant = .never
  public internal(set) var session: SessionID?
  public internal(set) var bearings = Bearings()
  /// Not to be linked on hearsay before this moment.
  var deadUntil: Instant = .start
  var hello = HelloState.answering(left: Timing.helloTries)

  public let key: PublicKey
  /// When the link came up.
  public internal(set) var upAt: Instant = .start
  /// The fingerprint of the acquaintances of ours that it has, as it says.
  var acquaintancesHeld: UInt32 = 0
  var directRetryAt: Instant = .never
  var directRetryIn = Timing.directRetryMin
  /// Nodes with a direct path to this peer, best first.
  public internal(set) var vias: BoundedArray<2, OverlayID>
  /// Endpoints for the first contact, before there is a session.
  var hints: BoundedArray<4, Endpoint>
  /// Where it was last reached directly; `.none` when it never was.
  var provenAt = Endpoint.none
  /// When relays may be offered to the peer, how long to wait after it, how often that was done, and which
  /// one failed last.
  var circuitAt: Instant = .never
  var circuitRetryIn = CircuitTiming.retryMin
  var circuitRound: UInt8 = 0
  var circuitAvoid = OverlayID.zero
  /// It passes nothing on for us before this moment.
  var relaysFrom: Instant = .start
  /// When the peer may be connected to over TCP again, and how often it was in vain.
  var streamAt: Instant = .start
  var streamTries: UInt8 = 0
  /// Candidates of the peer that were tried, and since when they are counted.
  var candidates = (count: 0, since: Instant.start)
  /// When it was last told ours.
  var candidatesSentAt: Instant = .start
  /// How the box in front of it maps, as it says.
  public internal(set) var mapping = Mapping.unknown
  /// When many ports may be tried (`Birthday`); `.never` until fewer were in vain. And how long to wait then.
  var birthdayAt: Instant = .never
  var birthdayIn = Birthday.retryMin
  /// When a predicted port may be tried (`Prediction`), and how long to wait then.
  var predictAt: Instant = .start
  var predictIn = Birthday.retryMin
  /// Small messages that the peer has us forward: enough for the acknowledgements of a quick transfer.
  var messages = TokenBucket(rate: 20_000, burst: 20_000, at: .start)
  /// Answers that are larger than their questions: lists with all names, candidates.
  var answers = TokenBucket(rate: 1, burst: 8, at: .start)
  /// Questions of a member that are answered with a lease.
  var questions = TokenBucket(rate: 50, burst: 50, at: .start)
  /// Handshakes that the peer has us forward (a node with many new acquaintances, not a flood).
  var inits = TokenBucket(rate: 20, burst: 40, at: .start)
  public internal(set) var receivedBytes: UInt64 = 0
  public internal(set) var sentBytes: UInt64 = 0
  public internal(set) var pingsSent: UInt32 = 0
  public internal(set) var pingsLost: UInt32 = 0

  /// Slots of paths.
  public static let pathSlots = 7
  /// The first slot of a way through a circuit; those of endpoints end there.
  static let circuitSlot = 5
  /// The slots of ways through circuits.
  static let circuitSlots = circuitSlot..<pathSlots

  /// The path that data takes; nil while no way is known to work.
  public internal(set) var best: Int? {
    get { bestPlace < 0 ? nil : Int(bestPlace) }
    set { bestPlace = newValue.map { Int8($0) } ?? -1 }
  }

  /// *Precondition:* `id` is that of the key. Whoever lets go of the peer releases its paths.
  init(key: PublicKey, id: OverlayID) {
    self.key = key
    self.id = id
    vias = BoundedArray()
    hints = BoundedArray()
  }

  /// What a former life of the peer said of its links, and was told, counts no more.
  mutating func forgetLinks() {
    acquaintancesHeld = 0
    isGuest = false
    askedAt = .never
  }

  public func path(_ index: Int) -> Path? { paths[index] }

  /// Whether the link serves the ring and not only traffic.
  var isLasting: Bool { isGuest || !roles.isDisjoint(with: .lasting) }

  /// Whether data goes over the link, or shall: then the largest datagram of its path matters.
  public var isForTraffic: Bool { roles.contains(.onDemand) || sentBytes > 0 || receivedBytes > 0 }

  /// The path that data takes.
  @inline(__always) public var bestPath: Path? { if let best { paths[best] } else { nil } }

  /// Whether a proven endpoint exists.
  @inline(__always) public var hasDirectPath: Bool {
    for i in 1..<Self.circuitSlot where paths[i]?.isValid == true { return true }
    return false
  }

  /// Whether a proven circuit leads to the peer.
  var hasCircuit: Bool {
    for i in Self.circuitSlots where paths[i]?.isValid == true { return true }
    return false
  }

  @inline(__always) func index(of way: Way) -> Int? {
    for i in 0..<Self.pathSlots where paths[i]?.way == way { return i }
    return nil
  }
}
