// What a node says of its place on a ring when it is asked: who it takes for its neighbours, since when, and
// how it reaches them. Crawlers collect these, and compare what one believes with what its neighbours do.
//
//  offset  size  field
//       0     1  phase (bits 0–1: 0 searching, 1 joining, 2 settled), answers for its keys (bit 2)
//       1     8  incarnation
//       9     4  seconds since it was started
//      13     4  seconds since its nearest neighbours changed
//      17     4  nodes on the ring, as it reckons
//      21     …  neighbours to the left, nearest first: a list of at most 4
//       …     …  neighbours to the right, likewise
//       …     …  far links: a list of at most 16 places (8 bytes each)
//       …     …  nodes that it was told of, that would be among its neighbours, and that it has no link
//                with: a list of at most 4
//
// It is the word of one node: nothing follows from it but what people are shown.

import Base
import Session

/// One node's word about its place.
public struct Testimony: Equatable, Sendable, BitwiseCopyable {
  /// A node that it is linked with.
  public struct Neighbour: Equatable, Sendable, BitwiseCopyable {
    public var id: OverlayID
    /// The neighbour's incarnation, as it was told to this node.
    public var incarnation: UInt64
    /// Seconds since the link came up, and since anything was heard over it.
    public var linkedFor: UInt32
    public var silentFor: UInt16
    public var path: PathKind
    /// Smoothed round trip in milliseconds, rounded up; 0: not measured.
    public var roundTrip: UInt16
    /// Whether its last lists have this node as their nearest, on the side on which it stands.
    public var namesUs: Bool

    public init(
      id: OverlayID, incarnation: UInt64, linkedFor: UInt32, silentFor: UInt16, path: PathKind,
      roundTrip: UInt16, namesUs: Bool
    ) {
      self.id = id
      self.incarnation = incarnation
      self.linkedFor = linkedFor
      self.silentFor = silentFor
      self.path = path
      self.roundTrip = roundTrip
      self.namesUs = namesUs
    }
  }

  /// A node that others have named to it, and that it has no link with.
  public struct Missed: Equatable, Sendable, BitwiseCopyable {
    public var id: OverlayID
    /// How often it was asked in vain.
    public var failures: UInt8

    public init(id: OverlayID, failures: UInt8) {
      self.id = id
      self.failures = failures
    }
  }

  public var phase: RingPhase
  /// Whether it is settled and has the leases of its range.
  public var isReady: Bool
  public var incarnation: UInt64
  /// Seconds since its start, and since its nearest neighbours changed.
  public var uptime: UInt32
  public var unchangedFor: UInt32
  public var sizeEstimate: UInt32
  /// Counter-clockwise and clockwise, nearest first.
  public var left: BoundedArray<4, Neighbour>
  public var right: BoundedArray<4, Neighbour>
  /// Places (the leading 64 bits of IDs) of its far links.
  public var far: BoundedArray<16, UInt64>
  public var missed: BoundedArray<4, Missed>

  public init(
    phase: RingPhase, isReady: Bool, incarnation: UInt64, uptime: UInt32 = 0, unchangedFor: UInt32 = 0,
    sizeEstimate: UInt32 = 0, left: BoundedArray<4, Neighbour> = .init(),
    right: BoundedArray<4, Neighbour> = .init(), far: BoundedArray<16, UInt64> = .init(),
    missed: BoundedArray<4, Missed> = .init()
  ) {
    self.phase = phase
    self.isReady = isReady
    self.incarnation = incarnation
    self.uptime = uptime
    self.unchangedFor = unchangedFor
    self.sizeEstimate = sizeEstimate
    self.left = left
    self.right = right
    self.far = far
    self.missed = missed
  }
}

extension Testimony {
  /// What is left for others when the node's owner wants it to say nothing of itself: that it is there, and
  /// beside whom, without which nobody could say whether the ring is whole.
  var reserved: Testimony {
    Testimony(
      phase: phase, isReady: isReady, incarnation: 0, left: Self.names(left), right: Self.names(right))
  }

  private static func names(_ list: BoundedArray<4, Neighbour>) -> BoundedArray<4, Neighbour> {
    var names = BoundedArray<4, Neighbour>()
    for i in 0..<list.count {
      let isOverOthers = [.overlay, .idle, .offline].contains(list[i].path)
      names.append(
        Neighbour(
          id: list[i].id, incarnation: 0, linkedFor: 0, silentFor: 0,
          path: isOverOthers ? .overlay : .direct, roundTrip: 0, namesUs: list[i].namesUs))
    }
    return names
  }
}

extension Testimony.Neighbour: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    id = try OverlayID(from: &reader)
    incarnation = try reader.integer()
    linkedFor = try reader.integer()
    silentFor = try reader.integer()
    guard let path = PathKind(rawValue: try reader.byte()) else { throw .invalid(offset: reader.offset) }
    self.path = path
    roundTrip = try reader.integer()
    let flag = try reader.byte()
    try reader.require(flag <= 1)
    namesUs = flag == 1
  }

  public func encode(to writer: inout WireWriter) {
    id.encode(to: &writer)
    writer.integer(incarnation)
    writer.integer(linkedFor)
    writer.integer(silentFor)
    writer.byte(path.rawValue)
    writer.integer(roundTrip)
    writer.byte(namesUs ? 1 : 0)
  }
}

extension Testimony: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    let flags = try reader.byte()
    try reader.require(flags & 3 < 3 && flags < 8)
    phase = [.searching, .joining, .settled][Int(flags & 3)]
    isReady = flags & 4 != 0
    incarnation = try reader.integer()
    uptime = try reader.integer()
    unchangedFor = try reader.integer()
    sizeEstimate = try reader.integer()
    left = try reader.list { (r: inout WireReader) throws(WireError) in try Neighbour(from: &r) }
    right = try reader.list { (r: inout WireReader) throws(WireError) in try Neighbour(from: &r) }
    far = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
    missed = try reader.list { (r: inout WireReader) throws(WireError) in
      Missed(id: try OverlayID(from: &r), failures: try r.byte())
    }
  }

  public func encode(to writer: inout WireWriter) {
    let phase: UInt8 =
      switch self.phase {
      case .searching: 0
      case .joining: 1
      case .settled: 2
      }
    writer.byte(phase | (isReady ? 4 : 0))
    writer.integer(incarnation)
    writer.integer(uptime)
    writer.integer(unchangedFor)
    writer.integer(sizeEstimate)
    writer.list(left) { $0.encode(to: &$1) }
    writer.list(right) { $0.encode(to: &$1) }
    writer.list(far) { $1.integer($0) }
    writer.list(missed) {
      $0.id.encode(to: &$1)
      $1.byte($0.failures)
    }
  }
}
