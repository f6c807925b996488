// Goal: one owner a key, whoever asks where, and no lease is lost when nodes come and go.
// Method: rings of three to seven holders on a virtual clock; what they keep is compared with the sorted list
// of their IDs.

import Base
import Session
import Testing

@testable import DHT
@testable import Overlay

@Suite struct DirectoryTests {
  @Test func whatIsStoredIsFoundFromEverywhere() throws {
    let town = try Town(5)
    for record in 0..<6 {
      #expect(town.stored(Town.lease(record), at: town.holders[record % 5]) == .granted)
      for holder in town.holders {
        let answer = town.found(Town.key(record), at: holder)
        #expect(answer?.owner == Made.key(2).publicKey && answer?.status == .granted)
        if case .status(_, _, _, let remaining)? = answer { #expect((590...600).contains(remaining)) }
      }
    }
    #expect(town.found(Town.key(99), at: town.holders[3]) == .absent)
    // A copy of each message waits until the next hop has it.
    town.run(for: .seconds(1))
    for holder in town.holders { #expect(holder.available == 512) }
  }

  @Test(arguments: 0..<6) func ofTwoRacingOwnersOneWins(record: Int) throws {
    let town = try Town(4)
    let (a, b) = (town.holders[1], town.holders[2])
    let first = town.put(Town.lease(record, owner: 2), at: a)
    let second = town.put(Town.lease(record, owner: 3), at: b)
    let answers = [town.answer(first, at: a), town.answer(second, at: b)]
    #expect(answers.filter { $0 == .granted }.count == 1)
    let denied = try #require(answers.compactMap { $0 }.first { $0.status == .denied })
    let winner = Made.key(answers[0] == .granted ? 2 : 3).publicKey
    #expect(denied.owner == winner, "the loser is shown the lease of the winner")
    for holder in town.holders { #expect(town.found(Town.key(record), at: holder)?.owner == winner) }
  }

  @Test func ownerGetsItsClaimBackAndMayRenewIt() throws {
    let town = try Town(4)
    let (a, b) = (town.holders[1], town.holders[2])
    #expect(town.stored(Town.lease(1, sequence: 1), at: a) == .granted)
    #expect(town.stored(Town.lease(1, sequence: 1), at: b) == .granted, "the very same lease")
    #expect(town.stored(Town.lease(1, sequence: 4), at: b) == .granted)
    #expect(town.found(Town.key(1), at: a)?.sequence == 4)
    #expect(town.stored(Town.lease(1, sequence: 3), at: a) == .invalid, "an older one")
    #expect(town.found(Town.key(1), at: a)?.sequence == 4)
    #expect(town.stored(Town.lease(1, owner: 3, sequence: 9), at: a)?.status == .denied)
  }

  @Test func whatNobodyRenewsGoesAlsoFromTheStore() throws {
    let town = try Town(4)
    let key = Town.key(2)
    #expect(town.stored(Town.lease(2, timeToLive: 20), at: town.holders[0]) == .granted)
    town.run(for: .seconds(15))
    #expect(town.found(key, at: town.holders[3])?.owner == Made.key(2).publicKey)
    town.run(for: .seconds(6))
    #expect(town.found(key, at: town.holders[3]) == .absent)
    #expect(town.stored(Town.lease(2, owner: 3, timeToLive: 5), at: town.holders[1]) == .granted)
    town.run(for: .seconds(30))
    for holder in town.holders { #expect(holder.store.isEmpty && holder.count == 0) }
  }

  @Test(arguments: 0..<3) func theNextTwoNodesKeepCopies(record: Int) throws {
    let town = try Town(6)
    #expect(town.stored(Town.lease(record), at: town.holders[0]) == .granted)
    town.run(for: .seconds(1))
    let order = town.order(from: Town.key(record))
    #expect(order.map { $0.entry(Town.key(record)) != nil } == [true, true, true, false, false, false])
    #expect(order.map { $0.store.count } == [1, 1, 1, 0, 0, 0])
  }

  @Test(arguments: 0..<4) func deathOfOwnersLosesNothing(record: Int) throws {
    let town = try Town(6)
    let key = Town.key(record)
    #expect(town.stored(Town.lease(record), at: town.holders[0]) == .granted)
    town.run(for: .seconds(1))
    for _ in 0..<2 {
      town.order(from: key)[0].isAlive = false
      town.run(for: .seconds(45))
      let asking = town.order(from: key).last!
      #expect(town.found(key, at: asking)?.owner == Made.key(2).publicKey)
      #expect(town.stored(Town.lease(record, owner: 3), at: asking)?.status == .denied)
    }
    town.run(for: .seconds(2))
    #expect(town.order(from: key).prefix(3).allSatisfy { $0.entry(key) != nil }, "three have it again")
  }

  @Test func newcomerTakesItsRangeOverInPieces() throws {
    let town = try Town(3)
    for record in 0..<400 {
      _ = town.put(Town.lease(record), at: town.holders[record % 3])
      town.run(for: .milliseconds(10))
    }
    town.run(for: .seconds(3))
    var most = 0
    for _ in 0..<3 {
      let newcomer = town.add()
      try #require(town.until(.seconds(20)) { newcomer.isReady } != nil)
      let own = (0..<400).filter { town.order(from: Town.key($0))[0] === newcomer }
      most = max(most, own.count)
      let missing = own.filter { newcomer.entry(Town.key($0)) == nil }
      #expect(missing.isEmpty, "\(missing.count) of \(own.count) are missing at the first moment")
    }
    #expect(most > 64, "more than one piece: \(most)")
  }

  @Test(arguments: [UInt64(10), 40, 90]) func newcomersAtOnceLoseNothing(latency: UInt64) throws {
    let town = try Town(3)
    for record in 0..<300 {
      _ = town.put(Town.lease(record), at: town.holders[record % 3])
      town.run(for: .milliseconds(10))
    }
    town.run(for: .seconds(3))
    town.latency = .milliseconds(latency)
    let newcomers = (0..<4).map { _ in town.add() }
    var left = newcomers
    for _ in 0..<2_000 where !left.isEmpty {
      town.run(for: .milliseconds(10))
      for newcomer in left where newcomer.isReady {
        let missing = (0..<300).filter {
          town.speaks(newcomer, Town.key($0)) && newcomer.entry(Town.key($0)) == nil
        }
        #expect(missing.isEmpty, "\(missing.count) missing at node \(newcomer.number)")
      }
      left.removeAll { $0.isReady }
    }
    #expect(left.isEmpty)
  }

  @Test func copyThatIsLostInAHandOverIsFetchedAgain() throws {
    let town = try Town(3)
    for record in 0..<200 {
      _ = town.put(Town.lease(record), at: town.holders[record % 3])
      town.run(for: .milliseconds(10))
    }
    town.run(for: .seconds(3))
    var random = Random(seed: 5)
    let number = town.holders.count
    // A tenth of what the newcomer is sent gets lost.
    town.passes = { $1 != number || random.below(10) > 0 }
    let newcomer = town.add()
    try #require(town.until(.seconds(30)) { newcomer.isReady } != nil)
    let own = (0..<200).filter { town.order(from: Town.key($0))[0] === newcomer }
    #expect(own.count > 20)
    #expect(own.allSatisfy { newcomer.entry(Town.key($0)) != nil })
  }

  @Test func nobodyIsAnsweredBeforeTheCommit() throws {
    let town = try Town(4)
    town.commit = .milliseconds(700)
    let begin = town.now
    let asking = town.order(from: Town.key(3))[2]
    let tag = town.put(Town.lease(3), at: asking)
    #expect(town.answer(tag, at: asking) == .granted)
    #expect(town.now - begin >= .milliseconds(710))
  }

  @Test func fullIndexSaysLaterAndTakesAgainWhatExpires() throws {
    let town = try Town(1)
    let holder = town.holders[0]
    for n in 0..<LeaseIndex.limit {
      let entry = LeaseEntry(
        owner: Made.key(9).publicKey, epoch: 1, sequence: 1, expires: town.now + .seconds(30))
      holder.network.directory.index.entries.set(
        OverlayID(high: UInt64(n) << 40, middle: 0, low: 0), entry)
    }
    #expect(town.stored(Town.lease(4), at: holder) == .failed, "later, until patience ended")
    #expect(holder.counters.full > 0)
    town.run(for: .seconds(40))
    #expect(town.stored(Town.lease(4), at: holder) == .granted)
    town.run(for: .seconds(60))
    #expect(holder.count == 1, "all that expired is gone within a minute")
  }

  @Test func forgedLeasesAreRefusedAndCounted() throws {
    let town = try Town(4)
    let owner = town.order(from: Town.key(5))[0]
    let asking = town.order(from: Town.key(5))[2]
    var forged = Town.lease(5)
    forged[forged.count - 1] ^= 1
    #expect(town.stored(forged, at: asking) == .invalid)
    #expect(owner.counters.invalid == 1 && owner.entry(Town.key(5)) == nil && owner.store.isEmpty)
    // Copies are judged as well.
    let other = town.order(from: Town.key(5))[1]
    let lease = Made.read(forged)!
    town.act(other) {
      other.direct { directory, links, ring, context in
        directory.receiveCopy(
          lease, 60, from: Asker(id: owner.id, via: nil, ticket: 1), &links, ring, &context)
      }
    }
    #expect(other.counters.invalid == 1 && other.entry(Town.key(5)) == nil)
  }

  @Test func answersThatCannotBeTrueAreIgnored() throws {
    let town = try Town(4)
    let asking = town.order(from: Town.key(6))[2]
    town.passes = { from, _ in from == asking.number }
    let tag = town.get(Town.key(6), at: asking)
    let ticket = asking.network.directory.requests[0].ticket
    var forged = Town.lease(6)
    forged[forged.count - 1] ^= 1
    for bytes in [forged, Town.lease(7)] {
      town.act(asking) {
        asking.network.directory.receiveAnswer(
          ticket, .granted, 60, Made.read(bytes), under: .real, &asking.context)
      }
    }
    town.act(asking) {
      asking.network.directory.receiveAnswer(ticket, .granted, 60, nil, under: .real, &asking.context)
      asking.network.directory.receiveAnswer(ticket ^ 1, .absent, 0, nil, under: .real, &asking.context)
    }
    #expect(asking.counters.invalid == 3 && asking.answers[tag] == nil)
    town.run(for: .seconds(2))
    #expect(asking.answers[tag] == nil)
  }

  @Test func storeHoldsWhatRecoverReads() throws {
    let town = try Town(4)
    for record in 0..<12 { #expect(town.stored(Town.lease(record), at: town.holders[0]) == .granted) }
    #expect(town.stored(Town.lease(12, timeToLive: 20), at: town.holders[0]) == .granted)
    town.run(for: .seconds(1))
    let number = town.holders.indices.max {
      town.holders[$0].store.count < town.holders[$1].store.count
    }!
    let kept = (0..<12).filter { town.holders[number].entry(Town.key($0)) != nil }
    let remaining = kept.map {
      town.holders[number].network.directory.index.remaining(Town.key($0), at: town.now)
    }
    town.holders[number].isAlive = false
    town.run(for: .seconds(30))
    let holder = town.restart(number)
    #expect(kept.allSatisfy { holder.entry(Town.key($0)) != nil })
    for (record, before) in zip(kept, remaining) {
      let after = holder.network.directory.index.remaining(Town.key(record), at: town.now)
      #expect(before - after >= 29 && before - after <= 32, "time goes on while a node is down")
    }
    // What expired meanwhile is not kept in the store for ever.
    town.run(for: .seconds(25))
    let expired = holder.store.values.filter { value in
      value[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } < 1_000 + town.now.ns / 1_000_000_000
    }
    #expect(expired.isEmpty)
  }

  @Test func newcomerThatCouldNotAskYetIsNotReady() {
    // Its neighbours do not agree yet: no question was sent, so nothing can have been answered.
    let holder = Holder(1, isFounder: false, at: .start)
    holder.network.directory.takingOver = TakeOver(ticket: 1, start: .zero, after: .zero, nextAt: .start)
    let other = Town.identities[0].publicKey
    let slot = holder.network.links.connect(other, role: .near, &holder.context)
    #expect(slot != nil)
    holder.network.links.raise(slot!)
    for n in 1..<40 {
      holder.context.now = .start + .milliseconds(200 * UInt64(n))
      holder.direct { $0.expire(&$1, $2, &$3) }
    }
    let isReady = holder.network.directory.isReady
    #expect(!isReady)
  }
}
