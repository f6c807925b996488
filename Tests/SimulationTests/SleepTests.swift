// A member's machine sleeps: nothing runs, its clock goes on, and the world forgets it. What was sent to it
// meanwhile is lost, the boxes in front of it forget their mappings, keys and leases run out.

import Base
import Node
import Session
import Testing

@testable import Simulator

@Suite struct SleepTests {
  /// What a member stands behind.
  private enum Home: CustomStringConvertible {
    case open
    case blocked
    case box(NATBehaviour)

    var description: String {
      switch self {
      case .open: "open"
      case .blocked: "blocked"
      case .box(let behaviour): behaviour.mapping == .endpointIndependent ? "easy" : "hard"
      }
    }
  }

  /// Nodes in the open, and two members at different places that have talked.
  private final class Pair {
    let world: World
    let community = Community.shared(name: "home", secret: [UInt8](1...32))
    let (sleeper, other): (Int, Int)

    init(_ sites: [Home], seed: UInt64) throws {
      var options = WorldOptions(seed: seed)
      options.latency = .clusters()
      world = World(options)
      for n in 0..<4 { world.add(.seed, bootstraps: n == 0 ? [] : [0]) }
      let members = sites.map { [world, community] home in
        let access: Access =
          switch home {
          case .open: .open
          case .blocked: .blocked
          case .box(let behaviour): .behind(box: world.addBox(behaviour))
          }
        return world.add(.member(community), bootstraps: [0], site: Site(access))
      }
      (sleeper, other) = (members[0], members[1])
      let isReady = world.run(upTo: .seconds(20)) { world.hosts.allSatisfy { $0.snapshot.isReady } }
      try #require(isReady != nil)
      try #require(talk(upTo: .seconds(5)) != nil)
      for _ in 0..<20 { _ = talk(upTo: .seconds(1)) }
    }

    func send(from one: Int, to two: Int) {
      let ends = [one, two].map { community.ula(of: world.hosts[$0].core.id) }
      let addresses = ends.flatMap { [$0.high, $0.low] }.flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
      }
      world.send([0x60, 0, 0, 0, 0, 0, 59, 64] + addresses, from: one)
    }

    func delivered(_ node: Int) -> UInt64 { world.hosts[node].snapshot.tunnel?.received ?? 0 }

    /// Both send ten times a second.
    /// - Returns: how long it took until each had heard the other; nil when that took more than `limit`.
    func talk(upTo limit: Interval) -> Interval? {
      let begin = world.now
      let before = (delivered(sleeper), delivered(other))
      while world.now - begin < limit {
        send(from: sleeper, to: other)
        send(from: other, to: sleeper)
        world.run(for: .milliseconds(100))
        if delivered(sleeper) > before.0, delivered(other) > before.1 { return world.now - begin }
      }
      return nil
    }

    /// What arrives meanwhile is lost: a machine that is off has no socket.
    /// - Parameter extra: how much further its clock goes than the world's.
    func sleep(for time: Interval, jumping extra: Interval = .zero) {
      world.apply(.pause(sleeper))
      world.run(for: time)
      for handle in world.hosts[sleeper].waiting.datagrams {
        if world.arena.header(handle).pointee.flags & Flight.isFrame != 0 {
          world.discardFrame(handle)
        } else {
          world.arena.release(handle)
        }
      }
      world.hosts[sleeper].waiting.datagrams.removeAll()
      world.jump(sleeper, by: extra)
      world.apply(.resume(sleeper))
    }

    /// Both hear each other within three seconds, after few events: what was due for hours is done once.
    func expectTalk(_ what: String) throws {
      let before = world.state.scalars.pointee.events
      let took = talk(upTo: .seconds(20))
      let events = world.state.scalars.pointee.events - before
      #expect(took != nil && took! <= .seconds(3), "\(what): \(String(describing: took?.seconds)) s")
      #expect(events < 2_000, "\(what): \(events)")
      world.run(for: .seconds(30))
      #expect(talk(upTo: .seconds(1)) != nil, "\(what): half a minute later")
    }
  }

  /// The sleeper's site and the other's.
  private static let sites: [[Home]] = [
    [.box(.portRestricted), .box(.portRestricted)], [.box(.hard), .box(.portRestricted)],
    [.open, .box(.portRestricted)], [.box(.portRestricted), .open], [.blocked, .open],
    [.blocked, .box(.portRestricted)],
  ]

  @Test(arguments: [(1, 1), (1, 2), (60, 1)] as [(UInt64, UInt64)])
  func whoWakesTalksWithinThreeSeconds(_ minutes: UInt64, _ seed: UInt64) throws {
    // An hour is a second of this machine's.
    for sites in minutes == 60 ? Array(Self.sites.prefix(2)) : Self.sites {
      let pair = try Pair(sites, seed: seed)
      pair.sleep(for: .minutes(minutes))
      try pair.expectTalk("\(sites)")
    }
  }

  /// The world lives on for a minute only, in which it forgets the sleeper; the sleeper's clock goes on for
  /// an hour, or ten: its keys, leases and timers are that old.
  @Test(arguments: [(60, 1), (600, 2)] as [(UInt64, UInt64)])
  func clockThatJumpsHarmsNothing(_ minutes: UInt64, _ seed: UInt64) throws {
    for sites in Self.sites {
      let pair = try Pair(sites, seed: seed)
      pair.sleep(for: .minutes(1), jumping: .minutes(minutes - 1))
      try pair.expectTalk("\(sites)")
    }
  }

  /// A virtual machine that was copied back: the others have not even noticed.
  @Test func jumpWithoutAPauseHarmsNothing() throws {
    for sites in Self.sites {
      let pair = try Pair(sites, seed: 3)
      pair.sleep(for: .milliseconds(10), jumping: .minutes(600))
      try pair.expectTalk("\(sites)")
    }
  }
}
