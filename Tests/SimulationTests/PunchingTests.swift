// Two members behind boxes of all kinds: who finds the direct way, how soon, and what it costs.

import Base
import Node
import Session
import Testing

@testable import Simulator

@Suite struct PunchingTests {
  /// A world with nodes in the open, and two members in networks of their own.
  final class Pair {
    let world: World
    let community = Community.shared(name: "home", secret: [UInt8](1...32))
    var members: [Int] = []

    /// - Parameters:
    ///   - open: nodes in the open.
    ///   - boxes: of each member, the outermost first.
    init(_ boxes: [[NATBehaviour]], open: Int = 1, seed: UInt64) {
      var options = WorldOptions(seed: seed)
      options.latency = .clusters()
      world = World(options)
      for n in 0..<open { world.add(.seed, bootstraps: n == 0 ? [] : [0]) }
      for chain in boxes {
        var outer: Int?
        for behaviour in chain { outer = world.addBox(behaviour, behind: outer) }
        let site = outer.map { Site(.behind(box: $0)) } ?? Site()
        members.append(world.add(.member(community), bootstraps: [0], site: site))
      }
    }

    func becomesReady() -> Bool {
      world.run(upTo: .seconds(20)) { members.allSatisfy { world.hosts[$0].snapshot.isReady } } != nil
    }

    func path(_ i: Int) -> PathKind? {
      let other = world.hosts[members[1 - i]].core.id
      return world.hosts[members[i]].snapshot.peers.first { $0.id == other }?.path
    }

    var isDirect: Bool { (0..<2).allSatisfy { path($0) == .direct || path($0) == .lan } }

