// Goal: every message has one encoding, and no bytes make a decoder trap.
// Method: one list in which every type with a decoder stands, an enum with each of its cases. The tests walk
// it: round trip, every truncation, a byte too many, thousands of random changes. Another test reads the
// sources and fails when a type with a decoder is not in the list.

import Glibc
import Testing

@testable import Base
@testable import DHT
@testable import Node
@testable import Overlay
@testable import Session
@testable import VPN

/// What may stand behind the fields of a message.
enum Tail: Sendable {
  /// Nothing: a byte more and a byte less are refused.
  case closed
  /// A rest of any length, which belongs to the value.
  case rest
  /// Zero bytes, which mean nothing.
  case zeros
}

/// A message as bytes, and how its type reads bytes.
struct Specimen {
  let bytes: [UInt8]
  /// Whether the bytes are read as an equal value.
  let isSame: ([UInt8]) -> Bool
  /// What the value that was read is written as; nil when the bytes are refused.
  let rewritten: ([UInt8]) -> [UInt8]?
}

/// A type, or a case of one, and how an instance of it is made.
struct Kind: CustomTestStringConvertible, Sendable {
  /// The type, and its case behind a point.
  let name: String
  let tail: Tail
  let make: @Sendable (inout Random) -> Specimen

  var testDescription: String { name }
  var type: String { String(name.prefix { $0 != "." }) }

  init<Message: WireCodable & Equatable & SendableMetatype>(
    _ name: String, _ tail: Tail = .closed, _ value: @escaping @Sendable (inout Random) -> Message
  ) {
    self.name = name
    self.tail = tail
    make = { random in
      let value = value(&random)
      return Specimen(
        bytes: Self.bytes(value),
        isSame: { Self.read(Message.self, $0) { $0 == value } == true },
        rewritten: { Self.read(Message.self, $0) { Self.bytes($0) } })
    }
  }

  private static func bytes(_ message: some WireCodable) -> [UInt8] {
    let room = Scratch(capacity: 2_048)
    return message.encode(into: room.frame).map { room.frame.prefix($0).bytes } ?? []
  }

  /// Looks at the value while the bytes it may point into are there.
  private static func read<Message: WireCodable, Result>(
    _ type: Message.Type, _ bytes: [UInt8], _ look: (Message) -> Result
  ) -> Result? {
    let room = Scratch(capacity: max(bytes.count, 1))
    room.frame.write(bytes)
    guard let message = try? Message(decoding: room.frame.prefix(bytes.count)) else { return nil }
    return look(message)
  }
}

