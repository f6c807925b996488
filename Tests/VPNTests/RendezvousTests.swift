// Goal: two parts of a subring come to each other's places in time, whatever their size, and nobody reads
// more than that takes. Method: the machine alone, with the clock in the test's hands.

import Base
import Session
import Testing

@testable import VPN

@Suite struct RendezvousTests {
  private func key(_ number: UInt64) -> PublicKey { Identity.stub(number: number).publicKey }

  /// The places that are read in a stretch of time, in order.
  private func reads(
    _ rendezvous: inout Rendezvous, size: Int, for interval: Interval, _ context: inout Context
  ) -> [UInt8] {
    let end = context.now + interval
    var places: [UInt8] = []
    while context.now < end {
      let found = rendezvous.takeReads(size: size, &context)
      places += (0..<found.count).map { found[$0] }
      context.now = context.now + .milliseconds(100)
    }
    return places
  }

  @Test(arguments: [2, 3, 4]) func fewGoRoundTheirPlacesWithinAMinute(_ size: Int) {
    var context = Context(packets: 4, effects: 4, seed: UInt64(size))
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    for _ in 0..<20 {
      let places = reads(&rendezvous, size: size, for: .seconds(60), &context)
      #expect(Set(places) == [0, 1, 2, 3])
      #expect(places.count <= 7, "five or six: \(places)")
    }
  }

  @Test func tenShareTheReading() {
    var context = Context(packets: 4, effects: 4, seed: 7)
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    let places = reads(&rendezvous, size: 10, for: .minutes(10), &context)
    #expect((18...23).contains(places.count) && Set(places) == [0, 1, 2, 3])
  }

  @Test func fewMoveOnFromThePlacesOfTheGone() {
    var context = Context(packets: 4, effects: 4, seed: 3)
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    var places: Set<UInt8> = []
    for turn in 0..<5 {
      let place = rendezvous.takeWrite(size: 2, &context)
      if let place { places.insert(place) }
      rendezvous.onTakenByStranger(size: 2, &context)
      context.now = context.now + .seconds(turn == 0 ? 20 : 5)
      if turn == 1 { #expect(places.count == 1, "it may be somebody who is about to be linked") }
    }
    #expect(places == [0, 1, 2, 3], "each is tried, one soon after the other")
    let soon = rendezvous.takeWrite(size: 2, &context)
    #expect(soon == nil, "and then not before the next renewal")
  }

  @Test func manyReadAllPlacesInTurn() {
    var context = Context(packets: 4, effects: 4, seed: 2)
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    let places = reads(&rendezvous, size: 100, for: .seconds(30 * 16 * 2), &context)
    #expect(Set(places.prefix(16)) == Set(0..<16))
    #expect((30...36).contains(places.count))
  }

  /// The first places are everybody's: a newcomer finds members of a small subring with its first question.
  @Test func aloneReadsThePlacesOfFewFirst() {
    var context = Context(packets: 4, effects: 4, seed: 3)
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    let first = rendezvous.takeReads(size: 1, &context)
    #expect(Set((0..<first.count).map { first[$0] }) == [0, 1, 2, 3])
    #expect(Set(reads(&rendezvous, size: 1, for: .seconds(2), &context)) == Set(4..<16))
  }

  @Test func writtenPlaceFollowsTheSize() {
    for number in UInt64(1)...20 {
      var context = Context(packets: 4, effects: 4, seed: 4)
      var rendezvous = Rendezvous(owner: key(number))
      rendezvous.start(&context)
      let small = rendezvous.takeWrite(size: 3, &context)
      let none = rendezvous.takeWrite(size: 3, &context)
      context.now = context.now + .minutes(10)
      let large = rendezvous.takeWrite(size: 1_000, &context)
      #expect(small != nil && none == nil && large != nil)
      #expect(large.map { $0 % 4 } == small && small! < 4 && large! < 16)
    }
  }

  @Test func placesOfLinkedMembersRestUntilTheyAreLost() {
    var context = Context(packets: 4, effects: 4, seed: 5)
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    rendezvous.onLinked(1, key(7).id, at: context.now)
    rendezvous.onLinked(2, key(8).id, at: context.now)
    _ = rendezvous.takeWrite(size: 3, &context)
    rendezvous.onTaken(&context)
    #expect(Set(reads(&rendezvous, size: 3, for: .minutes(5), &context)) == [0, 3])
    #expect(rendezvous.takeWrite(size: 3, &context) == nil)
    rendezvous.onLost(key(7).id, isAlone: false, &context)
    #expect(Set(reads(&rendezvous, size: 3, for: .minutes(1), &context)) == [0, 1, 3])
    context.now = context.now + .minutes(4)
    #expect(rendezvous.takeWrite(size: 3, &context) != nil, "its place may be free")
  }

  @Test func membersLookForAStrangerByTurns() {
    var context = Context(packets: 4, effects: 4, seed: 6)
    var rendezvous = Rendezvous(owner: key(1))
    rendezvous.start(&context)
    rendezvous.onStranger(2, size: 8, &context)
    #expect(Set(reads(&rendezvous, size: 8, for: .seconds(150), &context)) == [0, 1, 3])
    #expect(Set(reads(&rendezvous, size: 8, for: .seconds(150), &context)) == [0, 1, 2, 3])
  }
}