    func talk() {
      let ends = members.map { community.ula(of: world.hosts[$0].core.id) }
      for i in 0..<2 {
        let words = [ends[i].high, ends[i].low, ends[1 - i].high, ends[1 - i].low]
        let addresses = words.flatMap { word in
          (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
        }
        world.send([0x60, 0, 0, 0, 0, 0, 59, 64] + addresses, from: members[i])
      }
    }

    /// Both send something five times a second.
    /// - Returns: how long it took until both had a direct path; nil when they had none within `limit`.
    func talk(upTo limit: Interval) -> Interval? {
      let begin = world.now
      while world.now - begin < limit {
        if isDirect { return world.now - begin }
        talk()
        world.run(for: .milliseconds(200))
      }
      return isDirect ? limit : nil
    }

    /// Meetings at predicted ports, and how many led to a path.
    func predictions(_ i: Int) -> (made: UInt64, met: UInt64) {
      let counters = world.hosts[members[i]].snapshot.links
      return (counters.predictions, counters.predictionsMet)
    }

    func counters(_ i: Int) -> (punchPings: UInt64, birthdays: UInt64, met: UInt64) {
      let counters = world.hosts[members[i]].snapshot.links
      return (counters.punchPings, counters.birthdays, counters.birthdaysMet)
    }

    /// Sockets beside the main one.
    func spares(_ i: Int) -> Int {
      (1...SocketNumber.sparesMax).count {
        world.hosts[members[i]].sockets.number(at: OpenSockets.port(SocketNumber($0))) != nil
      }
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func easyPairsAreDirectWithinSeconds(seed: UInt64) throws {
    let restricted: [[NATBehaviour]] = [[.portRestricted], [.fullCone], [.carrier, .portRestricted], []]
    for a in restricted {
      let pair = Pair([a, [.portRestricted]], seed: seed)
      try #require(pair.becomesReady())
      let took = pair.talk(upTo: .seconds(10))
      #expect(took != nil && took! <= .seconds(3), "\(a.count) \(String(describing: took?.seconds))")
      #expect(pair.spares(0) == 0 && pair.spares(1) == 0)
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func hardSideMeetsOpenFilterWithoutManyPorts(seed: UInt64) throws {
    let pair = Pair([[.hard], [.fullCone]], seed: seed)
    try #require(pair.becomesReady())
    let took = pair.talk(upTo: .seconds(10))
    #expect(took != nil && took! <= .seconds(3), "\(String(describing: took?.seconds))")
    #expect(pair.counters(0).birthdays == 0 && pair.spares(0) == 0)
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6], [1, 3]) func hardSideMeetsRestrictedOneByChance(
    seed: UInt64, open: Int
  ) throws {
    let pair = Pair([[.hard], [.portRestricted]], open: open, seed: seed)
    try #require(pair.becomesReady())
    let took = pair.talk(upTo: .seconds(25))
    #expect(took != nil, "no direct path")
    #expect(pair.counters(0).met == 1 && pair.counters(1).met == 1)
    #expect(pair.spares(0) == 1 && pair.spares(1) == 0, "all sockets but that of the path are closed")
    #expect(pair.counters(0).punchPings < 400 && pair.counters(1).punchPings < 1_500)
    // It stays while there is traffic, and lasts without.
    pair.world.run(for: .seconds(100))
    #expect(pair.isDirect && pair.spares(0) == 1)
  }

  /// Boxes that count in steps of one, two and eight.
  private static func counting(step: UInt16) -> NATBehaviour {
    var behaviour = NATBehaviour.counting
    behaviour.step = step
    return behaviour
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6], [UInt16(1), 2, 8]) func boxThatCountsIsMetAtThePredictedPort(
    seed: UInt64, step: UInt16
  ) throws {
    let pair = Pair([[Self.counting(step: step)], [.portRestricted]], seed: seed)
    try #require(pair.becomesReady())
    let took = pair.talk(upTo: .seconds(25))
    #expect(took != nil && took! <= .seconds(3), "\(String(describing: took?.seconds))")
    #expect(pair.predictions(0).met == 1 && pair.counters(0).birthdays == 0)
    #expect(pair.counters(0).punchPings < 120 && pair.counters(1).punchPings < 50)
    #expect(pair.spares(0) == 1 && pair.spares(1) == 0)
    pair.world.run(for: .seconds(100))
    #expect(pair.isDirect && pair.spares(0) == 1)
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6], [UInt16(1), 2]) func twoBoxesThatCountMeet(
    seed: UInt64, step: UInt16
  ) throws {
    let pair = Pair([[Self.counting(step: step)], [.counting]], open: 3, seed: seed)
    try #require(pair.becomesReady())
    let took = pair.talk(upTo: .seconds(25))
    #expect(took != nil && took! <= .seconds(5), "\(String(describing: took?.seconds))")
    for i in 0..<2 {
      #expect(pair.predictions(i).met == 1 && pair.counters(i).birthdays == 0)
      #expect(pair.counters(i).punchPings < 200 && pair.spares(i) <= 2)
    }
    pair.world.run(for: .seconds(30))
    #expect(pair.isDirect)
  }

  @Test(arguments: [UInt64(1), 2, 3]) func othersBehindTheBoxMayCountToo(seed: UInt64) throws {
    let pair = Pair([[.counting], [.counting]], open: 3, seed: seed)
    for i in 0..<2 {
      let site = Site(.behind(box: pair.world.box(of: pair.members[i])!))
      for _ in 0..<3 { pair.world.add(.seed, bootstraps: [0, 1, 2], site: site) }
    }
    try #require(pair.becomesReady())
    #expect(pair.talk(upTo: .seconds(25)) != nil)
  }

  @Test func boxWithRandomPortsIsLookedAtOnceAndNotMet() throws {
    let pair = Pair([[.hard], [.portRestricted]], seed: 7)
    try #require(pair.becomesReady())
    _ = pair.talk(upTo: .seconds(25))
    #expect(pair.predictions(0).made == 0 && pair.predictions(1).made == 0)
    #expect(pair.world.hosts[pair.members[0]].snapshot.reach.mapping == .varies)
  }

  @Test func twoHardSidesStayRelayedWithinTheBudget() throws {
    let pair = Pair([[.hard], [.hard]], seed: 4)
    try #require(pair.becomesReady())
    #expect(pair.talk(upTo: .seconds(60)) == nil)
    #expect(pair.path(0) == .proxy && pair.path(1) == .proxy)
    for i in 0..<2 {
      #expect(pair.counters(i).birthdays == 0 && pair.spares(i) == 0)
      #expect(pair.counters(i).punchPings < 150, "\(pair.counters(i).punchPings) in a minute")
    }
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6], [1, 3]) func secondMemberBehindABoxIsAsEasyAsTheFirst(
    seed: UInt64, open: Int
  ) throws {
    let pair = Pair([[.masquerade], [.hard]], open: open, seed: seed)
    let site = Site(.behind(box: pair.world.box(of: pair.members[0])!))
    try #require(pair.becomesReady())
    let second = pair.world.add(.member(pair.community), bootstraps: [0], site: site)
    let others = [pair.members[0], pair.members[1]]
    pair.members[0] = second
    try #require(pair.becomesReady())
    #expect(pair.talk(upTo: .seconds(25)) != nil, "no direct path")
    #expect(pair.world.hosts[second].snapshot.reach.mapping == .independent)
    #expect(pair.world.hosts[second].sockets.main != Internet.port, "on a port of its own")
    #expect(pair.world.hosts[others[0]].sockets.main == Internet.port, "the first one stays")
    #expect(pair.world.canBeDirect(second, others[1]))
  }

