// Two session tables on one virtual clock, and the datagrams between them as byte arrays, to be lost,
// repeated, changed or delivered late.

import Base
import Testing

@testable import Session

/// Identities that solve the puzzle, made once.
enum Fixed {
  private static let seeds = [
    "0fad6070f5c5a137de77bf4c063936c0978c1d7d342074a2cdd5f758731b79fb",
    "91386728544a22d60272a6d1ec494f1763e531279615590d6231b568e09fcdd8",
    "37969c2bf50333c1b7ed950867d196dfadca6164ee4fad049c9f7ecf815a2649",
    "20d65ccd3e5ef71835609f0fa44c64bfbd595da0bd584bb5814d4c2296651405",
  ]

  /// Four identities, the one with the smallest key first.
  static let identities = seeds.map { Identity(seed: Key(hex: $0)!) }.sorted { $0.publicKey < $1.publicKey }
}

/// What `open` answered, with the packet copied.
struct Received: Equatable {
  var session: SessionID
  var content: UInt8
  var offload: UInt16
  var packet: [UInt8]
  var space: UInt8
  var confirmed: Bool
  var restarted: Bool
}

struct Slots: Equatable {
  var send: UInt8
  var receive: UInt8
}

enum Outcome: Equatable {
  case opened(Received)
  case unknownIndex
  case dropped(RecordReject)
}

/// One node: a session table with rooms for datagrams.
final class Side {
  var table: SessionTable
  var now = Instant(ns: 1_000_000_000)
  private let incoming = Scratch(capacity: 2_048)
  private let outgoing = Scratch(capacity: 2_048)

  init(
    _ identity: Identity, incarnation: UInt64 = 100, capabilities: Capabilities = [.aes256gcm],
    capacity: Int = 16,
    seed: UInt8 = 1, network: String = "test", psk: Key = .zero
  ) {
    table = SessionTable(
      identity: identity, network: network, incarnation: incarnation, capabilities: capabilities,
      capacity: capacity, seed: [UInt8](repeating: seed, count: 32), psk: psk)
  }

  var key: PublicKey { table.identity.publicKey }

  func initiate(to key: PublicKey) -> [UInt8]? {
    table.initiate(to: key, at: now, into: outgoing.frame).map { outgoing.frame.prefix($0).bytes }
  }

  func initiateUnknown() -> (datagram: [UInt8], attempt: UInt32)? {
    table.initiateUnknown(at: now, into: outgoing.frame).map {
      (outgoing.frame.prefix($0.length).bytes, $0.attempt)
    }
  }

  /// The result, and the datagram to be sent back.
  func handshake(_ datagram: [UInt8]) -> (result: HandshakeResult, reply: [UInt8]) {
    incoming.frame.write(datagram)
    let result = table.receiveHandshake(
      incoming.frame.prefix(datagram.count), at: now, reply: outgoing.frame)
    switch result {
    case .reply(let length, _), .established(_, let length, _, _):
      return (result, outgoing.frame.prefix(length).bytes)
    case .dropped, .awaitingProof: return (result, [])
    }
  }

  func seal(
    _ packet: [UInt8], for id: SessionID, space: UInt8 = 0, content: UInt8 = 0, offload: UInt16 = 0
  ) -> [UInt8]? {
    let datagram = outgoing.frame.prefix(packet.count + SessionTable.overhead)
    datagram.dropping(16).write(packet)
    let result = table.seal(id, space: space, content: content, offload: offload, datagram: datagram)
    return result == .sealed ? datagram.bytes : nil
  }

  /// A record for the session with `other`.
  func seal(_ packet: [UInt8], to other: Side, space: UInt8 = 0, content: UInt8 = 0) -> [UInt8]? {
    session(other).flatMap { seal(packet, for: $0, space: space, content: content) }
  }

  func open(_ datagram: [UInt8]) -> Outcome {
    incoming.frame.write(datagram)
    switch table.open(incoming.frame.prefix(datagram.count), at: now) {
    case .opened(let opened):
      return .opened(
        Received(
          session: opened.session, content: opened.content, offload: opened.offload,
          packet: opened.packet.bytes,
          space: opened.space, confirmed: opened.confirmed, restarted: opened.restarted))
    case .unknownIndex: return .unknownIndex
    case .dropped(let reason): return .dropped(reason)
    }
  }