extension Random {
  fileprivate mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }

  fileprivate mutating func fixed<Value: FixedBytes>(_ type: Value.Type = Value.self) -> Value {
    Value(bytes: bytes(Value.byteCount))!
  }

  fileprivate mutating func id() -> OverlayID {
    OverlayID(high: next(), middle: next(), low: UInt32(truncatingIfNeeded: next()))
  }

  fileprivate mutating func endpoint() -> Endpoint {
    let address = below(2) == 0 ? IPAddress(v4: UInt32(next() >> 32)) : IPAddress(high: next(), low: next())
    return Endpoint(address, port: UInt16(truncatingIfNeeded: next()))
  }

  fileprivate mutating func coordinate() -> Coordinate {
    let scratch = Scratch(capacity: Coordinate.byteCount)
    while true {
      scratch.frame.write(bytes(Coordinate.byteCount))
      if let coordinate = try? Coordinate(decoding: scratch.frame) { return coordinate }
    }
  }

  fileprivate mutating func bearings() -> Bearings { Bearings(size: seconds(), coordinate: coordinate()) }

  fileprivate mutating func named() -> NamedNode { NamedNode(key: fixed(), endpoint: endpoint()) }

  fileprivate mutating func placed() -> PlacedNode { PlacedNode(node: named(), coordinate: coordinate()) }

  fileprivate mutating func acquaintances() -> Acquaintances {
    var list = Acquaintances()
    list.prefixes = self.list { $0.seconds() }
    return list
  }

  fileprivate mutating func neighbours() -> NeighbourLists {
    var lists = NeighbourLists()
    lists.left = list { $0.next() }
    lists.right = list { $0.next() }
    lists.nearReceiver = list { $0.next() }
    return lists
  }

  fileprivate mutating func relayOffer() -> RelayOffer {
    RelayOffer(node: named(), roundTrip: seconds(), coordinate: coordinate())
  }

  /// Through two relays as the asking end says it, or as a relay does.
  fileprivate mutating func circuitAsk() -> CircuitAsk {
    let isRelay = below(2) == 0
    return CircuitAsk(
      origin: isRelay ? id() : .zero, peer: id(), beyond: isRelay ? .zero : id(), label: seconds() | 1)
  }

  fileprivate mutating func receivers() -> Receivers {
    var receivers = Receivers()
    for _ in 0..<below(20) { receivers.add(id()) }
    return receivers
  }

  /// An address whose packets go to those that have reported it.
  fileprivate mutating func group() -> IPAddress {
    let isV4 = below(2) == 0
    return isV4
      ? IPAddress(v4: 0xEF00_0000 | UInt32(below(1 << 16)))
      : IPAddress(high: 0xFF15 << 48 | next() >> 16, low: next())
  }

  fileprivate mutating func nonce() -> Nonce { Nonce(high: next(), low: next()) }

  fileprivate mutating func list<Element, let capacity: Int>(
    _ element: (inout Random) -> Element
  ) -> BoundedArray<capacity, Element> {
    var list = BoundedArray<capacity, Element>()
    for _ in 0..<below(UInt64(capacity) + 1) { list.append(element(&self)) }
    return list
  }

  fileprivate mutating func tokens() -> TokenList {
    var list = TokenList()
    for i in 0..<TokenList.count { list[i] = fixed() }
    return list
  }

  fileprivate mutating func hello() -> Hello {
    Hello(resetToken: fixed(), remembered: next(), tokens: tokens())
  }

  fileprivate mutating func capabilities() -> Capabilities {
    Capabilities(rawValue: UInt32(truncatingIfNeeded: next()))
  }

  fileprivate mutating func responder() -> ResponderPayload {
    ResponderPayload(key: fixed(), incarnation: next(), capabilities: capabilities())
  }

  /// In memory that is never given back: the value points into it.
  fileprivate mutating func kept(_ bytes: [UInt8]) -> Frame {
    let frame = Frame(
      base: .allocate(byteCount: max(bytes.count, 1), alignment: 16), count: bytes.count)
    frame.write(bytes)
    return frame
  }

  fileprivate mutating func lease() -> Lease {
    let bytes = Lease.make(
      recordKey: SigningKey(seed: fixed()), owner: SigningKey(seed: fixed()), epoch: next(),
      sequence: UInt32(truncatingIfNeeded: next()), timeToLive: 1 + UInt32(below(3_600)),
      body: bytes(Int(below(UInt64(Lease.bodyMax) + 1))))
    guard let lease = try? Lease(decoding: kept(bytes)) else { preconditionFailure("a made lease decodes") }
    return lease
  }

  fileprivate mutating func name() -> MemberName {
    let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    let text = (0...below(63)).map { _ in letters[Int(below(UInt64(letters.count)))] }
    return MemberName(String(text))!
  }

  fileprivate mutating func rollAnswer() -> RollAnswer {
    let bytes = RollAnswer.make(
      nonce: next(), name: below(2) == 0 ? nil : name(), lease: self.bytes(Int(below(400))),
      by: Identity(seed: fixed()), in: .open("home"))
    guard let answer = try? RollAnswer(decoding: kept(bytes)) else {
      preconditionFailure("a made answer decodes")
    }
    return answer
  }

  fileprivate mutating func neighbour() -> Testimony.Neighbour {
    Testimony.Neighbour(
      id: id(), incarnation: next(), linkedFor: seconds(), silentFor: UInt16(truncatingIfNeeded: next()),
      path: PathKind(rawValue: UInt8(below(7)))!, roundTrip: UInt16(truncatingIfNeeded: next()),
      namesUs: below(2) == 1)
  }

  fileprivate mutating func testimony() -> Testimony {
    Testimony(
      phase: [.searching, .joining, .settled][Int(below(3))], isReady: below(2) == 1, incarnation: next(),
      uptime: seconds(), unchangedFor: seconds(), sizeEstimate: seconds(), left: list { $0.neighbour() },
      right: list { $0.neighbour() }, far: list { $0.next() },
      missed: list { .init(id: $0.id(), failures: UInt8($0.below(256))) })
  }

  fileprivate mutating func arc() -> Arc { Arc(from: next(), to: next()) }

  fileprivate mutating func taskQuestion() -> TaskQuestion {
    let letters = Array("abcdefghijklmnopqrstuvwxyz-")
    let name = (0...below(23)).map { _ in letters[Int(below(UInt64(letters.count)))] }
    return TaskQuestion(
      String(name), TaskTree(rawValue: UInt8(below(2)))!, sequence: next(), askedAt: next(),
      budget: .milliseconds(below(60_001)), by: Identity(seed: fixed()),
      in: below(2) == 0 ? nil : .open("home"))
  }

  fileprivate mutating func tally() -> TaskTally {
    var tally = TaskTally()
    tally.answered = seconds()
    tally.declined = seconds()
    tally.depth = UInt8(below(256))
    tally.mapMilliseconds = seconds()
    tally.laggards = list { .init(id: $0.id(), isMap: $0.below(2) == 1, milliseconds: $0.seconds()) }
    tally.missing = list { .init(arc: $0.arc(), nodes: $0.seconds()) }
    tally.missingBeyond = seconds()
    tally.silent = seconds()
    tally.silentNodes = list { $0.id() }
    return tally
  }

  fileprivate mutating func seconds() -> UInt32 { UInt32(truncatingIfNeeded: next()) }
}

