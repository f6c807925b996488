// How a machine and its driver talk.
//
// Everything that decides is a state machine without I/O: it is handed a datagram, a packet, an answer of the
// store or a moment in time, and it appends to the outbox what it wants done. The daemon, a simulation and a
// test drive the same values. The driver's part of the contract:
//
// 1. `Context.now` never decreases.
// 2. After each call the effects are carried out in order, then the machine's deadline is read again.
// 3. Every `PacketRef` has one owner: who is handed one passes it on or gives it back to the pool.
// 4. Local work (timers, packets of the device) comes before new remote work; batches are bounded: 64
//    elements, or 16 runs of datagrams.
// 5. A machine never carries out an effect itself, and the same inputs at the same moments give the same
//    effects.

/// Everything that a machine may touch besides its own state.
public struct Context: ~Copyable {
  public var now: Instant
  public var pool: PacketPool
  public var random: Random
  public var effects: Outbox<Effect>

  public init(packets: Int, effects capacity: Int, seed: UInt64, at now: Instant = .start) {
    self.now = now
    pool = PacketPool(capacity: packets)
    random = Random(seed: seed)
    effects = Outbox(capacity: capacity)
  }

  /// Appends an effect that owns `packet`; gives the slot back when the outbox is full.
  public mutating func emit(_ effect: Effect, owning packet: PacketRef) {
    if !effects.append(effect) { pool.release(packet) }
  }

  /// Closes a socket. This is never lost, or the socket would be open for ever: each that a node may have has
  /// a place of its own in a full outbox.
  public mutating func close(_ socket: SocketNumber) {
    effects.append(.close(socket), reserve: SocketNumber.openMax)
  }

  public mutating func notify(_ event: Event) { effects.append(.notify(event)) }
}

/// A named table of the store.
public enum StoreTable: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  /// Leases this node keeps for the directory.
  case records
  /// Peers that were reached, for the next start.
  case peers
  /// What this node remembers of itself.
  case node
}

/// What the driver shall do.
public enum Effect: BitwiseCopyable, Sendable {
  /// Send the datagram; the slot goes back to the pool afterwards.
  case transmit(PacketRef, to: Endpoint)
  /// Write the packet to the virtual device; the slot goes back to the pool afterwards.
  case deliver(PacketRef)
  /// Write a pair to the store: one byte key length, key, value (nothing: delete). Answer with `stored` after
  /// the commit, unless the ticket is 0.
  case store(StoreTable, ticket: UInt32, PacketRef)
  /// Read the value of a key (the packet's bytes). Answer with `loaded`.
  case load(StoreTable, ticket: UInt32, PacketRef)
  /// Give the virtual device this address, the only one of its family.
  case configure(IPPrefix)
  /// Open a UDP socket under this number, on a port of the system's choice. `closed` says when it cannot be
  /// had.
  case open(SocketNumber)
  /// Begin a TCP connection under the number in the endpoint. What is sent meanwhile waits; `closed` says
  /// when it is over or cannot be made.
  case connect(Endpoint)
  /// Move the main socket to another port of the system's choice, and say which by `setUnderlay`. What comes
  /// to the port of the start is still handed over.
  case rebind
  /// Close a socket that was opened, connected or accepted.
  case close(SocketNumber)
  /// Something that people may want to know; never needed for control flow.
  case notify(Event)
}

/// What happened, for log and local API.
public enum Event: BitwiseCopyable, Sendable {
  case bootstrapReached(OverlayID, Endpoint)
  case joined(neighbours: Int)
  case linkUp(OverlayID)
  /// A link that was up is there no more: the peer has left or is silent, or either side had no use for it.
  case linkLost(OverlayID)
  case pathChanged(OverlayID, PathKind, Endpoint)
  case memberFound(OverlayID)
  case addressGranted(IPPrefix)
  case addressTaken(IPAddress)
  case addressLost(IPAddress)
  case poolDiffers(IPPrefix)
  case aloneInCommunity
  case noLongerAlone
  case identityInUseTwice
  case pingAnswered(ticket: UInt32, Interval, PathKind)
  case pingFailed(ticket: UInt32, PingFailure)
  case lookedUp(ticket: UInt32, LookupAnswer)
  /// The answer to `locate`: who is there, and how many hops away.
  case located(nonce: UInt64, OverlayID, hops: UInt8)
  /// The answers to `traceRoute`: one for each node on the way, in no order, then one for the whole.
  case routeHop(ticket: UInt32, OverlayID, Interval)
  case routeTraced(ticket: UInt32, RouteAnswer)
  /// The list of members is as complete as it will be.
  case rollCalled(ticket: UInt32)
  /// What came of a task is there to be taken.
  case taskAnswered(ticket: UInt32)
  /// A crawl has ended: what it found is there to be taken.
  case crawled(ticket: UInt32)
  /// A node of another ring, where this one's place is: the two are becoming one.
  case foreignRing(OverlayID)
  /// All bytes that this node passes on in a month are used; or there are others.
  case relayUsedUp(Bool)
  case left
}

/// How a peer is reached, in the words that all output uses.
public enum PathKind: UInt8, Sendable, BitwiseCopyable {
  case lan
  case direct
  /// A TCP connection.
  case tcp
  /// Through a circuit of a relay.
  case proxy
  case overlay
  case idle
  case offline
}

/// What became of a look at the way over the ring.
public enum RouteAnswer: BitwiseCopyable, Sendable {
  /// The node answered over so many hops, after this time.
  case reached(hops: UInt8, Interval)
  /// Nobody with that ID answered.
  case notReached
}

/// Why a ping has no answer.
public enum PingFailure: UInt8, BitwiseCopyable, Sendable {
  /// Nobody has that address or ID.
  case notFound
  /// It exists, or may exist, but did not answer.
  case timedOut
}

/// What `lookup` found.
public enum LookupAnswer: BitwiseCopyable, Sendable {
  /// The node, the address asked for (or its ULA), the first endpoint it has published (`.none`: unknown),
  /// and the life that its claim has left (zero for an address that needs no claim).
  case found(id: OverlayID, address: IPAddress, endpoint: Endpoint, expires: Interval)
  case nothing
}
