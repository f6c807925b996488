// What two identities share: up to three generations of keys, the numbers of the records sent, and the slots
// of the communities that both carry. One per pair of nodes, whatever way the packets take.
//
// The newest generation that both sides are known to have seals; all of them open. When two handshakes
// crossed, each side may seal with another one, and traffic flows all the same. A fourth generation displaces
// the one under which the peer was silent longest.

import Base
import CSodium

typealias SessionPointer = UnsafeMutablePointer<PeerSession>

/// The state of one session, in memory of its own.
struct PeerSession: BitwiseCopyable {
  // What each record needs stands first.

  let id: SessionID
  var sealing: GenerationPointer?
  /// The generation of the record that was opened last: the one that a message of the peer speaks of.
  var lastOpened: GenerationPointer?
  private var controlSequence: UInt64 = 0
  /// The counters of the first lane, and a table of all lanes: each made when it is used first.
  private var firstLane: UnsafeMutablePointer<UInt64>?
  private var lanes: UnsafeMutablePointer<UnsafeMutablePointer<UInt64>?>?
  var second: GenerationPointer?
  var third: GenerationPointer?

  let peer: PublicKey
  /// The incarnation of the handshake that was proven last, and the greatest of all proven ones.
  var incarnation: UInt64
  var greatestIncarnation: UInt64
  /// The greatest init sequence within the greatest incarnation.
  var sequence: UInt64 = 0
  var capabilities: Capabilities

  /// Position of this side's token for each community slot of the table, in the lists sent to this peer.
  let positions: PackedBytes
  /// The content byte under which the peer receives each community slot of the table; 0 when it does not
  /// carry it.
  var sendSlots = PackedBytes()

  private static var laneCount: Int {
    @_noAllocation @_noLocks get { 16 }
  }

  static func allocate(
    peer: PublicKey, id: SessionID, incarnation: UInt64, capabilities: Capabilities, positions: PackedBytes
  ) -> SessionPointer {
    let session = SessionPointer.allocate(capacity: 1)
    session.initialize(
      to: PeerSession(
        peer: peer, id: id, incarnation: incarnation, greatestIncarnation: incarnation,
        capabilities: capabilities, positions: positions))
    return session
  }

  private init(
    peer: PublicKey, id: SessionID, incarnation: UInt64, greatestIncarnation: UInt64,
    capabilities: Capabilities, positions: PackedBytes
  ) {
    self.peer = peer
    self.id = id
    self.incarnation = incarnation
    self.greatestIncarnation = greatestIncarnation
    self.capabilities = capabilities
    self.positions = positions
  }

  /// The number of the next record in `space`. Numbers go on rising when the keys change, so none is ever
  /// used twice under one key.
  @_noAllocation @_noLocks
  mutating func nextSequence(_ space: UInt8) -> UInt64 {
    if space == 0 {
      defer { controlSequence &+= 1 }
      return controlSequence
    }
    let lane = Int(space &- 1) / 8
    let known = lane == 0 ? firstLane : lanes?[lane]
    let counter = (known ?? addLane(lane)) + Int(space &- 1) % 8
    defer { counter.pointee &+= 1 }
    return counter.pointee
  }

  /// The counters of one lane stand in a cache line of their own. The one allocation on the way of sent
  /// records, at the first record of each lane.
  @_noAllocation @_noLocks
  private mutating func addLane(_ lane: Int) -> UnsafeMutablePointer<UInt64> {
    let (table, counters) = _unsafePerformance {
      let block = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
      let counters = block.initializeMemory(as: UInt64.self, repeating: 0, count: 8)
      return (lane == 0 ? lanes : lanes ?? Self.allocateLanes(), counters)
    }
    lanes = table
    if lane == 0 { firstLane = counters } else { table?[lane] = counters }
    return counters
  }

  private static func allocateLanes() -> UnsafeMutablePointer<UnsafeMutablePointer<UInt64>?> {
    let lanes = UnsafeMutablePointer<UnsafeMutablePointer<UInt64>?>.allocate(capacity: laneCount)
    lanes.initialize(repeating: nil, count: laneCount)
    return lanes
  }

  fileprivate func releaseLanes() {
    firstLane.map { UnsafeMutableRawPointer($0).deallocate() }
    guard let lanes else { return }
    for lane in 0..<Self.laneCount { lanes[lane].map { UnsafeMutableRawPointer($0).deallocate() } }
    lanes.deallocate()
  }

  fileprivate var laneBytes: Int {
    var bytes = firstLane == nil ? 0 : 64
    guard let lanes else { return bytes }
    bytes += Self.laneCount * 8
    for lane in 0..<Self.laneCount where lanes[lane] != nil { bytes += 64 }
    return bytes
  }
}

extension SessionPointer {
  /// The generations, the sealing one first.
  var generations: [GenerationPointer] { [pointee.sealing, pointee.second, pointee.third].compactMap { $0 } }

  /// Makes `generation` the one that seals and keeps the others for opening.
  /// - Returns: the generation that has to go.
  func adopt(_ generation: GenerationPointer, at now: Instant) -> GenerationPointer? {
    generation.pointee.slot = pointee.id.slot
    let before = pointee.sealing
    before?.pointee.replacedAt = now
    var previous = [before, pointee.second, pointee.third].compactMap { $0 }
    previous.sort { $0.pointee.openedAt > $1.pointee.openedAt }
    let displaced = previous.count > 2 ? previous.removeLast() : nil
    pointee.sealing = generation
    pointee.second = previous.first
    pointee.third = previous.count > 1 ? previous[1] : nil
    if pointee.lastOpened == displaced { pointee.lastOpened = nil }
    return displaced
  }

  /// Takes `generation` out of the session.
  func forget(_ generation: GenerationPointer) {
    if pointee.sealing == generation { pointee.sealing = nil }
    if pointee.second == generation { pointee.second = nil }
    if pointee.third == generation { pointee.third = nil }
    if pointee.lastOpened == generation { pointee.lastOpened = nil }
  }

  /// Frees the session; its generations are gone already.
  func release() {
    pointee.releaseLanes()
    deallocate()
  }

  /// Bytes of memory that the session takes, keys and windows included.
  var footprint: Int {
    MemoryLayout<PeerSession>.stride + pointee.laneBytes + generations.reduce(0) { $0 + $1.footprint }
  }
}
