// TCP connections between simulated nodes.
//
// What counts of TCP is that it passes where UDP does not, and how it fails. A connection reaches a node in
// the open, or in the same network; boxes let it out, whatever they are, and none in. Frames arrive in order
// and are never lost one by one: what a wire loses comes later, and all that follows behind it. When a
// process dies, the machine it ran on tells the other side; a partition, a new address or a rebooted box
// tells nobody: the connection is *broken*, and carries nothing more.

import Base
import Node

/// One side of a connection.
struct StreamEnd: BitwiseCopyable {
  var node: Int32
  var number: SocketNumber
  /// Its process has it.
  var isOpen: Bool
  /// Where the other side is, as this one sees it.
  var remote: SimEndpoint
  /// The last moment for which something is planned to arrive at this side.
  var lastAt: UInt64 = 0
}

/// A connection: side 0 has begun it.
struct Stream: BitwiseCopyable {
  var ends: InlineArray<2, StreamEnd>
  /// Nothing arrives any more, and nobody is told.
  var isBroken = false
  /// Planned events that name it.
  var planned: UInt32 = 0
}

/// All connections, by numbers that are used again when nothing names them.
struct StreamTable {
  private var streams: [Stream?] = []
  private var free: [Int] = []

  var indices: Range<Int> { streams.indices }

  subscript(_ index: Int) -> Stream? { streams[index] }

  mutating func insert(_ stream: Stream) -> Int {
    if let index = free.popLast() {
      streams[index] = stream
      return index
    }
    streams.append(stream)
    return streams.count - 1
  }

  mutating func change(_ index: Int, _ body: (inout Stream) -> Void) {
    body(&streams[index]!)
    let stream = streams[index]!
    guard stream.planned == 0, !stream.ends[0].isOpen, !stream.ends[1].isOpen else { return }
    streams[index] = nil
    free.append(index)
  }
}

/// The connections of one process, by the numbers of its sockets.
struct HostStreams {
  private(set) var byNumber: [SocketNumber: Int] = [:]
  private var lives: UInt16 = 0

  subscript(_ number: SocketNumber) -> Int? {
    get { byNumber[number] }
    set { byNumber[number] = newValue }
  }

  /// All of them, in a fixed order.
  var all: [Int] { byNumber.sorted { $0.key.value < $1.key.value }.map(\.value) }

  /// A number for one that somebody else begins; nil when there are too many.
  mutating func accept() -> SocketNumber? {
    let accepted = byNumber.keys.filter(\.isAcceptedStream)
    guard accepted.count < SocketNumber.acceptedStreamsMax else { return nil }
    lives &+= 1
    var taken = [Bool](repeating: false, count: SocketNumber.acceptedStreamsMax)
    for number in accepted { taken[number.place] = true }
    return taken.firstIndex(of: false).map { .acceptedStream(place: $0, life: lives) }
  }
}

/// What is planned for a connection, beside frames.
enum StreamStep: UInt32 {
  /// The other side's machine hears of it.
  case request
  /// Side 0, or 1, hears that it is over.
  case endFirst
  case endSecond
}

extension World {
  /// How long a machine tries to connect in vain.
  static let connectTimeout = Interval.seconds(5)
  /// A lost segment is sent again after this, twice this, and so on, beside a round trip.
  private static let retransmission: UInt64 = 200_000_000
  /// Headers of IPv4 and TCP, and the length before each frame.
  private static let streamHeaderBytes = 42

  // MARK: - Beginning

  /// Begins a connection for a node's core.
  func connect(_ host: Host, to endpoint: Endpoint) {
    let node = host.number
    let target = SimEndpoint(endpoint).flatMap { streamTarget(from: node, to: $0) }
    let other = target?.node ?? node
    let opener = SimEndpoint(target?.seen ?? 0, port: 49_152 + UInt16(endpoint.socket.value & 0x3FFF))
    let remote = SimEndpoint(endpoint) ?? SimEndpoint(0, port: 0)
    let trip = target == nil ? 0 : oneWay(node, other).ns
    // What is sent meanwhile leaves a round trip from now.
    let stream = Stream(ends: [
      StreamEnd(node: Int32(node), number: endpoint.socket, isOpen: true, remote: remote),
      StreamEnd(
        node: Int32(other), number: .main, isOpen: false, remote: opener, lastAt: now.ns &+ 3 &* trip),
    ])
    let index = streams.insert(stream)
    host.streams[endpoint.socket] = index
    counters.streams &+= 1
    guard target != nil, endpoint.port == Internet.port else {
      return plan(.endFirst, of: index, at: (now + Self.connectTimeout).ns)
    }
    plan(.request, of: index, at: now.ns &+ trip)
  }