/// Every type with a decoder.
private let kinds: [Kind] = base + session + overlay + directory + virtualNetwork + taskAnswers

private let base: [Kind] = [
  Kind("IPAddress") { $0.endpoint().address },
  Kind("Endpoint") { $0.endpoint() },
  Kind("OverlayID") { $0.id() },
]

private let session: [Kind] = [
  Kind("Key") { $0.fixed(Key.self) },
  Kind("Digest") { $0.fixed(Digest.self) },
  Kind("PublicKey") { $0.fixed(PublicKey.self) },
  Kind("Signature") { $0.fixed(Signature.self) },
  Kind("Token") { $0.fixed(Token.self) },
  Kind("TokenList") { $0.tokens() },
  Kind("Hello") { $0.hello() },
  Kind("Capabilities") { $0.capabilities() },
  Kind("InitiatorPayload", .zeros) {
    InitiatorPayload(
      key: $0.fixed(), incarnation: $0.next(), sequence: $0.next(), previous: $0.seconds(),
      capabilities: $0.capabilities())
  },
  Kind("ResponderPayload", .zeros) { $0.responder() },
  Kind("KnockingPayload", .zeros) { KnockingPayload(responder: $0.responder(), hello: $0.hello()) },
]

private let overlay: [Kind] = [
  Kind("RelayOffer") { $0.relayOffer() },
  Kind("CircuitAsk") { $0.circuitAsk() },
  Kind("CircuitMessage.offer") { CircuitMessage.offer($0.list { $0.relayOffer() }) },
  Kind("CircuitMessage.answer") { CircuitMessage.answer(relay: $0.id(), beyond: $0.id(), instead: $0.id()) },
  Kind("CircuitMessage.ask") { CircuitMessage.ask($0.circuitAsk()) },
  Kind("CircuitMessage.ready") { CircuitMessage.ready(asked: $0.seconds() | 1, label: $0.seconds() | 1) },
  Kind("CircuitMessage.closed") {
    CircuitMessage.closed(
      asked: $0.seconds() | 1, CircuitRefusal(rawValue: UInt8($0.below(4)))!)
  },
  Kind("CircuitMessage.leave") { CircuitMessage.leave(asked: $0.seconds() | 1) },
  Kind("Nonce") { $0.nonce() },
  Kind("Ping.plain", .rest) { Ping(nonce: $0.nonce()) },
  Kind("Ping.padded", .rest) {
    Ping(nonce: $0.nonce(), isGuest: $0.below(2) == 1, padding: Int($0.below(300)))
  },
  Kind("Pong") {
    Pong(nonce: $0.nonce(), observed: $0.endpoint(), isGuest: $0.below(2) == 0, bearings: $0.bearings())
  },
  Kind("Candidates") {
    Candidates(
      wantsAnswer: $0.below(2) == 1, mapping: Mapping(rawValue: UInt8($0.below(6)))!,
      endpoints: $0.list { $0.endpoint() }, vias: $0.list { $0.id() })
  },
  Kind("BirthdayMessage.ask") { BirthdayMessage.ask($0.endpoint()) },
  Kind("BirthdayMessage.agreed") { BirthdayMessage.agreed($0.endpoint()) },
  Kind("BirthdayMessage.notNow") { _ in BirthdayMessage.notNow },
  Kind("BirthdayMessage.propose") { BirthdayMessage.propose($0.endpoint()) },
  Kind("BirthdayMessage.accept") { BirthdayMessage.accept($0.endpoint()) },
  Kind("Reflect") { Reflect(number: $0.next(), seen: $0.endpoint()) },
  Kind("Stabilise") {
    var message = Stabilise(
      wantsAnswer: $0.below(2) == 1, settled: $0.below(2) == 1, view: $0.seconds(), seen: $0.seconds(),
      bearings: $0.bearings(), lists: $0.below(2) == 0 ? nil : $0.neighbours())
    if message.lists != nil { message.names = $0.list { $0.named() } }
    return message
  },
  Kind("NeighbourLists") { $0.neighbours() },
  Kind("Unify") {
    var message = Unify($0.named())
    if $0.below(2) == 0 { message.nodes.append($0.named()) }
    return message
  },
  Kind("Bearings") { $0.bearings() },
  Kind("Coordinate") { $0.coordinate() },
  Kind("NamedNode") { $0.named() },
  Kind("PlacedNode") { $0.placed() },
  Kind("Acquaintances") { $0.acquaintances() },
  Kind("Acquainted") { Acquainted(fingerprint: $0.seconds()) },
  Kind("HopConfirmation") { HopConfirmation(number: $0.seconds(), isTaken: $0.below(2) == 1) },
  Kind("Leave") {
    var message = Leave()
    message.left = $0.list { $0.named() }
    message.right = $0.list { $0.named() }
    return message
  },
  Kind("RingMessage.find") { RingMessage.find(nonce: $0.next(), names: UInt8($0.below(10))) },
  Kind("RingMessage.welcome") {
    RingMessage.welcome(
      nonce: $0.next(), hops: UInt8(truncatingIfNeeded: $0.next()), nodes: $0.list { $0.placed() })
  },
  Kind("RingMessage.undeliverable") {
    RingMessage.undeliverable(
      destination: $0.id(), payload: RoutedPayload(rawValue: UInt8($0.below(5)))!, ticket: $0.next())
  },
  Kind("RingMessage.look") { RingMessage.look(nonce: $0.next()) },
  Kind("RingMessage.testimony") { RingMessage.testimony(nonce: $0.next(), $0.testimony()) },
  Kind("TaskMessage.ask") {
    TaskMessage.ask(
      ticket: $0.seconds(), budget: .milliseconds($0.below(60_001)), steps: UInt8($0.below(64)), $0.arc(),
      $0.taskQuestion())
  },
  Kind("TaskMessage.working") { TaskMessage.working(ticket: $0.seconds(), nodes: $0.seconds()) },
  Kind("TaskMessage.poll") { TaskMessage.poll(ticket: $0.seconds()) },
  Kind("TaskMessage.answer", .rest) {
    let parts = UInt8(1 + $0.below(26))
    return TaskMessage.answer(
      ticket: $0.seconds(), took: $0.seconds(), part: parts - 1, parts: parts,
      $0.kept($0.bytes(Int(1 + $0.below(400)))))
  },
  Kind("TaskMessage.taken") { TaskMessage.taken(ticket: $0.seconds(), part: UInt8($0.below(256))) },
  Kind("TaskMessage.refused") { TaskMessage.refused(ticket: $0.seconds()) },
  Kind("TaskTally") { $0.tally() },
  Kind("Testimony") { $0.testimony() },
  Kind("Testimony.Neighbour") { $0.neighbour() },
  Kind("RoutedHeader") {
    RoutedHeader(
      mode: RoutingMode(rawValue: UInt8($0.below(3)))!, hops: UInt8($0.below(57)),
      payload: RoutedPayload(rawValue: UInt8($0.below(5)))!, destination: $0.id(), source: $0.id(),
      destinationVia: $0.below(2) == 0 ? nil : $0.id(), sourceVia: $0.below(2) == 0 ? nil : $0.id())
  },
]

