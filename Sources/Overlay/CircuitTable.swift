// The circuits that a relay keeps for others.
//
// A circuit joins two ends that both asked for it, each naming the other inside its own session with the
// relay. Each end has chosen the label under which it receives, and the relay one for each end; forwarding is
// one look-up, one comparison and eight bytes written. The relay has no key of what it passes on.
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

/// What one end has agreed with the relay.
struct CircuitSide: BitwiseCopyable {
  let party: Party
  /// Under which the relay receives from this end.
  let label: UInt32
  /// Under which the end receives.
  let farLabel: UInt32
}

/// A circuit of two others.
struct RelayedCircuit: BitwiseCopyable {
  /// Datagrams of at least this size are data.
  private static let dataBytes = 600
  /// What small datagrams have for themselves when data has used up the rate: pings and the acknowledgements
  /// of a transfer, in bytes a second.
  private static let spareRate: UInt64 = 16_000

  let ids: InlineArray<2, OverlayID>
  /// nil while that end has not asked.
  var sides: InlineArray<2, CircuitSide?>
  /// When it was asked for, or something last went through.
  var usedAt: Instant
  private var data: TokenBucket
  private var spare: TokenBucket

  init(_ first: OverlayID, _ second: OverlayID, rate: UInt64, at now: Instant) {
    ids = [first, second]
    sides = [nil, nil]
    usedAt = now
    data = TokenBucket(rate: rate, burst: max(rate / 4, 65_536), at: now)
    spare = TokenBucket(rate: Self.spareRate, burst: 2 * Self.spareRate, at: now)
  }

  var isComplete: Bool { sides[0] != nil && sides[1] != nil }

  func side(of id: OverlayID) -> Int { ids[0] == id ? 0 : 1 }

  static func isData(_ bytes: Int) -> Bool { bytes >= dataBytes }

  /// Whether the circuit's share allows a datagram of this size.
  mutating func allows(_ bytes: Int, at now: Instant) -> Bool {
    if data.take(UInt64(bytes), at: now) { return true }
    return !Self.isData(bytes) && spare.take(UInt64(bytes), at: now)
  }
}

/// The circuits of a relay.
struct CircuitTable {
  /// Circuits of a relay, and those of one peer among them.
  static let limit = 1_024
  static let peerLimit = 64

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

  func find(_ a: OverlayID, _ b: OverlayID) -> Int? {
    circuits.firstIndex { circuit in
      guard let ids = circuit?.ids else { return false }
      return (ids[0] == a && ids[1] == b) || (ids[0] == b && ids[1] == a)
    }
  }

  func count(of id: OverlayID) -> Int {
    circuits.count { $0.map { $0.ids[0] == id || $0.ids[1] == id } ?? false }
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

  /// The side has asked: again, or anew with other labels.
  mutating func set(_ index: Int, _ side: Int, _ value: CircuitSide, at now: Instant) {
    if let old = circuits[index]!.sides[side] { labels.remove(old.label) }
    circuits[index]!.sides[side] = value
    circuits[index]!.usedAt = now
    labels.insert(value.label, index << 1 | side)
  }

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
