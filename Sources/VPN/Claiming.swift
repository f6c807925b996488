// The tunnel's dealings with the directory for its own address: plan, claim, endpoints.

import Base
import DHT
import Overlay
import Session

/// Which question an answer of the directory belongs to: kind in the top byte; below it a slot of the table
/// of such questions and, since answers may come late, the number of its tenant.
enum DirectoryTag {
  static let readPlan: UInt32 = 1 << 24
  static let writePlan: UInt32 = 2 << 24
  static let claim: UInt32 = 3 << 24
  static let endpoints: UInt32 = 4 << 24
  static let resolve: UInt32 = 5 << 24
  static let lookupClaim: UInt32 = 6 << 24
  static let lookupEndpoints: UInt32 = 7 << 24
  static let verify: UInt32 = 8 << 24
  static let renewPlan: UInt32 = 9 << 24
  static let writePlace: UInt32 = 10 << 24
  static let readPlace: UInt32 = 11 << 24
  static let speaker: UInt32 = 12 << 24

  static func kind(_ tag: UInt32) -> UInt32 { tag & 0xFF00_0000 }

  /// - Parameter slot: less than 4,096.
  static func make<Table: Tenanted & ~Copyable>(
    _ kind: UInt32, _ slot: Int, in table: borrowing Table
  ) -> UInt32 {
    kind | (table.serial(slot) >> 1 & 0xFFF) << 12 | UInt32(slot)
  }

  /// The slot; nil when its tenant of then is gone.
  static func slot<Table: Tenanted & ~Copyable>(_ tag: UInt32, in table: borrowing Table) -> Int? {
    let slot = Int(tag & 0xFFF)
    return table.isUsed(slot) && make(kind(tag), slot, in: table) == tag ? slot : nil
  }
}

extension Tunnel {
  mutating func carryOut(_ request: ClaimRequest?, _ network: inout Network, _ context: inout Context) {
    switch request {
    case nil:
      if let failure = claim.failure { report(failure, &context) }
    case .readPlan:
      network.get(
        community.recordKey(kind: LeaseKind.network.rawValue, name: [], suite: suite).publicKey.id,
        tag: DirectoryTag.readPlan, &context)
    case .writePlan(let plan):
      let lease = makeLease(
        .network, name: [], content: Self.bytes(plan), AddressClaim.planTimeToLive, network.links)
      network.put(lease, tag: DirectoryTag.writePlan, &context)
    case .claim(let address):
      let bytes = Self.bytes(address)
      leaseBytes = makeLease(.claim, name: bytes, content: bytes, AddressClaim.timeToLive, network.links)
      network.put(leaseBytes, tag: DirectoryTag.claim, &context)
    }
  }

  private func report(_ failure: ClaimFailure, _ context: inout Context) {
    switch failure {
    case .taken(let address): context.notify(.addressTaken(address))
    case .poolDiffers(let pool): context.notify(.poolDiffers(pool))
    case .outside(_, let pool): context.notify(.poolDiffers(pool))
    }
  }

  mutating func makeLease(
    _ kind: LeaseKind, name: [UInt8], content: [UInt8], _ timeToLive: UInt32, _ links: borrowing Links
  ) -> [UInt8] {
    sequence += 1
    return LeaseBody.makeLease(
      kind, name: name, content: content, community: community, identity: links.identity,
      epoch: links.sessions.incarnation, sequence: sequence, timeToLive: timeToLive, &secure)
  }

  static func bytes(_ message: some WireCodable) -> [UInt8] {
    let scratch = Scratch(capacity: 512)
    guard let length = message.encode(into: scratch.frame) else {
      preconditionFailure("a small message fits")
    }
    return scratch.frame.prefix(length).bytes
  }

  // MARK: - Answers

  /// - Parameter status: nil when nobody answered.
  mutating func onAnswer(
    _ tag: UInt32, _ status: DirectoryStatus?, _ remaining: UInt32, _ packet: PacketRef?,
    _ network: inout Network, _ context: inout Context
  ) {
    let body = packet.flatMap {
      (try? Lease(decoding: context.pool.frame($0))).flatMap {
        LeaseBody.open($0, community: community, under: suite)
      }
    }
    switch DirectoryTag.kind(tag) {
    case DirectoryTag.readPlan, DirectoryTag.writePlan:
      onPlanAnswer(tag, status, body, &network, &context)
    case DirectoryTag.claim:
      onClaimAnswer(status, &network, &context)
    case DirectoryTag.resolve:
      guard let slot = DirectoryTag.slot(tag, in: resolver.questions) else { return }
      if let packet, let body {
        keep(context.pool.frame(packet), body, life: .seconds(UInt64(remaining)), at: context.now)
      }
      onResolved(slot, body, &network, &context)
    case DirectoryTag.verify:
      guard let slot = DirectoryTag.slot(tag, in: network.links.peers) else { return }
      onVerified(slot, status, body, network.links, context.now)
    case DirectoryTag.writePlace, DirectoryTag.readPlace:
      onPlace(tag, status, body, &network, &context)
    case DirectoryTag.speaker:
      if let body { onSpeaker(body) }
    case DirectoryTag.lookupClaim, DirectoryTag.lookupEndpoints:
      onLookupAnswer(tag, body, remaining, &network, &context)
    default:
      break
    }
  }