private let directory: [Kind] = [
  Kind("Lease") { $0.lease() },
  Kind("DirectoryMessage.get") { DirectoryMessage.get(ticket: $0.next()) },
  Kind("DirectoryMessage.put") { DirectoryMessage.put(ticket: $0.next(), $0.lease()) },
  Kind("DirectoryMessage.answer", .rest) {
    DirectoryMessage.answer(
      ticket: $0.next(), DirectoryStatus(rawValue: UInt8($0.below(5)))!, remaining: $0.seconds(), nil)
  },
  Kind("DirectoryMessage.answerWithLease", .rest) {
    DirectoryMessage.answer(
      ticket: $0.next(), DirectoryStatus(rawValue: UInt8($0.below(5)))!, remaining: $0.seconds(), $0.lease())
  },
  Kind("DirectoryMessage.copy") {
    DirectoryMessage.copy(ticket: $0.next(), remaining: $0.seconds(), $0.lease())
  },
  Kind("DirectoryMessage.copied") { DirectoryMessage.copied(ticket: $0.next()) },
  Kind("DirectoryMessage.takeOver") { DirectoryMessage.takeOver(ticket: $0.next(), after: $0.id()) },
  Kind("DirectoryMessage.handedOver") {
    DirectoryMessage.handedOver(
      ticket: $0.next(), isReady: $0.below(2) == 1, count: UInt8($0.below(256)), through: $0.id())
  },
]

