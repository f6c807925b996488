// The circuits that a relay keeps for others.
//
// A circuit joins two sides that both asked for it, each naming the other inside its own session with the
// relay. A side is an end, or the relay of an end: whom the datagrams come from, and whose they are. Both
// belong to the key of a circuit, so a third party that names a pair takes nobody's place. Each side has
// chosen the label under which it receives, and the relay one for each side; forwarding is one look-up, one
// comparison and eight bytes written. The relay has no key of what it passes on.
//
// The tables are empty arrays until the first circuit; forwarding neither grows nor copies them.

import Base

/// A peer as it was when something was agreed with it. It does not outlive the link or its restart.
struct Party: Equatable, BitwiseCopyable {
  let slot: Int
  let serial: UInt32
  /// When the link came up.
  let upAt: Instant
}

/// Labels in order, and what each stands for.
struct LabelIndex {
  private var labels: [UInt32] = []
  private var targets: [Int32] = []

  var count: Int { labels.count }

  func target(_ label: UInt32) -> Int? {
    let i = position(label)
    return i < labels.count && labels[i] == label ? Int(targets[i]) : nil
  }

  /// *Precondition:* the label is not there yet.
  mutating func insert(_ label: UInt32, _ target: Int) {
    let i = position(label)
    precondition(i == labels.count || labels[i] != label)
    labels.insert(label, at: i)
    targets.insert(Int32(target), at: i)
  }

  mutating func remove(_ label: UInt32) {
    let i = position(label)
    guard i < labels.count, labels[i] == label else { return }
    labels.remove(at: i)
    targets.remove(at: i)
  }

