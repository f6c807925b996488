// What became of each endpoint at which a peer was looked for: who wants to know why a peer is not reached
// directly needs no guesses.
//
// Kept for peers with traffic only, and for a few of them; nothing is decided by it. Whoever is linked anew
// keeps what was learned, so the table goes by IDs. What is a path at present says the rest about itself.

import Base

/// One endpoint of a peer, and what came of it.
public struct Trial: BitwiseCopyable, Sendable {
  public enum Source: UInt8, Sendable, BitwiseCopyable {
    /// The peer has named it.
    case told
    /// The peer was heard from it, or a path led there.
    case heard
    /// Many ports of its address (port 0), or this endpoint from many sockets of ours.
    case manyPorts
    /// Our boxes count, and there the peer was expected to be (`Prediction`).
    case expected
  }

  public let endpoint: Endpoint
  public let source: Source
  /// Why it was not asked when the peer named it last.
  public internal(set) var refusal: Refusal?
  /// Questions in all, up to 65,535.
  public internal(set) var asked: UInt16 = 0
  /// The round trip when it was proved last; nil before, or when it was proved by a handshake alone.
  public internal(set) var roundTrip: Interval?
  /// It was a proved path, and fell silent.
  public internal(set) var fellSilent = false

  init(_ endpoint: Endpoint, _ source: Source) {
    self.endpoint = endpoint
    self.source = source
  }
}

/// The trials of the peers that were looked for last.
struct Trials {
  static let peersMax = 64

  private struct Record {
    let id: OverlayID
    var list = BoundedArray<10, Trial>()
  }

  /// The one that named endpoints last stands last.
  private var records: [Record] = []

  subscript(_ id: OverlayID) -> BoundedArray<10, Trial> {
    records.last { $0.id == id }?.list ?? BoundedArray()
  }

  /// The peer names endpoints: they stand first in its list, with what is known of them. Of the others those
  /// stay for which there is room.
  mutating func name(_ endpoints: BoundedArray<8, Endpoint>, by id: OverlayID) {
    var record = Record(id: id)
    let old = self[id]
    for i in 0..<endpoints.count {
      var trial = Trial(endpoints[i], .told)
      if let k = old.firstIndex(where: { $0.endpoint == trial.endpoint && $0.source != .manyPorts }) {
        trial = old[k]
        trial.refusal = nil
      }
      record.list.append(trial)
    }
    for i in 0..<old.count where !record.list.contains(where: { Self.isSame($0, old[i]) }) {
      record.list.append(old[i])
    }
    records.removeAll { $0.id == id }
    if records.count == Self.peersMax { records.removeFirst() }
    records.append(record)
  }

  /// Changes what is known of an endpoint. A new one takes the place of the last when there is no room.
  mutating func note(
    _ endpoint: Endpoint, _ source: Trial.Source, of id: OverlayID, _ change: (inout Trial) -> Void
  ) {
    if !records.contains(where: { $0.id == id }) { name(BoundedArray(), by: id) }
    guard let r = records.lastIndex(where: { $0.id == id }) else { return }
    let new = Trial(endpoint, source)
    var place = records[r].list.firstIndex { Self.isSame($0, new) }
    if place == nil {
      if records[r].list.isFull { records[r].list.remove(at: records[r].list.count - 1) }
      records[r].list.append(new)
      place = records[r].list.count - 1
    }
    if let place { change(&records[r].list[place]) }
  }

  /// Many ports are counted apart from what is asked as it was named.
  private static func isSame(_ a: Trial, _ b: Trial) -> Bool {
    a.endpoint == b.endpoint && (a.source == .manyPorts) == (b.source == .manyPorts)
  }
}

extension Links {
  /// What became of the endpoints of a peer.
  public func trials(_ slot: Int) -> BoundedArray<10, Trial> { trials[peers[slot].id] }

  /// A question goes to an endpoint.
  mutating func noteAsked(_ slot: Int, _ endpoint: Endpoint, _ source: Trial.Source) {
    guard peers[slot].isForTraffic else { return }
    trials.note(endpoint, source, of: peers[slot].id) { if $0.asked < .max { $0.asked += 1 } }
  }

  /// The peer says that it will be there.
  mutating func noteExpected(_ slot: Int, _ endpoint: Endpoint) {
    guard peers[slot].isForTraffic else { return }
    trials.note(endpoint, .expected, of: peers[slot].id) { _ in }
  }

  /// The path was proved.
  mutating func noteProved(_ slot: Int, _ path: Path) {
    guard let endpoint = path.endpoint, peers[slot].isForTraffic else { return }
    trials.note(endpoint, .heard, of: peers[slot].id) {
      $0.roundTrip = path.roundTrip.samples > 0 ? path.roundTrip.smoothed : nil
      $0.fellSilent = false
    }
  }

  /// A path is left because nothing comes over it.
  mutating func noteSilent(_ slot: Int, _ path: Path) {
    guard let endpoint = path.endpoint, path.isValid, peers[slot].isForTraffic else { return }
    trials.note(endpoint, .heard, of: peers[slot].id) { $0.fellSilent = true }
  }

  /// The peer has named endpoints; `refusals` says of each why it is not asked.
  mutating func noteNamed(
    _ slot: Int, _ endpoints: BoundedArray<8, Endpoint>, _ refusals: BoundedArray<8, Refusal?>
  ) {
    guard peers[slot].isForTraffic else { return }
    trials.name(endpoints, by: peers[slot].id)
    for i in 0..<endpoints.count {
      guard let refusal = refusals[i] else { continue }
      trials.note(endpoints[i], .told, of: peers[slot].id) { $0.refusal = refusal }
    }
  }
}