private let virtualNetwork: [Kind] = [
  Kind("AddressPlan") {
    AddressPlan(pool: IPPrefix(IPAddress(v4: $0.seconds()), length: UInt8(8 + $0.below(22))))
  },
  Kind("EndpointList") { EndpointList($0.list { $0.endpoint() }) },
  Kind("ClaimMessage", .rest) {
    ClaimMessage(
      wantsAnswer: $0.below(2) == 1, slot: UInt8($0.below(256)), name: $0.below(2) == 0 ? nil : $0.name(),
      lease: $0.kept($0.bytes(Int($0.below(400)))))
  },
  Kind("MemberName") { $0.name() },
  Kind("RollQuestion") { RollQuestion(nonce: $0.next(), spread: .milliseconds($0.below(2_001))) },
  Kind("RollAnswer") { $0.rollAnswer() },
  Kind("AddressQuestion") { AddressQuestion(nonce: $0.next(), address: IPAddress(v4: $0.seconds())) },
  Kind("AddressAnswer", .rest) {
    AddressAnswer(nonce: $0.next(), lease: $0.kept($0.bytes(Int($0.below(400)))))
  },
  Kind("Receivers") { $0.receivers() },
  Kind("GroupReport") { GroupReport(group: $0.group(), receivers: $0.receivers()) },
  Kind("GroupMessage.ask") { GroupMessage.ask($0.group(), nonce: $0.next()) },
  Kind("GroupMessage.plan") { GroupMessage.plan($0.group(), nonce: $0.next(), $0.receivers()) },
  Kind("GroupMessage.askAgain") { GroupMessage.askAgain($0.group(), nonce: $0.next()) },
]

