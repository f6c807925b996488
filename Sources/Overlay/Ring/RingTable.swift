// One ring's members among the peers: who is next to whom, and what each has said of that ring.
//
// A node stands on the ring of all nodes, and a member of a community on that of the members as well. A peer
// may be on both: the link is one, what it says of each ring is kept here.

import Base

/// Which ring.
public enum RingKind: Sendable, BitwiseCopyable {
  /// That of all nodes: it routes and keeps the directory.
  case main
  /// That of a community's members: it carries what is for all of them.
  case members

  /// The roles of those that a node keeps for this ring: the nearest, and the far links.
  var near: Roles { self == .main ? .near : .nearMember }
  var far: Roles { self == .main ? .shortcut : .farMember }

  /// How often neighbours are asked in quiet, and after a change.
  var calm: Interval { self == .main ? Timing.stabilise : Timing.stabiliseMembers }
  var unquiet: Interval { self == .main ? Timing.stabiliseSoon : Timing.stabilise }
}

/// What a peer has said of a ring, and was told.
struct Standing: BitwiseCopyable, Sendable {
  /// It is linked, and on the ring.
  fileprivate(set) var isOn = false
  /// Whether its last lists have us as its nearest neighbour, clockwise and counter-clockwise.
  var namesUsSuccessor = false
  var namesUsPredecessor = false
  /// It was asked because it stands on another part of a split ring, next to our place.
  var isForeign = false
  /// Fingerprints of the lists that it has of us, as far as we know, and that we have of it.
  var viewSent: UInt32 = 0
  var viewSeen: UInt32 = 0
  /// Nodes on the ring, as it says; 0 when it cannot tell.
  var size: UInt32 = 0
  /// Whom its last lists name as its nearest neighbours, by the first 64 bits of their IDs; 0: nobody.
  var namedRight: UInt64 = 0
  var namedLeft: UInt64 = 0
  /// When it last said anything about the ring.
  var toldAt: Instant = .start
  /// When lists were sent to it last: of those with whom we were linked then, it has heard.
  var viewSentAt: Instant = .start
  /// When it stopped being one of the nearest.
  var trimAt: Instant = .never

  /// What a former life of the peer said, and was told, counts no more.
  mutating func forgetLists() {
    namesUsSuccessor = false
    namesUsPredecessor = false
    namedRight = 0
    namedLeft = 0
    viewSent = 0
    viewSeen = 0
    viewSentAt = .start
  }
}

/// The members of one ring with which a link is up.
public struct RingTable: Sendable {
  /// In the order of the ring.
  private(set) var order = RingOrder()
  public internal(set) var neighbourhood = Neighbourhood()
  /// Nodes on the ring, as far as this one sees by itself.
  public internal(set) var size: UInt32 = 0
  /// By slots of peers. *Invariant:* as new for everybody who is not on the ring.
  private var standings: [Standing] = []

  /// How many are linked.
  public var count: Int { order.count }

  /// What the peer has said. *Precondition:* it is in here, or was asked to be.
  subscript(slot: Int) -> Standing {
    get { slot < standings.count ? standings[slot] : Standing() }
    _modify {
      while standings.count <= slot { standings.append(Standing()) }
      yield &standings[slot]
    }
  }

  mutating func insert(_ slot: Int, _ id: OverlayID, around me: OverlayID) {
    self[slot].isOn = true
    order.insert(slot, id)
    neighbourhood.recompute(me, order)
  }

  /// Takes a peer out, and forgets what it said.
  mutating func remove(_ slot: Int, _ id: OverlayID, around me: OverlayID) {
    if slot < standings.count { standings[slot] = Standing() }
    order.remove(slot, id)
    neighbourhood.recompute(me, order)
  }

  /// Whether the peer is linked and on the ring.
  public func contains(_ slot: Int) -> Bool { self[slot].isOn }

  /// Visits the slots of all, in the order of the ring.
  public func visit(_ body: (Int) -> Void) { order.visit(body) }

  /// What a former life of the peer said, and was told, counts no more.
  mutating func forget(_ slot: Int) {
    if slot < standings.count { standings[slot].forgetLists() }
  }

  // MARK: - Who follows whom

  /// How many entries of each list of neighbours follow each other without a gap, by their own words: the
  /// first names this node as its nearest on that side, and each names the next one.
  public func contiguous(_ peers: borrowing RecordTable<Peer>) -> (left: Int, right: Int) {
    var lengths = (left: 0, right: 0)
    let (left, right) = (neighbourhood.left, neighbourhood.right)
    if let first = neighbourhood.successor, self[first].namesUsPredecessor {
      lengths.right = 1
      while lengths.right < right.count,
        self[Int(right[lengths.right - 1])].namedRight == peers[Int(right[lengths.right])].id.high
      {
        lengths.right += 1
      }
    }
    if let first = neighbourhood.predecessor, self[first].namesUsSuccessor {
      lengths.left = 1
      while lengths.left < left.count,
        self[Int(left[lengths.left - 1])].namedLeft == peers[Int(left[lengths.left])].id.high
      {
        lengths.left += 1
      }
    }
    return lengths
  }

  /// The neighbour that owns the key as far as this node can see: the first at or behind it. Nil for keys
  /// that lie beyond the neighbours without a gap, and for our own.
  func owner(of key: OverlayID, around me: OverlayID, _ peers: borrowing RecordTable<Peer>) -> Int? {
    let lengths = contiguous(peers)
    let (left, right) = (neighbourhood.left, neighbourhood.right)
    // The successor is asked in any case: nobody can know better.
    for i in 0..<min(max(lengths.right, 1), right.count)
    where key.isIn(after: me, through: peers[Int(right[i])].id) {
      return Int(right[i])
    }
    for i in 0..<max(lengths.left - 1, 0) {
      let (from, to) = (peers[Int(left[i + 1])].id, peers[Int(left[i])].id)
      if key.isIn(after: from, through: to) { return Int(left[i]) }
    }
    return nil
  }
}

extension Links {
  /// The table of one of the rings.
  subscript(ring: RingKind) -> RingTable {
    @inline(__always) _read {
      switch ring {
      case .main: yield main
      case .members: yield members
      }
    }
    @inline(__always) _modify {
      switch ring {
      case .main: yield &main
      case .members: yield &members
      }
    }
  }

  /// The nearest on the ring of all nodes.
  public var neighbourhood: Neighbourhood { main.neighbourhood }
}