  /// The node that a connection leads to, and the address that it sees the opener under.
  private func streamTarget(from node: Int, to remote: SimEndpoint) -> (node: Int, seen: UInt32)? {
    var seen = records[node].address
    var next = records[node].box < 0 ? nil : Int(records[node].box)
    while let box = next {
      let local = internet.boxes[box].inside.lookUp(remote.address)
      if local != .none { return local.node.map { ($0, seen) } }
      seen = internet.boxes[box].nat.outside
      next = internet.boxes[box].outer
    }
    guard let other = internet.open.lookUp(remote.address).node, other != node else { return nil }
    return (other, seen)
  }

  private func plan(_ step: StreamStep, of index: Int, at moment: UInt64) {
    streams.change(index) { $0.planned += 1 }
    queue.push(Happening.stream(index, step).word, at: moment)
  }

  /// What was planned for a connection happens.
  func onStream(_ index: Int, _ step: StreamStep) {
    events &+= 1
    guard let stream = streams[index] else { return }
    switch step {
    case .request: accept(index, stream)
    case .endFirst: tellEnd(of: index, stream, side: 0)
    case .endSecond: tellEnd(of: index, stream, side: 1)
    }
    streams.change(index) { $0.planned -= 1 }
  }

  private func accept(_ index: Int, _ stream: Stream) {
    let (opener, node) = (Int(stream.ends[0].node), Int(stream.ends[1].node))
    let late = (now + Self.connectTimeout).ns
    if isCut(opener, node) || records[node].flags.contains(.blocked) {
      return plan(.endFirst, of: index, at: late)
    }
    guard records[node].flags.contains(.alive), stream.ends[0].isOpen,
      let number = hosts[node].streams.accept()
    else { return plan(.endFirst, of: index, at: now.ns &+ oneWay(opener, node).ns) }
    hosts[node].streams[number] = index
    streams.change(index) {
      $0.ends[1].number = number
      $0.ends[1].isOpen = true
    }
  }

  /// Whether nothing passes between two nodes at the moment.
  private func isCut(_ a: Int, _ b: Int) -> Bool {
    if !cuts.isEmpty, cuts.separates(records + a, records + b) || cuts.separates(records + b, records + a) {
      return true
    }
    if let passes, !passes(a, b) { return true }
    return loss.brokenPairs > 0 && isBroken(a, b)
  }

  // MARK: - Frames

  /// Sends a datagram over a connection of its sender.
  func transmitFrame(_ bytes: Frame, from node: Int, to endpoint: Endpoint) {
    guard let index = hosts[node].streams[endpoint.socket], let stream = streams[index] else {
      return drop(.unroutable)
    }
    let side = stream.ends[0].node == Int32(node) && stream.ends[0].number == endpoint.socket ? 1 : 0
    let other = Int(stream.ends[side].node)
    if !stream.isBroken, isCut(node, other) { streams.change(index) { $0.isBroken = true } }
    if streams[index]!.isBroken { return drop(.cut) }
    guard let handle = arena.take(length: bytes.count) else { return drop(.full) }
    arena.header(handle).pointee = Flight(
      source: stream.ends[side].remote, destination: SimEndpoint(UInt32(index), port: UInt16(side)),
      sender: UInt32(truncatingIfNeeded: node), length: UInt16(truncatingIfNeeded: bytes.count),
      flags: Flight.isFrame)
    arena.payload(handle).copyMemory(from: bytes.base, byteCount: bytes.count)
    let at = max(stream.ends[side].lastAt &+ 1, now.ns &+ streamDelay(node, other))
    streams.change(index) {
      $0.ends[side].lastAt = at
      $0.planned += 1
    }
    queue.push(Happening.frame(index, handle).word, at: at)
  }

  /// How long a segment takes, with what is lost on the way and sent again.
  private func streamDelay(_ node: Int, _ other: Int) -> UInt64 {
    let trip = oneWay(node, other).ns
    var delay = trip
    if geography.jitterShare > 0 { delay &+= wireRandom.below(trip / geography.jitterShare + 1) }
    for end in [node, other] where records[end].flags.contains(.weather) {
      delay &+= hosts[end].weather.delay(at: now)
    }
    var wait = Self.retransmission &+ 2 &* trip
    for _ in 0..<6 where losesSegment(node, other) {
      delay &+= wait
      wait &*= 2
    }
    return delay
  }

  private func losesSegment(_ node: Int, _ other: Int) -> Bool {
    if loss.uniform > 0, wireRandom.happens(loss.uniform) { return true }
    for end in [node, other] where records[end].flags.contains(.weather) {
      if hosts[end].weather.loses(at: now, &wireRandom) { return true }
    }
    guard let access = loss.access else { return false }
    var isBad = records[node].flags.contains(.uplinkIsBad)
    let isLost = access.loses(&isBad, &wireRandom)
    records[node].flags.set(.uplinkIsBad, isBad)
    return isLost
  }

