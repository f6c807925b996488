// Whose is this IPv4 address? Linked members are asked before the directory: one of them may be linked with
// the owner, and is nearer than whoever holds the claim.
//
// What a member answers is the owner's own claim, a signed lease, or nothing: nobody's word counts for more
// than a signature. The directory is asked all the same, in the background, and has the last word; in a large
// community it is asked at the same time.
//
// *Who has*:
//
//  offset  size  field
//       0     8  nonce, which the answer repeats
//       8    16  an IPv4 address
//
// *Has*:
//
//  offset  size  field
//       0     8  nonce
//       8     n  the claim of the address, a lease; nothing: not known

import Base
import DHT
import Overlay
import Session

/// "Who has this address?"
struct AddressQuestion: Equatable, BitwiseCopyable, WireCodable {
  let nonce: UInt64
  let address: IPAddress

  init(nonce: UInt64, address: IPAddress) {
    self.nonce = nonce
    self.address = address
  }

  init(from reader: inout WireReader) throws(WireError) {
    nonce = try reader.integer()
    address = try IPAddress(from: &reader)
    try reader.require(address.isV4)
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(nonce)
    address.encode(to: &writer)
  }
}

/// The answer. The lease points into what was read.
struct AddressAnswer: Equatable, WireCodable {
  let nonce: UInt64
  let lease: Frame

  init(nonce: UInt64, lease: Frame) {
    self.nonce = nonce
    self.lease = lease
  }

  init(from reader: inout WireReader) throws(WireError) {
    nonce = try reader.integer()
    lease = reader.rest()
    try reader.require(lease.count <= Lease.bytesMax)
  }

  func encode(to writer: inout WireWriter) {
    writer.integer(nonce)
    writer.bytes(lease)
  }

  static func == (a: AddressAnswer, b: AddressAnswer) -> Bool {
    a.nonce == b.nonce && a.lease.bytes == b.lease.bytes
  }
}

extension Tunnel {
  /// In a larger community most members do not know most others: the directory is asked at the same time.
  static let membersFirstMax = 64
  /// The answers of members are waited for this long at most.
  static let membersPatience = Interval.milliseconds(300)
  /// An owner that a member has named, and that is not linked after this long, may be none: the directory is
  /// asked.
  static let namedPatience = Interval.seconds(1)

  /// Asks linked members for an address, once.
  /// - Returns: whether anybody was asked.
  mutating func askMembers(
    _ slot: Int, _ address: IPAddress, _ network: inout Network, _ context: inout Context
  ) -> Bool {
    guard resolver.questions[slot].stage == .members, resolver.questions[slot].asked.isEmpty,
      resolver.questions[slot].nextAt == .never, resolver.mayAskMembers(address, at: context.now)
    else { return false }
    let (members, timeout) = network.links.quickMembers()
    guard !members.isEmpty else { return false }
    let question = AddressQuestion(nonce: resolver.questions[slot].nonce, address: address)
    for i in 0..<members.count {
      network.links.sendToMember(.whoHas, Int(members[i]), &context) { question.encode(to: &$0) }
    }
    counters.askedMembers &+= 1
    resolver.ask(slot, members: members, until: context.now + min(timeout, Self.membersPatience))
    return true
  }

  mutating func askDirectory(
    _ slot: Int, _ address: IPAddress, _ network: inout Network, _ context: inout Context
  ) {
    if resolver.questions[slot].stage == .named { resolver.distrust(address, at: context.now) }
    resolver.turnToDirectory(slot)
    let tag = DirectoryTag.make(DirectoryTag.resolve, slot, in: resolver.questions)
    network.get(claimKey(address), tag: tag, &context)
  }

  /// A member asks for an address.
  mutating func answer(
    _ question: AddressQuestion, to slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    guard network.links.mayAsk(slot, at: context.now) else {
      counters.askedTooMuch &+= 1
      return
    }
    let isOurs = question.address == claim.address?.address
    let lease = isOurs ? leaseBytes : known.lease(of: question.address, at: context.now) ?? []
    network.links.sendToMember(.has, slot, &context) {
      $0.integer(question.nonce)
      $0.reserve(lease.count)?.write(lease)
    }
  }

  /// A member has answered.
  mutating func receive(
    _ answer: AddressAnswer, from slot: Int, _ network: inout Network, _ context: inout Context
  ) {
    guard let question = resolver.question(nonce: answer.nonce),
      resolver.questions[question].address.isV4, resolver.questions[question].key == nil
    else { return }
    let address = resolver.questions[question].address
    guard resolver.mayAskMembers(address, at: context.now) else { return }
    if !answer.lease.isEmpty {
      if let claim = readClaim(answer.lease), claim.address == address,
        claim.owner != network.links.identity.publicKey
      {
        counters.membersKnew &+= 1
        resolver.named(question)
        link(question, to: claim.owner, &network, &context)
        if resolver.questions.isUsed(question), resolver.questions[question].stage == .named {
          resolver.askAgain(question, at: context.now + Self.namedPatience)
        }
        return
      }
      counters.badClaims &+= 1
    }
    let isWaiting = resolver.questions[question].stage == .members
    if resolver.onUnknown(question, to: Int32(slot)), isWaiting {
      askDirectory(question, address, &network, &context)
    }
  }

  /// Nobody can reach the one that has the address. If only a member has named it, the directory may know
  /// better.
  mutating func onUnreachable(_ question: Int, _ network: inout Network, _ context: inout Context) {
    guard resolver.questions[question].stage == .named else { return fail(question, &context) }
    askDirectory(question, resolver.questions[question].address, &network, &context)
  }

  /// Keeps a claim that the directory has brought.
  mutating func keep(_ bytes: Frame, _ body: LeaseBody, life: Interval, at now: Instant) {
    guard let address = Self.decode(IPAddress.self, body.content), address.isV4 else { return }
    known.read(bytes, of: address, by: body.identity.id, life: life, at: now)
  }
}