  @Test func portIsLeftOnceInAPlace() throws {
    let pair = Pair([[.hard], [.hard]], open: 3, seed: 3)
    try #require(pair.becomesReady())
    pair.world.run(for: .seconds(5))
    let first = pair.world.hosts[pair.members[0]].sockets.main
    pair.world.run(for: .minutes(5))
    #expect(first != Internet.port && pair.world.hosts[pair.members[0]].sockets.main == first)
    pair.world.apply(.roam(pair.members[0]))
    pair.world.run(for: .seconds(60))
    #expect(pair.world.hosts[pair.members[0]].sockets.main != first, "another place")
    #expect(pair.world.hosts[0].sockets.main == Internet.port, "the seed stays")
  }

  @Test func withoutTrafficNobodyTriesManyPorts() throws {
    let pair = Pair([[.hard], [.portRestricted]], seed: 5)
    try #require(pair.becomesReady())
    pair.world.run(for: .seconds(60))
    #expect(pair.counters(0).birthdays == 0 && pair.counters(1).birthdays == 0)
  }

  @Test func rebootedBoxIsOpenedAnew() throws {
    let pair = Pair([[.hard], [.portRestricted]], seed: 6)
    try #require(pair.becomesReady())
    try #require(pair.talk(upTo: .seconds(25)) != nil)
    pair.world.apply(.rebootBox(pair.world.box(of: pair.members[0])!))
    let begin = pair.world.now
    while pair.spares(0) > 0, pair.world.now - begin < .seconds(10) {
      pair.talk()
      pair.world.run(for: .milliseconds(200))
    }
    #expect(!pair.isDirect && pair.spares(0) == 0, "the old path is left, and its socket closed")
    #expect(pair.talk(upTo: .seconds(40)) != nil, "another one is found")
  }

  @Test func truthAboutPairs() {
    let world = World(WorldOptions(seed: 1))
    let carrier = world.addBox(.carrier)
    let boxes: [NATBehaviour] = [.portRestricted, .hard, .hard]
    var nodes = [world.add(.seed, bootstraps: [])]
    for behaviour in boxes {
      let box = world.addBox(behaviour)
      nodes.append(world.add(.seed, bootstraps: [0], site: Site(.behind(box: box))))
    }
    nodes.append(world.add(.seed, bootstraps: [0], site: Site(.behind(box: world.box(of: nodes[2])!))))
    for behaviour in [NATBehaviour.portRestricted, .hard, .hard] {
      let box = world.addBox(behaviour, behind: carrier)
      nodes.append(world.add(.seed, bootstraps: [0], site: Site(.behind(box: box))))
    }
    nodes.append(world.add(.seed, bootstraps: [0], site: Site(.blocked)))
    let reaches: [Reach] = [.open, .easy, .hard, .hard, .hard, .easy, .hard, .hard, .blocked]
    #expect(nodes.map { world.reach(of: $0) } == reaches)
    #expect(world.canBeDirect(0, 2) && world.canBeDirect(1, 2) && world.canBeDirect(1, 6))
    #expect(!world.canBeDirect(2, 3) && !world.canBeDirect(2, 6) && !world.canBeDirect(6, 7))
    #expect(world.canBeDirect(2, 4), "in one network")
    #expect(world.canBeDirect(5, 6), "the carrier's box leads back in")
    #expect(!world.canBeDirect(0, 8))
  }
}

/// Members that change their place.
@Suite struct MovingTests {
  /// What each has received from the other.
  private func received(_ pair: PunchingTests.Pair) -> [UInt64] {
    (0..<2).map { i in
      let other = pair.world.hosts[pair.members[1 - i]].core.id
      return pair.world.hosts[pair.members[i]].snapshot.peers.first { $0.id == other }?.receivedBytes ?? 0
    }
  }

  /// How long it takes until both receive again what is sent from now on.
  private func heardAgain(_ pair: PunchingTests.Pair, upTo limit: Interval = .seconds(10)) -> Interval? {
    let begin = pair.world.now
    pair.world.run(for: .milliseconds(400))
    let before = received(pair)
    while pair.world.now - begin < limit {
      pair.talk()
      pair.world.run(for: .milliseconds(100))
      let now = received(pair)
      if now[0] > before[0] && now[1] > before[1] { return pair.world.now - begin }
    }
    return nil
  }

  static let places: [[NATBehaviour]] = [
    [], [.fullCone], [.portRestricted], [.carrier, .portRestricted], [.hard],
  ]

  @Test(arguments: places, places) func memberThatMovesIsHeardAgainWithinSeconds(
    a: [NATBehaviour], b: [NATBehaviour]
  ) throws {
    for seed in [UInt64(1), 2] {
      let pair = PunchingTests.Pair([a, b], open: 3, seed: seed)
      try #require(pair.becomesReady())
      _ = pair.talk(upTo: .seconds(20))
      pair.world.run(for: .seconds(2))
      pair.world.apply(.roam(pair.members[0]))
      let took = heardAgain(pair)
      #expect(took != nil && took! <= .seconds(3), "\(String(describing: took?.seconds)) s, seed \(seed)")
    }
  }
}