  private mutating func onPlanAnswer(
    _ tag: UInt32, _ status: DirectoryStatus?, _ body: LeaseBody?, _ network: inout Network,
    _ context: inout Context
  ) {
    switch status {
    case .absent:
      carryOut(claim.onPlan(nil, at: context.now), &network, &context)
    case .granted where tag == DirectoryTag.writePlan:
      carryOut(claim.onPlanWritten(at: context.now), &network, &context)
    case .granted, .denied:
      guard let body, let plan = Self.decode(AddressPlan.self, body.content) else { fallthrough }
      if body.identity != network.links.identity.publicKey { met(&context) }
      carryOut(claim.onPlan(plan, at: context.now), &network, &context)
    default:
      claim.onFailed(at: context.now)
    }
  }

  static func decode<Message: WireCodable>(_ type: Message.Type, _ bytes: [UInt8]) -> Message? {
    let scratch = Scratch(capacity: max(bytes.count, 1))
    scratch.frame.write(bytes)
    return try? Message(decoding: scratch.frame.prefix(bytes.count))
  }

  private mutating func onClaimAnswer(
    _ status: DirectoryStatus?, _ network: inout Network, _ context: inout Context
  ) {
    let old = claim.address
    switch status {
    case .granted:
      if claim.onGranted(at: context.now), let address = claim.address {
        remember(address.address, &context)
        context.effects.append(.configure(address))
        context.notify(.addressGranted(address))
        forgetShown()
        showAgain(&network, &context)
      }
    case .denied:
      if let old { context.notify(.addressLost(old.address)) }
      carryOut(claim.onDenied(at: context.now), &network, &context)
    default:
      claim.onFailed(at: context.now)
    }
  }

  /// Keeps the address for the next start.
  private func remember(_ address: IPAddress, _ context: inout Context) {
    guard let packet = context.pool.take(length: 0) else { return }
    var writer = WireWriter(context.pool.room(packet))
    let key = Self.rememberKey(community)
    writer.byte(UInt8(key.count))
    writer.reserve(key.count)?.write(key)
    address.encode(to: &writer)
    let whole = PacketRef(slot: packet.slot, offset: packet.offset, length: UInt16(writer.count))
    context.emit(.store(.node, ticket: 0, whole), owning: whole)
  }

  /// Under which key the store keeps the last address of a community: 20 bytes that say nothing about it.
  public static func rememberKey(_ community: Community) -> [UInt8] {
    let scratch = Scratch(capacity: OverlayID.byteCount)
    Hash.blake2b160(Array("remembered".utf8), community.directoryKey.bytes).write(to: scratch.frame)
    return scratch.frame.bytes
  }

  /// Keeps the plan alive: its owner renews it, and when the owner is gone and it has ended, another member's
  /// takes its place.
  mutating func renewPlan(_ network: inout Network, _ context: inout Context) {
    planAt = context.now + context.random.jittered(.seconds(UInt64(AddressClaim.planTimeToLive) / 3))
    guard let plan = claim.plan else { return }
    let lease = makeLease(
      .network, name: [], content: Self.bytes(plan), AddressClaim.planTimeToLive, network.links)
    network.put(lease, tag: DirectoryTag.renewPlan, &context)
  }

  /// Tells the directory where this node is reached; a hint that spares others a walk over the ring.
  mutating func publishEndpoints(_ network: inout Network, _ context: inout Context) {
    endpointsAt = context.now + context.random.jittered(.seconds(UInt64(Self.endpointsTimeToLive) / 3))
    let list = EndpointList(network.links.underlay.candidates)
    let scratch = Scratch(capacity: OverlayID.byteCount)
    network.links.id.write(to: scratch.frame)
    let lease = makeLease(
      .endpoints, name: scratch.frame.bytes, content: Self.bytes(list), Self.endpointsTimeToLive,
      network.links)
    network.put(lease, tag: DirectoryTag.endpoints, &context)
  }
}

/// The content of an endpoints lease.
struct EndpointList: Equatable, WireCodable {
  var endpoints: BoundedArray<8, Endpoint>

  init(_ endpoints: BoundedArray<8, Endpoint>) { self.endpoints = endpoints }

  init(from reader: inout WireReader) throws(WireError) {
    endpoints = try reader.list { (r: inout WireReader) throws(WireError) in try Endpoint(from: &r) }
  }

  func encode(to writer: inout WireWriter) { writer.list(endpoints) { $0.encode(to: &$1) } }
}