  /// A frame has come to the machine of its receiver.
  func onFrame(_ index: Int, _ handle: UInt32) {
    events &+= 1
    guard let stream = streams[index] else { return lose(handle, .unroutable) }
    let side = Int(arena.header(handle).pointee.destination.port)
    let node = Int(stream.ends[side].node)
    if !stream.isBroken, isCut(Int(stream.ends[1 - side].node), node) {
      streams.change(index) { $0.isBroken = true }
    }
    if streams[index]!.isBroken || !stream.ends[side].isOpen || !records[node].flags.contains(.alive) {
      streams.change(index) { $0.planned -= 1 }
      return lose(handle, stream.ends[side].isOpen ? .cut : .dead)
    }
    guard records[node].flags.contains(.paused) else { return handOverFrame(handle, to: hosts[node]) }
    guard hosts[node].waiting.datagrams.count < Host.Waiting.datagramsMax else {
      streams.change(index) { $0.planned -= 1 }
      return lose(handle, .socketFull)
    }
    hosts[node].waiting.datagrams.append(handle)
  }

  /// Hands a frame to a core.
  func handOverFrame(_ handle: UInt32, to host: Host) {
    let index = Int(arena.header(handle).pointee.destination.address)
    let side = Int(arena.header(handle).pointee.destination.port)
    guard let stream = streams[index] else { return lose(handle, .unroutable) }
    let end = stream.ends[side]
    defer { streams.change(index) { $0.planned -= 1 } }
    guard end.isOpen, Int(end.node) == host.number else { return lose(handle, .dead) }
    deliver(handle, to: host, from: end.remote.endpoint.through(end.number), Self.streamHeaderBytes)
  }

  /// Forgets a frame that nobody will be handed.
  func discardFrame(_ handle: UInt32) {
    streams.change(Int(arena.header(handle).pointee.destination.address)) { $0.planned -= 1 }
    arena.release(handle)
  }

  // MARK: - Ending

  /// The process closes a connection; the other side hears of it behind all that was sent.
  func closeStream(_ number: SocketNumber, of host: Host) {
    guard let index = host.streams[number], let stream = streams[index] else { return }
    host.streams[number] = nil
    let side = stream.ends[0].node == Int32(host.number) && stream.ends[0].number == number ? 0 : 1
    let trip = oneWay(Int(stream.ends[0].node), Int(stream.ends[1].node)).ns
    planEnd(of: index, side: 1 - side, at: max(stream.ends[1 - side].lastAt &+ 1, now.ns &+ trip))
    streams.change(index) { $0.ends[side].isOpen = false }
  }

  private func planEnd(of index: Int, side: Int, at moment: UInt64) {
    plan(side == 0 ? .endFirst : .endSecond, of: index, at: moment)
  }

  /// The process has died: its machine resets what comes for it.
  func resetStreams(of host: Host) {
    for index in host.streams.all {
      guard let stream = streams[index] else { continue }
      let side = stream.ends[0].node == Int32(host.number) ? 0 : 1
      let trip = oneWay(Int(stream.ends[0].node), Int(stream.ends[1].node)).ns
      planEnd(of: index, side: 1 - side, at: max(stream.ends[1 - side].lastAt &+ 1, now.ns &+ 2 &* trip))
      streams.change(index) { $0.ends[side].isOpen = false }
    }
    host.streams = HostStreams()
  }

  /// Nothing arrives any more over the connections for which this holds, and nobody is told.
  func breakStreams(where holds: (Int) -> Bool) {
    for index in streams.indices {
      guard let stream = streams[index], holds(Int(stream.ends[0].node)) || holds(Int(stream.ends[1].node))
      else { continue }
      streams.change(index) { $0.isBroken = true }
    }
  }

  private func tellEnd(of index: Int, _ stream: Stream, side: Int) {
    let end = stream.ends[side]
    let node = Int(end.node)
    let isSilent = stream.isBroken || isCut(Int(stream.ends[1 - side].node), node)
    // Who began it gives up by itself, whatever the wires do.
    guard end.isOpen, side == 0 && !stream.ends[1].isOpen || !isSilent else { return }
    if records[node].flags.contains(.paused) {
      return planEnd(of: index, side: side, at: now.ns &+ 100_000_000)
    }
    guard records[node].flags.contains(.alive) else { return }
    let host = hosts[node]
    host.streams[end.number] = nil
    streams.change(index) { $0.ends[side].isOpen = false }
    act(host) { host.core.closed(end.number, &host.context) }
  }
}