  func reset(answering datagram: [UInt8]) -> [UInt8]? {
    incoming.frame.write(datagram)
    return table.writeReset(answering: incoming.frame.prefix(datagram.count), at: now, into: outgoing.frame)
      .map { outgoing.frame.prefix($0).bytes }
  }

  func receiveReset(_ datagram: [UInt8]) -> SessionID? {
    incoming.frame.write(datagram)
    return table.receiveReset(incoming.frame.prefix(datagram.count))
  }

  /// The session with `other`.
  func session(_ other: Side) -> SessionID? { table.find(other.key) }

  /// The generation that seals for `other`.
  func sealing(_ other: Side) -> GenerationPointer? { table.session(with: other.key)?.pointee.sealing }

  func expire() { table.expire(at: now) }

  // What the table answers; the macros of Testing cannot call methods of a value that is not copyable.
  func peer(_ id: SessionID) -> PublicKey { table.peer(id) }
  func incarnation(of id: SessionID) -> UInt64 { table.incarnation(of: id) }
  func capabilities(of id: SessionID) -> Capabilities { table.capabilities(of: id) }
  func isEstablished(_ id: SessionID) -> Bool { table.isEstablished(id) }
  func contains(_ id: SessionID) -> Bool { table.contains(id) }
  func needsRekey(_ id: SessionID) -> Bool { table.needsRekey(id, at: now) }
  func footprint(_ id: SessionID) -> Int { table.footprint(id) }
  func community(_ id: SessionID, receiveSlot: UInt8) -> Int? {
    table.community(id, receiveSlot: receiveSlot)
  }
  func slots(_ id: SessionID, community index: Int) -> Slots? {
    table.slots(id, community: index).map { Slots(send: $0.send, receive: $0.receive) }
  }
}

/// Two nodes.
struct Pair {
  let a: Side
  let b: Side

  /// The identity of `a` has the smaller key.
  init(_ a: Side = Side(Fixed.identities[0], seed: 1), _ b: Side = Side(Fixed.identities[1], seed: 2)) {
    self.a = a
    self.b = b
  }

  /// Time passes, and both tables are told, as a driver does every second.
  func advance(_ interval: Interval) {
    for side in [a, b] {
      side.now = side.now + interval
      side.expire()
    }
  }

  /// A whole IK handshake from `initiator`, and the hellos both ways.
  func connect(from initiator: Side? = nil) throws {
    let initiator = initiator ?? a
    let responder = initiator === a ? b : a
    let message = try #require(initiator.initiate(to: responder.key))
    let answer = responder.handshake(message)
    guard case .reply = answer.result else {
      Issue.record("\(answer.result)")
      return
    }
    let end = initiator.handshake(answer.reply)
    guard case .established = end.result else {
      Issue.record("\(end.result)")
      return
    }
    try greet(from: initiator)
    try greet(from: responder)
  }

  /// A hello from `sender`, received.
  func greet(from sender: Side) throws {
    let receiver = sender === a ? b : a
    let id = try #require(sender.session(receiver))
    let hello = sender.table.hello(id)
    let record = try #require(sender.seal(hello.encoded, for: id))
    guard case .opened(let received) = receiver.open(record) else {
      Issue.record("the hello does not open")
      return
    }
    let heard = try #require(Hello(decoded: received.packet))
    receiver.table.receive(heard, on: received.session)
  }

  /// Whether a packet from `sender` reaches the other one.
  func carries(from sender: Side, space: UInt8 = 1) -> Bool {
    let receiver = sender === a ? b : a
    guard let id = sender.session(receiver), let record = sender.seal([1, 2, 3], for: id, space: space),
      case .opened(let received) = receiver.open(record)
    else { return false }
    return received.packet == [1, 2, 3] && received.session == receiver.session(sender)
  }

  /// Whether packets flow both ways.
  func carriesBothWays() -> Bool { carries(from: a) && carries(from: b) }
}
