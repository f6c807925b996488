// Our ends of circuits, by peer and by label.
//
// A peer has two places for circuits among its paths, each with an end of its own that goes through another
// relay. An end that is left holds no place any more, but still receives for a moment: what the peer sent
// before it heard of it is on its way.

import Base

/// Times of circuits, each with its reason.
enum CircuitTiming {
  /// The first probes of a direct path have been answered by then, or will not be.
  static let start = Interval.milliseconds(1_500)
  /// After an offer that led to nothing, and at most.
  static let retryMin = Interval.seconds(1)
  static let retryMax = Interval.minutes(5)
  /// Once a circuit works, a spare and better ones are looked for, twice as rarely after each offer: the
  /// first offers name few of those that there are.
  static let improve = Interval.seconds(2)
  /// Waits between the tries of an ask: one is lost now and then, and the other end asks a little later.
  static let ask: [Interval] = [
    .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(1),
  ]
  /// A relay waits this long for the second side.
  static let halfAsked = Interval.seconds(5)
  /// A circuit through which nothing went, or that is no longer needed, is let go after this.
  static let idle = Interval.minutes(2)
  /// What was sent through a circuit before it was left has arrived by then.
  static let linger = Interval.seconds(2)
  /// Under traffic, a circuit that is silent this long is asked: a spare stands by.
  static let silence = Interval.milliseconds(800)
  /// Unanswered pings after which the spare takes over.
  static let silentTries: UInt8 = 2
  /// In this time a link with an offered relay is made and measured, or it is not.
  static let search = Interval.seconds(8)
  /// One relay had so long to be found before two in a row are tried.
  static let single = Interval.seconds(3)
  /// A relay that passes nothing on is not asked again for so long; one that is full, for so long.
  static let unwilling = Interval.minutes(5)
  static let full = Interval.seconds(30)
}

/// Our end of a circuit.
struct CircuitEnd: BitwiseCopyable {
  let peer: Party
  let peerID: OverlayID
  let relay: Party
  let relayID: OverlayID
  /// The relay of the peer, when it is another one; else zero.
  let beyond: OverlayID
  /// Under which we receive.
  let label: UInt32
  /// The slot of its path among those of the peer.
  let place: Int
  /// Under which the relay receives; 0 until it is ready.
  var farLabel: UInt32 = 0
  /// When the relay was first asked.
  let since: Instant
  var tries: UInt8 = 0
  var nextAt: Instant
  /// When it was last needed.
  var usedAt: Instant
  /// Whether its path was ever proved.
  var wasProven = false
  /// Left, it receives until then.
  var leftUntil: Instant = .never

  var isLeft: Bool { leftUntil != .never }
}

/// All our ends.
struct CircuitEndTable {
  static let limit = 256

  private var ends: [CircuitEnd?] = []
  private var labels = LabelIndex()
  private(set) var count = 0

  var highWater: Int { ends.count }

  subscript(index: Int) -> CircuitEnd? { ends[index] }

  func hasLabel(_ label: UInt32) -> Bool { labels.target(label) != nil }

  func find(label: UInt32) -> Int? { labels.target(label) }

  func receiver(_ label: UInt32) -> CircuitEnd? { labels.target(label).flatMap { ends[$0] } }

  /// The end whose path has this place.
  func find(peer slot: Int, place: Int) -> Int? {
    ends.firstIndex { $0?.peer.slot == slot && $0?.place == place && $0?.isLeft == false }
  }

  /// An end of ours to the peer through the relay.
  func find(peer slot: Int, relay id: OverlayID) -> Int? {
    ends.firstIndex { $0?.peer.slot == slot && $0?.relayID == id && $0?.isLeft == false }
  }

  /// Ends whose circuits go through this peer.
  func count(relay slot: Int) -> Int { ends.count { $0?.relay.slot == slot && $0?.isLeft == false } }

  /// Ends of circuits to this peer.
  func count(peer slot: Int) -> Int { ends.count { $0?.peer.slot == slot && $0?.isLeft == false } }

  mutating func insert(_ end: CircuitEnd) -> Int {
    precondition(count < Self.limit)
    count += 1
    var index = ends.count
    if let free = ends.firstIndex(where: { $0 == nil }) {
      index = free
      ends[free] = end
    } else {
      ends.append(end)
    }
    labels.insert(end.label, index)
    return index
  }

  mutating func update(_ index: Int, _ change: (inout CircuitEnd) -> Void) { change(&ends[index]!) }

  mutating func remove(_ index: Int) {
    labels.remove(ends[index]!.label)
    ends[index] = nil
    count -= 1
    while let last = ends.last, last == nil { ends.removeLast() }
  }
}