@Suite struct CodecTests {
  @Test(arguments: kinds) func roundTripIsIdentity(_ kind: Kind) {
    var random = Random(seed: 1)
    for _ in 0..<40 {
      let specimen = kind.make(&random)
      #expect(!specimen.bytes.isEmpty && specimen.isSame(specimen.bytes))
      #expect(specimen.rewritten(specimen.bytes) == specimen.bytes)
    }
  }

  @Test(arguments: kinds) func noTruncationIsTheSame(_ kind: Kind) {
    var random = Random(seed: 2)
    for _ in 0..<4 {
      let specimen = kind.make(&random)
      for count in specimen.bytes.indices {
        let cut = Array(specimen.bytes[..<count])
        guard let rewritten = specimen.rewritten(cut) else { continue }
        #expect(kind.tail == .rest, "\(count) of \(specimen.bytes.count) bytes")
        #expect(rewritten == cut && !specimen.isSame(cut))
      }
    }
  }

  @Test(arguments: kinds) func oneByteMoreIsRefused(_ kind: Kind) {
    var random = Random(seed: 3)
    let specimen = kind.make(&random)
    for byte in [UInt8(0), 1, 255] {
      let longer = specimen.bytes + [byte]
      guard let rewritten = specimen.rewritten(longer) else { continue }
      switch kind.tail {
      case .closed: Issue.record("accepted")
      case .rest: #expect(rewritten == longer && !specimen.isSame(longer))
      case .zeros: #expect(byte == 0 && rewritten == specimen.bytes)
      }
    }
  }

  @Test(arguments: kinds) func changedBytesAreRefusedOrMeanSomethingElse(_ kind: Kind) {
    var random = Random(seed: 4)
    var wrong: [String] = []
    for _ in 0..<10 {
      let specimen = kind.make(&random)
      for _ in 0..<200 {
        var changed = specimen.bytes
        let position = Int(random.below(UInt64(changed.count)))
        if random.below(2) == 0 {
          changed[position] ^= 1 << UInt8(random.below(8))
        } else {
          for i in position..<min(position + 4, changed.count) { changed[i] = UInt8(random.below(256)) }
        }
        guard let rewritten = specimen.rewritten(changed) else { continue }
        if rewritten != changed { wrong.append("\(changed) is written as \(rewritten)") }
        if changed != specimen.bytes, specimen.isSame(changed) { wrong.append("\(changed) changes nothing") }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.count) times; \(wrong.first ?? "")")
  }

  /// A larger message would be forwarded only by those who have bytes to spare.
  @Test func fullTestimonyIsASmallMessage() {
    let neighbour = Testimony.Neighbour(
      id: .zero, incarnation: .max, linkedFor: .max, silentFor: .max, path: .offline, roundTrip: .max,
      namesUs: true)
    var word = Testimony(phase: .settled, isReady: true, incarnation: .max)
    while word.left.append(neighbour), word.right.append(neighbour) {}
    while word.far.append(.max) {}
    while word.missed.append(.init(id: .zero, failures: .max)) {}
    let room = Scratch(capacity: 2_048)
    let count = RingMessage.testimony(nonce: .max, word).encode(into: room.frame)
    #expect(count == 550)
  }

  @Test func everyTypeWithADecoderIsInTheList() {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Sources"
    var found: Set<String> = []
    for path in Self.files(under: root) where path.hasSuffix(".swift") {
      for match in Self.text(path).matches(of: /(?:struct|enum|extension)\s+(\w+)[^{:]*:([^{]*)\{/) {
        let parents = match.output.2.split { !$0.isLetter }
        if parents.contains("WireCodable") || parents.contains("FixedBytes") {
          found.insert(String(match.output.1))
        }
      }
    }
    #expect(found.count > 20, "the sources were not found in \(root)")
    #expect(found == Set(kinds.map(\.type)))
  }

  private static func files(under folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var paths: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix(".") { continue }
      let inside = files(under: folder + "/" + name)
      paths += inside.isEmpty ? [folder + "/" + name] : inside
    }
    return paths
  }

  private static func text(_ path: String) -> String {
    guard let file = fopen(path, "re") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&block, 1, block.count, file)
      if count == 0 { break }
      bytes += block[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