  /// Where the label stands, or would stand.
  private func position(_ label: UInt32) -> Int {
    var low = 0
    var high = labels.count
    while low < high {
      let middle = (low + high) / 2
      if labels[middle] < label { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// A side of a circuit as it is named.
struct CircuitFlank: Equatable, BitwiseCopyable {
  /// With whom the relay is linked.
  let adjacent: OverlayID
  let end: OverlayID

  /// Whether the relay of the end stands between.
  var isRelay: Bool { adjacent != end }
}

/// What one side has agreed with the relay.
struct CircuitSide: BitwiseCopyable {
  let party: Party
  /// Under which the relay receives from this side.
  let label: UInt32
  /// Under which the side receives; 0 while it has not asked.
  var farLabel: UInt32

  var hasAsked: Bool { farLabel != 0 }
}

/// A circuit of two others.
struct RelayedCircuit: BitwiseCopyable {
  /// Datagrams of at least this size are data.
  private static let dataBytes = 600
  /// What small datagrams have for themselves when data has used up the rate: pings and the acknowledgements
  /// of a transfer, in bytes a second.
  private static let spareRate: UInt64 = 16_000

  let flanks: InlineArray<2, CircuitFlank>
  /// nil while nothing was said to, or by, that side.
  var sides: InlineArray<2, CircuitSide?>
  /// When it was asked for, or something last went through.
  var usedAt: Instant
  /// One side has left: what is on its way still passes until then.
  var closesAt: Instant = .never
  /// One of the ends shares a community with this node: no rate holds for it.
  var isFavoured = false
  private var data: TokenBucket
  private var spare: TokenBucket

  init(_ first: CircuitFlank, _ second: CircuitFlank, rate: UInt64, at now: Instant) {
    flanks = [first, second]
    sides = [nil, nil]
    usedAt = now
    data = TokenBucket(rate: rate, burst: max(rate / 4, 65_536), at: now)
    spare = TokenBucket(rate: Self.spareRate, burst: 2 * Self.spareRate, at: now)
  }

  var isComplete: Bool { sides[0]?.hasAsked == true && sides[1]?.hasAsked == true }

  func side(of flank: CircuitFlank) -> Int { flanks[0] == flank ? 0 : 1 }

  static func isData(_ bytes: Int) -> Bool { bytes >= dataBytes }

  /// Whether the circuit's share allows a datagram of this size.
  mutating func allows(_ bytes: Int, at now: Instant) -> Bool {
    if isFavoured || data.take(UInt64(bytes), at: now) { return true }
    return !Self.isData(bytes) && spare.take(UInt64(bytes), at: now)
  }
}

/// The circuits of a relay.
struct CircuitTable {
  /// Circuits of a relay, and those that one peer has asked for among them.
  static let limit = 1_024
  static let peerLimit = 64
  /// Peers that may have asked for some: a quarter of the places is left to others, or nobody could come in
  /// through a relay that many use.
  static let askersMax = Links.peersMax / 4 * 3

  private var circuits: [RelayedCircuit?] = []
  private var labels = LabelIndex()
  private(set) var count = 0

  /// Numbers of circuits are below this.
  var highWater: Int { circuits.count }

  func circuit(_ index: Int) -> RelayedCircuit? { circuits[index] }

  func hasLabel(_ label: UInt32) -> Bool { labels.target(label) != nil }

  /// The circuit, and the side that sends under this label.
  func sender(_ label: UInt32) -> (circuit: Int, side: Int)? {
    labels.target(label).map { ($0 >> 1, $0 & 1) }
  }

  func find(_ a: CircuitFlank, _ b: CircuitFlank) -> Int? {
    circuits.firstIndex { circuit in
      guard let flanks = circuit?.flanks else { return false }
      return (flanks[0] == a && flanks[1] == b) || (flanks[0] == b && flanks[1] == a)
    }
  }

  /// The circuit, and the side of it, that the peer has asked for with this label.
  func asked(by slot: Int, _ label: UInt32) -> (circuit: Int, side: Int)? {
    for (index, circuit) in circuits.enumerated() {
      for i in 0..<2 {
        if let side = circuit?.sides[i], side.party.slot == slot, side.farLabel == label { return (index, i) }
      }
    }
    return nil
  }

  /// Circuits that the peer has asked for. What others ask about it costs it nothing, and keeps nothing.
  func count(askedBy slot: Int) -> Int {
    circuits.count { circuit in
      guard let sides = circuit?.sides else { return false }
      return (0..<2).contains { sides[$0]?.party.slot == slot && sides[$0]?.hasAsked == true }
    }
  }

  /// The slots of the peers that have asked for circuits, as a mark for each.
  func askers() -> [Bool] {
    var marks = [Bool](repeating: false, count: Links.peersMax)
    for circuit in circuits {
      guard let sides = circuit?.sides else { continue }
      for i in 0..<2 {
        if let side = sides[i], side.hasAsked { marks[side.party.slot] = true }
      }
    }
    return marks
  }

  /// Puts a circuit into the table; nil when that is full.
  mutating func insert(_ circuit: RelayedCircuit) -> Int? {
    guard count < Self.limit else { return nil }
    count += 1
    if let free = circuits.firstIndex(where: { $0 == nil }) {
      circuits[free] = circuit
      return free
    }
    circuits.append(circuit)
    return circuits.count - 1
  }

  /// The side has asked, again or anew with other labels, or is asked by this node.
  mutating func set(_ index: Int, _ side: Int, _ value: CircuitSide, at now: Instant) {
    if let old = circuits[index]!.sides[side] { labels.remove(old.label) }
    circuits[index]!.sides[side] = value
    circuits[index]!.usedAt = now
    labels.insert(value.label, index << 1 | side)
  }

  mutating func favour(_ index: Int, _ isFavoured: Bool) { circuits[index]!.isFavoured = isFavoured }

  mutating func close(_ index: Int, at instant: Instant) { circuits[index]!.closesAt = instant }

  mutating func remove(_ index: Int) {
    for i in 0..<2 {
      if let side = circuits[index]!.sides[i] { labels.remove(side.label) }
    }
    circuits[index] = nil
    count -= 1
    while let last = circuits.last, last == nil { circuits.removeLast() }
  }

  /// Whether a datagram of this size may pass; it keeps the circuit alive in any case.
  mutating func mayPass(_ index: Int, _ bytes: Int, at now: Instant) -> Bool {
    circuits[index]!.usedAt = now
    return circuits[index]!.allows(bytes, at: now)
  }
}
