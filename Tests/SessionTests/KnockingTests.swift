// Goal: two nodes find exactly the communities that both carry, and the slots of both sides fit together.
// Method: pairs with different communities; hellos are swapped and played back.

import Base
import Testing

@testable import Session

struct KnockingTests {
  private let home = Community.shared(name: "home", secret: [UInt8](repeating: 0x81, count: 32))
  private let work = Community.shared(name: "work", secret: [UInt8](repeating: 0x82, count: 32))
  private let park = Community.open("park")

  private func connected(_ a: [Community], _ b: [Community]) throws -> Pair {
    let pair = Pair()
    pair.a.table.setCommunities(a)
    pair.b.table.setCommunities(b)
    try pair.connect()
    return pair
  }

  /// The slots of `community` (by its positions at both sides) fit together.
  private func fit(_ pair: Pair, _ atA: Int, _ atB: Int) throws {
    let idA = try #require(pair.a.session(pair.b))
    let idB = try #require(pair.b.session(pair.a))
    let slotsA = try #require(pair.a.slots(idA, community: atA))
    let slotsB = try #require(pair.b.slots(idB, community: atB))
    #expect(slotsA.send == slotsB.receive && slotsB.send == slotsA.receive)
    #expect((8..<16).contains(slotsA.send) && (8..<16).contains(slotsA.receive))
    #expect(pair.a.community(idA, receiveSlot: slotsA.receive) == atA)
    #expect(pair.b.community(idB, receiveSlot: slotsB.receive) == atB)
  }

  @Test func commonCommunitiesGetSlots() throws {
    let pair = try connected([home, park, work], [work, home])
    try fit(pair, 0, 1)
    try fit(pair, 2, 0)
    let idA = try #require(pair.a.session(pair.b))
    #expect(pair.a.slots(idA, community: 1) == nil)
    let open = (UInt8(0)...255).filter { pair.a.community(idA, receiveSlot: $0) != nil }
    #expect(open.count == 2)
  }

  @Test func openCommunitiesMatchByName() throws {
    let pair = try connected([Community.open("park")], [Community.open("park")])
    try fit(pair, 0, 0)
    let other = try connected([Community.open("park")], [Community.open("Park")])
    let id = try #require(other.a.session(other.b))
    #expect(other.a.slots(id, community: 0) == nil)
  }

  @Test func oneNameWithTwoSecretsDoesNotMatch() throws {
    let false0 = Community.shared(name: "home", secret: [UInt8](repeating: 0x90, count: 32))
    let pair = try connected([home], [false0])
    let idA = try #require(pair.a.session(pair.b))
    let idB = try #require(pair.b.session(pair.a))
    #expect(pair.a.slots(idA, community: 0) == nil && pair.b.slots(idB, community: 0) == nil)
  }

  @Test func dataMayFollowTheFirstHello() throws {
    let pair = Pair()
    pair.a.table.setCommunities([home])
    pair.b.table.setCommunities([home])
    let message = try #require(pair.a.initiate(to: pair.b.key))
    _ = pair.a.handshake(pair.b.handshake(message).reply)
    let idA = try #require(pair.a.session(pair.b))
    let slots = try #require(pair.a.slots(idA, community: 0), "the tokens came in message 2")
    let hello = pair.a.table.hello(idA)
    let first = try #require(pair.a.seal(hello.encoded, for: idA))
    let data = try #require(pair.a.seal([1], for: idA, space: 1, content: slots.send))
    guard case .opened(let greeted) = pair.b.open(first) else {
      Issue.record("not opened")
      return
    }
    #expect(pair.b.community(greeted.session, receiveSlot: slots.send) == nil)
    pair.b.table.receive(try #require(Hello(decoded: greeted.packet)), on: greeted.session)
    guard case .opened(let received) = pair.b.open(data) else {
      Issue.record("not opened")
      return
    }
    #expect(pair.b.community(received.session, receiveSlot: received.content) == 0)
  }

  @Test func withAnUnknownKeyTheHellosKnock() throws {
    let pair = Pair()
    pair.a.table.setCommunities([home, work])
    pair.b.table.setCommunities([work])
    let message = try #require(pair.a.initiateUnknown()).datagram
    let end = pair.a.handshake(pair.b.handshake(message).reply)
    _ = pair.b.handshake(end.reply)
    try pair.greet(from: pair.a)
    try pair.greet(from: pair.b)
    try fit(pair, 1, 0)
  }

  @Test func tokensSentBackMatchNothing() throws {
    let pair = Pair()
    pair.a.table.setCommunities([home])
    try pair.connect()
    let idA = try #require(pair.a.session(pair.b))
    let idB = try #require(pair.b.session(pair.a))
    // `b` does not know the community and plays back what it heard.
    let heard = pair.a.table.hello(idA)
    let record = try #require(pair.b.seal(heard.encoded, for: idB))
    guard case .opened(let received) = pair.a.open(record) else {
      Issue.record("not opened")
      return
    }
    pair.a.table.receive(try #require(Hello(decoded: received.packet)), on: idA)
    #expect(pair.a.slots(idA, community: 0) == nil)
  }

  @Test func slotsSurviveARekey() throws {
    let pair = try connected([home, work], [work])
    let idA = try #require(pair.a.session(pair.b))
    let before = try #require(pair.a.slots(idA, community: 1))
    try pair.connect(from: pair.b)
    #expect(pair.a.slots(idA, community: 1) == before)
    try fit(pair, 1, 0)
  }

  @Test func slotsGoWithTheRestartOfThePeer() throws {
    let pair = try connected([home], [home])
    let again = Pair(Side(Fixed.identities[0], incarnation: 101, seed: 7), pair.b)
    let message = try #require(again.a.initiate(to: again.b.key))
    _ = again.a.handshake(again.b.handshake(message).reply)
    #expect(again.carries(from: again.a))
    let idB = try #require(again.b.session(again.a))
    #expect(again.b.slots(idB, community: 0) == nil)
  }

  @Test func communitiesThatComeAndGoChangeOnlyTheirOwnSlots() throws {
    let pair = try connected([home, work], [home, work, park])
    let idA = try #require(pair.a.session(pair.b))
    let before = try #require(pair.a.slots(idA, community: 1))
    pair.a.table.setCommunities([park, work])
    #expect(pair.a.slots(idA, community: 0) == nil)
    #expect(pair.a.slots(idA, community: 1) == before)
    try pair.greet(from: pair.a)
    try pair.greet(from: pair.b)
    try fit(pair, 0, 2)
    try fit(pair, 1, 1)
    let idB = try #require(pair.b.session(pair.a))
    #expect(pair.b.slots(idB, community: 0) == nil, "the peer left it")
  }

  @Test func eightCommunitiesFit() throws {
    let all = (0..<8).map { Community.open("c\($0)") }
    let pair = try connected(all, all.reversed())
    for i in 0..<8 { try fit(pair, i, 7 - i) }
    let id = try #require(pair.a.session(pair.b))
    let slots = Set((0..<8).compactMap { pair.a.slots(id, community: $0)?.receive })
    #expect(slots == Set(8..<16))
  }

  @Test func thePlacesAreShuffledForEachPeer() {
    let a = Side(Fixed.identities[0])
    var firsts = Set<UInt8>()
    for number in 0..<40 {
      let peer = PublicKey(bytes: [UInt8](repeating: UInt8(number), count: 32))!
      let positions = a.table.positions(for: peer)
      #expect(Set((0..<8).map { positions[$0] }) == Set(0..<8))
      firsts.insert(positions[0])
    }
    #expect(firsts.count == 8)
  }
}
